//! A rep's dashboard: statistics, one page of the list, and rows by id, all in one snapshot.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, LazyLock};

use chrono_tz::Tz;
use deadpool_postgres::ClientWrapper;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, OptionFuture};
use rust_decimal::Decimal;
use tokio_postgres::Row;

use super::events::{RECENT, Recent};
use super::status_since::{STATUS_SINCE, StatusSince, status_since};
use super::{
    Attempt, Connection, HOLD_ORDERS, SELECT_PRESENT, Store, StoreError, one_snapshot, prepare, present, rows,
};
use crate::cursor::Cursor;
use crate::order::{
    Change, Filter, Money, OrderId, OrderRow, PAGE_SIZE, PageNumber, Pagination, PaymentStatus, RepId, Status, Summary,
    Tally,
};

/// The columns that [`order_row`] reads, of an order `o`. What no client could show becomes null here: NaN, infinities,
/// years beyond 9999.
pub(super) const ROW_COLUMNS: &str = "o.id::bigint as id, o.order_number::text as order_number, \
     o.customer_name::text as customer_name, o.status::text as status, o.payment_status::text as payment_status, \
     (select count(*) from public.orders_orderitem i where i.order_id = o.id) as items_count, \
     nullif(o.total_amount, 'NaN')::numeric as total_amount, \
     case when o.created_at >= '0001-01-01' and o.created_at < '10000-01-01' then o.created_at end::timestamptz as created_at";

/// One answer of the dashboard, in one snapshot.
#[derive(Debug)]
pub struct Dashboard {
    /// The snapshot.
    pub cursor: Cursor,
    /// Cards and breakdown, over all of the rep's orders.
    pub summary: Summary,
    /// The page of the list.
    pub rows: Vec<OrderRow>,
    /// Which page it is.
    pub pagination: Pagination,
    /// The orders asked for by id, as far as they are the rep's.
    pub visible: Vec<OrderRow>,
    /// Since when the orders that the reader shows are in their status.
    pub status_since: StatusSince,
}

/// The orders that the reader of a dashboard shows.
#[derive(Debug, Clone, Copy)]
pub enum Shown<'a> {
    /// Those of the list: a page is being made.
    List,
    /// These: the page is there, and whatever the list is now, it wants their present state.
    Orders(&'a [OrderId]),
}

/// What a stream begins with, in one snapshot.
#[derive(Debug)]
pub struct Sync {
    /// The snapshot.
    pub cursor: Arc<Cursor>,
    /// Cards and breakdown.
    pub summary: Summary,
    /// What the page missed since the cursor it brought; `None` where that can't be told.
    pub missed: Option<Vec<Change>>,
}

/// A stream that is to begin: whose, and up to where its page knows.
#[derive(Debug, Clone)]
pub(super) struct SyncRequest {
    rep: RepId,
    since: Option<Cursor>,
}

impl Store {
    /// The rep's dashboard under a filter, and the rep's orders among those shown.
    ///
    /// # Errors
    /// If the database can't be reached or read.
    pub async fn dashboard(
        &self,
        rep: RepId,
        filter: &Filter,
        shown: Shown<'_>,
        zone: Tz,
    ) -> Result<Dashboard, StoreError> {
        self.statistics_read.store(true, Relaxed);
        let visible = match shown {
            Shown::List => &[],
            Shown::Orders(ids) => ids,
        };
        let mut client = self.client().await?;
        // since when the list's orders are in their status can't be asked before they are known
        if filter.page == PageNumber::FIRST
            && !filter.has_dates()
            && matches!(shown, Shown::Orders(_))
            && let Some(dashboard) = first_page(&client, rep, filter, visible, zone).await?
        {
            return Ok(dashboard);
        }
        let transaction = one_snapshot(&mut client).await.attempt("begin reading")?;
        let reps = HashSet::from([rep]);
        let (cursor, mut summaries, visible) = tokio::try_join!(
            present(&transaction),
            summaries(&transaction, &reps),
            rows_by_id(&transaction, rep, visible)
        )?;
        let summary = summaries.remove(&rep).unwrap_or_default();
        let mut counts = counts(filter, &summary);
        if filter.has_dates() {
            counts = counts_by_date(&transaction, rep, filter, counts, zone).await?;
        }
        let pagination = pagination(filter, &counts);
        let rows = list(&transaction, rep, filter, &slices(&counts, &pagination), zone).await?;
        let status_since = match shown {
            Shown::List => status_since(&transaction, rows.iter().map(|row| row.id)).await?,
            Shown::Orders(ids) => status_since(&transaction, ids.iter().copied()).await?,
        };
        transaction.commit().await.attempt("end reading")?;
        Ok(Dashboard { cursor, summary, rows, pagination, visible, status_since })
    }

