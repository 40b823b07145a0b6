//! A stream of events over HTTP: over HTTP/1 on a connection that it takes over, so that a stream on which nothing happens
//! costs no more than its socket; over HTTP/2 as an ordinary body.

use std::convert::Infallible;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use async_stream::stream;
use axum::body::Body;
use axum::http::{HeaderName, Version, header, request};
use axum::response::{IntoResponse, Response};
use bytes::{Buf, Bytes};
use futures_util::stream::pending;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::http::{Ends, MayTakeOver, Place, TakeOver, Taken, TooSlow};
use crate::live::{EventStream, Outgoing};

/// How long the end of a response may take.
const END_PATIENCE: Duration = Duration::from_secs(2);

/// What a client may send after its request, in bytes. A browser sends nothing.
const MOST_UNASKED: usize = 64 * 1_024;

/// Whether the connection of a request can be taken over.
pub(crate) fn may_take_over(request: &request::Parts) -> bool {
    request.version < Version::HTTP_2 && request.extensions.get::<MayTakeOver>().is_some()
}

/// What is said of a stream before it begins.
pub(crate) fn headers() -> [(HeaderName, &'static str); 3] {
    [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-store, no-transform"),
        (HeaderName::from_static("x-accel-buffering"), "no"),
    ]
}

/// The response with that stream.
pub(crate) fn respond(events: EventStream, takes_over: bool) -> Response {
    if takes_over {
        // of unknown length, so that no Content-Length is sent
        let body = Body::from_stream(pending::<Result<Bytes, Infallible>>());
        let mut response = (headers(), body).into_response();
        response.extensions_mut().insert(TakeOver::new(|taken| write(events, taken)));
        return response;
    }
    let mut events = events;
    let ends = Ends::new(events.ending());
    let body = stream! {
        while let Some(told) = poll_fn(|cx| events.poll_next(cx)).await {
            events.written(&told);
            yield Ok::<_, Infallible>(told.bytes);
        }
    };
    let mut response = (headers(), Body::from_stream(body)).into_response();
    response.extensions_mut().insert(ends);
    response
}

/// Writes the stream to its end, or until the client is gone.
async fn write(mut events: EventStream, Taken { socket, head, is_chunked, place }: Taken) {
    let mut connection = Connection { socket, is_chunked, unasked: 0, place };
    // goes out together with the first event
    let mut head = Bytes::from(head);
    while let Some(told) = poll_fn(|cx| next_unless_gone(&mut events, &mut connection, cx)).await {
        match connection.write_at_once(std::mem::take(&mut head), told.bytes.clone()) {
            Ok(None) => events.written(&told),
            Ok(Some(rest)) => {
                if !Box::pin(write_slowly(&mut events, &mut connection, told, rest)).await {
                    return;
                }
            }
            Err(_) => return,
        }
    }
    Box::pin(connection.end()).await;
}

/// The next thing to write. Nothing comes any more at the end, and when the client is gone.
fn next_unless_gone(
    events: &mut EventStream,
    connection: &mut Connection,
    cx: &mut Context<'_>,
) -> Poll<Option<Outgoing>> {
    match events.poll_next(cx) {
        Poll::Pending => connection.poll_gone(cx).map(|()| None),
        told => told,
    }
}

/// Writes what the socket did not take at once, for a reader that is slow. A goodbye ends that: the reader is not waited
/// for. One write may take as long as a client has patience with: what comes later is not news any more. Whether the stream goes on.
async fn write_slowly(
    events: &mut EventStream,
    connection: &mut Connection,
    told: Outgoing,
    mut rest: impl Buf,
) -> bool {
    let patience = connection.place.patience();
    let written = tokio::select! {
        written = timeout(patience, connection.socket.write_all_buf(&mut rest)) => {
            if written.is_err() {
                connection.place.give_up(TooSlow::Answer);
                events.cut();
            }
            matches!(written, Ok(Ok(())))
        },
        goodbye = events.goodbye() => {
            events.end(goodbye);
            false
        }
    };
    if written {
        events.written(&told);
    }
    written
}

/// A connection that only writes.
struct Connection {
    socket: TcpStream,
    is_chunked: bool,
    unasked: usize,
    place: Place,
}

impl Connection {
    /// Writes events, after a head, as far as the socket takes them. Gives what is left, of which nothing is a copy: the
    /// events are shared by all their readers, however slow.
    fn write_at_once(&self, head: Bytes, events: Bytes) -> io::Result<Option<impl Buf + use<>>> {
        let size = if self.is_chunked { format!("{:x}\r\n", events.len()) } else { String::new() };
        let end: &[u8] = if self.is_chunked { b"\r\n" } else { b"" };
        let mut parts = head.chain(Bytes::from(size)).chain(events).chain(Bytes::from_static(end));
        while parts.has_remaining() {
            let mut slices = [IoSlice::new(&[]); 4];
            let filled = parts.chunks_vectored(&mut slices);
            match self.socket.try_write_vectored(&slices[..filled]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => parts.advance(written),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Some(parts)),
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// Ends the response and the connection. Whoever is gone by now needs no end.
    async fn end(&mut self) {
        let end: &[u8] = if self.is_chunked { b"0\r\n\r\n" } else { b"" };
        let ended = timeout(END_PATIENCE, async {
            self.socket.write_all(end).await?;
            self.socket.shutdown().await
        });
        let _ = ended.await;
    }

    /// Ready when the client is gone, or sends what nobody asked for.
    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            if ready!(self.socket.poll_read_ready(cx)).is_err() {
                return Poll::Ready(());
            }
            match self.socket.try_read(&mut [0; 512]) {
                Ok(0) => return Poll::Ready(()),
                Ok(length) => {
                    self.unasked += length;
                    if self.unasked > MOST_UNASKED {
                        return Poll::Ready(());
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return Poll::Ready(()),
            }
        }
    }
}
