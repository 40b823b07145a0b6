//! A TCP proxy that can be told to break things.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

struct Orders {
    target: Mutex<SocketAddr>,
    streams_blocked: AtomicBool,
    all_blocked: AtomicBool,
    swallows: AtomicBool,
    answers_held: AtomicBool,
    held: AtomicUsize,
    /// How often those that were held were let go.
    letting_go: AtomicUsize,
    /// How late answers are, in milliseconds.
    delay: AtomicU64,
    events_held: AtomicBool,
    held_events: AtomicUsize,
    changed: Notify,
}

/// Stands before a service. What it breaks, it breaks as a proxy does: streams end, new ones get 503.
pub struct Proxy {
    pub address: SocketAddr,
    orders: Arc<Orders>,
}

impl Proxy {
    pub async fn start(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let orders = Arc::new(Orders {
            target: Mutex::new(target),
            streams_blocked: AtomicBool::default(),
            all_blocked: AtomicBool::default(),
            swallows: AtomicBool::default(),
            answers_held: AtomicBool::default(),
            held: AtomicUsize::default(),
            letting_go: AtomicUsize::default(),
            delay: AtomicU64::default(),
            events_held: AtomicBool::default(),
            held_events: AtomicUsize::default(),
            changed: Notify::default(),
        });
        let shared = Arc::clone(&orders);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if shared.all_blocked.load(Ordering::SeqCst) {
                    continue;
                }
                let target = *shared.target.lock().unwrap();
                tokio::spawn(forward(client, target, Arc::clone(&shared)));
            }
        });
        Self { address, orders }
    }

    /// Ends the streams there are and refuses new ones; all else passes.
    pub fn block_streams(&self) {
        self.orders.streams_blocked.store(true, Ordering::SeqCst);
        self.orders.changed.notify_waiters();
    }

    /// Ends every connection and refuses new ones.
    pub fn block_everything(&self) {
        self.orders.all_blocked.store(true, Ordering::SeqCst);
        self.orders.changed.notify_waiters();
    }

    /// Goes on to accept connections, and lets nothing through any more, either way. What is sent meanwhile arrives when
    /// that is over, as TCP would have it.
    pub fn black_hole(&self) {
        self.orders.swallows.store(true, Ordering::SeqCst);
        self.orders.changed.notify_waiters();
    }

    /// Leads those who come from now on to another service.
    pub fn lead_to(&self, target: SocketAddr) {
        *self.orders.target.lock().unwrap() = target;
    }

    /// Keeps the API's answers back until they are released.
    pub fn hold_answers(&self) {
        self.orders.answers_held.store(true, Ordering::SeqCst);
    }

    /// How many answers are kept back.
    pub fn held_answers(&self) -> usize {
        self.orders.held.load(Ordering::SeqCst)
    }

    /// Lets those answers go that are kept back, and goes on to keep back what comes.
    pub fn let_held_answers_go(&self) {
        self.orders.letting_go.fetch_add(1, Ordering::SeqCst);
        self.orders.changed.notify_waiters();
    }

    pub fn release_answers(&self) {
        self.orders.answers_held.store(false, Ordering::SeqCst);
        self.orders.changed.notify_waiters();
    }

    /// Has the API's answers come that much later.
    pub fn delay_answers(&self, delay: Duration) {
        self.orders.delay.store(delay.as_millis().try_into().unwrap(), Ordering::SeqCst);
    }

    /// Keeps what streams tell back until it is released.
    pub fn hold_events(&self) {
        self.orders.events_held.store(true, Ordering::SeqCst);
    }

    /// How many streams have something that is kept back.
    pub fn held_events(&self) -> usize {
        self.orders.held_events.load(Ordering::SeqCst)
    }

    pub fn release_events(&self) {
        self.orders.events_held.store(false, Ordering::SeqCst);
        self.orders.changed.notify_waiters();
    }

    pub fn unblock(&self) {
        self.orders.streams_blocked.store(false, Ordering::SeqCst);
        self.orders.all_blocked.store(false, Ordering::SeqCst);
        self.orders.swallows.store(false, Ordering::SeqCst);
        self.orders.changed.notify_waiters();
    }
}

async fn forward(mut client: TcpStream, target: SocketAddr, orders: Arc<Orders>) {
    let Ok(mut server) = TcpStream::connect(target).await else { return };
    let (mut upward, mut downward) = ([0; 16_384], [0; 16_384]);
    let (mut is_stream, mut is_api) = (false, false);
    loop {
        // before anything is looked at, so that no change of it is missed
        let changed = orders.changed.notified();
        let cut =
            orders.all_blocked.load(Ordering::SeqCst) || is_stream && orders.streams_blocked.load(Ordering::SeqCst);
        if cut {
            return;
        }
        let passes = !orders.swallows.load(Ordering::SeqCst);
        tokio::select! {
            () = changed => {}
            read = client.read(&mut upward), if passes => {
                let Ok(length @ 1..) = read else { return };
                is_stream = asks_for(&upward[..length], "events");
                is_api = asks_for(&upward[..length], "dashboard");
                if is_stream && orders.streams_blocked.load(Ordering::SeqCst) {
                    let _ = client.write_all(b"HTTP/1.1 503 Blocked\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await;
                    return;
                }
                if server.write_all(&upward[..length]).await.is_err() {
                    return;
                }
            }
            read = server.read(&mut downward), if passes => {
                let Ok(length @ 1..) = read else { return };
                if is_api && orders.answers_held.load(Ordering::SeqCst) {
                    orders.held.fetch_add(1, Ordering::SeqCst);
                    let letting_go = orders.letting_go.load(Ordering::SeqCst);
                    while orders.answers_held.load(Ordering::SeqCst)
                        && orders.letting_go.load(Ordering::SeqCst) == letting_go
                    {
                        orders.changed.notified().await;
                    }
                }
                if is_api {
                    tokio::time::sleep(Duration::from_millis(orders.delay.load(Ordering::SeqCst))).await;
                }
                if is_stream && orders.events_held.load(Ordering::SeqCst) {
                    orders.held_events.fetch_add(1, Ordering::SeqCst);
                    while orders.events_held.load(Ordering::SeqCst) {
                        orders.changed.notified().await;
                    }
                }
                if client.write_all(&downward[..length]).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// Whether a request begins there, for that part of the API, a rep's or the pharmacists'.
fn asks_for(request: &[u8], part: &str) -> bool {
    let begins = |scope: &str| request.starts_with(format!("GET /orders/api/{scope}/{part}/").as_bytes());
    begins("sales-rep") || begins("pharmacist")
}
