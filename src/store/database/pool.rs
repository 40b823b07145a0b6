//! Connections of the pool, and how they are lent: for so long, and not again before it is known that they still answer.
//!
//! Nothing that waits for the server can wait for ever. Whoever borrows a connection has it for a time; when that is over the
//! connection is ended, whatever is under way on it fails, and nobody gets it again. The way to the server may be gone without
//! a word, and something between may even go on acknowledging what is sent.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use deadpool::managed::{
    Manager, Metrics, Object, Pool, PoolError, QueueMode, RecycleError, RecycleResult, Status, TimeoutType,
};
use deadpool_postgres::{ClientWrapper, Runtime};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_postgres::{Config, Error};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::error::{Attempt, StoreError, chain};
use super::settings::{self, Purpose};
use super::statement::cancel;
use super::url::DatabaseUrl;

/// How long whoever asks waits for a connection before it is told that the database is unavailable, and how long one may take
/// to be made.
const POOL_WAIT: Duration = Duration::from_secs(5);

/// For how long a connection is lent for statements that take a millisecond, and on which depends what people are told.
pub(in crate::store) const BRIEFLY: Duration = Duration::from_secs(3);

/// Upper bounds of the histogram of waits, in seconds.
const WAITS: [f64; 8] = [0.000_1, 0.001, 0.005, 0.025, 0.1, 0.5, 2.0, 5.0];

const BORROW: &str = "get a database connection";

/// How long a connection of which it is not known whether it is at rest may take to say so.
const PROOF_PATIENCE: Duration = Duration::from_secs(1);

/// How long a connection is kept that nobody needs. The server would end it a minute later.
const LONGEST_UNUSED: Duration = Duration::from_secs(60);

/// The pool. Cheap to clone.
#[derive(Clone)]
pub(in crate::store) struct Connections {
    pool: Pool<Sessions>,
    /// Half of the connections. No more are lent to reads that grow with the number of orders: what all others wait for takes
    /// milliseconds, and would else wait behind a few people who search.
    searches: Arc<Semaphore>,
    /// How long whoever asked waited for a connection, and how many got none.
    waits: Histogram,
    failures: Counter,
}

impl Connections {
    /// At most so many. Connects to nothing yet.
    pub(in crate::store) fn new(url: &DatabaseUrl, most: usize) -> Result<Self, StoreError> {
        let trust = Arc::new(Trust(Mutex::new(Instant::now())));
        let sessions = Sessions { config: url.config(), tls: url.connector()?, trust };
        let pool = Pool::builder(sessions)
            .max_size(most)
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(POOL_WAIT))
            .create_timeout(Some(POOL_WAIT))
            // those that are needed least are left unused, and dropped
            .queue_mode(QueueMode::Lifo)
            .build()
            .attempt("prepare the connection pool")?;
        let searches = Arc::new(Semaphore::new((most / 2).max(1)));
        Ok(Self { pool, searches, waits: Histogram::new(WAITS), failures: Counter::default() })
    }

    /// Has the pool in the metrics.
    pub(in crate::store) fn register(&self, registry: &mut Registry) {
        registry.register_collector(Box::new(Use(self.pool.clone())));
        registry.register("pool_wait_seconds", "Time until a connection was lent", self.waits.clone());
        registry.register("pool_failures", "Connections that could not be lent", self.failures.clone());
    }

    /// What to say where all connections are lent and somebody waits for one.
    pub(in crate::store) fn exhaustion(&self) -> Option<String> {
        let Status { max_size, size, available, waiting } = self.pool.status();
        let is_exhausted = size >= max_size && available == 0 && waiting > 0;
        is_exhausted.then(|| format!("all {max_size} connections of the pool are lent, and {waiting} wait for one"))
    }

    /// Borrows a connection for so long.
    ///
    /// # Errors
    /// If none is free in time, or none can be made.
    pub(in crate::store) async fn borrow(&self, time: Duration) -> Result<Lent, StoreError> {
        self.pool.retain(|_, metrics| metrics.last_used() < LONGEST_UNUSED);
        let asked_at = Instant::now();
        let got = self.pool.get().await.inspect_err(|_| _ = self.failures.inc());
        self.waits.observe(asked_at.elapsed().as_secs_f64());
        let mut session = got.attempt(BORROW)?;
        session.lent_at = Instant::now();
        session.lease.extend(time);
        Ok(Lent { session, at_end: AtEnd::Untouched, of_searches: None })
    }

    /// The same for a read that may take long.
    ///
    /// # Errors
    /// Those of [`Connections::borrow`], and where too many are under way for too long.
    pub(in crate::store) async fn borrow_to_search(&self, time: Duration) -> Result<Lent, StoreError> {
        let free = timeout(POOL_WAIT, Arc::clone(&self.searches).acquire_owned()).await.ok().and_then(Result::ok);
        let free = free.ok_or_else(|| {
            self.failures.inc();
            let cause = Box::new(PoolError::<Error>::Timeout(TimeoutType::Wait));
            StoreError::TooSlow { attempted: "begin to search", cause }
        })?;
        let mut lent = self.borrow(time).await?;
        lent.of_searches = Some(free);
        Ok(lent)
    }

    /// The same for whoever does not say when all that was asked is answered.
    ///
    /// # Errors
    /// Those of [`Connections::borrow`].
    pub(in crate::store) async fn borrow_to_prove(&self, time: Duration) -> Result<Lent, StoreError> {
        let mut lent = self.borrow(time).await?;
        lent.at_end = AtEnd::Prove;
        Ok(lent)
    }
}

