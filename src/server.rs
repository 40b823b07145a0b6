//! The service, put together: listener, hub, web and ops on already bound listeners, until it is told to stop.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::SetOnce;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::{self, Django, PublicUrl, Service};
use crate::counted::Requests;
use crate::http::{self, Connections, Limits};
use crate::live::{Hub, Live, StreamCaps};
use crate::network::PerAddress;
use crate::open_files::{self, OPS_CONNECTIONS, Shares};
use crate::ops::{self, Disk, History, Instances, Metrics, Ops};
use crate::password::{Passwords, Queue};
use crate::sign_on_check;
use crate::store::{BYPASSED, DatabaseUrl, Sessions, SignOn, Store, StoreError};
use crate::web::{self, App, Forms, Host, HostPages, OtherAssets, Site, Turns, WebSettings};

/// The flags for the addresses.
const WEB_FLAG: &str = "--listen";
const OPS_FLAG: &str = "--ops-listen";

/// How long requests may take to finish when the service stops.
const GRACE: Duration = Duration::from_secs(5);

/// The whole stop takes less, beside the times that are configured for it.
const STOP: Duration = Duration::from_secs(10);

/// How long the database may take to say, before serving, whether there can be own forms. One that is away is not waited for: pages
/// look again.
const FORMS_PATIENCE: Duration = Duration::from_secs(2);

/// How long the database may take to keep what other instances are to know of this one, before it serves.
const INSTANCES_PATIENCE: Duration = Duration::from_secs(1);

/// In what time one stream is ended at the latest, as long as the whole may take, and how far apart those are that end together.
const DRAINED_IN: Duration = Duration::from_millis(1);
const DRAIN_STEP: Duration = Duration::from_millis(50);

/// How long the background tasks may take after that.
const TASKS_GRACE: Duration = Duration::from_secs(1);

/// The addresses that are taken from the beginning, so that one that can't be had is said before anything else is done. Each is listened
/// at when it is served, and not before. Tests bind port 0.
pub struct Listeners {
    /// For the dashboards.
    pub web: TcpSocket,
    /// For ops.
    pub ops: TcpSocket,
    /// Set as soon as both are served.
    pub serving: Serving,
}

/// Whether a service serves, once it does.
pub type Serving = Arc<SetOnce<()>>;

impl Listeners {
    /// Binds both.
    ///
    /// # Errors
    /// Names the flag and address that can't be bound.
    pub fn bind(service: &Service) -> anyhow::Result<Self> {
        let bind = |flag, address| http::bind(address).with_context(|| no_listener(flag, address));
        Ok(Self {
            web: bind(WEB_FLAG, service.listen)?,
            ops: bind(OPS_FLAG, service.ops_listen)?,
            serving: Serving::default(),
        })
    }
}

fn listen(flag: &str, socket: TcpSocket) -> anyhow::Result<TcpListener> {
    let address = socket.local_addr()?;
    http::listen(socket).with_context(|| no_listener(flag, address))
}

fn no_listener(flag: &str, address: SocketAddr) -> String {
    format!("could not listen on {address} (change it with {flag})")
}

