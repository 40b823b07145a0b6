//! Accepting connections and serving a router on them, within what clients may hold, and with connections that a handler may take
//! over. `axum::serve` has none of this.

mod allowance;
mod connections;
mod download;
mod hearing;
mod paced;
mod refusal;
mod taking;
mod upload;

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode, Version, header};
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Semaphore, oneshot};
use tokio::task::unconstrained;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use crate::network::Peer;
pub use connections::{Connections, Limits, Place, TooSlow};
pub use download::Ends;
use download::{Download, Exchanges};
use hearing::{Attention, Question};
use paced::Paced;
use refusal::{REFUSED, RETRY_AFTER};
use taking::Taking;
pub use taking::{MayTakeOver, TakeOver, Taken};
pub use upload::Late;

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 4_096;

/// After how long a peer that acknowledges nothing is given up. Pings make sure that there is something to acknowledge: also
/// where they come every 18 s at the latest, whoever vanished is gone within half a minute.
#[cfg(target_os = "linux")]
const USER_TIMEOUT: Duration = Duration::from_secs(11);

/// How often HTTP/2 and idle TCP connections are asked for a sign of life.
const KEEP_ALIVE: Duration = Duration::from_secs(20);

/// What the kernel may buffer for one reader. A reader that stops would otherwise hold megabytes.
const SEND_BUFFER: usize = 64 * 1_024;

/// The largest head of a request over HTTP/1, in bytes. Over HTTP/2 it is what hyper allows, 16 kB.
const LARGEST_HEAD: usize = 64 * 1_024;

/// Requests that may be under way on one connection of HTTP/2.
const STREAMS_A_CONNECTION: u32 = 100;

/// What may be on its way from a client of HTTP/2 of one request and of all, in bytes.
const WINDOWS: (u32, u32) = (64 * 1_024, 256 * 1_024);

/// How long a connection of HTTP/2 may take to end that is not used any more.
const LAST_PATIENCE: Duration = Duration::from_secs(2);

/// Connections that are being told that there is no room for them. Others are closed without a word.
pub const REFUSALS: usize = 32;

/// Pause between two looks at a preface that comes in parts.
const PREFACE_PAUSE: Duration = Duration::from_millis(10);

/// Pause after a failed accept, as when the process has no file left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How long no other failed accept is said after one.
const QUIET: Duration = Duration::from_secs(10);

