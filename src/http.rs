//! Accepting connections and serving a router on them, with the time-outs that `axum::serve` lacks, and with connections
//! that a handler may take over.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, Request, StatusCode, Version, header};
use axum::response::Response;
use futures_util::future::BoxFuture;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use crate::network::Peer;

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 4_096;

/// How long a client may take to send a request's head.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// After how long a peer that acknowledges nothing is given up. Pings make sure that there is something to acknowledge: also
/// where they come every 18 s at the latest, whoever vanished is gone within half a minute.
#[cfg(target_os = "linux")]
const USER_TIMEOUT: Duration = Duration::from_secs(11);

/// How often HTTP/2 and idle TCP connections are asked for a sign of life.
const KEEP_ALIVE: Duration = Duration::from_secs(20);

/// What the kernel may buffer for one reader. A reader that stops would otherwise hold megabytes.
const SEND_BUFFER: usize = 64 * 1_024;

/// Pause between two looks at a preface that comes in parts.
const PREFACE_PAUSE: Duration = Duration::from_millis(10);

/// Pause after a failed accept, as when the process has no file left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Binds a listener with a backlog that stands a storm of reconnects.
///
/// # Errors
/// If the address is taken or not this machine's.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    let listener = socket.listen(BACKLOG)?;
    tune(&listener)?;
    Ok(listener)
}

/// Accepted sockets inherit these from their listener.
fn tune(listener: &TcpListener) -> io::Result<()> {
    let socket = SockRef::from(listener);
    socket.set_tcp_nodelay(true)?;
    socket.set_send_buffer_size(SEND_BUFFER)?;
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEP_ALIVE).with_interval(KEEP_ALIVE / 4))?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(USER_TIMEOUT))?;
    Ok(())
}

/// A connection that its handler has for itself from now on.
pub struct Taken {
    /// The socket. Nothing of the response is written yet.
    pub socket: TcpStream,
    /// The response's head, to be written first.
    pub head: Vec<u8>,
    /// Whether what follows is to be in chunks (HTTP/1.1), or ends with the connection (HTTP/1.0).
    pub is_chunked: bool,
}

type Taking = Box<dyn FnOnce(Taken) -> BoxFuture<'static, ()> + Send>;

/// In a request's extensions: its handler may take the connection over. A connection that is served in the ordinary way
/// keeps buffers of 16 kB and more for as long as it lives, which is too much for one that only waits.
#[derive(Clone, Copy)]
pub struct MayTakeOver;

/// In a response's extensions: its handler takes the connection over. The response's body is not looked at.
#[derive(Clone)]
pub struct TakeOver(Arc<Mutex<Option<Taking>>>);

impl TakeOver {
    /// `taking` writes the response, and closes the connection at its end.
    pub fn new<F: Future<Output = ()> + Send + 'static>(taking: impl FnOnce(Taken) -> F + Send + 'static) -> Self {
        Self(Arc::new(Mutex::new(Some(Box::new(|taken| Box::pin(taking(taken)))))))
    }
}

/// Serves until `stop` is ready, then lets requests and taken connections finish for at most `grace`.
pub async fn serve(listener: TcpListener, router: Router, stop: impl Future<Output = ()>, grace: Duration) {
    let (tasks, stopping) = (TaskTracker::new(), CancellationToken::new());
    let accepted_before = AtomicU64::default();
    tokio::pin!(stop);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut stop => break,
        };
        match accepted {
            Ok((socket, address)) => {
                let peer = Peer { address, connection: accepted_before.fetch_add(1, Relaxed) };
                let (router, stopping) = (router.clone(), stopping.clone());
                let follow_up = tasks.clone();
                tasks.spawn(async move { converse(socket, peer, router, stopping, follow_up).await });
            }
            Err(error) => {
                tracing::warn!(%error, "could not accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    stopping.cancel();
    tasks.close();
    if tokio::time::timeout(grace, tasks.wait()).await.is_err() {
        tracing::warn!("some requests did not finish in time");
    }
}

/// One connection's life, or its beginning, if a handler takes it over.
async fn converse(socket: TcpStream, peer: Peer, router: Router, stopping: CancellationToken, tasks: TaskTracker) {
    let speaks_http2 = tokio::time::timeout(HEADER_TIMEOUT, begins_with_preface(&socket)).await;
    let ended = match speaks_http2 {
        Ok(Ok(true)) => over_http2(socket, peer, router, stopping).await,
        Ok(Ok(false)) => over_http1(socket, peer, router, stopping, tasks).await,
        _ => return,
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended");
    }
}

async fn over_http2(socket: TcpStream, peer: Peer, router: Router, stopping: CancellationToken) -> hyper::Result<()> {
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer);
        router.clone().oneshot(request)
    });
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder.timer(TokioTimer::new()).keep_alive_interval(KEEP_ALIVE);
    let mut connection = Box::pin(builder.serve_connection(TokioIo::new(socket), service));
    tokio::select! {
        ended = &mut connection => return ended,
        () = stopping.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    connection.await
}