    /// What a stream begins with.
    ///
    /// # Errors
    /// If the database can't be reached or read.
    pub async fn sync(&self, rep: RepId, since: Option<&Cursor>) -> Result<Sync, StoreError> {
        self.statistics_read.store(true, Relaxed);
        self.gathered.syncs.ask(SyncRequest { rep, since: since.cloned() }).await
    }
}

/// The most frequent read, all of it sent at once. `None` where it turns out that the list has statuses that nobody could
/// know of before the statistics were read.
async fn first_page(
    client: &ClientWrapper,
    rep: RepId,
    filter: &Filter,
    visible: &[OrderId],
    zone: Tz,
) -> Result<Option<Dashboard>, StoreError> {
    prepare(client, &[&SELECT_PRESENT, SUMMARIES, &LIST, &ROWS_BY_ID, &STATUS_SINCE])
        .await
        .attempt("prepare to read")?;
    let known: Vec<Status> = counts(filter, &Summary::default()).into_iter().map(|(status, _)| status).collect();
    let slices: Vec<Slice> =
        by_rank(known).map(|statuses| Slice { statuses, skip: 0, take: PAGE_SIZE as i64 }).collect();
    let reps = HashSet::from([rep]);
    let ((), cursor, mut summaries, rows, status_since, visible, ()) = tokio::try_join!(
        biased;
        async { client.batch_execute(&BEGIN_WITH_ORDERS).await.attempt("begin reading") },
        present(client),
        summaries(client, &reps),
        list(client, rep, filter, &slices, zone),
        status_since(client, visible.iter().copied()),
        rows_by_id(client, rep, visible),
        async { client.batch_execute("commit").await.attempt("end reading") },
    )?;
    let summary = summaries.remove(&rep).unwrap_or_default();
    if filter.status.is_none() && !summary.unknown_statuses.is_empty() {
        return Ok(None);
    }
    let pagination = pagination(filter, &counts(filter, &summary));
    Ok(Some(Dashboard { cursor, summary, rows, pagination, visible, status_since }))
}

/// What many streams begin with, in one snapshot, all of it asked at once.
pub(super) fn read_syncs<'a>(
    client: &'a ClientWrapper,
    requests: &'a [SyncRequest],
) -> BoxFuture<'a, Result<Vec<Sync>, StoreError>> {
    async move {
        prepare(client, &[&SELECT_PRESENT, SUMMARIES]).await.attempt("prepare to read")?;
        let reps: HashSet<RepId> = requests.iter().map(|request| request.rep).collect();
        let returning = requests.iter().filter(|request| request.since.is_some());
        let away: Vec<i64> =
            returning.clone().map(|request| request.rep.0).collect::<HashSet<_>>().into_iter().collect();
        let oldest = returning.filter_map(|request| request.since.as_ref()).map(|since| since.snapshot.xmin()).min();
        if oldest.is_some() {
            prepare(client, &[&RECENT]).await.attempt("prepare to read")?;
        }
        let recent: OptionFuture<_> = oldest.map(|oldest| Recent::read(client, &away, oldest)).into();
        let ((), cursor, summaries, recent, ()) = tokio::try_join!(
            biased;
            async { client.batch_execute(BEGIN).await.attempt("begin reading") },
            present(client),
            summaries(client, &reps),
            async { recent.await.transpose().attempt("read the missed events") },
            async { client.batch_execute("commit").await.attempt("end reading") },
        )?;
        let cursor = Arc::new(cursor);
        let recent = recent.map(|rows| Recent::of(&rows)).transpose()?;
        let sync = |SyncRequest { rep, since }: &SyncRequest| Sync {
            cursor: Arc::clone(&cursor),
            summary: summaries.get(rep).cloned().unwrap_or_default(),
            missed: since.as_ref().zip(recent.as_ref()).and_then(|(since, recent)| recent.missed(*rep, since, &cursor)),
        };
        Ok(requests.iter().map(sync).collect())
    }
    .boxed()
}

