//! Accepting connections and serving a router on them, with the time-outs that `axum::serve` lacks.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 4_096;

/// How long a client may take to send a request's head.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// After how long a peer that acknowledges nothing is given up. Pings make sure that there is something to acknowledge.
#[cfg(target_os = "linux")]
const USER_TIMEOUT: Duration = Duration::from_secs(15);

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
    socket.listen(BACKLOG)
}

/// Serves until `stop` is ready, then lets requests finish for at most `grace`.
pub async fn serve(listener: TcpListener, router: Router, stop: impl Future<Output = ()>, grace: Duration) {
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT);
    builder.http2().timer(TokioTimer::new()).keep_alive_interval(KEEP_ALIVE);
    let graceful = GracefulShutdown::new();
    tokio::pin!(stop);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut stop => break,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "could not accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        if let Err(error) = tune(&stream) {
            tracing::debug!(%error, "could not tune a connection");
        }
        let (builder, watcher) = (builder.clone(), graceful.watcher());
        let service = TowerToHyperService::new(router.clone());
        tokio::spawn(async move {
            let speaks_http2 = tokio::time::timeout(HEADER_TIMEOUT, begins_with_preface(&stream)).await;
            let Ok(Ok(speaks_http2)) = speaks_http2 else { return };
            let builder = if speaks_http2 { builder.http2_only() } else { builder.http1_only() };
            let connection = watcher.watch(builder.serve_connection(TokioIo::new(stream), service).into_owned());
            if let Err(error) = connection.await {
                tracing::debug!(error, "a connection ended");
            }
        });
    }
    drop(listener);
    if tokio::time::timeout(grace, graceful.shutdown()).await.is_err() {
        tracing::warn!("some requests did not finish in time");
    }
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

fn tune(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    socket.set_send_buffer_size(SEND_BUFFER)?;
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEP_ALIVE).with_interval(KEEP_ALIVE / 4))?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(USER_TIMEOUT))?;
    Ok(())
}
