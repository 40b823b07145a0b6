//! Reading `live.order_event` since a cursor: the listener's tail and a stream's resume.

use std::collections::{HashMap, HashSet};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use tokio_postgres::Row;

use super::dashboard::{ROW_COLUMNS, order_row, summaries};
use super::lent::BRIEFLY;
use super::{
    Attempt, Connection, Link, PRESENT, Store, StoreError, cursor_of, one_snapshot, present, rows, unless_standby,
};
use crate::cursor::{Cursor, Epoch};
use crate::order::{Change, Money, Operation, OrderEvent, OrderId, OrderRow, RepId, Scope, Summary, Writer};

/// The channel on which the triggers notify.
pub(super) const CHANNEL: &str = "live_orders";

/// The channel on which the canary comes back.
pub(super) const CANARY_CHANNEL: &str = "live_canary";

/// Events that one batch holds at most. Of more, only the concerned reps are read, and their streams read their own state
/// anew.
const LARGEST_BATCH: i64 = 5_000;

/// How many changes a page is told that it missed.
const MISSED_CHANGES: usize = 100;

/// How many events are looked through for them. A page that was away longer reads everything anew.
const MISSED_EVENTS: i64 = 20_000;

/// The same for a page of all orders, which each event concerns.
const MISSED_EVENTS_OF_ALL: i64 = 1_000;

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
    /// What happened, one by one.
    Changed(Changed),
    /// Too much to tell one by one: the streams of these reps must read their state anew.
    Much(HashSet<RepId>),
    /// It can't be told whom it concerns: every stream must read its state anew.
    Everything(&'static str),
}

/// Events with the orders as they are now, all in one snapshot.
#[derive(Debug, Default)]
pub struct Changed {
    /// In the order of their recording.
    pub events: Vec<OrderEvent>,
    /// How many events were looked at and left out, as they concern nobody who was asked for.
    pub left_out: u64,
    /// The orders that still exist, with the rep whose they are now.
    pub rows: HashMap<OrderId, (Option<RepId>, OrderRow)>,
}

impl Changed {
    /// The scopes that an event concerns: that of all orders always. Whose order an item belongs to is known from the order alone, as the trigger's view
    /// of it can be older than the order's present one.
    fn concerned(&self, event: &OrderEvent) -> impl Iterator<Item = Scope> + use<> {
        let (one, other) = match event.operation {
            Operation::Items => (event.order.and_then(|id| self.rows.get(&id)?.0), None),
            _ if event.rep.0 == event.rep.1 => (event.rep.0, None),
            _ => event.rep,
        };
        [one, other].into_iter().flatten().map(Scope::Rep).chain([Scope::All])
    }

    /// The scopes that any of the events concerns, one of them perhaps several times.
    pub fn scopes(&self) -> impl Iterator<Item = Scope> {
        self.events.iter().flat_map(|event| self.concerned(event))
    }

    /// The events that concern each scope.
    #[must_use]
    pub fn by_scope(&self) -> HashMap<Scope, Vec<&OrderEvent>> {
        let mut by_scope: HashMap<Scope, Vec<&OrderEvent>> = HashMap::new();
        for event in &self.events {
            self.concerned(event).for_each(|scope| by_scope.entry(scope).or_default().push(event));
        }
        by_scope
    }
}

impl Link {
    /// Names the incarnation of a server that has none, and gives the present cursor.
    ///
    /// # Errors
    /// If the server is lost.
    pub async fn first_cursor(&self) -> Result<Cursor, StoreError> {
        self.client
            .execute("insert into live.incarnation default values on conflict do nothing", &[])
            .await
            .attempt("name the server's incarnation")?;
        self.present().await
    }

    /// The present cursor.
    ///
    /// # Errors
    /// If the server is lost.
    pub async fn present(&self) -> Result<Cursor, StoreError> {
        present(&self.client).await
    }

    /// What was committed since the cursor and concerns one of these reps, or everything, in one snapshot and one
    /// statement. An order's move between one of them and somebody else is in it; of somebody else it tells nothing more.
    ///
    /// # Errors
    /// If the connection is lost.
    pub async fn read_batch(&self, since: &Cursor, reps: Option<&[RepId]>) -> Result<Batch, StoreError> {
        batch(&self.client, since, reps).await
    }

    /// The same together with the statistics of scopes that `wanted` names, given what happened.
    ///
    /// # Errors
    /// If the connection is lost.
    pub async fn read_batch_and_statistics(
        &mut self,
        since: &Cursor,
        reps: Option<&[RepId]>,
        wanted: impl FnOnce(&Batch) -> HashSet<Scope>,
    ) -> Result<(Batch, HashMap<Scope, Summary>), StoreError> {
        let transaction = one_snapshot(&mut self.client).await.attempt("begin reading")?;
        let batch = batch(&transaction, since, reps).await?;
        let scopes = wanted(&batch);
        let summaries = summaries(&transaction, &scopes).await?;
        transaction.commit().await.attempt("end reading")?;
        Ok((batch, summaries))
    }
}

