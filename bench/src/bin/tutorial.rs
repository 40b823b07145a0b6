//! Server-sent events as tutorials have it: axum's `Sse` with its keep-alive, and a broadcast channel per rep.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::{Query, State};
use axum::response::Sse;
use axum::response::sse::{Event, KeepAlive};
use axum::routing::get;
use clap::Parser;
use futures_util::{Stream, StreamExt};
use oncare_bench::peer::{Arguments, Feed};
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio::sync::broadcast;
use tokio_stream::wrappers::BroadcastStream;

const CAPACITY: usize = 16;

/// The channel of each rep.
type Channels = Arc<Mutex<HashMap<i64, broadcast::Sender<String>>>>;

#[derive(Deserialize)]
struct Asked {
    rep: i64,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let feed = Feed::start(&arguments.database_url).await?;
    let channels = Channels::default();
    #[expect(clippy::disallowed_methods, reason = "it is no part of the service")]
    let router = Router::new().route("/events", get(events)).with_state(Arc::clone(&channels));
    let listener = TcpListener::bind(arguments.listen).await?;
    tokio::spawn(async move { axum::serve(listener, router).await });
    feed.deliver(|rep, payload| {
        let channels = channels.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(channel) = channels.get(&rep) {
            // that nobody listens is no error
            let _ = channel.send(payload.to_owned());
        }
    })
    .await
}

async fn events(
    State(channels): State<Channels>,
    Query(asked): Query<Asked>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let mut channels = channels.lock().unwrap_or_else(PoisonError::into_inner);
    let receiver = channels.entry(asked.rep).or_insert_with(|| broadcast::channel(CAPACITY).0).subscribe();
    let events = BroadcastStream::new(receiver);
    let events = events.filter_map(async |event| event.ok().map(|payload| Ok(Event::default().data(payload))));
    Sse::new(events).keep_alive(KeepAlive::default())
}
