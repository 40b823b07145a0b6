//! A dashboard: statistics, one page of the list, and rows by id, all in one snapshot.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, LazyLock};

use chrono_tz::Tz;
use deadpool_postgres::ClientWrapper;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, OptionFuture};
use rust_decimal::Decimal;
use tokio_postgres::Row;

use super::events::{REACH, RECENT, RECENT_OF_ALL, Reach, Recent, TooMuch};
use super::list::{self, Asked};
use super::status_since::{STATUS_SINCE, StatusSince, status_since};
use super::{
    Attempt, Connection, HOLD_ORDERS, SELECT_PRESENT, Store, StoreError, one_snapshot, prepare, present, rows,
};
use crate::cursor::Cursor;
use crate::order::{
    Change, Filter, Money, OrderId, OrderRow, PageNumber, Pagination, PaymentStatus, RepId, Scope, Summary, Tally,
};

/// The columns that [`order_row`] reads, of an order `o`. What no client could show becomes null here: NaN, infinities,
/// years beyond 9999.
pub(super) const ROW_COLUMNS: &str = "o.id::bigint as id, o.order_number::text as order_number, \
     o.customer_name::text as customer_name, o.status::text as status, o.payment_status::text as payment_status, \
     (select count(*) from public.orders_orderitem i where i.order_id = o.id) as items_count, \
     nullif(o.total_amount, 'NaN')::numeric as total_amount, \
     case when o.created_at >= '0001-01-01' and o.created_at < '10000-01-01' then o.created_at end::timestamptz as created_at";

/// The rep of an order `o`, as a list of all orders shows it.
pub(super) const REP_COLUMNS: &str = "o.sales_rep_id::bigint as sales_rep_id, \
     (select u.username::text from public.accounts_user u where u.id = o.sales_rep_id) as sales_rep";

/// An order in a list, with whose it is where the list has those of several reps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// What every list shows of it.
    pub row: OrderRow,
    /// Whose it is.
    pub rep: Option<RepId>,
    /// The rep's login.
    pub rep_name: Option<String>,
}

/// One answer of the dashboard, in one snapshot.
#[derive(Debug)]
pub struct Dashboard {
    /// The snapshot.
    pub cursor: Cursor,
    /// Cards and breakdown, over all orders of the scope.
    pub summary: Summary,
    /// The page of the list.
    pub rows: Vec<Listed>,
    /// Which page it is.
    pub pagination: Pagination,
    /// The orders asked for by id, as far as they are of the scope.
    pub visible: Vec<Listed>,
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

/// A stream that is to begin: whose orders it tells of, and up to where its page knows.
pub(super) struct SyncRequest {
    scope: Scope,
    since: Option<Cursor>,
    too_much: Arc<TooMuch>,
}

impl Store {
    /// The dashboard of a scope under a filter, and the scope's orders among those shown.
    ///
    /// # Errors
    /// If the database can't be reached or read.
    pub async fn dashboard(
        &self,
        scope: Scope,
        filter: &Filter,
        shown: Shown<'_>,
        zone: Tz,
    ) -> Result<Dashboard, StoreError> {
        self.statistics_read.store(true, Relaxed);
        let visible = match shown {
            Shown::List => &[],
            Shown::Orders(ids) => ids,
        };
        self.lend(async |client| {
            let asked = Asked { scope, filter, zone };
            // since when the list's orders are in their status can't be asked before they are known
            if filter.page == PageNumber::FIRST
                && filter.is_indexed()
                && !filter.has_dates()
                && matches!(shown, Shown::Orders(_))
                && let Some(dashboard) = first_page(client, &asked, visible).await?
            {
                return Ok(dashboard);
            }
            let transaction = one_snapshot(client).await.attempt("begin reading")?;
            let (cursor, summary, visible) = tokio::try_join!(
                present(&transaction),
                summary(&transaction, scope),
                rows_by_id(&transaction, scope, visible)
            )?;
            let (pagination, rows) = if filter.is_indexed() {
                list::indexed(&transaction, &asked, &summary).await?
            } else {
                list::searched(&transaction, &asked).await?
            };
            let status_since = match shown {
                Shown::List => status_since(&transaction, rows.iter().map(|listed| listed.row.id)).await?,
                Shown::Orders(ids) => status_since(&transaction, ids.iter().copied()).await?,
            };
            transaction.commit().await.attempt("end reading")?;
            Ok(Dashboard { cursor, summary, rows, pagination, visible, status_since })
        })
        .await
    }