/// Serves until `shutdown` is ready; then ends the streams with `bye: draining`, lets requests finish, and returns. It
/// starts without a database too, and says so where ops look, until there is one. Ops are answered first, before the database is asked
/// for anything.
///
/// # Errors
/// If the configuration can't be used, another process listens at one of the addresses meanwhile, or there are to be own forms where
/// Django manages the database.
pub async fn run(
    url: DatabaseUrl,
    service: Service,
    listeners: Listeners,
    shutdown: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    let sign_on = service.django.sign_on()?;
    let database = url.to_string();
    let store = Store::new(url, service.pool_size)?;
    let (limits, caps) = limits(&service);
    let patience = limits.patience;
    let connections = Connections::new(limits);
    let sessions = Sessions::new(&store, &sign_on, service.session_idle);
    let live = Live::new(store.clone(), sessions.clone(), service.time_zone, caps);
    let (tasks, background, requests) = (TaskTracker::new(), CancellationToken::new(), CancellationToken::new());
    let in_background = |task: BoxFuture<'static, ()>| tasks.spawn(background.clone().run_until_cancelled_owned(task));

    let site = site(&service.django, &sign_on, service.sign_in.public_url);
    let administration = ops::for_administrators();
    let all_routes = web::all_routes(&site, administration.list());
    let counted = Requests::of(all_routes.iter().map(|route| &*route.path));
    let disk = Arc::new(Disk::default());
    let metrics = Metrics::of(&live, &store, &counted, &connections, &disk);
    let (history, stopping, stop) = (History::default(), CancellationToken::new(), CancellationToken::new());
    let Listeners { web, ops, serving } = listeners;
    let addresses = (web.local_addr()?, ops.local_addr()?);
    let parts = (store.clone(), Arc::clone(&live), metrics.clone());
    let instances = Instances::new(parts, addresses, web::packed_assets(), stopping.clone());
    let looked_at = Ops {
        store: store.clone(),
        live: Arc::clone(&live),
        sign_on: sign_on.clone(),
        metrics: metrics.clone(),
        history: history.clone(),
        instances: instances.clone(),
        disk: Arc::clone(&disk),
        started_at: Instant::now(),
        serving: Arc::clone(&serving),
        stop: stop.clone(),
        stopping: stopping.clone(),
    };
    let per_address = PerAddress { most: OPS_CONNECTIONS, spares_this_machine: true };
    let own =
        Connections::new(Limits { connections: OPS_CONNECTIONS, per_address, trusted_proxies: Vec::new(), patience });
    let routes = ops::router(looked_at.clone());
    let ops = http::serve(listen(OPS_FLAG, ops)?, routes, own, background.clone().cancelled_owned(), TASKS_GRACE);
    let ops = tokio::spawn(ops);

    let forms = forms(&store, service.forms).await.inspect_err(|_| background.cancel())?;
    live.start(service.retention, service.audit_every, &tasks, &background);
    if let SignOn::Django(keys) = &sign_on {
        let (store, django, keys) = (store.clone(), service.django.clone(), keys.clone());
        in_background(async move { sign_on_check::say_at_start(&store, &django, &keys).await }.boxed());
    }
    {
        let (live, store) = (Arc::clone(&live), store.clone());
        in_background(async move { history.keep(&metrics).await }.boxed());
        in_background(async move { ops::keep_alive(&live).await }.boxed());
        in_background(async move { disk.watch(&store).await }.boxed());
    }
    if tokio::time::timeout(INSTANCES_PATIENCE, instances.begin()).await.is_err() {
        tracing::debug!("the database does not take in time what other instances are told of this one");
    }
    {
        let instances = instances.clone();
        in_background(async move { instances.keep().await }.boxed());
    }
    let settings = WebSettings {
        zone: service.time_zone,
        currency: service.currency,
        late_after: service.late_after,
        poll_interval: service.poll_interval,
        session_lifetime: service.session_lifetime,
        session_idle: service.session_idle,
        trusted_proxies: service.sign_in.trusted_proxy,
        upgrades_passwords: service.sign_in.upgrade_password_hashes,
        forms,
        site,
    };
    let app = App {
        store,
        sessions,
        live: Arc::clone(&live),
        passwords: Passwords::new(service.sign_in.failed_login_takes),
        logins: Queue::default(),
        sign_in_key: Arc::default(),
        two_cookies: Arc::default(),
        untrusted_proxy: Arc::default(),
        requests: counted,
        other_assets: Arc::new(OtherAssets::default()),
        turns: Turns::of_pool(service.pool_size),
        settings: Arc::new(settings),
    };
    let routes = web::router(app, administration.with_state(looked_at));
    let web = match listen(WEB_FLAG, web) {
        Ok(web) => web,
        Err(error) => {
            background.cancel();
            let _ = tokio::time::timeout(INSTANCES_PATIENCE, instances.leave()).await;
            return Err(error);
        }
    };
    let web = http::serve(web, routes, connections, requests.clone().cancelled_owned(), GRACE);
    let web = tokio::spawn(web);

    let _ = serving.set(());
    tracing::info!(address = %addresses.0, ops = %addresses.1, database = %database, "serving");
    ops::say_serving();
    tokio::select! {
        () = shutdown => {}
        () = stop.cancelled() => {}
    }
    tracing::info!("stopping");
    ops::say_stopping(STOP + service.drain.drain_notice + service.drain.drain_for);
    stopping.cancel();
    live.hub.refuse();
    // whoever shares out requests finds out that this instance is not ready before it takes none any more
    sleep(service.drain.drain_notice).await;
    drain(&live.hub, service.drain.drain_for).await;
    requests.cancel();
    // a panic in either is in the log, and the other must still be waited for
    let _ = web.await;
    background.cancel();
    let _ = ops.await;
    let _ = tokio::time::timeout(INSTANCES_PATIENCE, instances.leave()).await;
    tasks.close();
    if tokio::time::timeout(TASKS_GRACE, tasks.wait()).await.is_err() {
        tracing::warn!("background tasks did not end in time");
    }
    Ok(())
}