/// Whom an event `e` concerns, as `c (rep)`: see [`Changed::concerned`]. The limit of one, here and in [`BATCH`], has the
/// order looked up for each event, whatever the planner thinks of their number; else it may read all orders to join them.
const CONCERNED: &str = "left join lateral (
        select o.sales_rep_id from public.orders_order o where e.operation = 'items' and o.id = e.order_id limit 1
    ) o on true
    cross join lateral (values
        (case when e.operation <> 'items' then e.old_sales_rep_id end),
        (case when e.operation <> 'items' then e.new_sales_rep_id end),
        (o.sales_rep_id::bigint)
    ) c (rep)";

/// Whether an event `e` may concern one of the reps `$2`. Whose order an item belongs to is not known before the order is
/// read.
const MAY_CONCERN: &str = "e.old_sales_rep_id = any ($2) or e.new_sales_rep_id = any ($2) \
     or e.operation in ('items', 'truncate', 'truncate_items')";

/// A row for each event that may concern the reps `$2`, and at least one, so that there always is a cursor.
static BATCH: LazyLock<String> = LazyLock::new(|| {
    batch_of(
        "(select count(*) from live.events_since($1::text::pg_snapshot))",
        &format!("select * from live.events_since($1::text::pg_snapshot) e where {MAY_CONCERN} limit $3"),
    )
});

/// The same of every event.
static BATCH_OF_ALL: LazyLock<String> =
    LazyLock::new(|| batch_of("null::bigint", "select * from live.events_since($1::text::pg_snapshot) limit $2"));

fn batch_of(recorded: &str, events: &str) -> String {
    format!(
        "select {PRESENT}, {recorded} as recorded, {EVENT_COLUMNS}, o.sales_rep_id::bigint as sales_rep_id, {ROW_COLUMNS}
         from (select) always
         left join ({events}) e on true
         left join lateral (select * from public.orders_order o where o.id = e.order_id limit 1) o on true"
    )
}

fn ids(reps: &[RepId]) -> Vec<i64> {
    reps.iter().map(|rep| rep.0).collect()
}

async fn batch(client: &impl Connection, since: &Cursor, reps: Option<&[RepId]>) -> Result<Batch, StoreError> {
    let (since_text, most) = (since.snapshot.to_string(), LARGEST_BATCH + 1);
    let read = match reps {
        Some(reps) => rows(client, &BATCH, &[&since_text, &ids(reps), &most]).await,
        None => rows(client, &BATCH_OF_ALL, &[&since_text, &most]).await,
    };
    let mut rows = read.map_err(unless_standby("read the events"))?;
    rows.sort_by_key(|row| row.get::<_, Option<i64>>("event_id"));
    let cursor = cursor_of(rows.first())?;
    if cursor.epoch != since.epoch {
        return Ok(Batch { cursor, news: News::Everything("the server or the statistics are new") });
    }
    if rows.len() as i64 > LARGEST_BATCH {
        return Ok(Batch { cursor, news: concerned(client, since).await? });
    }
    let mut changed = Changed::default();
    for row in rows.iter().filter(|row| row.get::<_, Option<&str>>("operation").is_some()) {
        let event = order_event(row)?;
        if event.operation == Operation::Truncate {
            return Ok(Batch { cursor, news: News::Everything("the orders were truncated") });
        }
        changed.events.push(event);
        if row.get::<_, Option<i64>>("id").is_some() {
            let order = order_row(row)?;
            changed.rows.insert(order.id, (row_rep(row, "sales_rep_id"), order));
        }
    }
    let recorded = rows.first().and_then(|row| row.get::<_, Option<i64>>("recorded"));
    changed.left_out = recorded.map_or(0, |recorded| (recorded as u64).saturating_sub(changed.events.len() as u64));
    Ok(Batch { cursor, news: News::Changed(changed) })
}

/// Whom the events since the cursor concern, where there are too many to read.
async fn concerned(client: &impl Connection, since: &Cursor) -> Result<News, StoreError> {
    let sql = format!(
        "select distinct c.rep::bigint as rep, e.operation in ('truncate', 'truncate_items') as is_truncation
         from live.events_since($1::text::pg_snapshot) e
         {CONCERNED}"
    );
    let rows = rows(client, &sql, &[&since.snapshot.to_string()]).await.attempt("read whom the events concern")?;
    if rows.iter().any(|row| row.get("is_truncation")) {
        return Ok(News::Everything("the orders were truncated"));
    }
    Ok(News::Much(rows.iter().filter_map(|row| row_rep(row, "rep")).collect()))
}

