//! Whether a service that runs is well, asked by a program that ends: for a container without a shell, and for scripts.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long the answer may take, which is less than those wait who ask often.
const PATIENCE: Duration = Duration::from_secs(4);

/// More than what any of the answers has.
const LONGEST: u64 = 64 * 1_024;

/// What the ops listener there says of the service: with `alive`, that it lives, else that it can serve.
///
/// # Errors
/// If it says otherwise, with its words, or nothing in time.
pub async fn ask(ops: SocketAddr, alive: bool) -> anyhow::Result<String> {
    let path = if alive { "/healthz" } else { "/readyz" };
    let answer = timeout(PATIENCE, answer(ops, path)).await.context("no answer in time");
    let answer = answer.flatten().with_context(|| format!("http://{ops}{path}"))?;
    let (head, body) = answer.split_once("\r\n\r\n").with_context(|| format!("http://{ops}{path}: no HTTP"))?;
    let status = head.split(' ').nth(1).unwrap_or_default();
    if status != "200" {
        bail!("http://{ops}{path}: {status}: {}", body.trim());
    }
    Ok(body.to_owned())
}

/// In HTTP/1.0, in which an answer ends with its connection, and has no chunks.
async fn answer(ops: SocketAddr, path: &str) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect(ops).await?;
    stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: {ops}\r\n\r\n").as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(LONGEST).read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
