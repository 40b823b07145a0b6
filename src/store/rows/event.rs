//! The row of an event, and whom it concerns.

use std::sync::LazyLock;

use tokio_postgres::Row;

use super::order::{amount, row_rep};
use crate::order::{Operation, OrderEvent, OrderId, Writer};
use crate::store::database::{StoreError, json, optional_text, text, value};

/// The version of events that is read here, as `live.event_version()` has it. An event of a later one has its version at the end of its
/// operation, as in `update/2`; see docs/PROTOCOL.md.
pub(in crate::store) const EVENT_VERSION: i32 = 1;

/// Whether an event `e` is one of those that name in its columns all reps whom it concerns, and no others: see [`CONCERNED`].
pub(in crate::store) const NAMES_ITS_REPS: &str = "e.operation in ('insert', 'update', 'delete')";

/// Whether an operation is of a later version.
pub(in crate::store) fn is_of_later_version(operation: &str) -> bool {
    operation.rsplit_once('/').is_some_and(|(_, version)| version.parse().is_ok_and(|n: i32| n > EVENT_VERSION))
}

/// Whether an event `e` changed where its order stands. Of such changes an application's history says who made them.
pub(in crate::store) const CHANGES_STANDING: &str =
    "e.operation = 'update' and (e.old_status <> e.new_status or e.old_payment_status <> e.new_payment_status)";

/// Whether the order of an event `e` was entered just before, by its own time, where the event is an item or a total alone; null
/// for every other event. An application that has no transaction around it all enters an order and its items one by one.
pub(in crate::store) const OF_NEW_ORDER: &str =
    "case when e.operation = 'items' or e.operation = 'update' and e.old_status = e.new_status
            and e.old_payment_status = e.new_payment_status and e.other is null
            and e.old_sales_rep_id is not distinct from e.new_sales_rep_id
        then coalesce((select o.created_at > e.at - interval '10 seconds' and o.created_at < e.at + interval '10 seconds'
            from public.orders_order o where o.id = e.order_id limit 1), false) end";

/// Who made the change of an event `e`: the user whom the transaction named, else the one whom the history names.
pub(in crate::store) static PERSON: LazyLock<String> = LazyLock::new(|| {
    format!(
        "case when e.app_user is null and {CHANGES_STANDING} then live.person_of(e.id, e.order_id, e.xid, e.at, e.old_status, \
         e.new_status, e.old_payment_status, e.new_payment_status) else e.app_user end"
    )
});

/// The columns that [`order_event`] reads, of an event `e`.
pub(in crate::store) static EVENT_COLUMNS: LazyLock<String> =
    LazyLock::new(|| format!("{RECORDED_COLUMNS}, {} as person, {OF_NEW_ORDER} as of_new_order", *PERSON));

/// Those of them that the event has by itself.
pub(in crate::store) const RECORDED_COLUMNS: &str = "e.id as event_id, e.xid::text, e.at, e.operation, e.order_id, e.order_number as number, e.old_sales_rep_id, \
     e.new_sales_rep_id, e.old_status, e.new_status, e.old_payment_status, e.new_payment_status, \
     case when e.old_total > -1e15 and e.old_total < 1e15 then e.old_total end as old_total, \
     case when e.new_total > -1e15 and e.new_total < 1e15 then e.new_total end as new_total, \
     e.items_delta, e.other, e.application";

/// Whom an event `e` concerns, as `c (rep)`: see `Changed::concerned` of the tail. The limit of one, here and in the tail's batch, has the
/// order looked up for each event, whatever the planner thinks of their number; else it may read all orders to join them.
pub(in crate::store) const CONCERNED: &str = "left join lateral (
        select o.sales_rep_id from public.orders_order o
        where e.operation not in ('insert', 'update', 'delete') and o.id = e.order_id limit 1
    ) o on true
    cross join lateral (values
        (case when e.operation <> 'items' then e.old_sales_rep_id end),
        (case when e.operation <> 'items' then e.new_sales_rep_id end),
        (o.sales_rep_id::bigint)
    ) c (rep)";

pub(in crate::store) fn order_event(row: &Row) -> Result<OrderEvent, StoreError> {
    let operation = match value(row, "operation")? {
        "insert" => Operation::Insert,
        "update" => Operation::Update,
        "delete" => Operation::Delete,
        "items" => Operation::Items,
        "history" => Operation::History,
        "truncate" | "truncate_items" => Operation::Truncate,
        "unreadable" => Operation::Unreadable,
        unknown => return Err(StoreError::unreadable("an event's operation", format!("unknown operation {unknown}"))),
    };
    let status = |column| Ok::<_, StoreError>(optional_text(row, column)?.as_deref().map(Into::into));
    let payment = |column| Ok::<_, StoreError>(optional_text(row, column)?.as_deref().map(Into::into));
    let xid = text(row, "xid")?.parse().map_err(|cause| StoreError::unreadable("a transaction id", cause))?;
    Ok(OrderEvent {
        id: value(row, "event_id")?,
        xid,
        at: value(row, "at")?,
        operation,
        order: value::<Option<i64>>(row, "order_id")?.map(OrderId),
        order_number: optional_text(row, "number")?,
        rep: (row_rep(row, "old_sales_rep_id"), row_rep(row, "new_sales_rep_id")),
        status: (status("old_status")?, status("new_status")?),
        payment_status: (payment("old_payment_status")?, payment("new_payment_status")?),
        total: (amount(row, "old_total"), amount(row, "new_total")),
        items_delta: value(row, "items_delta")?,
        other: other_columns(json(row, "other")?),
        writer: Writer { user: optional_text(row, "person")?, application: optional_text(row, "application")? },
        of_new_order: value(row, "of_new_order")?,
    })
}

fn other_columns(value: Option<serde_json::Value>) -> Vec<(String, String, String)> {
    let Some(serde_json::Value::Object(columns)) = value else { return Vec::new() };
    columns
        .into_iter()
        .filter_map(|(name, pair)| match pair.as_array().map(Vec::as_slice) {
            Some([serde_json::Value::String(from), serde_json::Value::String(to)]) => {
                Some((name, from.clone(), to.clone()))
            }
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_says_the_version_of_its_event() {
        for (operation, is_later) in
            [("update", false), ("update/1", false), ("update/2", true), ("moved/17", true), ("a/b", false)]
        {
            assert_eq!(is_of_later_version(operation), is_later, "{operation}");
        }
    }
}
