//! Reading `live.order_event` since a cursor: the listener's tail and a stream's resume.

use std::collections::{HashMap, HashSet};

use tokio_postgres::{Row, Transaction};

use super::dashboard::{ROW_COLUMNS, order_row, summaries};
use super::{Attempt, Link, Store, StoreError, one_snapshot, present};
use crate::cursor::Cursor;
use crate::order::{Change, Money, Operation, OrderEvent, OrderId, OrderRow, RepId, Summary, Writer};

/// The channel on which the triggers notify.
const CHANNEL: &str = "live_orders";

/// The channel on which the canary comes back.
pub(super) const CANARY_CHANNEL: &str = "live_canary";

/// How much one batch may hold. Beyond, every stream reads its own state anew instead.
#[derive(Debug, Clone, Copy)]
pub struct BatchLimit {
    /// Events read at most.
    pub events: i64,
}

/// How many changes a page is told that it missed.
const MISSED_CHANGES: usize = 100;

/// How many events are looked through for them. A page that was away longer reads everything anew.
const MISSED_EVENTS: i64 = 20_000;

/// What happened since a cursor, in one snapshot.
#[derive(Debug)]
pub struct Batch {
    /// The batch's snapshot: the next cursor.
    pub cursor: Cursor,
    /// What there is to send.
    pub news: News,
}

/// What a batch has to say.
#[derive(Debug)]
pub enum News {
    /// What happened, for the reps that were asked about.
    Events(Events),
    /// It can't be told one by one: every stream must read its state anew.
    Everything(&'static str),
}

/// Events with the state that they led to, all in one snapshot.
#[derive(Debug, Default)]
pub struct Events {
    /// In the order of their recording.
    pub events: Vec<OrderEvent>,
    /// The orders that still exist, with the rep whose they are now.
    pub rows: HashMap<OrderId, (Option<RepId>, OrderRow)>,
    /// The concerned reps' statistics.
    pub summaries: HashMap<RepId, Summary>,
}

impl Link {
    /// Refuses a standby, names the incarnation of a server that has none, and gives the present cursor.
    ///
    /// # Errors
    /// If the server is a standby or is lost.
    pub async fn first_cursor(&mut self) -> Result<Cursor, StoreError> {
        refuse_standby(&self.client).await?;
        self.client
            .execute("insert into live.incarnation default values on conflict do nothing", &[])
            .await
            .attempt("name the server's incarnation")?;
        let transaction = one_snapshot(&mut self.client).await.attempt("begin reading")?;
        let cursor = present(&transaction).await?;
        transaction.commit().await.attempt("end reading")?;
        Ok(cursor)
    }