    /// What a stream begins with.
    ///
    /// # Errors
    /// If the database can't be reached or read.
    pub async fn sync(&self, scope: Scope, since: Option<&Cursor>) -> Result<Sync, StoreError> {
        self.statistics_read.store(true, Relaxed);
        let too_much = Arc::clone(&self.gathered.too_much);
        self.gathered.syncs.ask(SyncRequest { scope, since: since.cloned(), too_much }).await
    }
}

/// The most frequent read, all of it sent at once. `None` where it turns out that the list has statuses that nobody could
/// know of before the statistics were read.
async fn first_page(
    client: &ClientWrapper,
    asked: &Asked<'_>,
    visible: &[OrderId],
) -> Result<Option<Dashboard>, StoreError> {
    let scope = asked.scope;
    let statements =
        [&SELECT_PRESENT, summary_query(scope), asked.indexed_query(), rows_by_id_query(scope), &STATUS_SINCE];
    prepare(client, &statements).await.attempt("prepare to read")?;
    let ((), cursor, summary, rows, status_since, visible, ()) = tokio::try_join!(
        biased;
        async { client.batch_execute(&BEGIN_WITH_ORDERS).await.attempt("begin reading") },
        present(client),
        summary(client, scope),
        list::first(client, asked),
        status_since(client, visible.iter().copied()),
        rows_by_id(client, scope, visible),
        async { client.batch_execute("commit").await.attempt("end reading") },
    )?;
    if asked.filter.statuses.is_empty() && !summary.unknown_statuses.is_empty() {
        return Ok(None);
    }
    let pagination = list::pagination(asked, &summary);
    Ok(Some(Dashboard { cursor, summary, rows, pagination, visible, status_since }))
}

/// What many streams begin with, in one snapshot.
pub(super) fn read_syncs<'a>(
    client: &'a ClientWrapper,
    requests: &'a [SyncRequest],
) -> BoxFuture<'a, Result<Vec<Sync>, StoreError>> {
    async move {
        let read = syncs(client, requests).await;
        if read.is_err() {
            // it may have failed before its end was sent; where it was, this only warns
            let _ = client.batch_execute("rollback").await;
        }
        read
    }
    .boxed()
}

async fn syncs(client: &ClientWrapper, requests: &[SyncRequest]) -> Result<Vec<Sync>, StoreError> {
    prepare(client, &[&REACH]).await.attempt("prepare to read")?;
    let ((), reach) = tokio::try_join!(
        biased;
        async { client.batch_execute(BEGIN).await.attempt("begin reading") },
        Reach::read(client),
    )?;
    // a cursor from which nothing can be told is left out before anything is read: one of them would make the others' read as
    // long as its own
    let can_be_told =
        |request: &SyncRequest, since: &Cursor| reach.has(since) && !request.too_much.is_told_by(request.scope, since);
    let returning: Vec<Option<&Cursor>> =
        requests.iter().map(|request| request.since.as_ref().filter(|since| can_be_told(request, since))).collect();
    let away: HashSet<Scope> = requests
        .iter()
        .zip(&returning)
        .filter(|(_, since)| since.is_some())
        .map(|(request, _)| request.scope)
        .collect();
    let oldest = returning.iter().flatten().map(|since| since.snapshot.xmin()).min();
    let scopes: HashSet<Scope> = requests.iter().map(|request| request.scope).collect();
    let reps: Vec<i64> = away.iter().filter_map(|scope| scope.rep()).map(|rep| rep.0).collect();
    let (of_reps, of_all) = (oldest.filter(|_| !reps.is_empty()), oldest.filter(|_| away.contains(&Scope::All)));
    // what is prepared already is not sent again
    let wanted = [
        scopes.iter().any(|scope| scope.rep().is_some()).then_some(SUMMARIES),
        scopes.contains(&Scope::All).then_some(TOTAL_SUMMARY),
        of_reps.map(|_| RECENT.as_str()),
        of_all.map(|_| RECENT_OF_ALL.as_str()),
    ];
    prepare(client, &wanted.into_iter().flatten().collect::<Vec<_>>()).await.attempt("prepare to read")?;
    let recent: OptionFuture<_> = of_reps.map(|oldest| Recent::read(client, &reps, oldest)).into();
    let recent_of_all: OptionFuture<_> = of_all.map(|oldest| Recent::read_of_all(client, oldest)).into();
    let (summaries, recent, recent_of_all, ()) = tokio::try_join!(
        biased;
        summaries(client, &scopes),
        async { recent.await.transpose().attempt("read the missed events") },
        async { recent_of_all.await.transpose().attempt("read the missed events of all") },
        async { client.batch_execute("commit").await.attempt("end reading") },
    )?;
    let cursor = Arc::new(reach.now);
    let recent = recent.map(|rows| Recent::of(&rows)).transpose()?;
    let recent_of_all = recent_of_all.map(|rows| Recent::of(&rows)).transpose()?;
    if let Some(SyncRequest { too_much, .. }) = requests.first() {
        for (of_all, recent) in [(false, &recent), (true, &recent_of_all)] {
            recent.iter().for_each(|recent| too_much.learn(of_all, cursor.epoch, recent));
        }
    }
    let sync = |(SyncRequest { scope, .. }, since): (&SyncRequest, &Option<&Cursor>)| {
        let recent = if *scope == Scope::All { &recent_of_all } else { &recent };
        let missed = since.zip(recent.as_ref());
        Sync {
            cursor: Arc::clone(&cursor),
            summary: summaries.get(scope).cloned().unwrap_or_default(),
            missed: missed.and_then(|(since, recent)| recent.missed(*scope, since)),
        }
    };
    Ok(requests.iter().zip(&returning).map(sync).collect())
}

