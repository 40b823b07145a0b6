//! A request's body, which must arrive in time.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::http::Request;
use hyper::body::{Frame, Incoming, SizeHint};
use tokio::time::{Sleep, sleep};

use super::hearing::Question;

/// In a request's extensions: whether its body did not arrive in time. Who reads it sees that as an error of the body.
#[derive(Debug, Clone, Default)]
pub struct Late(Arc<Arrival>);

#[derive(Debug, Default)]
struct Arrival {
    is_late: AtomicBool,
    is_complete: AtomicBool,
}

impl Late {
    /// Whether it did not.
    #[must_use]
    pub fn is_late(&self) -> bool {
        self.0.is_late.load(Relaxed)
    }

    /// Whether it was read to its end.
    pub(super) fn is_complete(&self) -> bool {
        self.0.is_complete.load(Relaxed)
    }
}

/// Has the body of a request, if it has one, arrive within a time, however it comes. Whether it did is told once it was read.
pub(super) fn hasten(
    request: Request<Incoming>,
    patience: Duration,
    asked: &Arc<Question>,
) -> (Request<Body>, Option<Late>) {
    if request.body().is_end_stream() {
        asked.hear();
        return (request.map(Body::new), None);
    }
    let late = Late::default();
    let (arrives, asked) = (late.clone(), Arc::clone(asked));
    let mut request = request.map(|body| Body::new(Upload { body, patience, alarm: None, late: arrives, asked }));
    request.extensions_mut().insert(late.clone());
    (request, Some(late))
}

struct Upload {
    body: Incoming,
    patience: Duration,
    /// Set once somebody has had to wait for it.
    alarm: Option<Pin<Box<Sleep>>>,
    late: Late,
    asked: Arc<Question>,
}

impl HttpBody for Upload {
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = self.get_mut();
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(cx) {
            if frame.is_none() || this.body.is_end_stream() {
                this.late.0.is_complete.store(true, Relaxed);
                this.asked.hear();
            }
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        let patience = this.patience;
        ready!(this.alarm.get_or_insert_with(|| Box::pin(sleep(patience))).as_mut().poll(cx));
        this.late.0.is_late.store(true, Relaxed);
        Poll::Ready(Some(Err(io::Error::from(io::ErrorKind::TimedOut).into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
