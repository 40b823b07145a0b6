//! The least that can deliver an event to a stream: a task, a socket and a queue per stream, and no HTTP library, session,
//! state or history. What a server does beyond this it does for its users.

use std::collections::{HashMap, VecDeque};
use std::io::ErrorKind;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use clap::Parser;
use oncare_bench::peer::{Arguments, Feed};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::Notify;

const BACKLOG: u32 = 4_096;
const LARGEST_HEAD: usize = 2_048;
const ANSWER: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-store\r\ntransfer-encoding: chunked\r\n\r\n";

/// What waits for one stream: encoded events, shared by all streams that they are for.
#[derive(Default)]
struct Queue {
    events: Mutex<VecDeque<Arc<[u8]>>>,
    arrived: Notify,
}

#[derive(Default)]
struct Streams(Mutex<HashMap<i64, Vec<Arc<Queue>>>>);

impl Streams {
    fn join(&self, rep: i64) -> Arc<Queue> {
        let queue = Arc::new(Queue::default());
        lock(&self.0).entry(rep).or_default().push(Arc::clone(&queue));
        queue
    }

    fn leave(&self, rep: i64, queue: &Arc<Queue>) {
        if let Some(queues) = lock(&self.0).get_mut(&rep) {
            queues.retain(|other| !Arc::ptr_eq(other, queue));
        }
    }

    fn deliver(&self, rep: i64, payload: &str) {
        let event = format!("data: {payload}\n\n");
        let chunk: Arc<[u8]> = format!("{:x}\r\n{event}\r\n", event.len()).into_bytes().into();
        for queue in lock(&self.0).get(&rep).into_iter().flatten() {
            lock(&queue.events).push_back(Arc::clone(&chunk));
            queue.arrived.notify_one();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let feed = Feed::start(&arguments.database_url).await?;
    let streams = Arc::new(Streams::default());
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(arguments.listen)?;
    let listener = socket.listen(BACKLOG)?;
    let accepting = Arc::clone(&streams);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(begin(stream, Arc::clone(&accepting)));
        }
    });
    feed.deliver(|rep, payload| streams.deliver(rep, payload)).await
}

/// In a task of its own, so that the head's buffer does not count with the stream.
async fn begin(mut stream: TcpStream, streams: Arc<Streams>) {
    let mut head = [0; LARGEST_HEAD];
    let mut length = 0;
    while !head[..length].ends_with(b"\r\n\r\n") {
        match stream.read(&mut head[length..]).await {
            Ok(read @ 1..) => length += read,
            _ => return,
        }
    }
    let Some(rep) = rep(&head[..length]) else { return };
    if stream.set_nodelay(true).is_ok() && stream.write_all(ANSWER).await.is_ok() {
        tokio::spawn(serve(stream, rep, streams));
    }
}

fn rep(head: &[u8]) -> Option<i64> {
    let (_, rest) = std::str::from_utf8(head).ok()?.split_once("?rep=")?;
    rest.split(' ').next()?.parse().ok()
}

async fn serve(mut stream: TcpStream, rep: i64, streams: Arc<Streams>) {
    let queue = streams.join(rep);
    loop {
        tokio::select! {
            () = queue.arrived.notified() => {}
            // a client sends nothing after its request: this is its end, unless the runtime was wrong
            _ = stream.readable() => match stream.try_read(&mut [0; 16]) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                _ => break,
            },
        }
        let events = std::mem::take(&mut *lock(&queue.events));
        let mut written = Ok(());
        for event in events {
            written = written.and(stream.write_all(&event).await);
        }
        if written.is_err() {
            break;
        }
    }
    streams.leave(rep, &queue);
}