const BEGIN: &str = "begin isolation level repeatable read, read only";

static BEGIN_WITH_ORDERS: LazyLock<String> = LazyLock::new(|| format!("{BEGIN}; {HOLD_ORDERS}"));

const SUMMARIES: &str = "select sales_rep_id, status, payment_status, orders, amount from live.statistics($1)";

const TOTAL_SUMMARY: &str = "select status, payment_status, orders, amount from live.total_statistics()";

fn summary_query(scope: Scope) -> &'static str {
    if scope == Scope::All { TOTAL_SUMMARY } else { SUMMARIES }
}

/// Statistics of several scopes. One without orders has the empty summary.
pub(super) async fn summaries(
    client: &impl Connection,
    scopes: &HashSet<Scope>,
) -> Result<HashMap<Scope, Summary>, StoreError> {
    let mut tallies: HashMap<Scope, Vec<Tally>> = scopes.iter().map(|scope| (*scope, Vec::new())).collect();
    let ids: Vec<i64> = scopes.iter().filter_map(|scope| scope.rep()).map(|rep| rep.0).collect();
    let of_reps: OptionFuture<_> = (!ids.is_empty()).then_some(async { rows(client, SUMMARIES, &[&ids]).await }).into();
    let of_all: OptionFuture<_> = scopes.contains(&Scope::All).then(|| rows(client, TOTAL_SUMMARY, &[])).into();
    let read =
        async { tokio::try_join!(biased; async { of_reps.await.transpose() }, async { of_all.await.transpose() }) };
    let (of_reps, of_all) = read.await.attempt("read the statistics")?;
    for row in of_reps.iter().flatten() {
        tallies.entry(Scope::Rep(RepId(row.get("sales_rep_id")))).or_default().push(tally(row)?);
    }
    for row in of_all.iter().flatten() {
        tallies.entry(Scope::All).or_default().push(tally(row)?);
    }
    Ok(tallies.into_iter().map(|(scope, tallies)| (scope, tallies.into_iter().collect())).collect())
}

async fn summary(client: &impl Connection, scope: Scope) -> Result<Summary, StoreError> {
    Ok(summaries(client, &HashSet::from([scope])).await?.remove(&scope).unwrap_or_default())
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

static ROWS_OF_REP_BY_ID: LazyLock<String> = LazyLock::new(|| {
    format!("select {ROW_COLUMNS} from public.orders_order o where o.sales_rep_id = $1 and o.id = any ($2)")
});

static ROWS_BY_ID: LazyLock<String> = LazyLock::new(|| {
    format!(
        "select {ROW_COLUMNS}, {REP_COLUMNS} from public.orders_order o where $1::bigint is null and o.id = any ($2)"
    )
});

fn rows_by_id_query(scope: Scope) -> &'static str {
    if scope == Scope::All { &ROWS_BY_ID } else { &ROWS_OF_REP_BY_ID }
}

/// The scope's orders among these, in no particular order.
pub(super) async fn rows_by_id(
    client: &impl Connection,
    scope: Scope,
    ids: &[OrderId],
) -> Result<Vec<Listed>, StoreError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<i64> = ids.iter().map(|id| id.0).collect();
    let rep = scope.rep().map(|rep| rep.0);
    let rows = rows(client, rows_by_id_query(scope), &[&rep, &ids]).await.attempt("read orders by their ids")?;
    rows.iter().map(|row| listed(row, scope)).collect()
}

/// A row of [`ROW_COLUMNS`], and of [`REP_COLUMNS`] where all orders are read.
pub(super) fn listed(row: &Row, scope: Scope) -> Result<Listed, StoreError> {
    let (rep, rep_name) = match scope {
        Scope::Rep(rep) => (Some(rep), None),
        Scope::All => (row.get::<_, Option<i64>>("sales_rep_id").map(RepId), row.get("sales_rep")),
    };
    Ok(Listed { row: order_row(row)?, rep, rep_name })
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
