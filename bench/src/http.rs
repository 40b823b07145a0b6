//! A client that keeps one connection.

use std::net::SocketAddr;

use anyhow::{Context, bail, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::wire::Chunks;

/// A connection to a server, with the cookie of whoever is signed in.
pub struct Http {
    stream: TcpStream,
    server: SocketAddr,
    cookie: String,
    received: Vec<u8>,
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// As 200.
    pub status: u16,
    /// The tag to ask with whether anything changed, if the server gave one.
    pub etag: Option<String>,
    /// The body as it came.
    pub body: Vec<u8>,
}

impl Http {
    /// Connects.
    ///
    /// # Errors
    /// If nobody listens there.
    pub async fn connect(server: SocketAddr, cookie: &str) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(server).await.context("could not connect to the server")?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, server, cookie: cookie.to_owned(), received: Vec::new() })
    }

    /// Sends that cookie from now on, as a proxy's connection carries everybody's requests.
    pub fn sign_in_as(&mut self, cookie: String) {
        self.cookie = cookie;
    }

    /// Asks for a path, unless it still is what the tag says.
    ///
    /// # Errors
    /// If the connection ends, or the answer is none.
    pub async fn get(&mut self, path: &str, unless: Option<&str>) -> anyhow::Result<Answer> {
        self.ask(path, unless).await?;
        self.received.clear();
        let end = loop {
            match memchr::memmem::find(&self.received, b"\r\n\r\n") {
                Some(end) => break end + 4,
                None => self.receive().await?,
            }
        };
        let head = String::from_utf8_lossy(&self.received[..end]).into_owned();
        let status: u16 = head.split(' ').nth(1).and_then(|code| code.parse().ok()).context("an odd answer")?;
        let header = |name: &str| {
            head.lines().find_map(|line| {
                let (field, value) = line.split_once(':')?;
                field.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
            })
        };
        let body = match header("content-length") {
            _ if status == 304 => Vec::new(),
            Some(length) => self.body(end, length.parse().context("an odd length")?).await?,
            None => self.chunked_body(end).await?,
        };
        Ok(Answer { status, etag: header("etag"), body })
    }

    /// The same, where the answer must be 200.
    ///
    /// # Errors
    /// The same, and if it is another.
    pub async fn get_ok(&mut self, path: &str) -> anyhow::Result<Answer> {
        let answer = self.get(path, None).await?;
        ensure!(answer.status == 200, "{path} answered {}", answer.status);
        Ok(answer)
    }

    /// Asks for a stream, and waits until it has said that text.
    ///
    /// # Errors
    /// If the connection ends before.
    pub async fn wait_for(&mut self, path: &str, text: &[u8]) -> anyhow::Result<()> {
        self.ask(path, None).await?;
        self.received.clear();
        while memchr::memmem::find(&self.received, text).is_none() {
            self.receive().await?;
        }
        Ok(())
    }

    async fn ask(&mut self, path: &str, unless: Option<&str>) -> anyhow::Result<()> {
        let Self { server, cookie, .. } = self;
        let unless = unless.map(|tag| format!("If-None-Match: {tag}\r\n")).unwrap_or_default();
        let request = format!("GET {path} HTTP/1.1\r\nHost: {server}\r\nCookie: {cookie}\r\n{unless}\r\n");
        Ok(self.stream.write_all(request.as_bytes()).await?)
    }

    async fn receive(&mut self) -> anyhow::Result<()> {
        if self.stream.read_buf(&mut self.received).await? == 0 {
            bail!("the server closed the connection");
        }
        Ok(())
    }

    async fn body(&mut self, from: usize, length: usize) -> anyhow::Result<Vec<u8>> {
        while self.received.len() < from + length {
            self.receive().await?;
        }
        Ok(self.received[from..].to_vec())
    }

    async fn chunked_body(&mut self, mut from: usize) -> anyhow::Result<Vec<u8>> {
        let (mut chunks, mut body) = (Chunks::default(), Vec::new());
        loop {
            let mut new = &self.received[from..];
            while let Some(data) = chunks.next(&mut new) {
                body.extend_from_slice(data);
            }
            if chunks.is_over() {
                return Ok(body);
            }
            from = self.received.len();
            self.receive().await?;
        }
    }
}