    /// Everything committed since the cursor, with rows and statistics for the reps of whom `is_open` says so, in one
    /// snapshot. `is_open` is asked only after the snapshot is taken: a stream that registers later reads a later one.
    ///
    /// # Errors
    /// If the connection is lost.
    pub async fn read_batch(
        &mut self,
        since: &Cursor,
        limit: BatchLimit,
        is_open: impl Fn(RepId) -> bool,
    ) -> Result<Batch, StoreError> {
        let transaction = one_snapshot(&mut self.client).await.attempt("begin reading")?;
        let snapshot = since.snapshot.to_string();
        let most = limit.events + 1;
        let (cursor, rows) = tokio::try_join!(present(&transaction), async {
            let sql = format!(
                "select {EVENT_COLUMNS} from live.events_since($1::text::pg_snapshot) e order by e.id limit $2"
            );
            transaction.query(&sql, &[&snapshot, &most]).await.attempt("read the events")
        })?;
        if cursor.epoch != since.epoch {
            return Ok(Batch { cursor, news: News::Everything("the server restarted or was replaced") });
        }
        if rows.len() as i64 > limit.events {
            return Ok(Batch { cursor, news: News::Everything("too many changes at once") });
        }
        let events = rows.iter().map(order_event).collect::<Result<Vec<_>, _>>()?;
        if events.iter().any(|event| event.operation == Operation::Truncate) {
            return Ok(Batch { cursor, news: News::Everything("the orders were truncated") });
        }
        let events = with_state(&transaction, events, is_open).await?;
        transaction.commit().await.attempt("end reading")?;
        Ok(Batch { cursor, news: News::Events(events) })
    }
}

/// Adds the present rows and statistics, and drops what concerns nobody who is there.
async fn with_state(
    transaction: &Transaction<'_>,
    mut events: Vec<OrderEvent>,
    is_open: impl Fn(RepId) -> bool,
) -> Result<Events, StoreError> {
    // whose order an item belongs to is known only from the row, so those are read for all of them
    events.retain(|event| {
        event.operation == Operation::Items || [event.rep.0, event.rep.1].into_iter().flatten().any(&is_open)
    });
    if events.is_empty() {
        return Ok(Events::default());
    }
    let ids: Vec<i64> =
        events.iter().filter_map(|event| event.order).map(|id| id.0).collect::<HashSet<_>>().into_iter().collect();
    let sql = format!("select o.sales_rep_id, {ROW_COLUMNS} from public.orders_order o where o.id = any ($1)");
    let found = transaction.query(&sql, &[&ids]).await.attempt("read the changed orders")?;
    let mut rows = HashMap::with_capacity(found.len());
    for row in &found {
        let order = order_row(row)?;
        rows.insert(order.id, (row.get::<_, Option<i64>>("sales_rep_id").map(RepId), order));
    }
    let concerned = |event: &OrderEvent| -> Vec<RepId> {
        let owner = event.order.and_then(|id| rows.get(&id)).and_then(|(rep, _)| *rep);
        let mut reps: Vec<RepId> = match event.operation {
            Operation::Items => owner.into_iter().collect(),
            _ => [event.rep.0, event.rep.1].into_iter().flatten().collect(),
        };
        reps.retain(|rep| is_open(*rep));
        reps
    };
    let reps: HashSet<RepId> = events.iter().flat_map(concerned).collect();
    let summaries = summaries(transaction, &reps).await?;
    Ok(Events { events, rows, summaries })
}

/// What the rep's page missed since its cursor; `None` where that can't be told, or is too much to tell.
pub(super) async fn missed(
    transaction: &Transaction<'_>,
    rep: RepId,
    since: &Cursor,
    now: &Cursor,
) -> Result<Option<Vec<Change>>, StoreError> {
    let ahead = since.revision().partial_cmp(&now.revision()).is_none_or(std::cmp::Ordering::is_gt);
    if ahead {
        return Ok(None);
    }
    let xmin = since.snapshot.xmin().to_string();
    let pruned = transaction
        .query_one("select coalesce((select pruned_xid >= $1::text::xid8 from live.fold), true)", &[&xmin])
        .await
        .attempt("look for pruned events")?;
    if pruned.get(0) {
        return Ok(None);
    }
    let sql = format!(
        "with recent as materialized (select * from live.events_since($1::text::pg_snapshot) limit $3)
         select {EVENT_COLUMNS}, (select count(*) from recent) as seen
         from recent e
         where e.operation in ('truncate', 'truncate_items')
            or e.operation <> 'items' and (e.old_sales_rep_id = $2 or e.new_sales_rep_id = $2)
            or e.operation = 'items' and exists (
                select from public.orders_order o where o.id = e.order_id and o.sales_rep_id = $2)
         order by e.id limit $4"
    );
    let rows = transaction
        .query(&sql, &[&since.snapshot.to_string(), &rep.0, &(MISSED_EVENTS + 1), &(MISSED_CHANGES as i64 + 1)])
        .await
        .attempt("read the missed events")?;
    let too_many = rows.first().is_some_and(|row| row.get::<_, i64>("seen") > MISSED_EVENTS);
    if too_many || rows.len() > MISSED_CHANGES {
        return Ok(None);
    }
    let events = rows.iter().map(order_event).collect::<Result<Vec<_>, _>>()?;
    // a truncation concerns everything and is not seen as one order's change
    Ok(events.iter().map(|event| event.as_seen_by(rep)).collect())
}

async fn refuse_standby(client: &tokio_postgres::Client) -> Result<(), StoreError> {
    let row = client.query_one("select pg_is_in_recovery()", &[]).await.attempt("ask whether this is a standby")?;
    if row.get(0) { Err(StoreError::Standby) } else { Ok(()) }
}

impl Store {
    /// Sends the canary: a notification that must come back to every listener.
    ///
    /// # Errors
    /// If the database can't be reached.
    pub async fn send_canary(&self, nonce: &str) -> Result<(), StoreError> {
        let client = self.client().await?;
        client.execute("select pg_notify($1, $2)", &[&CANARY_CHANNEL, &nonce]).await.attempt("send the canary")?;
        Ok(())
    }

