//! Thousands of open streams, received on one thread that does little else than read.

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use mio::event::Event;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token, Waker};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::sync::oneshot;

use crate::samples::{Samples, milliseconds};
use crate::wire::{Amounts, Chunks};

/// How many streams are connecting at a time.
const CONNECTING: usize = 512;

/// How long all of them may take to open.
const OPENING_TIMEOUT: Duration = Duration::from_secs(60);

const POLL: Duration = Duration::from_millis(100);
const BUFFER: usize = 64 * 1_024;
/// The ports that streams come from.
const FIRST_PORT: u16 = 10_000;
const MOST_PORTS: usize = 50_000;

const WAKER: Token = Token(usize::MAX);

/// Linux' EINPROGRESS, which a connect without waiting answers.
const IN_PROGRESS: i32 = 115;

/// How long nothing must have come before all counts as received, and how long that may take.
const SILENCE: Duration = Duration::from_millis(700);
const SILENCE_TIMEOUT: Duration = Duration::from_secs(20);

/// What makes a stream count as open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum First {
    /// The head of the answer.
    Head,
    /// The event `sync`.
    Sync,
}

/// Which streams to open.
pub struct Wanted {
    /// Where the server is.
    pub server: SocketAddr,
    /// From which address. Its ports are nobody else's.
    pub source: IpAddr,
    /// The request of each stream.
    pub requests: Vec<Vec<u8>>,
    /// What is waited for.
    pub first: First,
}

/// How the opening went.
#[derive(Debug, Clone)]
pub struct Opening {
    /// How many streams opened.
    pub opened: usize,
    /// How many did not.
    pub failed: usize,
    /// From the first connect to the last first event.
    pub elapsed: Duration,
    /// Milliseconds from each stream's connect to its first event.
    pub first: Samples,
}

/// An amount that arrived on a stream.
#[derive(Debug, Clone, Copy)]
pub struct Receipt {
    /// In hundredths.
    pub amount: u64,
    /// When.
    pub at: Instant,
}

enum Command {
    Take(oneshot::Sender<Vec<Receipt>>),
    Close,
}

/// Open streams. Dropping it closes them.
pub struct Fleet {
    /// How the opening went.
    pub opening: Opening,
    commands: mpsc::Sender<Command>,
    waker: Arc<Waker>,
    counts: Arc<Counts>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Counts {
    received: AtomicU64,
    broken: AtomicUsize,
}

impl Fleet {
    /// Opens the streams as fast as the server lets it.
    ///
    /// # Errors
    /// If the kernel gives no thread or poll. That a stream did not open is in the opening.
    pub async fn open(wanted: Wanted) -> anyhow::Result<Self> {
        let (commands, received_commands) = mpsc::channel();
        let (announce, announced) = oneshot::channel();
        let poll = Poll::new().context("could not poll")?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
        let counts = Arc::new(Counts::default());
        let receiver = Receiver::new(poll, wanted, received_commands, announce, Arc::clone(&counts));
        let thread = std::thread::Builder::new().name("receivers".to_owned()).spawn(move || receiver.run())?;
        let opening = announced.await.context("the receivers died")?;
        Ok(Self { opening, commands, waker, counts, thread: Some(thread) })
    }

    /// The same, where all of them must open.
    ///
    /// # Errors
    /// If one did not.
    pub async fn open_all(wanted: Wanted) -> anyhow::Result<Self> {
        let fleet = Self::open(wanted).await?;
        let Opening { opened, failed, .. } = fleet.opening;
        if failed > 0 {
            bail!("{failed} of {} streams did not open", opened + failed);
        }
        Ok(fleet)
    }

    /// How many amounts were received since the streams are open.
    pub fn received(&self) -> u64 {
        self.counts.received.load(Relaxed)
    }

    /// Waits until nothing comes any more, and takes what came since it was last taken.
    ///
    /// # Errors
    /// If the server ended a stream.
    pub async fn take(&self) -> anyhow::Result<Vec<Receipt>> {
        let deadline = Instant::now() + SILENCE_TIMEOUT;
        let mut seen = self.received();
        loop {
            tokio::time::sleep(SILENCE).await;
            let now = self.received();
            if now == seen || Instant::now() > deadline {
                break;
            }
            seen = now;
        }
        self.take_now().await
    }

