//! Server-sent events, encoded once and shared by all streams that they are for.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use serde::Serialize;

use super::bye::Bye;
use crate::cursor::{Cursor, Snapshot};
use crate::order::{Change, FullRowJson, OrderEvent, OrderId, OrderKey, Scope, Summary, entered, iso_time};
use crate::store::{Changed, Listed, Sync};

/// The version of what is told: of the stream's events and of the API's answers. It is raised where one that was told of the version
/// before would understand something wrongly; see docs/PROTOCOL.md.
pub const WIRE: u32 = 1;

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
    /// Where in it the changes are, each with its transaction.
    changes: Vec<(u64, Range<usize>)>,
    /// The event as it was last made shorter, and for which snapshot: many streams that read their state together share it.
    shortened: Mutex<Option<(Snapshot, Bytes)>>,
}

#[derive(Serialize)]
struct SyncJson<'a> {
    wire: u32,
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
    #[serde(skip_serializing_if = "Vec::is_empty")]
    named: Vec<NamedChange>,
    /// Put in afterwards.
    changes: [Change; 0],
}

/// Who made a change that was told before, by its id.
#[derive(Serialize)]
struct NamedChange {
    id: i64,
    by: String,
    user: String,
}

#[derive(Serialize)]
#[serde(untagged)]
enum PatchedOrder<'a> {
    Present(Box<FullRowJson<'a>>),
    Left { id: OrderId, key: OrderKey, removed: bool },
}

impl Frame {
    /// The frame of one scope: the statistics, the changed orders as they are now, and the changes. An order that is no longer
    /// of the scope is only said to be gone.
    #[must_use]
    pub fn patch(
        scope: Scope,
        summary: &Summary,
        events: &[&OrderEvent],
        Changed { named, rows, .. }: &Changed,
        cursor: &Arc<Cursor>,
        zone: Tz,
    ) -> Self {
        let ids: BTreeSet<OrderId> = events.iter().filter_map(|event| event.order).collect();
        let orders = ids
            .iter()
            .map(|id| match rows.get(id) {
                Some(Listed { row, rep, rep_name }) if scope.has(*rep) => {
                    let rep_name = rep_name.as_deref().filter(|_| scope == Scope::All);
                    PatchedOrder::Present(Box::new(row.full_json(*rep, rep_name, zone).with_key()))
                }
                _ => PatchedOrder::Left { id: *id, key: OrderKey(*id), removed: true },
            })
            .collect();
        let entered = entered(events.iter().copied());
        let named = named
            .iter()
            .filter_map(|event| event.as_seen_by(scope, &entered))
            .filter_map(|change| Some(NamedChange { id: change.id, by: change.by, user: change.user? }));
        let revision = cursor.revision().to_string();
        let json = PatchJson { revision, summary, orders, named: named.collect(), changes: [] };
        let mut text = event("patch", Some(cursor), &json);
        let end = text.split_off(text.len() - END_OF_CHANGES.len());
        // an item's event may name the rep who had the order before: this scope then gets the new row, but no change
        let own = events.iter().filter(|event| event.concerns(scope));
        let mut changes = Vec::new();
        for (event, mut change) in own.filter_map(|event| Some((event, event.as_seen_by(scope, &entered)?))) {
            if change.status.is_none() {
                let listed = rows.get(&change.order_id).filter(|listed| scope.has(listed.rep));
                change.status = listed.map(|listed| listed.row.status.clone());
            }
            if !changes.is_empty() {
                text.push(',');
            }
            let start = text.len();
            text.push_str(&json_text(&change));
            changes.push((event.xid, start..text.len()));
        }
        text.push_str(&end);
        let xids: BTreeSet<u64> = events.iter().map(|event| event.xid).collect();
        let recorded_at = events.iter().map(|event| event.at).min().unwrap_or_default();
        let xids = xids.into_iter().collect();
        Self { cursor: Arc::clone(cursor), xids, recorded_at, bytes: text.into(), changes, shortened: Mutex::default() }
    }

    /// The event for a stream that stands at a snapshot: without the changes that it has. Rows and statistics say how things
    /// are, whatever it knew before.
    pub(super) fn since(&self, known: &Snapshot) -> Bytes {
        let is_told = |(xid, _): &&(u64, Range<usize>)| known.has(*xid);
        let (Some((_, first)), Some((_, last))) = (self.changes.first(), self.changes.last()) else {
            return self.bytes.clone();
        };
        if !self.changes.iter().any(|change| is_told(&change)) {
            return self.bytes.clone();
        }
        let mut shortened = self.shortened.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, bytes)) = shortened.as_ref().filter(|(of, _)| of == known) {
            return bytes.clone();
        }
        let untold: Vec<&[u8]> = self
            .changes
            .iter()
            .filter(|change| !is_told(change))
            .map(|(_, place)| &self.bytes[place.clone()])
            .collect();
        let bytes: Bytes = [&self.bytes[..first.start], &untold.join(&b','), &self.bytes[last.end..]].concat().into();
        *shortened = Some((known.clone(), bytes.clone()));
        bytes
    }
}