/// What clients may hold, of connections and of streams. Raises the limit of open files, of which these are most, and says so.
fn limits(service: &Service) -> (Limits, StreamCaps) {
    /// Connections to the database beside the pool's.
    const LISTENER: usize = 2;
    let config::Clients { client_patience: patience, max_connections, connections_per_address, streams_per_user } =
        service.clients;
    let limit = open_files::raise();
    let shares = Shares::of(limit.now, service.pool_size + LISTENER, 2 * http::REFUSALS, max_connections);
    let per_address = PerAddress {
        most: connections_per_address.unwrap_or(shares.per_address),
        spares_this_machine: connections_per_address.is_none(),
    };
    let Shares { connections, streams, .. } = shares;
    tracing::info!(
        limit = limit.now,
        before = limit.before,
        connections,
        per_address = per_address.most,
        streams,
        "raised the limit of open files as far as it may be"
    );
    if let Some(more) = max_connections.filter(|most| *most > connections) {
        tracing::warn!(more, connections, "--max-connections is more than the limit of open files allows");
    }
    let trusted_proxies = service.sign_in.trusted_proxy.clone();
    (
        Limits { connections, per_address, trusted_proxies, patience },
        StreamCaps { all: streams, per_address, per_user: streams_per_user },
    )
}

/// Ends the streams spread over a time, or over less where they are few: each comes back somewhere, and reads its state there.
async fn drain(hub: &Hub, time: Duration) {
    let streams = hub.open_streams();
    let time = time.min(DRAINED_IN * u32::try_from(streams).unwrap_or(u32::MAX));
    let steps = usize::try_from(time.as_millis() / DRAIN_STEP.as_millis()).unwrap_or(usize::MAX);
    for _ in 0..steps {
        hub.drain_some(streams.div_ceil(steps));
        sleep(DRAIN_STEP).await;
    }
    hub.drain();
}

/// Says in the log what own forms lack and what they bypass.
async fn forms(store: &Store, configured: config::Forms) -> Result<Forms, StoreError> {
    let config::Forms { own, host_edit_path: edit, host_cancel_path: cancel, host_order_path: order } = configured;
    if !own.own_forms {
        return Ok(Forms::OfHost(HostPages { edit, cancel, order }));
    }
    let bypass_django = own.own_forms_bypass_django;
    let looked = async { Ok::<_, StoreError>((store.has_django().await?, store.form_obstacles(bypass_django).await?)) };
    if let Ok(Ok((has_django, obstacles))) = tokio::time::timeout(FORMS_PATIENCE, looked).await {
        let why = obstacles.join("; ");
        if has_django && !bypass_django {
            return Err(StoreError::Unsuitable(format!("--own-forms is refused: {why}")));
        }
        if has_django {
            tracing::warn!(
                "own forms bypass the code of the application that manages this database: {BYPASSED} do not follow"
            );
        }
        if !why.is_empty() {
            tracing::warn!(why, "own forms are not offered");
        }
    }
    Ok(Forms::Own { bypass_django })
}

/// Where this installation has its pages, and who signs people on.
fn site(django: &Django, sign_on: &SignOn, url: Option<PublicUrl>) -> Site {
    let host = match sign_on {
        SignOn::Own => None,
        SignOn::Django(_) => Some(Host {
            session_cookie: django.django_session_cookie.clone(),
            login: django.host_login_path.clone(),
            logout: django.host_logout_path.clone(),
        }),
    };
    Site::new(django.prefix(sign_on), host, url.map(|url| url.is_https))
}
