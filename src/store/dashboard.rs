//! A rep's dashboard: statistics, one page of the list, and rows by id, all in one snapshot.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use rust_decimal::Decimal;
use tokio_postgres::{Row, Transaction};

use super::events::missed;
use super::{Attempt, Store, StoreError, one_snapshot, present};
use crate::cursor::Cursor;
use crate::order::{
    Change, Filter, Money, OrderId, OrderRow, PAGE_SIZE, Pagination, PaymentStatus, RepId, Status, Summary, Tally,
};

/// The columns that [`order_row`] reads, of an order `o`. What no client could show becomes null here: NaN, infinities,
/// years beyond 9999.
pub(super) const ROW_COLUMNS: &str = "o.id, o.order_number, o.customer_name, o.status, o.payment_status, \
     (select count(*) from public.orders_orderitem i where i.order_id = o.id) as items_count, \
     nullif(o.total_amount, 'NaN') as total_amount, \
     case when o.created_at >= '0001-01-01' and o.created_at < '10000-01-01' then o.created_at end as created_at";

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
}

/// What a stream begins with, in one snapshot.
#[derive(Debug)]
pub struct Sync {
    /// The snapshot.
    pub cursor: Cursor,
    /// Cards and breakdown.
    pub summary: Summary,
    /// What the page missed since the cursor it brought; `None` where that can't be told.
    pub missed: Option<Vec<Change>>,
}

impl Store {
    /// The rep's dashboard under a filter, and the rep's orders among `visible`.
    ///
    /// # Errors
    /// If the database can't be reached or read.
    pub async fn dashboard(
        &self,
        rep: RepId,
        filter: &Filter,
        visible: &[OrderId],
        zone: Tz,
    ) -> Result<Dashboard, StoreError> {
        let mut client = self.client().await?;
        let transaction = one_snapshot(&mut client).await.attempt("begin reading")?;
        let reps = HashSet::from([rep]);
        let (cursor, mut summaries, visible) = tokio::try_join!(
            present(&transaction),
            summaries(&transaction, &reps),
            rows_by_id(&transaction, rep, visible)
        )?;
        let summary = summaries.remove(&rep).unwrap_or_default();
        let statuses = statuses_of(filter, &summary);
        let total_orders = match (filter.has_dates(), &filter.status) {
            (true, _) => count(&transaction, rep, filter, &statuses, zone).await?,
            (false, Some(status)) => summary.orders_by_status.of(status),
            (false, None) => summary.statistics.total_orders,
        };
        let pagination = Pagination::of(filter.page, u64::try_from(total_orders).unwrap_or_default());
        let rows = list(&transaction, rep, filter, &statuses, &pagination, zone).await?;
        transaction.commit().await.attempt("end reading")?;
        Ok(Dashboard { cursor, summary, rows, pagination, visible })
    }

    /// What a stream begins with.
    ///
    /// # Errors
    /// If the database can't be reached or read.
    pub async fn sync(&self, rep: RepId, since: Option<&Cursor>) -> Result<Sync, StoreError> {
        let mut client = self.client().await?;
        let transaction = one_snapshot(&mut client).await.attempt("begin reading")?;
        let reps = HashSet::from([rep]);
        let (cursor, mut summaries) = tokio::try_join!(present(&transaction), summaries(&transaction, &reps))?;
        let missed = match since {
            Some(since) => missed(&transaction, rep, since, &cursor).await?,
            None => None,
        };
        transaction.commit().await.attempt("end reading")?;
        Ok(Sync { cursor, summary: summaries.remove(&rep).unwrap_or_default(), missed })
    }
}