async fn over_http1(
    socket: TcpStream,
    peer: Peer,
    router: Router,
    stopping: CancellationToken,
    tasks: TaskTracker,
) -> hyper::Result<()> {
    let (takes, mut taken) = oneshot::channel();
    let takes = Arc::new(Mutex::new(Some(takes)));
    let service = service_fn(move |request| answer(router.clone(), peer, request, Arc::clone(&takes)));
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT);
    let mut connection = builder.serve_connection(TokioIo::new(socket), service);
    let mut is_stopping = false;
    let (head, is_chunked, taking): (Vec<u8>, bool, Taking) = loop {
        tokio::select! {
            ended = &mut connection => return ended,
            Ok(taken) = &mut taken => break taken,
            () = stopping.cancelled(), if !is_stopping => {
                is_stopping = true;
                std::pin::Pin::new(&mut connection).graceful_shutdown();
            }
        }
    };
    // nothing is left in it: the answers to earlier requests were complete before this one's handler was asked
    let socket = connection.into_parts().io.into_inner();
    // a task of its own, as small as what is left to do
    tasks.spawn(taking(Taken { socket, head, is_chunked }));
    Ok(())
}

type Takes = Arc<Mutex<Option<oneshot::Sender<(Vec<u8>, bool, Taking)>>>>;

/// The router's answer. It never comes where a handler takes the connection over.
async fn answer(
    router: Router,
    peer: Peer,
    mut request: Request<Incoming>,
    takes: Takes,
) -> Result<Response, Infallible> {
    let version = request.version();
    request.extensions_mut().insert(MayTakeOver);
    request.extensions_mut().insert(peer);
    let response = router.oneshot(request).await?;
    let lock = |TakeOver(taking): &TakeOver| taking.lock().unwrap_or_else(PoisonError::into_inner).take();
    let Some(taking) = response.extensions().get::<TakeOver>().and_then(lock) else { return Ok(response) };
    let Some(takes) = takes.lock().unwrap_or_else(PoisonError::into_inner).take() else { return Ok(response) };
    let is_chunked = version == Version::HTTP_11;
    let head = head(response.status(), response.headers(), is_chunked);
    match takes.send((head, is_chunked, taking)) {
        Ok(()) => std::future::pending().await,
        Err(_) => Ok(Response::new(Body::empty())),
    }
}

/// A response's head in HTTP/1. The connection ends with the response, as nothing is read from it any more.
fn head(status: StatusCode, headers: &HeaderMap, is_chunked: bool) -> Vec<u8> {
    let version = if is_chunked { "HTTP/1.1" } else { "HTTP/1.0" };
    let mut head = format!("{version} {status}\r\n").into_bytes();
    let mut line = |name: &HeaderName, value: &[u8]| {
        for part in [name.as_str().as_bytes(), b": ", value, b"\r\n"] {
            head.extend_from_slice(part);
        }
    };
    headers.iter().for_each(|(name, value)| line(name, value.as_bytes()));
    line(&header::DATE, httpdate::fmt_http_date(SystemTime::now()).as_bytes());
    line(&header::CONNECTION, b"close");
    if is_chunked {
        line(&header::TRANSFER_ENCODING, b"chunked");
    }
    head.extend_from_slice(b"\r\n");
    head
}

/// Whether the client begins with the preface of HTTP/2. hyper would find out as well, but without a time-out, so that a
/// client that says nothing would hold its connection for ever.
async fn begins_with_preface(stream: &TcpStream) -> io::Result<bool> {
    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let mut first = [0; PREFACE.len()];
    loop {
        match stream.peek(&mut first).await? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            length if first[..length] != PREFACE[..length] => return Ok(false),
            length if length == PREFACE.len() => return Ok(true),
            // a part of it: what was peeked at stays there, so that only time tells whether more comes
            _ => tokio::time::sleep(PREFACE_PAUSE).await,
        }
    }
}
