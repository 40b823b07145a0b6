//! What a page missed since the cursor it brings.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use tokio_postgres::Row;

use crate::cursor::{Cursor, Epoch};
use crate::order::{Change, OrderEvent, RepId, Scope, entered};
use crate::store::database::{Connection, PRESENT, StoreError, cursor_of, rows, text, unless_standby};
use crate::store::rows::{CONCERNED, EVENT_COLUMNS, NAMES_ITS_REPS, order_event, row_rep};

/// How many changes a page is told that it missed.
const MISSED_CHANGES: usize = 100;

/// How many events are looked through for them. A page that was away longer reads everything anew.
const MISSED_EVENTS: i64 = 20_000;

/// The same for a page of all orders, which each event concerns.
const MISSED_EVENTS_OF_ALL: i64 = 1_000;

/// The newest events that concern some reps, from a transaction on; for [`Recent::of`].
pub(in crate::store) static RECENT: LazyLock<String> = LazyLock::new(|| {
    let asked = "in (select unnest($3::bigint[]))";
    recent(
        &format!(
            "select distinct c.rep from (select) always {CONCERNED}
             where c.rep {asked} or e.operation in ('truncate', 'truncate_items')"
        ),
        // whose order an item belongs to is looked up for what is left by this alone
        &format!(
            "e.old_sales_rep_id {asked} or e.new_sales_rep_id {asked}
             or not ({NAMES_ITS_REPS}) and e.operation <> 'history'"
        ),
    )
});

/// The same of all orders, whoever has them.
pub(in crate::store) static RECENT_OF_ALL: LazyLock<String> =
    LazyLock::new(|| recent("select null::bigint as rep", "e.operation <> 'history'"));

/// The $2-th newest event's transaction may be cut in half: the events are complete from the next one on, or from 0 where all fit.
fn recent(concerned: &str, may_concern: &str) -> String {
    format!(
        "select bounds.*, c.rep as concerned, {event_columns}
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
     order by e.id",
        event_columns = *EVENT_COLUMNS,
    )
}

/// Up to where what a page missed can be told, and from where on. It is known before any event is read.
pub(in crate::store) struct Reach {
    /// The snapshot in which it is told.
    pub(in crate::store) now: Cursor,
    /// The newest transaction of which events were pruned.
    pruned: u64,
}

/// Without a row of the fold it is as if everything were pruned, so that no cursor can be resumed.
pub(in crate::store) static REACH: LazyLock<String> = LazyLock::new(|| {
    format!("select {PRESENT}, coalesce((select pruned_xid from live.fold)::text, '18446744073709551615') as pruned")
});

impl Reach {
    pub(in crate::store) async fn read(client: &impl Connection) -> Result<Self, StoreError> {
        let rows = rows(client, &REACH, &[]).await.map_err(unless_standby("read the current snapshot"))?;
        Ok(Self { now: cursor_of(rows.first())?, pruned: transaction_id(&rows, "pruned")? })
    }

    /// Whether anything can be told from this cursor on: it is of this epoch, not of the future, and nothing that it lacks is
    /// pruned.
    pub(in crate::store) fn has(&self, since: &Cursor) -> bool {
        let is_ahead = since.revision().partial_cmp(&self.now.revision()).is_none_or(std::cmp::Ordering::is_gt);
        !is_ahead && since.snapshot.xmin() > self.pruned
    }
}

fn transaction_id(rows: &[Row], column: &str) -> Result<u64, StoreError> {
    let text: Option<&str> = rows.first().map(|row| row.get(column));
    text.unwrap_or_default().parse().map_err(|cause| StoreError::unreadable("a transaction id", cause))
}

/// From which transaction on the last read found all events, for each kind of read: one rep's (`false`), or all orders'
/// (`true`). A cursor older than that can't be answered with single changes. This stays so within an epoch, because later
/// there are only more events, so it is remembered and not read again.
#[derive(Default)]
pub(in crate::store) struct Completeness(Mutex<HashMap<bool, (Epoch, u64)>>);

impl Completeness {
    pub(in crate::store) fn is_too_old(&self, scope: Scope, since: &Cursor) -> bool {
        let known = self.lock();
        let complete_from = known.get(&(scope == Scope::All));
        complete_from.is_some_and(|(epoch, from)| *epoch == since.epoch && since.snapshot.xmin() < *from)
    }

    /// What a read of one rep's or of all orders' events found, in that epoch.
    pub(in crate::store) fn note(&self, of_all: bool, epoch: Epoch, recent: &Recent) {
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
pub(in crate::store) struct Recent {
    /// In the order of their recording.
    events: Vec<RecentEvent>,
    /// Events of this transaction and later ones are all here.
    complete_from: u64,
}

struct RecentEvent {
    /// None where all orders or items were deleted at once, and where the events are those of all orders.
    concerned: Option<RepId>,
    xid: u64,
    /// None where it can't be read.
    event: Option<OrderEvent>,
}

impl Recent {
    /// Asks for the events that concern these reps, from a transaction on; for [`Recent::of`].
    pub(in crate::store) async fn read(
        client: &impl Connection,
        reps: &[i64],
        oldest: u64,
    ) -> Result<Vec<Row>, tokio_postgres::Error> {
        rows(client, &RECENT, &[&oldest.to_string(), &MISSED_EVENTS, &reps]).await
    }

    /// The same of all orders.
    pub(in crate::store) async fn read_of_all(
        client: &impl Connection,
        oldest: u64,
    ) -> Result<Vec<Row>, tokio_postgres::Error> {
        rows(client, &RECENT_OF_ALL, &[&oldest.to_string(), &MISSED_EVENTS_OF_ALL]).await
    }

    pub(in crate::store) fn of(rows: &[Row]) -> Result<Self, StoreError> {
        let complete_from = transaction_id(rows, "complete_from")?;
        let is_event = |row: &&Row| row.get::<_, Option<&str>>("operation").is_some();
        let event = |row| {
            let xid = text(row, "xid")?.parse().map_err(|cause| StoreError::unreadable("a transaction id", cause))?;
            Ok(RecentEvent { concerned: row_rep(row, "concerned"), xid, event: order_event(row).ok() })
        };
        let events = rows.iter().filter(is_event).map(event).collect::<Result<_, StoreError>>()?;
        Ok(Self { events, complete_from })
    }

    /// What a page missed since its cursor, which the reach has; `None` where that is too much to tell.
    pub(in crate::store) fn missed(&self, scope: Scope, since: &Cursor) -> Option<Vec<Change>> {
        if since.snapshot.xmin() < self.complete_from {
            return None;
        }
        let concerns = |of: Option<RepId>| of.is_none_or(|of| scope.has(Some(of)));
        let mut changes = Vec::new();
        let entered = entered(self.events.iter().filter_map(|recent| recent.event.as_ref()));
        let is_missed = |recent: &&RecentEvent| concerns(recent.concerned) && !since.snapshot.has(recent.xid);
        for RecentEvent { event, .. } in self.events.iter().filter(is_missed) {
            // a truncation concerns everything and is not seen as one order's change
            let change = event.as_ref()?.as_seen_by(scope, &entered)?;
            // its order is told as a new one
            if change.part && entered.iter().any(|(order, _)| *order == change.order_id) {
                continue;
            }
            changes.push(change);
            if changes.len() > MISSED_CHANGES {
                return None;
            }
        }
        Some(changes)
    }
}
