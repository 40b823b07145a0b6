//! Since when orders are in their status.

use std::collections::HashMap;
use std::sync::LazyLock;

use chrono::{DateTime, Utc};

use crate::order::OrderId;
use crate::store::database::{Attempt, Connection, StoreError, rows};

/// When each order came into its status, where that is known.
pub type StatusSince = HashMap<OrderId, DateTime<Utc>>;

/// A time that a client can show, else null.
fn shown(time: &str) -> String {
    format!("case when {time} >= '0001-01-01' and {time} < '10000-01-01' then {time}::timestamptz end")
}

/// By the last event of its status, unless something that recorded no event has changed it since; else by the history that
/// an application wrote, else by the order's own times. To be entered is no change: an order that was imported in some status
/// came into it before.
///
/// An order's events are read as by `live.events_of`, but those that are in no timeline yet are looked through once for all
/// orders. Writers of one order wait for each other, so that its events' ids are in the order of its changes.
pub(in crate::store) static STATUS_SINCE: LazyLock<String> = LazyLock::new(|| {
    let event = "e.id, e.order_id, e.at, e.operation, e.new_status";
    let entered = "(coalesce((select p.xid from live.timeline_position p order by p.turn desc limit 1), '0'), \
                     coalesce((select p.id from live.timeline_position p order by p.turn desc limit 1), 0))";
    let of_status = "(e.operation in ('insert', 'delete') or e.old_status <> e.new_status)";
    let own_time = "case o.status when 'confirmed' then o.confirmed_at when 'shipped' then o.shipped_at \
                    when 'delivered' then o.delivered_at end";
    format!(
        "with recent as materialized (
             select {event} from live.order_event e
             where (e.xid, e.id) > {entered} and e.order_id = any ($1) and {of_status}
         )
         select o.id::bigint as id, coalesce(
             last.at,
             (select max({history}) from public.orders_orderstatushistory h
              where h.order_id = o.id and h.new_status = o.status and h.old_status <> h.new_status),
             {own_time},
             {created_at}
         ) as since
         from public.orders_order o
         left join lateral (
             select e.at, e.operation, e.new_status from (
                 select * from recent r where r.order_id = o.id
                 union all
                 select {event} from live.order_timeline t join live.order_event e on e.xid = t.xid and e.id = t.id
                 where t.order_id = o.id and (t.xid, t.id) <= {entered} and {of_status}
             ) e
             order by e.id desc limit 1
         ) last on last.operation = 'update' and last.new_status = o.status
         where o.id = any ($1)",
        history = shown("h.changed_at"),
        own_time = shown(&format!("({own_time})")),
        created_at = shown("o.created_at"),
    )
});

/// Since when these orders are in their status.
pub(in crate::store) async fn status_since(
    client: &impl Connection,
    orders: impl IntoIterator<Item = OrderId> + Send,
) -> Result<StatusSince, StoreError> {
    let ids: Vec<i64> = orders.into_iter().map(|id| id.0).collect();
    if ids.is_empty() {
        return Ok(StatusSince::new());
    }
    let rows = rows(client, &STATUS_SINCE, &[&ids]).await.attempt("read since when orders are in their status")?;
    let since = |row: &tokio_postgres::Row| Some((OrderId(row.get("id")), row.get::<_, Option<_>>("since")?));
    Ok(rows.iter().filter_map(since).collect())
}
