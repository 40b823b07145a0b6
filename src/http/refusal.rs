//! What a client is told for whom there is no room, or who was too slow.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// After how many seconds a refused client may come again.
pub(super) const RETRY_AFTER: &str = "5";

/// How long it may take to tell a client that it is refused.
const PATIENCE: Duration = Duration::from_secs(1);

/// What is read of a refused request, in bytes.
const MOST_READ: u64 = 64 * 1_024;

/// What a client reads whose connection or request is refused.
pub(super) const REFUSED: &str = "too many connections are open; try again in a moment\n";

/// What a client reads that took too long for its request.
const LATE: &str = "the request took too long to arrive\n";

/// Says that there is no room, to a client that has said what it wants in HTTP/1.
pub(super) async fn refuse(mut socket: TcpStream) {
    // the client is gone, or told as much as it may hear
    let _ = timeout(PATIENCE, async {
        let mut first = [0; 4_096];
        let length = socket.read(&mut first).await?;
        if length > 0 && !first.starts_with(b"PRI ") {
            socket.write_all(full().as_bytes()).await?;
        }
        socket.shutdown().await?;
        // closing before the request was read would take the answer from the client
        tokio::io::copy(&mut socket.take(MOST_READ), &mut tokio::io::sink()).await
    })
    .await;
}

/// Says that a request's head took too long, if the socket takes that at once.
pub(super) fn say_late(socket: &TcpStream) -> io::Result<usize> {
    socket.try_write(head("408 Request Timeout", "", LATE).as_bytes())
}

/// Says that there is no room any more, if the socket takes that at once.
pub(super) fn say_full(socket: &TcpStream) -> io::Result<usize> {
    socket.try_write(full().as_bytes())
}

fn full() -> String {
    head("503 Service Unavailable", &format!("retry-after: {RETRY_AFTER}\r\n"), REFUSED)
}

fn head(status: &str, headers: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\n{headers}content-type: text/plain; charset=utf-8\r\ncache-control: no-store\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
}