const BEGIN: &str = "begin isolation level repeatable read, read only";

static BEGIN_WITH_ORDERS: LazyLock<String> = LazyLock::new(|| format!("{BEGIN}; {HOLD_ORDERS}"));

const SUMMARIES: &str = "select sales_rep_id, status, payment_status, orders, amount from live.statistics($1)";

/// Statistics of several reps. A rep without orders has the empty summary.
pub(super) async fn summaries(
    client: &impl Connection,
    reps: &HashSet<RepId>,
) -> Result<HashMap<RepId, Summary>, StoreError> {
    let ids: Vec<i64> = reps.iter().map(|rep| rep.0).collect();
    let rows = rows(client, SUMMARIES, &[&ids]).await.attempt("read the statistics")?;
    let mut tallies: HashMap<RepId, Vec<Tally>> = reps.iter().map(|rep| (*rep, Vec::new())).collect();
    for row in &rows {
        tallies.entry(RepId(row.get("sales_rep_id"))).or_default().push(tally(row)?);
    }
    Ok(tallies.into_iter().map(|(rep, tallies)| (rep, tallies.into_iter().collect())).collect())
}

fn tally(row: &Row) -> Result<Tally, StoreError> {
    let amount: Decimal = row.try_get("amount").map_err(|cause| StoreError::unreadable("an amount", cause))?;
    Ok(Tally {
        status: row.get::<_, &str>("status").into(),
        payment_status: row.get::<_, &str>("payment_status").into(),
        orders: row.get("orders"),
        amount: Money::new(amount),
    })
}

/// Every status that the list can contain, with its number of orders: each is read from its own range of the index.
fn counts(filter: &Filter, summary: &Summary) -> Vec<(Status, i64)> {
    match &filter.status {
        Some(status) => vec![(status.clone(), summary.orders_by_status.of(status))],
        None => {
            let listed = summary.orders_by_status.iter().map(|(status, orders)| (status.clone(), orders));
            listed.chain(summary.unknown_statuses.iter().cloned()).collect()
        }
    }
}

fn pagination(filter: &Filter, counts: &[(Status, i64)]) -> Pagination {
    let orders: i64 = counts.iter().map(|(_, orders)| orders).sum();
    Pagination::of(filter.page, u64::try_from(orders).unwrap_or_default())
}

/// A part of the list that a page shows: so many rows of the statuses of one rank, newest first, after so many others.
struct Slice {
    statuses: Vec<Status>,
    skip: i64,
    take: i64,
}

/// The statuses in the order of their ranks, those of one rank together.
fn by_rank(statuses: impl IntoIterator<Item = Status>) -> impl Iterator<Item = Vec<Status>> {
    let mut ranks: BTreeMap<i32, Vec<Status>> = BTreeMap::new();
    for status in statuses {
        ranks.entry(status.rank()).or_default().push(status);
    }
    ranks.into_values()
}

/// What a page shows. Whole ranks before it are skipped by their number of orders, without reading them.
fn slices(counts: &[(Status, i64)], pagination: &Pagination) -> Vec<Slice> {
    let mut before = i64::try_from(pagination.offset()).unwrap_or(i64::MAX);
    let mut missing = PAGE_SIZE as i64;
    let mut slices = Vec::new();
    for statuses in by_rank(counts.iter().map(|(status, _)| status.clone())) {
        let orders: i64 = counts.iter().filter(|(status, _)| statuses.contains(status)).map(|(_, orders)| orders).sum();
        let skip = before.min(orders);
        let take = missing.min(orders - skip);
        before -= skip;
        missing -= take;
        if take > 0 {
            slices.push(Slice { statuses, skip, take });
        }
    }
    slices
}

/// The list's orders of one status between two instants: one range of `orders_order_live_list_idx`.
const RANGE: &str = "o.sales_rep_id = $1 and o.status = s.status \
     and o.created_at >= coalesce($3, '-infinity'::timestamptz) and o.created_at < coalesce($4, 'infinity'::timestamptz)";

/// The same with the endless past and future, which `<` would leave out.
const UNLIMITED: &str =
    "o.sales_rep_id = $1 and o.status = s.status and $3::timestamptz is null and $4::timestamptz is null";

