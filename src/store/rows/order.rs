//! The row of an order, as lists and patches show it.

use std::sync::LazyLock;

use rust_decimal::Decimal;
use tokio_postgres::Row;

use crate::order::{Money, OrderId, OrderRow, PaymentStatus, RepId, Scope};
use crate::store::database::{Attempt, Connection, StoreError, optional_text, rows, text, value};

/// The columns that [`order_row`] reads, of an order `o`. What no client could show becomes null here: NaN, infinities,
/// amounts that are none of an order, years beyond 9999.
pub(in crate::store) const ROW_COLUMNS: &str = "o.id::bigint as id, o.order_number::text as order_number, \
     o.customer_name::text as customer_name, o.status::text as status, o.payment_status::text as payment_status, \
     (select count(*) from public.orders_orderitem i where i.order_id = o.id) as items_count, \
     case when o.total_amount > -1e15 and o.total_amount < 1e15 then o.total_amount end::numeric as total_amount, \
     case when o.created_at >= '0001-01-01' and o.created_at < '10000-01-01' then o.created_at end::timestamptz as created_at";

/// The rep of an order `o`, as a list of all orders shows it.
pub(in crate::store) const REP_COLUMNS: &str = "o.sales_rep_id::bigint as sales_rep_id, \
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

static ROWS_OF_REP_BY_ID: LazyLock<String> = LazyLock::new(|| {
    format!("select {ROW_COLUMNS} from public.orders_order o where o.sales_rep_id = $1 and o.id = any ($2)")
});

static ROWS_BY_ID: LazyLock<String> = LazyLock::new(|| {
    format!(
        "select {ROW_COLUMNS}, {REP_COLUMNS} from public.orders_order o where $1::bigint is null and o.id = any ($2)"
    )
});

pub(in crate::store) fn rows_by_id_query(scope: Scope) -> &'static str {
    if scope == Scope::All { &ROWS_BY_ID } else { &ROWS_OF_REP_BY_ID }
}

/// The scope's orders among these, in no particular order.
pub(in crate::store) async fn rows_by_id(
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
pub(in crate::store) fn listed(row: &Row, scope: Scope) -> Result<Listed, StoreError> {
    let (rep, rep_name) = match scope {
        Scope::Rep(rep) => (Some(rep), None),
        Scope::All => (row_rep(row, "sales_rep_id"), optional_text(row, "sales_rep")?),
    };
    Ok(Listed { row: order_row(row)?, rep, rep_name })
}

pub(in crate::store) fn order_row(row: &Row) -> Result<OrderRow, StoreError> {
    Ok(OrderRow {
        id: OrderId(value(row, "id")?),
        order_number: text(row, "order_number")?,
        customer_name: text(row, "customer_name")?,
        status: text(row, "status")?.as_str().into(),
        payment_status: PaymentStatus::from(text(row, "payment_status")?.as_str()),
        items_count: value(row, "items_count")?,
        total_amount: amount(row, "total_amount"),
        created_at: value(row, "created_at")?,
    })
}

/// An amount; none also where it has more digits than an amount can have.
pub(in crate::store) fn amount(row: &Row, column: &str) -> Option<Money> {
    row.try_get::<_, Option<Decimal>>(column).ok().flatten().map(Money::new)
}

pub(in crate::store) fn row_rep(row: &Row, column: &str) -> Option<RepId> {
    row.try_get::<_, Option<i64>>(column).ok().flatten().map(RepId)
}