/// How the pool is used, as it is when somebody looks.
struct Use(Pool<Sessions>);

impl fmt::Debug for Use {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Use")
    }
}

impl Collector for Use {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let Status { max_size, size, available, waiting } = self.0.status();
        let lent = size.saturating_sub(available);
        for (name, help, value) in [
            ("pool_connections_limit", "Connections that the pool may have.", max_size),
            ("pool_connections_open", "Connections that the pool has.", size),
            ("pool_connections_lent", "Connections of the pool that are in use.", lent),
            ("pool_waiting", "Who waits for a connection of the pool.", waiting),
        ] {
            let gauge = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX)).encode(gauge)?;
        }
        Ok(())
    }
}

/// Does something on a connection: see [`Store::lend`](super::store::Store::lend).
pub(in crate::store) async fn lend<T>(
    mut lent: Lent,
    work: impl AsyncFnOnce(&mut ClientWrapper) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    lent.at_end = AtEnd::Discard;
    let answer = work(&mut lent).await;
    // others of a failed statement's pipeline may be under way
    lent.at_end = if answer.is_ok() { AtEnd::Keep } else { AtEnd::Prove };
    answer
}

/// A connection while it is lent. It goes back when this is dropped.
pub(in crate::store) struct Lent {
    session: Object<Sessions>,
    at_end: AtEnd,
    /// Given back after the connection.
    of_searches: Option<OwnedSemaphorePermit>,
}

/// What becomes of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AtEnd {
    /// Nothing was asked on it.
    Untouched,
    /// All that was asked was answered.
    Keep,
    /// Something may be under way. Whoever borrows it next has it say first that it is at rest.
    Prove,
    /// Nobody gets it again; what is under way on it is cancelled.
    Discard,
}

impl Lent {
    /// The time for which it is lent, for whoever finds out later that more is needed.
    pub(in crate::store) fn lease(&self) -> Lease {
        self.session.lease.clone()
    }

    /// The session holds a lock: until it says that it holds none, it ends wherever it is given back, also by a panic.
    pub(in crate::store) fn holds_lock(&mut self) {
        self.at_end = AtEnd::Discard;
    }

    /// The session has let go of its lock, and all that was asked was answered.
    pub(in crate::store) fn holds_no_lock(&mut self) {
        self.at_end = AtEnd::Keep;
    }
}

impl Deref for Lent {
    type Target = ClientWrapper;

    fn deref(&self) -> &ClientWrapper {
        &self.session.client
    }
}