async fn counts_by_date(
    client: &impl Connection,
    rep: RepId,
    filter: &Filter,
    counts: Vec<(Status, i64)>,
    zone: Tz,
) -> Result<Vec<(Status, i64)>, StoreError> {
    let codes: Vec<&str> = counts.iter().map(|(status, _)| status.code()).collect();
    let (from, before) = filter.instants(zone);
    let sql = format!(
        "select s.status, c.orders from unnest($2::text[]) s (status)
         cross join lateral (select count(*) as orders from public.orders_order o where {RANGE}) c"
    );
    let rows = rows(client, &sql, &[&rep.0, &codes, &from, &before]).await.attempt("count the orders")?;
    Ok(rows.iter().map(|row| (row.get::<_, &str>(0).into(), row.get(1))).collect())
}

static LIST: LazyLock<String> = LazyLock::new(|| list_within(UNLIMITED));
static LIST_BY_DATE: LazyLock<String> = LazyLock::new(|| list_within(RANGE));

/// Of each status no more than the slice's last row can need, newest first; merged; the slice cut out.
fn list_within(range: &str) -> String {
    format!(
        "select {ROW_COLUMNS}
         from (
             select slice.place, c.id, c.created_at
             from unnest($5::int[], $6::bigint[], $7::bigint[]) slice (place, skip, take)
             cross join lateral (
                 select merged.id, merged.created_at
                 from unnest($2::text[], $8::int[]) s (status, place)
                 cross join lateral (
                     select o.id, o.created_at from public.orders_order o where {range}
                     order by o.created_at desc, o.id desc limit slice.skip + slice.take
                 ) merged
                 where s.place = slice.place
                 order by merged.created_at desc, merged.id desc
                 limit slice.take offset slice.skip
             ) c
             order by slice.place, c.created_at desc, c.id desc
             limit {PAGE_SIZE}
         ) page
         join public.orders_order o on o.id = page.id
         order by page.place, page.created_at desc, page.id desc"
    )
}

async fn list(
    client: &impl Connection,
    rep: RepId,
    filter: &Filter,
    slices: &[Slice],
    zone: Tz,
) -> Result<Vec<OrderRow>, StoreError> {
    let places: Vec<i32> = (0..).take(slices.len()).collect();
    let skips: Vec<i64> = slices.iter().map(|slice| slice.skip).collect();
    let takes: Vec<i64> = slices.iter().map(|slice| slice.take).collect();
    let placed =
        slices.iter().zip(&places).flat_map(|(slice, place)| slice.statuses.iter().map(move |s| (s.code(), *place)));
    let (codes, places_of_codes): (Vec<&str>, Vec<i32>) = placed.unzip();
    let (from, before) = filter.instants(zone);
    let sql = if filter.has_dates() { &LIST_BY_DATE } else { &LIST };
    let rows = rows(client, sql, &[&rep.0, &codes, &from, &before, &places, &skips, &takes, &places_of_codes])
        .await
        .attempt("read the list")?;
    rows.iter().map(order_row).collect()
}

static ROWS_BY_ID: LazyLock<String> = LazyLock::new(|| {
    format!("select {ROW_COLUMNS} from public.orders_order o where o.sales_rep_id = $1 and o.id = any ($2)")
});

async fn rows_by_id(client: &impl Connection, rep: RepId, ids: &[OrderId]) -> Result<Vec<OrderRow>, StoreError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<i64> = ids.iter().map(|id| id.0).collect();
    let rows = rows(client, &ROWS_BY_ID, &[&rep.0, &ids]).await.attempt("read the visible orders")?;
    rows.iter().map(order_row).collect()
}

pub(super) fn order_row(row: &Row) -> Result<OrderRow, StoreError> {
    let total: Option<Decimal> =
        row.try_get("total_amount").map_err(|cause| StoreError::unreadable("an order's total", cause))?;
    Ok(OrderRow {
        id: OrderId(row.get("id")),
        order_number: row.get("order_number"),
        customer_name: row.get("customer_name"),
        status: row.get::<_, &str>("status").into(),
        payment_status: PaymentStatus::from(row.get::<_, &str>("payment_status")),
        items_count: row.get("items_count"),
        total_amount: total.map(Money::new),
        created_at: row.get("created_at"),
    })
}