    /// Takes what came since it was last taken.
    ///
    /// # Errors
    /// If the server ended a stream.
    pub async fn take_now(&self) -> anyhow::Result<Vec<Receipt>> {
        let (reply, receipts) = oneshot::channel();
        self.commands.send(Command::Take(reply)).context("the receivers died")?;
        self.waker.wake()?;
        let receipts = receipts.await.context("the receivers died")?;
        match self.counts.broken.load(Relaxed) {
            0 => Ok(receipts),
            broken => bail!("the server ended {broken} streams"),
        }
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        // a thread that is gone needs no telling
        let _ = self.commands.send(Command::Close);
        let _ = self.waker.wake();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Receiver {
    poll: Poll,
    wanted: Wanted,
    commands: mpsc::Receiver<Command>,
    /// Taken once all streams are open or failed.
    announce: Option<oneshot::Sender<Opening>>,
    counts: Arc<Counts>,
    streams: Vec<Option<Stream>>,
    connecting: usize,
    opening: Opening,
    began: Instant,
    reader: Reader,
}

/// What the streams share.
struct Reader {
    buffer: Vec<u8>,
    amounts: Amounts,
    receipts: Vec<Receipt>,
    /// Receipts that are not counted yet.
    fresh: u64,
    first: First,
}

struct Stream {
    socket: TcpStream,
    phase: Phase,
    chunks: Chunks,
    /// What came and can't be understood yet.
    tail: Vec<u8>,
    began: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Connecting,
    /// The request is sent.
    Asked,
    /// The head was read, the first event was not.
    Begun,
    Open,
}

/// The stream failed, or its server ended it.
struct Broken;

impl From<io::Error> for Broken {
    fn from(_: io::Error) -> Self {
        Self
    }
}

impl Receiver {
    fn new(
        poll: Poll,
        wanted: Wanted,
        commands: mpsc::Receiver<Command>,
        announce: oneshot::Sender<Opening>,
        counts: Arc<Counts>,
    ) -> Self {
        let reader = Reader {
            buffer: vec![0; BUFFER],
            amounts: Amounts::default(),
            receipts: Vec::new(),
            fresh: 0,
            first: wanted.first,
        };
        let opening = Opening { opened: 0, failed: 0, elapsed: Duration::ZERO, first: Samples::default() };
        let (streams, began) = (Vec::with_capacity(wanted.requests.len()), Instant::now());
        Self {
            poll,
            wanted,
            commands,
            announce: Some(announce),
            counts,
            streams,
            connecting: 0,
            opening,
            began,
            reader,
        }
    }

    fn run(mut self) {
        let mut events = Events::with_capacity(1_024);
        loop {
            if self.announce.is_some() {
                self.connect_more();
                self.announce_when_done();
            }
            if let Err(error) = self.poll.poll(&mut events, Some(POLL)) {
                assert_eq!(error.kind(), io::ErrorKind::Interrupted, "epoll works");
                continue;
            }
            for event in &events {
                if event.token() != WAKER {
                    self.ready(event);
                }
            }
            while let Ok(command) = self.commands.try_recv() {
                match command {
                    // whoever asked may have given up
                    Command::Take(reply) => drop(reply.send(std::mem::take(&mut self.reader.receipts))),
                    Command::Close => return,
                }
            }
        }
    }

    fn connect_more(&mut self) {
        while self.connecting < CONNECTING && self.streams.len() < self.wanted.requests.len() {
            let began = Instant::now();
            let token = Token(self.streams.len());
            let port = FIRST_PORT + (token.0 % MOST_PORTS) as u16;
            let connected = connect(self.wanted.source, port, self.wanted.server).and_then(|mut socket| {
                let interest = Interest::READABLE | Interest::WRITABLE;
                self.poll.registry().register(&mut socket, token, interest)?;
                Ok(socket)
            });
            let stream = connected.map(|socket| {
                self.connecting += 1;
                Stream { socket, phase: Phase::Connecting, chunks: Chunks::default(), tail: Vec::new(), began }
            });
            self.opening.failed += usize::from(stream.is_err());
            self.streams.push(stream.ok());
        }
    }

    fn announce_when_done(&mut self) {
        let late = self.began.elapsed() > OPENING_TIMEOUT;
        let all = self.streams.len() == self.wanted.requests.len() && self.connecting == 0;
        if (all || late)
            && let Some(announce) = self.announce.take()
        {
            self.opening.failed = self.wanted.requests.len() - self.opening.opened;
            let _ = announce.send(self.opening.clone());
        }
    }

    fn ready(&mut self, event: &Event) {
        let index = event.token().0;
        let Some(Some(stream)) = self.streams.get_mut(index) else { return };
        let before = stream.phase;
        let mut outcome = Ok(());
        if stream.phase == Phase::Connecting && event.is_writable() {
            outcome = stream.ask(&self.wanted.requests[index]);
        }
        if outcome.is_ok() && event.is_readable() {
            outcome = stream.read(&mut self.reader);
            self.counts.received.fetch_add(std::mem::take(&mut self.reader.fresh), Relaxed);
        }
        // its end may have come with what was just read, and is then no new event
        if event.is_read_closed() {
            outcome = Err(Broken);
        }
        if stream.phase == Phase::Open && before != Phase::Open {
            self.connecting -= 1;
            self.opening.opened += 1;
            self.opening.elapsed = self.began.elapsed();
            self.opening.first.push(milliseconds(stream.began.elapsed()));
        }
        if outcome.is_err() {
            if stream.phase == Phase::Open {
                self.counts.broken.fetch_add(1, Relaxed);
            } else {
                self.connecting -= 1;
            }
            self.streams[index] = None;
        }
    }
}

/// Begins to connect, from that port where it is free.
fn connect(source: IpAddr, port: u16, server: SocketAddr) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(server), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    socket.set_tcp_nodelay(true)?;
    // the kernel would search for a free port, the longer the more are taken
    if socket.bind(&SocketAddr::new(source, port).into()).is_err() {
        socket.bind(&SocketAddr::new(source, 0).into())?;
    }
    match socket.connect(&server.into()) {
        Err(error) if error.raw_os_error() != Some(IN_PROGRESS) => Err(error),
        _ => Ok(TcpStream::from_std(socket.into())),
    }
}

impl Stream {
    fn ask(&mut self, request: &[u8]) -> Result<(), Broken> {
        if self.socket.take_error()?.is_some() || self.socket.write(request)? != request.len() {
            return Err(Broken);
        }
        self.phase = Phase::Asked;
        Ok(())
    }