/// What follows upon the changes, which come last.
const END_OF_CHANGES: &str = "]}\n\n";

/// `sync`: the state that a stream begins with.
pub(super) fn sync(sync: &Sync) -> Bytes {
    let revision = sync.cursor.revision().to_string();
    event("sync", Some(&sync.cursor), &SyncJson { wire: WIRE, revision, summary: &sync.summary, missed: &sync.missed })
        .into()
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
    event("ping", None, &Ping { time: iso_time(Utc::now()), listener, next_ms }).into()
}

/// `bye`: the last event of a stream that the server ends.
pub(super) fn bye(bye: Bye) -> Bytes {
    #[derive(Serialize)]
    struct ByeJson {
        reason: &'static str,
    }
    event("bye", None, &ByeJson { reason: bye.reason() }).into()
}

/// `retry:` tells the browser how long to wait before it reconnects, in milliseconds.
pub(super) fn retry(milliseconds: u64) -> Bytes {
    format!("retry: {milliseconds}\n\n").into()
}

/// Database text stands only inside JSON, which has no line breaks, so that no text can end a field.
fn event(name: &str, cursor: Option<&Cursor>, data: &impl Serialize) -> String {
    let mut text = String::with_capacity(1_024);
    // writing to a String can't fail
    if let Some(cursor) = cursor {
        let _ = writeln!(text, "id: {cursor}");
    }
    let _ = writeln!(text, "event: {name}");
    let _ = writeln!(text, "data: {}\n", json_text(data));
    text
}

/// These plain structures can't fail to become JSON.
fn json_text(data: &impl Serialize) -> String {
    serde_json::to_string(data).unwrap_or_default()
}

#[cfg(test)]
impl Frame {
    pub(super) fn for_test(cursor: &str, xids: &[u64]) -> Self {
        Self {
            cursor: Arc::new(cursor.parse().unwrap()),
            xids: xids.to_vec(),
            recorded_at: Utc::now(),
            bytes: Bytes::new(),
            changes: Vec::new(),
            shortened: Mutex::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::order::RepId;

    #[test]
    fn pages_read_the_version_that_they_are_told() {
        let script = include_str!("../../static/js/live/wire.js");
        assert!(script.contains(&format!("export const WIRE = {WIRE};")));
    }

    #[test]
    fn a_stream_is_told_the_changes_that_it_does_not_have() {
        let event = |id: i64, xid| OrderEvent {
            id,
            xid,
            at: Utc::now(),
            operation: crate::order::Operation::Update,
            order: Some(OrderId(id)),
            order_number: Some(format!("ORD-{id} \"]}}\n\n")),
            rep: (Some(RepId(1)), Some(RepId(1))),
            status: (Some("pending".into()), Some("shipped".into())),
            payment_status: (Some("paid".into()), Some("paid".into())),
            total: (None, None),
            items_delta: None,
            other: Vec::new(),
            writer: crate::order::Writer::default(),
            of_new_order: None,
        };
        let events = [event(1, 5), event(2, 6), event(3, 7), event(4, 5)];
        let cursor = Arc::new("00000000000000ff/9:9:".parse().unwrap());
        let (all, none): (Vec<&OrderEvent>, Vec<&OrderEvent>) = (events.iter().collect(), Vec::new());
        let frame =
            |events| Frame::patch(Scope::All, &Summary::default(), events, &Changed::default(), &cursor, Tz::UTC);
        for (known, told) in
            [("5:5:", &[1, 2, 3, 4][..]), ("5:7:5", &[1, 3, 4]), ("7:7:", &[3]), ("5:8:5", &[1, 4]), ("9:9:", &[])]
        {
            let bytes = frame(&all).since(&known.parse().unwrap());
            let text = std::str::from_utf8(&bytes).unwrap();
            let data = text.lines().find_map(|line| line.strip_prefix("data: ")).unwrap();
            let data: serde_json::Value = serde_json::from_str(data).unwrap();
            let ids: Vec<i64> = data["changes"].as_array().unwrap().iter().map(|c| c["id"].as_i64().unwrap()).collect();
            assert_eq!(ids, told, "{known}");
            assert_eq!(data["orders"].as_array().unwrap().len(), 4, "{known}: rows are as they are now");
            assert!(text.ends_with("}\n\n") && text.starts_with("id: "), "{known}");
        }
        let (frame_of_all, known) = (frame(&all), "5:7:5".parse().unwrap());
        let (one, other) = (frame_of_all.since(&known), frame_of_all.since(&known));
        assert_eq!(one.as_ptr(), other.as_ptr(), "streams of one snapshot share what is made for it");
        assert!(frame(&none).since(&cursor.snapshot).ends_with(b"\"changes\":[]}\n\n"));
    }
}