    /// How full the server's notification queue is, from 0 to 1. Asking also cleans it up after a laggard is gone: a
    /// full queue makes every notifying commit fail until somebody asks.
    ///
    /// # Errors
    /// If the database can't be reached.
    pub async fn notification_queue_usage(&self) -> Result<f64, StoreError> {
        let client = self.client().await?;
        let row =
            client.query_one("select pg_notification_queue_usage()", &[]).await.attempt("ask for the queue's usage")?;
        Ok(row.get(0))
    }
}

impl Link {
    /// Listens for what the triggers send, and for the canary.
    ///
    /// # Errors
    /// If the connection is lost.
    pub async fn listen_for_orders(&self) -> Result<(), StoreError> {
        self.listen(CHANNEL).await?;
        self.listen(CANARY_CHANNEL).await
    }
}

/// Whether a notification is the canary's.
#[must_use]
pub fn is_canary(channel: &str) -> bool {
    channel == CANARY_CHANNEL
}

/// The columns that [`order_event`] reads, of an event `e`.
pub(super) const EVENT_COLUMNS: &str = "e.xid::text, e.at, e.operation, e.order_id, e.order_number, e.old_sales_rep_id, \
     e.new_sales_rep_id, e.old_status, e.new_status, e.old_payment_status, e.new_payment_status, e.old_total, e.new_total, \
     e.items_delta, e.other, e.app_user, e.application, e.database_role";

pub(super) fn order_event(row: &Row) -> Result<OrderEvent, StoreError> {
    let operation = match row.get("operation") {
        "insert" => Operation::Insert,
        "update" => Operation::Update,
        "delete" => Operation::Delete,
        "items" => Operation::Items,
        "truncate" | "truncate_items" => Operation::Truncate,
        unknown => return Err(StoreError::unreadable("an event's operation", format!("unknown operation {unknown}"))),
    };
    let rep = |column| row.get::<_, Option<i64>>(column).map(RepId);
    let status = |column| row.get::<_, Option<&str>>(column).map(Into::into);
    let payment = |column| row.get::<_, Option<&str>>(column).map(Into::into);
    let money = |column| {
        row.try_get::<_, Option<rust_decimal::Decimal>>(column)
            .map(|amount| amount.map(Money::new))
            .map_err(|cause| StoreError::unreadable("an event's total", cause))
    };
    let xid = row.get::<_, &str>("xid").parse().map_err(|cause| StoreError::unreadable("a transaction id", cause))?;
    Ok(OrderEvent {
        xid,
        at: row.get("at"),
        operation,
        order: row.get::<_, Option<i64>>("order_id").map(OrderId),
        order_number: row.get("order_number"),
        rep: (rep("old_sales_rep_id"), rep("new_sales_rep_id")),
        status: (status("old_status"), status("new_status")),
        payment_status: (payment("old_payment_status"), payment("new_payment_status")),
        total: (money("old_total")?, money("new_total")?),
        items_delta: row.get("items_delta"),
        other: other_columns(row.get("other")),
        writer: Writer {
            user: row.get("app_user"),
            application: row.get("application"),
            role: row.get("database_role"),
        },
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
