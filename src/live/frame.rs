//! Server-sent events, encoded once and shared by all streams that they are for.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write;
use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use serde::Serialize;

use super::mailbox::Bye;
use crate::cursor::Cursor;
use crate::order::{Change, FullRowJson, OrderEvent, OrderId, OrderRow, RepId, RowJson, Scope, Summary, iso_time};
use crate::store::Sync;

/// An encoded `patch` with what its streams need to know of it.
#[derive(Debug)]
pub struct Frame {
    /// The state that it tells.
    pub cursor: Arc<Cursor>,
    /// The transactions of the changes that led to it.
    pub xids: Vec<u64>,
    /// When the oldest of its changes was recorded.
    pub recorded_at: DateTime<Utc>,
    /// The event as it goes over the wire.
    pub bytes: Bytes,
}

#[derive(Serialize)]
struct SyncJson<'a> {
    revision: String,
    #[serde(flatten)]
    summary: &'a Summary,
    missed: &'a Option<Vec<Change>>,
}

#[derive(Serialize)]
struct PatchJson<'a> {
    revision: String,
    #[serde(flatten)]
    summary: &'a Summary,
    orders: Vec<PatchedOrder<'a>>,
    changes: Vec<Change>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum PatchedOrder<'a> {
    Present(RowJson<'a>),
    Full(FullRowJson<'a>),
    Left { id: OrderId, removed: bool },
}

impl Frame {
    /// The frame of one scope: the statistics, the changed orders as they are now, and the changes. An order that is no longer
    /// of the scope is only said to be gone.
    #[must_use]
    pub fn patch(
        scope: Scope,
        summary: &Summary,
        events: &[&OrderEvent],
        rows: &HashMap<OrderId, (Option<RepId>, OrderRow)>,
        cursor: &Arc<Cursor>,
        zone: Tz,
    ) -> Self {
        let ids: BTreeSet<OrderId> = events.iter().filter_map(|event| event.order).collect();
        let orders = ids
            .iter()
            .map(|id| match rows.get(id) {
                Some((owner, row)) if scope == Scope::All => PatchedOrder::Full(row.full_json(*owner, None, zone)),
                Some((owner, row)) if scope.has(*owner) => PatchedOrder::Present(row.json(zone)),
                _ => PatchedOrder::Left { id: *id, removed: true },
            })
            .collect();
        // of an item's change in another rep's time the row says enough
        let own = events.iter().filter(|event| event.concerns(scope));
        let mut changes: Vec<Change> = own.filter_map(|event| event.as_seen_by(scope)).collect();
        for change in changes.iter_mut().filter(|change| change.status.is_none()) {
            let row = rows.get(&change.order_id).filter(|(owner, _)| scope.has(*owner));
            change.status = row.map(|(_, row)| row.status.clone());
        }
        let json = PatchJson { revision: cursor.revision().to_string(), summary, orders, changes };
        let bytes = event("patch", Some(cursor), &json);
        let xids: BTreeSet<u64> = events.iter().map(|event| event.xid).collect();
        let recorded_at = events.iter().map(|event| event.at).min().unwrap_or_default();
        Self { cursor: Arc::clone(cursor), xids: xids.into_iter().collect(), recorded_at, bytes }
    }
}

/// `sync`: the state that a stream begins with.
pub(super) fn sync(sync: &Sync) -> Bytes {
    let revision = sync.cursor.revision().to_string();
    event("sync", Some(&sync.cursor), &SyncJson { revision, summary: &sync.summary, missed: &sync.missed })
}

/// `ping`: a sign of life, with the server's time, whether changes arrive at once, and in how many milliseconds the next
/// will have come. A page that hears nothing for longer than that knows that the stream is dead.
pub(super) fn ping(live: bool, next_ms: u64) -> Bytes {
    #[derive(Serialize)]
    struct Ping {
        time: String,
        listener: &'static str,
        next_ms: u64,
    }
    let listener = if live { "live" } else { "degraded" };
    event("ping", None, &Ping { time: iso_time(Utc::now()), listener, next_ms })
}

/// `bye`: the last event of a stream that the server ends.
pub(super) fn bye(bye: Bye) -> Bytes {
    #[derive(Serialize)]
    struct ByeJson {
        reason: &'static str,
    }
    event("bye", None, &ByeJson { reason: bye.reason() })
}

/// `retry:` tells the browser how long to wait before it reconnects, in milliseconds.
pub(super) fn retry(milliseconds: u64) -> Bytes {
    format!("retry: {milliseconds}\n\n").into()
}

/// Database text stands only inside JSON, which has no line breaks, so that no text can end a field.
fn event(name: &str, cursor: Option<&Cursor>, data: &impl Serialize) -> Bytes {
    let mut text = String::with_capacity(1_024);
    // writing to a String can't fail; nor can these plain structures fail to become JSON
    if let Some(cursor) = cursor {
        let _ = writeln!(text, "id: {cursor}");
    }
    let _ = writeln!(text, "event: {name}");
    let _ = writeln!(text, "data: {}\n", serde_json::to_string(data).unwrap_or_default());
    text.into()
}

#[cfg(test)]
impl Frame {
    pub(super) fn for_test(cursor: &str, xids: &[u64]) -> Self {
        Self {
            cursor: Arc::new(cursor.parse().unwrap()),
            xids: xids.to_vec(),
            recorded_at: Utc::now(),
            bytes: Bytes::new(),
        }
    }
}