impl DerefMut for Lent {
    fn deref_mut(&mut self) -> &mut ClientWrapper {
        &mut self.session.client
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let at_end = self.at_end;
        let session = &mut *self.session;
        if session.client.is_closed() {
            session.trust.lost(session.lent_at);
            if session.lease.is_over() {
                session.discard();
            }
            return;
        }
        match at_end {
            AtEnd::Untouched => {}
            AtEnd::Keep => (session.answered_at, session.state) = (Instant::now(), State::AtRest),
            AtEnd::Prove => session.state = State::Unknown,
            AtEnd::Discard => return session.discard(),
        }
        session.lease.end();
    }
}

/// Until when a connection is lent. Its driver ends it then.
#[derive(Clone)]
pub(in crate::store) struct Lease(watch::Sender<Option<Instant>>);

impl Lease {
    /// From now on for so long.
    pub(in crate::store) fn extend(&self, time: Duration) {
        self.0.send_replace(Some(Instant::now() + time));
    }

    fn end(&self) {
        self.0.send_replace(None);
    }

    fn is_over(&self) -> bool {
        self.0.borrow().is_some_and(|until| until <= Instant::now())
    }
}

async fn expiry(mut lease: watch::Receiver<Option<Instant>>) {
    loop {
        let until = *lease.borrow_and_update();
        let expires = async {
            match until {
                Some(until) => sleep_until(until).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = expires => return,
            changed = lease.changed() => if changed.is_err() { return },
        }
    }
}

/// Since when a connection must have answered to be lent without asking it. When one is lost, whatever took it may have taken
/// all those that have not answered since it was lent.
struct Trust(Mutex<Instant>);

impl Trust {
    fn lost(&self, lent_at: Instant) {
        let mut since = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *since = lent_at.max(*since);
    }

    fn covers(&self, answered_at: Instant) -> bool {
        answered_at >= *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One connection of the pool.
pub(in crate::store) struct Session {
    client: ClientWrapper,
    lease: Lease,
    state: State,
    lent_at: Instant,
    answered_at: Instant,
    trust: Arc<Trust>,
    tls: MakeRustlsConnect,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    AtRest,
    Unknown,
    Discarded,
}

impl Session {
    /// Has the server end what is under way, and nobody get this again.
    fn discard(&mut self) {
        self.state = State::Discarded;
        self.lease.extend(Duration::ZERO);
        cancel(&self.client, &self.tls);
    }

    async fn prove(&mut self) -> bool {
        let answers = matches!(timeout(PROOF_PATIENCE, self.client.simple_query("")).await, Ok(Ok(_)));
        if answers {
            (self.answered_at, self.state) = (Instant::now(), State::AtRest);
        } else {
            self.trust.lost(self.lent_at);
            self.discard();
        }
        answers
    }
}

/// Makes connections, and says which of those that came back may be lent again.
pub(in crate::store) struct Sessions {
    config: Config,
    tls: MakeRustlsConnect,
    trust: Arc<Trust>,
}

impl Manager for Sessions {
    type Type = Session;
    type Error = Error;

    async fn create(&self) -> Result<Session, Error> {
        let (client, connection) = self.config.connect(self.tls.clone()).await?;
        let (lease, lent) = watch::channel(None);
        let driver = tokio::spawn(async move {
            tokio::select! {
                ended = connection => if let Err(error) = ended {
                    tracing::debug!(error = chain(&error), "a connection to the database broke");
                },
                // what waits for an answer fails, as nobody is left who would bring it
                () = expiry(lent) => tracing::debug!("a connection to the database is given up"),
            }
        });
        let client = ClientWrapper::new(client, driver);
        settings::prepare(&client, Purpose::Pool).await?;
        let now = Instant::now();
        Ok(Session {
            client,
            lease: Lease(lease),
            state: State::AtRest,
            lent_at: now,
            answered_at: now,
            trust: Arc::clone(&self.trust),
            tls: self.tls.clone(),
        })
    }

    async fn recycle(&self, session: &mut Session, _: &Metrics) -> RecycleResult<Error> {
        let is_sound = !session.client.is_closed()
            && session.state != State::Discarded
            && self.trust.covers(session.answered_at)
            && (session.state == State::AtRest || session.prove().await);
        if is_sound { Ok(()) } else { Err(RecycleError::message("it may be lost")) }
    }
}