    fn read(&mut self, reader: &mut Reader) -> Result<(), Broken> {
        let mut buffer = std::mem::take(&mut reader.buffer);
        let outcome = self.read_into(&mut buffer, reader);
        reader.buffer = buffer;
        outcome
    }

    fn read_into(&mut self, buffer: &mut [u8], reader: &mut Reader) -> Result<(), Broken> {
        loop {
            match self.socket.read(buffer) {
                Ok(0) => return Err(Broken),
                Ok(length) => {
                    self.understand(&buffer[..length], reader)?;
                    // a short read has emptied the socket: what comes later is a new event
                    if length < buffer.len() {
                        return Ok(());
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn understand(&mut self, bytes: &[u8], reader: &mut Reader) -> Result<(), Broken> {
        if self.phase != Phase::Asked {
            return self.body(bytes, reader);
        }
        self.tail.extend_from_slice(bytes);
        let Some(end) = memchr::memmem::find(&self.tail, b"\r\n\r\n") else { return Ok(()) };
        let head = std::mem::take(&mut self.tail);
        if !head.starts_with(b"HTTP/1.1 200 ") {
            return Err(Broken);
        }
        self.phase = if reader.first == First::Head { Phase::Open } else { Phase::Begun };
        self.body(&head[end + 4..], reader)
    }

    fn body(&mut self, mut bytes: &[u8], reader: &mut Reader) -> Result<(), Broken> {
        while let Some(data) = self.chunks.next(&mut bytes) {
            if self.phase == Phase::Open {
                let at = Instant::now();
                let Reader { amounts, receipts, fresh, .. } = reader;
                amounts.scan(&mut self.tail, data, |amount| {
                    receipts.push(Receipt { amount, at });
                    *fresh += 1;
                });
            } else {
                self.tail.extend_from_slice(data);
                let sync = memchr::memmem::find(&self.tail, b"event: sync");
                if sync.is_some_and(|at| memchr::memmem::find(&self.tail[at..], b"\n\n").is_some()) {
                    self.tail = Vec::new();
                    self.phase = Phase::Open;
                }
            }
        }
        if self.chunks.is_over() { Err(Broken) } else { Ok(()) }
    }
}
