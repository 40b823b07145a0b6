//! A TCP proxy that knows nothing of what it carries, and can be told to treat it badly.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

/// Bytes of a trickle, and how often they come.
const DROP: usize = 64;
const DROP_EVERY: Duration = Duration::from_millis(5);

/// What becomes of connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weather {
    /// They carry what they are given.
    Fair,
    /// Those there are end, and new ones are closed at once.
    Cut,
    /// Nothing moves; what was given arrives when it is fair again, all of it at once.
    Stall,
    /// Everything arrives so much later.
    Delay(Duration),
    /// Everything arrives a few bytes at a time.
    Trickle,
    /// Everything given is swallowed, new connections are accepted and nobody answers. Those that lost something end when
    /// it is fair again.
    BlackHole,
}

#[derive(Debug, Clone, Copy)]
struct State {
    weather: Weather,
    target: SocketAddr,
    /// Counts up whenever every connection is to end.
    cuts: u64,
    /// Counts up whenever every connection is to vanish.
    vanished: u64,
    /// What has this text in it does not pass, nor what comes after it.
    held: Option<&'static str>,
}

/// A proxy on an address of its own.
pub struct Wire {
    pub address: SocketAddr,
    state: Arc<watch::Sender<State>>,
    holding: Arc<AtomicUsize>,
}

impl Wire {
    pub async fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state =
            Arc::new(watch::Sender::new(State { weather: Weather::Fair, target, cuts: 0, vanished: 0, held: None }));
        let holding = Arc::new(AtomicUsize::new(0));
        let (watched, held) = (state.subscribe(), Arc::clone(&holding));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (watched, held) = (watched.clone(), Arc::clone(&held));
                tokio::spawn(async move {
                    // an end that one side does not like is what this is for
                    let _ = carry(client, watched, &held).await;
                });
            }
        });
        Self { address, state, holding }
    }

    /// Keeps back whatever has this text in it, and what comes after it, until all of it is released at once.
    pub fn hold(&self, text: &'static str) {
        self.state.send_modify(|state| state.held = Some(text));
    }

    /// How often something was kept back since the last release.
    pub fn holding(&self) -> usize {
        self.holding.load(Ordering::SeqCst)
    }

    pub fn release(&self) {
        self.holding.store(0, Ordering::SeqCst);
        self.state.send_modify(|state| state.held = None);
    }

    /// From now on everything given to the connections there are is swallowed, their ends included, as by something between
    /// that goes on acknowledging. New ones are not concerned.
    pub fn vanish(&self) {
        self.state.send_modify(|state| state.vanished += 1);
    }

    pub fn set(&self, weather: Weather) {
        self.state.send_modify(|state| {
            if weather == Weather::Cut || state.weather == Weather::BlackHole {
                state.cuts += 1;
            }
            state.weather = weather;
        });
    }

    /// Leads elsewhere from now on. Connections to where it led end.
    pub fn lead_to(&self, target: SocketAddr) {
        self.state.send_modify(|state| {
            state.cuts += 1;
            state.target = target;
        });
    }
}

async fn carry(client: TcpStream, mut watched: watch::Receiver<State>, holding: &AtomicUsize) -> io::Result<()> {
    let State { weather, target, cuts, .. } = *watched.borrow_and_update();
    if weather == Weather::Cut {
        return Ok(());
    }
    client.set_nodelay(true)?;
    let is_cut = {
        let mut watched = watched.clone();
        async move { drop(watched.wait_for(|state| state.cuts != cuts).await) }
    };
    let carried = async {
        if weather == Weather::BlackHole {
            return swallow(client).await;
        }
        let server = TcpStream::connect(target).await?;
        server.set_nodelay(true)?;
        let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
        tokio::select! {
            ended = pipe(from_client, to_server, watched.clone(), holding) => ended,
            ended = pipe(from_server, to_client, watched, holding) => ended,
        }
    };
    tokio::select! {
        ended = carried => ended,
        () = is_cut => Ok(()),
    }
}

async fn swallow(mut client: TcpStream) -> io::Result<()> {
    let mut buffer = [0; 16_384];
    while client.read(&mut buffer).await? > 0 {}
    Ok(())
}

/// One way.
async fn pipe(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut watched: watch::Receiver<State>,
    holding: &AtomicUsize,
) -> io::Result<()> {
    let vanished = watched.borrow().vanished;
    let mut given = Vec::with_capacity(16_384);
    while from.read_buf(&mut given).await? > 0 {
        while watched.borrow_and_update().held.is_some_and(|text| contains(&given, text)) {
            holding.fetch_add(1, Ordering::SeqCst);
            tokio::select! {
                changed = watched.changed() => drop(changed),
                read = from.read_buf(&mut given) => if read? == 0 { return Ok(()) },
            }
        }
        while !given.is_empty() {
            let state = *watched.borrow_and_update();
            let weather = if state.vanished > vanished { Weather::BlackHole } else { state.weather };
            match weather {
                Weather::Fair | Weather::Cut => send(&mut to, &mut given, usize::MAX).await?,
                Weather::Delay(time) => {
                    sleep(time).await;
                    // it may have become worse meanwhile
                    if watched.borrow().weather == weather {
                        send(&mut to, &mut given, usize::MAX).await?;
                    }
                }
                Weather::Trickle => {
                    send(&mut to, &mut given, DROP).await?;
                    sleep(DROP_EVERY).await;
                }
                Weather::Stall => tokio::select! {
                    changed = watched.changed() => drop(changed),
                    read = from.read_buf(&mut given) => if read? == 0 { return Ok(()) },
                },
                Weather::BlackHole => given.clear(),
            }
        }
    }
    if watched.borrow().vanished > vanished {
        std::future::pending::<()>().await;
    }
    Ok(())
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

/// Gives on the beginning, and keeps the rest.
async fn send(to: &mut OwnedWriteHalf, bytes: &mut Vec<u8>, most: usize) -> io::Result<()> {
    const PATIENCE: Duration = Duration::from_secs(60);
    let now: Vec<u8> = bytes.drain(..most.min(bytes.len())).collect();
    timeout(PATIENCE, to.write_all(&now)).await?
}
