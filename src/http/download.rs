//! Answers over HTTP/2, whose client may stop reading one of them while it reads others.
//!
//! A body of HTTP/2 is not asked for more while its client grants no window, so that no deadline within it would ever run. The
//! task of the exchange, which hyper has us run, looks at it from outside.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};
use hyper::rt::Executor;
use tokio::sync::Notify;
use tokio::time::{Instant, Sleep, sleep_until, timeout};

use super::allowance::Allowance;
use super::connections::{Connections, Place, TooSlow};
use super::hearing::Question;

/// What is handed to hyper at a time. It keeps of an answer what its client does not take, and of the last piece without having
/// the exchange wait for that.
const PIECE: usize = 16 * 1_024;

tokio::task_local! {
    /// Of the exchange that runs.
    static READING: Arc<Reading>;
}

/// In a response's extensions: tells, while its client does not read, that the response ends anyhow.
#[derive(Clone)]
pub struct Ends(Arc<Asked>);

type Asked = dyn Fn(&mut Context<'_>) -> Poll<()> + Send + Sync;

impl Ends {
    /// `ends` is asked in the response's task, and wakes it.
    pub fn new(ends: impl Fn(&mut Context<'_>) -> Poll<()> + Send + Sync + 'static) -> Self {
        Self(Arc::new(ends))
    }
}

/// How the client reads one answer.
struct Reading {
    state: Mutex<State>,
    ends: OnceLock<Ends>,
}

struct State {
    allowance: Allowance,
    /// The piece that the client has not been seen to take.
    handed_out: usize,
}

impl Reading {
    fn new(patience: Duration) -> Self {
        let state = State { allowance: Allowance::new(patience), handed_out: 0 };
        Self { state: Mutex::new(state), ends: OnceLock::new() }
    }

    /// More is asked for.
    fn asks(&self) {
        let mut state = self.lock();
        let taken = std::mem::take(&mut state.handed_out);
        if taken > 0 {
            state.allowance.take(taken, Instant::now());
        }
    }

    fn hand_out(&self, bytes: usize) {
        let mut state = self.lock();
        state.handed_out = bytes;
        state.allowance.wait(Instant::now());
    }

    fn catch_up(&self) {
        self.lock().allowance.catch_up();
    }

    fn deadline(&self) -> Option<Instant> {
        self.lock().allowance.deadline()
    }

    /// Returns when the client has not read for too long (`true`), or does not read what ends anyhow. To be polled after the
    /// exchange, in its task.
    async fn stalled(&self) -> bool {
        let mut alarm: Option<Pin<Box<Sleep>>> = None;
        poll_fn(|cx| {
            let Some(deadline) = self.deadline() else { return Poll::Pending };
            if self.ends.get().is_some_and(|Ends(ends)| ends(cx).is_ready()) {
                return Poll::Ready(false);
            }
            let alarm = alarm.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
            if alarm.deadline() != deadline {
                alarm.as_mut().reset(deadline);
            }
            alarm.as_mut().poll(cx).map(|()| true)
        })
        .await
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs the exchanges of one connection.
#[derive(Clone)]
pub(super) struct Exchanges(Arc<Running>);

struct Running {
    connections: Arc<Connections>,
    count: AtomicUsize,
    changed: Notify,
}

impl Exchanges {
    pub(super) fn new(connections: Arc<Connections>) -> Self {
        Self(Arc::new(Running { connections, count: AtomicUsize::new(0), changed: Notify::new() }))
    }

    /// Returns when there was none for so long.
    pub(super) async fn unused(&self, patience: Duration) {
        loop {
            let changed = self.0.changed.notified();
            if self.0.count.load(Relaxed) > 0 {
                changed.await;
            } else if timeout(patience, changed).await.is_err() {
                return;
            }
        }
    }
}

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Exchanges {
    fn execute(&self, exchange: F) {
        let counted = Counted::new(&self.0);
        tokio::spawn(async move {
            let connections = &counted.0.connections;
            let reading = Arc::new(Reading::new(connections.patience()));
            let exchange = READING.scope(Arc::clone(&reading), exchange);
            tokio::select! {
                biased;
                () = exchange => {}
                // dropping the exchange resets its stream
                is_too_slow = reading.stalled() => if is_too_slow {
                    connections.give_up(TooSlow::Answer);
                }
            }
        });
    }
}

/// One exchange more, until it is dropped.
struct Counted(Arc<Running>);

impl Counted {
    fn new(running: &Arc<Running>) -> Self {
        running.count.fetch_add(1, Relaxed);
        running.changed.notify_one();
        Self(Arc::clone(running))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.count.fetch_sub(1, Relaxed);
        self.0.changed.notify_one();
    }
}

/// The body of an answer, with what its client holds until its end.
pub(super) struct Download {
    body: Body,
    /// What of a frame was not handed out yet.
    rest: Bytes,
    /// How it is read, over HTTP/2.
    reading: Option<Arc<Reading>>,
    _place: Option<Place>,
    _asked: Arc<Question>,
}

impl Download {
    /// Over HTTP/1, where the socket tells whether the client reads.
    pub(super) fn plain(body: Body, place: Option<Place>, asked: Arc<Question>) -> Self {
        Self { body, rest: Bytes::new(), reading: None, _place: place, _asked: asked }
    }

    /// Over HTTP/2, in the task of the exchange.
    pub(super) fn watched(body: Body, place: Option<Place>, asked: Arc<Question>, ends: Option<&Ends>) -> Self {
        let reading = READING.try_with(Arc::clone).ok();
        if let (Some(reading), Some(ends)) = (&reading, ends) {
            // an exchange has one answer
            let _ = reading.ends.set(ends.clone());
        }
        Self { body, rest: Bytes::new(), reading, _place: place, _asked: asked }
    }

    fn poll_whole(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }
}

impl HttpBody for Download {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = self.get_mut();
        let Some(reading) = this.reading.clone() else { return this.poll_whole(cx) };
        reading.asks();
        if this.rest.is_empty() {
            match this.poll_whole(cx) {
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => this.rest = data,
                    Err(other) => return Poll::Ready(Some(Ok(other))),
                },
                nothing => {
                    reading.catch_up();
                    return nothing;
                }
            }
        }
        let piece = this.rest.split_to(this.rest.len().min(PIECE));
        reading.hand_out(piece.len());
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        if self.rest.is_empty() { self.body.size_hint() } else { SizeHint::default() }
    }
}