/// Takes an address, at which nobody is heard yet: who connects is refused until [`listen`], and asks another instance meanwhile,
/// rather than wait for one that has yet to start.
///
/// # Errors
/// If the address is taken or not this machine's.
pub fn bind(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // else the connections of who was here before would hold the address for a minute
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// Listens at an address that was taken, with a backlog that stands a storm of reconnects.
///
/// # Errors
/// If another process that took the address meanwhile listens there: those that do not listen don't keep each other from taking it.
pub fn listen(socket: TcpSocket) -> io::Result<TcpListener> {
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

/// Serves until `stop` is ready, then lets requests and taken connections finish for at most `grace`.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    connections: Arc<Connections>,
    stop: impl Future<Output = ()>,
    grace: Duration,
) {
    let (tasks, stopping) = (TaskTracker::new(), CancellationToken::new());
    let accepted_before = AtomicU64::default();
    let refusals = Arc::new(Semaphore::new(REFUSALS));
    let mut said: Option<Instant> = None;
    let welcome = |socket: TcpStream, address: SocketAddr| {
        let peer = Peer { address, connection: accepted_before.fetch_add(1, Relaxed) };
        if let Ok(place) = connections.admit(address.ip()) {
            let site = Site { router: router.clone(), connections: Arc::clone(&connections) };
            tasks.spawn(converse(socket, peer, site, place, stopping.clone(), tasks.clone()));
        } else if let Ok(permit) = Arc::clone(&refusals).try_acquire_owned() {
            tasks.spawn(async move {
                refusal::refuse(socket).await;
                drop(permit);
            });
        }
    };
    tokio::pin!(stop);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut stop => break,
        };
        match accepted {
            Ok((socket, address)) => {
                connections.make_room(address.ip()).await;
                welcome(socket, address);
            }
            Err(error) => {
                if said.is_none_or(|at| at.elapsed() > QUIET) {
                    said = Some(Instant::now());
                    tracing::warn!(%error, "could not accept a connection");
                }
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    // whoever is connected already is answered: the system would end those that nobody has accepted
    for _ in 0..BACKLOG {
        let Some(Ok((socket, address))) = unconstrained(listener.accept()).now_or_never() else { break };
        welcome(socket, address);
    }
    drop(listener);
    stopping.cancel();
    tasks.close();
    if timeout(grace, tasks.wait()).await.is_err() {
        tracing::warn!("some requests did not finish in time");
    }
}

/// What is served, and to how many.
#[derive(Clone)]
struct Site {
    router: Router,
    connections: Arc<Connections>,
}

/// One connection's life, or its beginning, if a handler takes it over.
async fn converse(
    socket: TcpStream,
    peer: Peer,
    site: Site,
    place: Place,
    stopping: CancellationToken,
    tasks: TaskTracker,
) {
    let attention = site.connections.attend(peer.address.ip());
    let speaks_http2 = tokio::select! {
        speaks_http2 = timeout(site.connections.patience(), begins_with_preface(&socket)) => speaks_http2,
        () = attention.displaced() => return,
    };
    let ended = match speaks_http2 {
        Ok(Ok(true)) => over_http2(socket, peer, site, &attention, stopping).await,
        Ok(Ok(false)) => over_http1(socket, peer, site, place, &attention, stopping, tasks).await,
        Ok(Err(_)) => return,
        Err(_) => return site.connections.give_up(TooSlow::Head),
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended");
    }
}

async fn over_http2(
    socket: TcpStream,
    peer: Peer,
    site: Site,
    attention: &Arc<Attention>,
    stopping: CancellationToken,
) -> hyper::Result<()> {
    let connections = Arc::clone(&site.connections);
    let exchanges = Exchanges::new(Arc::clone(&connections));
    let attended = Arc::clone(attention);
    let service =
        service_fn(move |request| answer_http2(site.clone(), peer, request, Question::new(Arc::clone(&attended))));
    let mut builder = http2::Builder::new(exchanges.clone());
    builder.timer(TokioTimer::new()).keep_alive_interval(KEEP_ALIVE);
    builder.max_concurrent_streams(STREAMS_A_CONNECTION).max_send_buf_size(SEND_BUFFER);
    builder.initial_stream_window_size(WINDOWS.0).initial_connection_window_size(WINDOWS.1);
    let socket = Paced::new(socket, Arc::clone(&connections));
    let mut connection = Box::pin(builder.serve_connection(TokioIo::new(socket), service));
    tokio::select! {
        ended = &mut connection => return ended,
        () = stopping.cancelled() => connection.as_mut().graceful_shutdown(),
        () = attention.displaced() => {
            if !attention.is_answering() {
                return Ok(());
            }
            connection.as_mut().graceful_shutdown();
        }
        () = exchanges.unused(connections.patience()) => {
            connection.as_mut().graceful_shutdown();
            // what its client sent before it heard of that is answered
            return tokio::select! {
                ended = connection => ended,
                () = exchanges.unused(LAST_PATIENCE) => Ok(()),
            };
        }
    }
    connection.await
}

async fn over_http1(
    socket: TcpStream,
    peer: Peer,
    site: Site,
    place: Place,
    attention: &Arc<Attention>,
    stopping: CancellationToken,
    tasks: TaskTracker,
) -> hyper::Result<()> {
    let connections = Arc::clone(&site.connections);
    let (takes, mut taken) = oneshot::channel();
    let takes = Arc::new(Mutex::new(Some(takes)));
    let attended = Arc::clone(attention);
    let service = service_fn(move |request| {
        answer_http1(site.clone(), peer, request, Question::new(Arc::clone(&attended)), Arc::clone(&takes))
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(connections.patience());
    builder.max_header_size(LARGEST_HEAD).keep_alive(!connections.is_crowded());
    let socket = Paced::new(socket, Arc::clone(&connections));
    let mut connection = builder.serve_connection(TokioIo::new(socket), service);
    let mut is_stopping = false;
    let take_over: TakesOver = loop {
        tokio::select! {
            // first, so that a request that is there already is answered also where it is to stop
            biased;
            ended = &mut connection => {
                let is_timeout = ended.as_ref().is_err_and(hyper::Error::is_timeout);
                let parts = connection.into_parts();
                // a client that has begun to say something can be told
                if is_timeout && !parts.read_buf.is_empty() {
                    connections.give_up(TooSlow::Head);
                    let _ = refusal::say_late(&parts.io.into_inner().into_inner());
                }
                return ended;
            }
            Ok(taken) = &mut taken => break taken,
            () = attention.displaced() => {
                if !attention.is_answering() {
                    let parts = connection.into_parts();
                    if !parts.read_buf.is_empty() {
                        let _ = refusal::say_full(&parts.io.into_inner().into_inner());
                    }
                    return Ok(());
                }
                std::pin::Pin::new(&mut connection).graceful_shutdown();
            }
            () = stopping.cancelled(), if !is_stopping => {
                is_stopping = true;
                std::pin::Pin::new(&mut connection).graceful_shutdown();
            }
        }
    };
    attention.end();
    // nothing is left in it: the answers to earlier requests were complete before this one's handler was asked
    let socket = connection.into_parts().io.into_inner().into_inner();
    let TakesOver { head, is_chunked, request, taking } = take_over;
    // a task of its own, as small as what is left to do
    tasks.spawn(taking(Taken { socket, head, is_chunked, place: place.with_request(request) }));
    Ok(())
}

/// A handler takes a connection over.
struct TakesOver {
    head: Vec<u8>,
    is_chunked: bool,
    request: Option<Place>,
    taking: Taking,
}

type Takes = Arc<Mutex<Option<oneshot::Sender<TakesOver>>>>;

/// The router's answer. It never comes where a handler takes the connection over.
async fn answer_http1(
    site: Site,
    peer: Peer,
    mut request: Request<Incoming>,
    asked: Arc<Question>,
    takes: Takes,
) -> Result<Response, Infallible> {
    let version = request.version();
    request.extensions_mut().insert(MayTakeOver);
    let (mut response, place, is_whole) = answer(site, peer, request, &asked).await?;
    // the connection ends, as what is left of the request stands before the next one; its client must not send that in vain
    if !is_whole {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    let Some(taking) = response.extensions().get::<TakeOver>().and_then(TakeOver::take) else {
        return Ok(response.map(|body| Body::new(Download::plain(body, place, asked))));
    };
    let Some(takes) = takes.lock().unwrap_or_else(PoisonError::into_inner).take() else { return Ok(response) };
    let is_chunked = version == Version::HTTP_11;
    let head = head(response.status(), response.headers(), is_chunked);
    match takes.send(TakesOver { head, is_chunked, request: place, taking }) {
        Ok(()) => std::future::pending().await,
        Err(_) => Ok(Response::new(Body::empty())),
    }
}

async fn answer_http2(
    site: Site,
    peer: Peer,
    request: Request<Incoming>,
    asked: Arc<Question>,
) -> Result<Response, Infallible> {
    let (response, place, _) = answer(site, peer, request, &asked).await?;
    let ends = response.extensions().get::<Ends>().cloned();
    Ok(response.map(|body| Body::new(Download::watched(body, place, asked, ends.as_ref()))))
}

/// The router's answer, what the request takes of what its client may hold until the answer's end, and whether all of the request
/// was read.
async fn answer(
    Site { router, connections }: Site,
    peer: Peer,
    request: Request<Incoming>,
    asked: &Arc<Question>,
) -> Result<(Response, Option<Place>, bool), Infallible> {
    let Ok(place) = connections.admit_request(peer, request.headers()) else {
        let refused = (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, RETRY_AFTER)], REFUSED);
        return Ok((refused.into_response(), None, request.body().is_end_stream()));
    };
    let (mut request, late) = upload::hasten(request, connections.patience(), asked);
    request.extensions_mut().insert(peer);
    let response = router.oneshot(request).await?;
    asked.hear();
    if late.as_ref().is_some_and(Late::is_late) {
        connections.give_up(TooSlow::Body);
    }
    Ok((response, place, late.is_none_or(|late| late.is_complete())))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_address_is_taken_before_it_is_listened_at() {
        let socket = bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let address = socket.local_addr().unwrap();
        let refused = TcpStream::connect(address).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        // of two that start at the same time one serves
        let late = bind(address).unwrap();
        let _listener = listen(socket).unwrap();
        TcpStream::connect(address).await.unwrap();
        for taken in [listen(late).map(drop), bind(address).map(drop)] {
            assert_eq!(taken.unwrap_err().kind(), io::ErrorKind::AddrInUse);
        }
    }
}
