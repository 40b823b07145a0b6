//! What single steps cost: reading and comparing cursors, encoding a frame, publishing it. Run with `cargo bench`.

#![allow(clippy::unwrap_used, reason = "a benchmark that can't go on fails")]

use std::sync::Arc;

use chrono::{DateTime, Utc};
use divan::{Bencher, black_box};
use oncare_live::cursor::Cursor;
use oncare_live::live::{Frame, Hub, Meter, StreamCaps, Subscriber, Subscription};
use oncare_live::network::PerAddress;
use oncare_live::order::{
    Money, Operation, OrderEvent, OrderId, OrderRow, PaymentStatus, RepId, Scope, Status, Summary, UserId, Writer,
};
use oncare_live::store::{Changed, Listed, SessionKey};

fn main() {
    divan::main();
}

/// A snapshot with so many transactions in progress.
fn cursor(in_progress: u64) -> String {
    let xip: Vec<String> = (0..in_progress).map(|n| (1_000_000 + 3 * n).to_string()).collect();
    format!("00000000000000ff/1000000:2000000:{}", xip.join(","))
}

#[divan::bench(args = [0, 16, 200])]
fn cursor_parse(bencher: Bencher, in_progress: u64) {
    let text = cursor(in_progress);
    bencher.bench(|| black_box(&text).parse::<Cursor>().unwrap());
}

#[divan::bench(args = [0, 16, 200])]
fn cursor_has(bencher: Bencher, in_progress: u64) {
    let cursor: Cursor = cursor(in_progress).parse().unwrap();
    bencher.bench(|| black_box(&cursor).snapshot.has(black_box(1_500_001)));
}

#[divan::bench]
fn cursor_order(bencher: Bencher) {
    let (one, other): (Cursor, Cursor) = (cursor(16).parse().unwrap(), cursor(17).parse().unwrap());
    bencher.bench(|| black_box(&one).revision().partial_cmp(&black_box(&other).revision()));
}

fn event(id: i64, at: DateTime<Utc>) -> OrderEvent {
    OrderEvent {
        id,
        xid: 1_500_000,
        at,
        operation: Operation::Update,
        order: Some(OrderId(id)),
        order_number: Some(format!("ORD-2025-{id:05}")),
        rep: (Some(RepId(1)), Some(RepId(1))),
        status: (Some(Status::Pending), Some(Status::Processing)),
        payment_status: (Some(PaymentStatus::Pending), Some(PaymentStatus::Pending)),
        total: (None, None),
        items_delta: None,
        other: Vec::new(),
        writer: Writer { user: Some("rx".to_owned()), application: None },
        of_new_order: None,
    }
}

fn row(id: i64, at: DateTime<Utc>) -> OrderRow {
    OrderRow {
        id: OrderId(id),
        order_number: format!("ORD-2025-{id:05}"),
        customer_name: "Maria Santos".to_owned(),
        status: Status::Processing,
        payment_status: PaymentStatus::Pending,
        items_count: 3,
        total_amount: Some(Money::default()),
        created_at: Some(at),
    }
}

/// A frame that tells so many changed orders.
fn patch(orders: i64) -> impl Fn() -> Frame {
    let at = Utc::now();
    let events: Vec<OrderEvent> = (1..=orders).map(|id| event(id, at)).collect();
    let listed = |id| Listed { row: row(id, at), rep: Some(RepId(1)), rep_name: None };
    let changed = Changed { rows: (1..=orders).map(|id| (OrderId(id), listed(id))).collect(), ..Changed::default() };
    let cursor: Arc<Cursor> = Arc::new(cursor(4).parse().unwrap());
    move || {
        let events: Vec<&OrderEvent> = events.iter().collect();
        Frame::patch(Scope::Rep(RepId(1)), &Summary::default(), &events, &changed, &cursor, chrono_tz::UTC)
    }
}

#[divan::bench(args = [1, 20, 1_000])]
fn frame_encode(bencher: Bencher, orders: i64) {
    let patch = patch(orders);
    bencher.bench(patch);
}

#[divan::bench(args = [1, 20])]
fn statistics_advance(bencher: Bencher, events: i64) {
    let at = Utc::now();
    let events: Vec<OrderEvent> = (1..=events).map(|id| event(id, at)).collect();
    let mut summary = Summary::default();
    bencher.bench_local(|| black_box(&events).iter().for_each(|event| summary.apply(event, Scope::Rep(RepId(1)))));
}

fn subscriber(rep: i64, session: [u8; 32]) -> Subscriber {
    let place = [192, 0, 2, 1].into();
    let scope = Scope::Rep(RepId(rep));
    Subscriber { scope, sight: None, session: SessionKey(session), user: UserId(rep), place }
}

/// A hub with so many reps, each with so many streams.
fn hub(reps: i64, streams: usize) -> (Arc<Hub>, Vec<Subscription>) {
    let per_address = PerAddress { most: usize::MAX, spares_this_machine: true };
    let caps = StreamCaps { all: usize::MAX, per_address, per_user: usize::MAX };
    let hub = Arc::new(Hub::new(Arc::new(Meter::default()), caps));
    let subscribe = |rep, stream: usize| {
        let mut session = [0; 32];
        session[..8].copy_from_slice(&(stream as u64 / 20).to_le_bytes());
        hub.subscribe(subscriber(rep, session)).unwrap()
    };
    let subscriptions =
        (0..reps).flat_map(|rep| (0..streams).map(move |n| (rep, n))).map(|(r, n)| subscribe(r, n)).collect();
    (hub, subscriptions)
}

/// Hands out one frame.
fn deliver() -> impl Fn(&Hub) {
    let frame = Arc::new(patch(1)());
    move |hub| {
        let concerned = std::collections::HashMap::from([(Scope::Rep(RepId(0)), Some(Arc::clone(&frame)))]);
        hub.deliver(&frame.cursor, true, concerned);
    }
}

/// One frame to one rep's only stream, beside so many others.
#[divan::bench(args = [1, 10_000])]
fn hub_deliver_to_one_of(bencher: Bencher, reps: i64) {
    let deliver = deliver();
    bencher.with_inputs(|| hub(reps, 1)).bench_local_refs(|(hub, _)| deliver(hub));
}

/// One frame to all of one rep's streams.
#[divan::bench(args = [100, 10_000])]
fn hub_deliver_to_all_of(bencher: Bencher, streams: usize) {
    let deliver = deliver();
    bencher.with_inputs(|| hub(1, streams)).bench_local_refs(|(hub, _)| deliver(hub));
}

/// A stream that comes and goes, beside so many others.
#[divan::bench(args = [1, 10_000])]
fn hub_subscribe_among(bencher: Bencher, reps: i64) {
    let (hub, _subscriptions) = hub(reps, 1);
    let subscriber = subscriber(0, [1; 32]);
    bencher.bench_local(|| hub.subscribe(subscriber).unwrap());
}