/// The newest events that concern some reps, from a transaction on; for [`Recent::of`].
pub(super) static RECENT: LazyLock<String> = LazyLock::new(|| {
    let asked = "in (select unnest($3::bigint[]))";
    recent(
        &format!(
            "select distinct c.rep from (select) always {CONCERNED}
             where c.rep {asked} or e.operation in ('truncate', 'truncate_items')"
        ),
        // whose order an item belongs to is looked up for what is left by this alone
        &format!(
            "e.old_sales_rep_id {asked} or e.new_sales_rep_id {asked}
             or e.operation in ('items', 'truncate', 'truncate_items')"
        ),
    )
});

/// The same of all orders, whoever has them.
pub(super) static RECENT_OF_ALL: LazyLock<String> = LazyLock::new(|| recent("select null::bigint as rep", "true"));

fn recent(concerned: &str, may_concern: &str) -> String {
    format!(
        "select bounds.*, c.rep as concerned, {EVENT_COLUMNS}
     from (
         select coalesce((
             select (r.xid::text::numeric + 1)::text from live.order_event r where r.xid >= $1::text::xid8
             order by r.xid desc offset $2::bigint - 1 limit 1
         ), '0') as complete_from
     ) bounds
     left join (
         (select * from live.order_event r where r.xid >= $1::text::xid8 order by r.xid desc limit $2) e
         cross join lateral ({concerned}) c
     ) on {may_concern}
     order by e.id"
    )
}

/// Up to where what a page missed can be told, and from where on. It is known before any event is read.
pub(super) struct Reach {
    /// The snapshot in which it is told.
    pub(super) now: Cursor,
    /// The newest transaction of which events were pruned.
    pruned: u64,
}

pub(super) static REACH: LazyLock<String> = LazyLock::new(|| {
    format!("select {PRESENT}, coalesce((select pruned_xid from live.fold)::text, '18446744073709551615') as pruned")
});

impl Reach {
    pub(super) async fn read(client: &impl Connection) -> Result<Self, StoreError> {
        let rows = rows(client, &REACH, &[]).await.map_err(unless_standby("read the current snapshot"))?;
        Ok(Self { now: cursor_of(rows.first())?, pruned: transaction_id(&rows, "pruned")? })
    }

    /// Whether anything can be told from this cursor on: it is of this epoch, not of the future, and nothing that it lacks is
    /// pruned.
    pub(super) fn has(&self, since: &Cursor) -> bool {
        let is_ahead = since.revision().partial_cmp(&self.now.revision()).is_none_or(std::cmp::Ordering::is_gt);
        !is_ahead && since.snapshot.xmin() > self.pruned
    }
}

fn transaction_id(rows: &[Row], column: &str) -> Result<u64, StoreError> {
    let text: Option<&str> = rows.first().map(|row| row.get(column));
    text.unwrap_or_default().parse().map_err(|cause| StoreError::unreadable("a transaction id", cause))
}

/// From which transaction on a read found all events, and no further back: what is older than that is too much to tell, and
/// stays so within an epoch, as there are only more events later. Nobody reads them again to learn it.
#[derive(Default)]
pub(super) struct TooMuch(Mutex<HashMap<bool, (Epoch, u64)>>);

impl TooMuch {
    pub(super) fn is_told_by(&self, scope: Scope, since: &Cursor) -> bool {
        let known = self.lock();
        let complete_from = known.get(&(scope == Scope::All));
        complete_from.is_some_and(|(epoch, from)| *epoch == since.epoch && since.snapshot.xmin() < *from)
    }