/// Statistics of several reps. A rep without orders has the empty summary.
pub(super) async fn summaries(
    transaction: &Transaction<'_>,
    reps: &HashSet<RepId>,
) -> Result<HashMap<RepId, Summary>, StoreError> {
    let ids: Vec<i64> = reps.iter().map(|rep| rep.0).collect();
    let sql = "select sales_rep_id, status, payment_status, orders, amount from live.statistics($1)";
    let rows = transaction.query(sql, &[&ids]).await.attempt("read the statistics")?;
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

/// Every status that the list can contain, so that each is read from its own range of the index.
fn statuses_of(filter: &Filter, summary: &Summary) -> Vec<Status> {
    match &filter.status {
        Some(status) => vec![status.clone()],
        None => Status::ALL.iter().chain(&summary.unknown_statuses).cloned().collect(),
    }
}

type Instant = Option<DateTime<Utc>>;

/// The list's orders of one status between two instants: one range of `orders_order_live_list_idx`.
const RANGE: &str = "o.sales_rep_id = $1 and o.status = s.status \
     and o.created_at >= coalesce($3, '-infinity'::timestamptz) and o.created_at < coalesce($4, 'infinity'::timestamptz)";

/// The same with the endless past and future, which `<` would leave out.
const UNLIMITED: &str =
    "o.sales_rep_id = $1 and o.status = s.status and $3::timestamptz is null and $4::timestamptz is null";

async fn count(
    transaction: &Transaction<'_>,
    rep: RepId,
    filter: &Filter,
    statuses: &[Status],
    zone: Tz,
) -> Result<i64, StoreError> {
    let codes: Vec<&str> = statuses.iter().map(Status::code).collect();
    let (from, before): (Instant, Instant) = filter.instants(zone);
    let sql = format!(
        "select coalesce(sum(c.orders), 0)::bigint from unnest($2::text[]) s (status)
         cross join lateral (select count(*) as orders from public.orders_order o where {RANGE}) c"
    );
    let row = transaction.query_one(&sql, &[&rep.0, &codes, &from, &before]).await.attempt("count the orders")?;
    Ok(row.get(0))
}

/// Of each status no more than the page's last row can need, newest first; merged; the page cut out.
async fn list(
    transaction: &Transaction<'_>,
    rep: RepId,
    filter: &Filter,
    statuses: &[Status],
    pagination: &Pagination,
    zone: Tz,
) -> Result<Vec<OrderRow>, StoreError> {
    let codes: Vec<&str> = statuses.iter().map(Status::code).collect();
    let ranks: Vec<i32> = statuses.iter().map(Status::rank).collect();
    let (from, before): (Instant, Instant) = filter.instants(zone);
    let offset = i64::try_from(pagination.offset()).unwrap_or(i64::MAX - PAGE_SIZE as i64);
    let page_size = PAGE_SIZE as i64;
    let range = if filter.has_dates() { RANGE } else { UNLIMITED };
    let sql = format!(
        "select {ROW_COLUMNS}
         from (
             select c.id, s.rank, c.created_at
             from unnest($2::text[], $5::int[]) s (status, rank)
             cross join lateral (
                 select o.id, o.created_at from public.orders_order o where {range}
                 order by o.created_at desc, o.id desc limit $6::bigint + $7::bigint
             ) c
             order by s.rank, c.created_at desc, c.id desc
             limit $7 offset $6
         ) page
         join public.orders_order o on o.id = page.id
         order by page.rank, page.created_at desc, page.id desc"
    );
    let rows = transaction
        .query(&sql, &[&rep.0, &codes, &from, &before, &ranks, &offset, &page_size])
        .await
        .attempt("read the list")?;
    rows.iter().map(order_row).collect()
}

async fn rows_by_id(transaction: &Transaction<'_>, rep: RepId, ids: &[OrderId]) -> Result<Vec<OrderRow>, StoreError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<i64> = ids.iter().map(|id| id.0).collect();
    let sql = format!("select {ROW_COLUMNS} from public.orders_order o where o.sales_rep_id = $1 and o.id = any ($2)");
    let rows = transaction.query(&sql, &[&rep.0, &ids]).await.attempt("read the visible orders")?;
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
