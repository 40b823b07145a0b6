//! Live order dashboards for the OnCare Medicine Ordering System: a change that any client commits to PostgreSQL is on
//! every open dashboard of its sales rep at once.
//!
//! # The way of one change
//!
//! 1. Somebody commits `update orders_order set status = 'shipped' …`, with psql, from a Django admin, anywhere. The
//!    trigger (`sql/0019_triggers.sql`) has recorded who changed what in `live.order_event`, in the same transaction, and
//!    sends `NOTIFY live_orders` if the listener sleeps, which it says with advisory locks (`store/tail/sleep.rs`). While
//!    commits overlap or are frequent it is awake and reads by itself (`live/pace.rs`), so that they can share a flush.
//! 2. The **listener** ([`live`], `listener.rs`) reads a batch from the [`store`]: the events that were committed since its
//!    [`cursor`] and the changed rows, in one snapshot and one statement; while few reps have a page open, only theirs. The
//!    notification was only a hint. What was committed while it was disconnected is in the next batch, so nothing is lost.
//! 3. It knows the statistics of each rep who has a page open (`baseline.rs`) and moves them on by the batch's events. With
//!    them the batch becomes one **frame** for each rep (`frame.rs`), encoded once, which the **hub** (`hub.rs`) puts into the
//!    **mailboxes** of that rep's streams (`mailbox.rs`). A full mailbox is emptied and its stream reads its state anew:
//!    nobody waits for a slow reader.
//! 4. Each **stream** (`stream.rs`) drops what is not newer than what it sent. [`web`] has checked whose it is, and writes
//!    the rest to its browser as a server-sent event, over HTTP/1 on a connection that it has taken over from [`http`],
//!    which keeps no buffers for one that only waits.
//! 5. In the browser one page has the stream for all that are open (`static/js/shared_stream.js`, `stream.js`) and hands the
//!    event on; in each, `patch.js` sets the texts and attributes that changed, unless the page knows a newer revision already,
//!    and `news.js` tells the person what changed, as they prefer (`store/people/preferences.rs`): by the bell, toasts, a sound, the desktop.
//!    An order's page, which shows more than an event tells, reads itself anew (`renewal.js`, `parts.js`).
//!
//! Statistics never count the orders: the **fold** (`live/fold_task.rs`, `store/tail/fold.rs`) sums events into
//! `live.order_stats`, and readers add the events since. When commits are few it also enters the events in
//! `live.order_timeline`, by which an order's page finds them. A **canary** proves every five seconds that notifications arrive.
//! What many ask at the same time, as when thousands of pages come back, is answered by one statement (`store/database/gather.rs`).
//! A poll for which nothing changed is answered from what the listener has seen (`live/recency.rs`). A background task that
//! fails begins anew (`live/supervise.rs`); what can't be read is left out or skipped, and whom it concerns read their state anew.
//!
//! # Rules that the browser knows as well
//!
//! What a page can be told with its data is told so: the ranks of statuses, limits, addresses, what can be done with an order.
//! What it must decide by itself, as what its stream tells is the same for many pages, has one table of cases in `tests/cases`,
//! which runs against the server and against the browser's module: which orders a list has and where (`store/orders/list.rs`,
//! `static/js/listing.js`), what is news (`store/people/bell.rs`, `is_news.js`), amounts, durations and the words of changes.
//!
//! # The rooms, and who may know whom
//!
//! Each knows only rooms that stand above it; so do the folders and files within (`tests/it/imports.rs`).
//!
//! | room | what lives there | knows |
//! |---|---|---|
//! | [`order`] | ids, codes, money, filter, page, row, change, statistics: pure | nothing |
//! | [`cursor`] | snapshot, revision, epoch: pure | nothing |
//! | [`password`] | Django's password formats | nothing |
//! | [`http`] | the accept loop, and connections that a handler takes over | nothing |
//! | [`store`] | pool, TLS, migrations, every SQL statement beside its row mapping | order, cursor |
//! | [`live`] | listener, hub, mailbox, frame, stream, fold, canary; no HTTP | store, order, cursor |
//! | [`web`] | sessions, pages, API, stream over HTTP, every route; no SQL | live, store, order, cursor, password, http |
//! | [`ops`] | metrics and health | live, store |
//! | [`config`] | arguments and environment | store, order |
//! | [`server`] | everything put together | all of these |
//! | [`doctor`] | the diagnosis | store |
//! | [`demo`] | private cluster, demonstration | server, config, store, password |
//!
//! [`store`], [`live`] and [`web`] each begin with a map of their own.

pub mod config;
pub mod cursor;
pub mod demo;
pub mod doctor;
pub mod http;
pub mod live;
pub mod ops;
pub mod order;
pub mod password;
pub mod server;
pub mod store;
pub mod web;