    /// What a read of one rep's or of all orders' events found, in that epoch.
    pub(super) fn learn(&self, of_all: bool, epoch: Epoch, recent: &Recent) {
        let mut known = self.lock();
        let entry = known.entry(of_all).or_insert((epoch, 0));
        let from = if entry.0 == epoch { entry.1 } else { 0 };
        *entry = (epoch, from.max(recent.complete_from));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<bool, (Epoch, u64)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What pages may have missed: the newest events, with the reps whom they concern.
pub(super) struct Recent {
    /// In the order of their recording; without a rep where all orders or items were deleted at once, and where they are those
    /// of all orders.
    events: Vec<(Option<RepId>, OrderEvent)>,
    /// Events of this transaction and later ones are all here.
    complete_from: u64,
}

impl Recent {
    /// Asks for the events that concern these reps, from a transaction on; for [`Recent::of`].
    pub(super) async fn read(
        client: &impl Connection,
        reps: &[i64],
        oldest: u64,
    ) -> Result<Vec<Row>, tokio_postgres::Error> {
        rows(client, &RECENT, &[&oldest.to_string(), &MISSED_EVENTS, &reps]).await
    }

    /// The same of all orders.
    pub(super) async fn read_of_all(client: &impl Connection, oldest: u64) -> Result<Vec<Row>, tokio_postgres::Error> {
        rows(client, &RECENT_OF_ALL, &[&oldest.to_string(), &MISSED_EVENTS_OF_ALL]).await
    }

    pub(super) fn of(rows: &[Row]) -> Result<Self, StoreError> {
        let complete_from = transaction_id(rows, "complete_from")?;
        let is_event = |row: &&Row| row.get::<_, Option<&str>>("operation").is_some();
        let event = |row| Ok((row_rep(row, "concerned"), order_event(row)?));
        let events = rows.iter().filter(is_event).map(event).collect::<Result<_, StoreError>>()?;
        Ok(Self { events, complete_from })
    }

    /// What a page missed since its cursor, which the reach has; `None` where that is too much to tell.
    pub(super) fn missed(&self, scope: Scope, since: &Cursor) -> Option<Vec<Change>> {
        if since.snapshot.xmin() < self.complete_from {
            return None;
        }
        let concerns = |of: Option<RepId>| of.is_none_or(|of| scope.has(Some(of)));
        let mut changes = Vec::new();
        for (_, event) in self.events.iter().filter(|(of, event)| concerns(*of) && !since.snapshot.has(event.xid)) {
            // a truncation concerns everything and is not seen as one order's change
            changes.push(event.as_seen_by(scope)?);
            if changes.len() > MISSED_CHANGES {
                return None;
            }
        }
        Some(changes)
    }
}

fn row_rep(row: &Row, column: &str) -> Option<RepId> {
    row.get::<_, Option<i64>>(column).map(RepId)
}

async fn refuse_standby(client: &tokio_postgres::Client) -> Result<(), StoreError> {
    let row = client.query_one("select pg_is_in_recovery()", &[]).await.attempt("ask whether this is a standby")?;
    if row.get(0) { Err(StoreError::Standby) } else { Ok(()) }
}

impl Store {
    /// Sends the canary: a notification that must come back to every listener. Gives how full the server's notification
    /// queue is, from 0 to 1.
    ///
    /// # Errors
    /// If the database can't be reached.
    pub async fn send_canary(&self, nonce: &str) -> Result<f64, StoreError> {
        let client = self.client_for(BRIEFLY).await?;
        let sql = "select pg_notification_queue_usage(), pg_notify($1, $2)";
        let row = client.query_one(sql, &[&CANARY_CHANNEL, &nonce]).await.attempt("send the canary")?;
        Ok(row.get(0))
    }

    /// How full the server's notification queue is, from 0 to 1. Asking also cleans it up after a laggard is gone: a
    /// full queue makes every notifying commit fail until somebody asks.
    ///
    /// # Errors
    /// If the database can't be reached.
    pub async fn notification_queue_usage(&self) -> Result<f64, StoreError> {
        let client = self.client_for(BRIEFLY).await?;
        let row =
            client.query_one("select pg_notification_queue_usage()", &[]).await.attempt("ask for the queue's usage")?;
        Ok(row.get(0))
    }
}

impl Link {
    /// Listens for what the triggers send, and for the canary. Nobody can on a standby.
    ///
    /// # Errors
    /// If the server is a standby or is lost.
    pub async fn listen_for_orders(&self) -> Result<(), StoreError> {
        refuse_standby(&self.client).await?;
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
pub(super) const EVENT_COLUMNS: &str = "e.id as event_id, e.xid::text, e.at, e.operation, e.order_id, e.order_number as number, e.old_sales_rep_id, \
     e.new_sales_rep_id, e.old_status, e.new_status, e.old_payment_status, e.new_payment_status, \
     nullif(e.old_total, 'NaN') as old_total, nullif(e.new_total, 'NaN') as new_total, \
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
    let status = |column| row.get::<_, Option<&str>>(column).map(Into::into);
    let payment = |column| row.get::<_, Option<&str>>(column).map(Into::into);
    let money = |column| {
        row.try_get::<_, Option<rust_decimal::Decimal>>(column)
            .map(|amount| amount.map(Money::new))
            .map_err(|cause| StoreError::unreadable("an event's total", cause))
    };
    let xid = row.get::<_, &str>("xid").parse().map_err(|cause| StoreError::unreadable("a transaction id", cause))?;
    Ok(OrderEvent {
        id: row.get("event_id"),
        xid,
        at: row.get("at"),
        operation,
        order: row.get::<_, Option<i64>>("order_id").map(OrderId),
        order_number: row.get("number"),
        rep: (row_rep(row, "old_sales_rep_id"), row_rep(row, "new_sales_rep_id")),
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
