//! Live order dashboards for the OnCare Medicine Ordering System: a change that any client commits to PostgreSQL is on
//! every open dashboard of its sales rep at once.
//!
//! # The way of one change
//!
//! Whose orders a page or a stream shows is its **scope**: one rep's orders, or all of them (`order/scope.rs`).
//!
//! 1. **Trigger.** Somebody commits `update orders_order set status = 'shipped' …`, with psql, a Django admin, anything. A
//!    trigger (`sql/0037_triggers.sql`) writes one row to `live.order_event` in the same transaction. Who, when and in which
//!    transaction are defaults of that table's columns (`sql/0002_live_tables.sql`). The trigger sends `NOTIFY live_orders` only
//!    if the listener *sleeps*. The listener shows that it sleeps by holding advisory locks (`store/tail/sleep.rs`). While
//!    commits overlap or are frequent it stays *awake* and reads every few milliseconds instead (`live/pace.rs`), because
//!    transactions that notify can't share one flush to disk.
//! 2. **Listener.** `live/heard.rs` takes the notification, and `live/listener.rs` reads a batch (`store/tail/batch.rs`): the
//!    events committed since its [`cursor`], and the changed rows, in one snapshot. If at most 500 reps have streams or poll,
//!    and nobody shows all orders, it reads only their events. A notification is only a hint: what was committed while the
//!    connection was down is in the next batch.
//! 3. **Hub.** For each open scope the listener keeps the statistics (`live/baseline.rs`). They are read once, at the scope's
//!    first change, and then moved on event by event. Each scope's part of the batch becomes one **frame**
//!    (`live/frame.rs`), encoded once. The hub (`live/hub.rs`) puts it into the **mailbox** (`live/mailbox.rs`) of each stream
//!    of that scope. A mailbox that is full is emptied, and its stream reads its whole state again (`store/tail/sync.rs`).
//!    Nobody waits for a slow reader.
//! 4. **Stream.** `web/stream/open.rs` checked who asks when the stream was opened. `live/stream.rs` drops what the browser
//!    has already been sent. `web/stream/response.rs` writes the rest as a server-sent event, over HTTP/1 on a connection
//!    taken over from [`http`], which keeps no buffers for an idle one.
//! 5. **Browser** (`static/js`). One tab holds the stream (`live/stream.js`) and hands events to the others (`live/shared_stream.js`). In
//!    each tab `live/connection.js` drops states older than the one shown, and polls (`live/poll.js`) while there is no stream. A list
//!    (`list/order_list.js`) keeps its truth in a book (`list/book.js`), and a markup shows what changed (`list/markup.js`); an order's page (`order_page.js`) reads itself again
//!    (`order/renewal.js`, `order/parts.js`). `news/news.js` tells the person, as their preferences say: bell, toasts, sound, desktop.
//!    On the shop's own pages, which know nothing of us, the same connection and book serve a markup of theirs (`host/`), from one
//!    classic script in place of the shop's (`web/page/assets.rs`).
//!
//! Statistics do not count the orders as long as there is a valid **fold**. It (`live/fold_task.rs`, `store/tail/fold.rs`) sums events into
//! `live.order_stats`, and readers add the events since. Without one (a new database, a restored dump, very many events at once)
//! the orders are counted, which is slower and equally exact. When commits are few it also enters the events in
//! `live.order_timeline`, by which an order's page finds them. A **canary** proves every five seconds that notifications arrive,
//! and an **audit** (`live/audit.rs`) that a stream holds what the database does, in the same snapshot.
//! What many ask at the same time, as when thousands of pages come back, is answered by one statement (`store/database/gather.rs`).
//! A poll for which nothing changed is answered from what the listener has seen (`live/recency.rs`). A background task that
//! fails begins anew (`live/supervise.rs`); what can't be read is left out or skipped, and whom it concerns read their state anew.
//!
//! # Rules that the browser knows as well
//!
//! What a page can be told with its data is told so: the ranks of statuses, limits, addresses, what can be done with an order.
//! What it must decide by itself, as what its stream tells is the same for many pages, has one table of cases in `tests/cases`,
//! which runs against the server and against the browser's module: which orders a list has and where (`store/orders/list.rs`,
//! `static/js/list/listing.js`), what is news (`store/people/bell.rs`, `news/is_news.js`), amounts, durations and the words of changes.
//!
//! # The rooms, and who may know whom
//!
//! Each knows only rooms above it. `tests/it/imports.rs` holds that no two rooms, folders or files know each other in a circle;
//! the "knows" column is kept by hand.
//!
//! | room | what lives there | knows |
//! |---|---|---|
//! | [`counted`] | counters by label, and of requests: pure | nothing |
//! | [`order`] | ids, codes, money, filter, page, row, change, statistics: pure | nothing |
//! | [`cursor`] | snapshot, revision, epoch: pure | nothing |
//! | [`password`] | Django's password formats, and the queue for the places in which passwords are hashed | seldom |
//! | [`django`] | what Django writes of who is signed in: keys, signatures, sessions; pure | nothing |
//! | [`http`] | the accept loop, what clients may hold and for how long, and connections that a handler takes over | network, security |
//! | [`open_files`] | the limit of open files, and its shares | nothing |
//! | [`proxy`] | what a proxy before host and service must be told | nothing |
//! | [`health`] | asking a service that runs whether it is well | nothing |
//! | [`routes`] | a router that knows its routes | nothing |
//! | [`network`] | from where a request came, through which proxies; pure | nothing |
//! | [`security`] | the security log, and its counters | order, counted |
//! | [`log`] | what is written to the log, how often, and on one line | security |
//! | [`seldom`] | what is said in the log once in a while | nothing |
//! | [`store`] | pool, TLS, migrations, every SQL statement beside its row mapping | order, cursor, django, seldom |
//! | [`live`] | listener, hub, mailbox, frame, stream, fold, canary; no HTTP | store, order, cursor, security, network, counted |
//! | [`web`] | sessions, pages, API, stream over HTTP, every route; no SQL | live, store, order, cursor, password, network, security, seldom, http, routes, counted |
//! | [`config`] | arguments, environment and file put together | store, order, django, network, proxy |
//! | [`sign_on_check`] | whether the host can sign people on, for the doctor and the log at start | store, config, django |
//! | [`doctor`] | the diagnosis | store |
//! | [`ops`] | metrics, health, the ops page | live, store, security, counted, order, http, routes, sign_on_check, doctor |
//! | [`server`] | everything put together | all of these |
//! | [`demo`] | private cluster, demonstration | server, config, store, order, password |
//!
//! [`store`], [`live`] and [`web`] each begin with a map of their own.

pub mod config;
pub mod counted;
pub mod cursor;
pub mod demo;
pub mod django;
pub mod doctor;
pub mod health;
pub mod http;
pub mod live;
pub mod log;
pub mod network;
pub mod open_files;
pub mod ops;
pub mod order;
pub mod password;
pub mod proxy;
pub mod routes;
pub mod security;
pub mod seldom;
pub mod server;
pub mod sign_on_check;
pub mod store;
pub mod web;
