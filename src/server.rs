//! The service, put together: listener, hub, web and ops on already bound listeners, until it is told to stop.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::{self, Django, PublicUrl, Service};
use crate::http;
use crate::live::Live;
use crate::ops::{self, Ops};
use crate::password::{Passwords, Queue};
use crate::sign_on_check;
use crate::store::{BYPASSED, DatabaseUrl, Sessions, SignOn, Store, StoreError};
use crate::web::{self, App, Forms, Host, HostPages, Site, Turns, WebSettings};

/// How long requests may take to finish when the service stops. The whole stop takes less than ten seconds.
const GRACE: Duration = Duration::from_secs(5);

/// How long the database may take to say, before serving, whether there can be own forms. One that is away is not waited for: pages
/// look again.
const FORMS_PATIENCE: Duration = Duration::from_secs(2);

/// How long the background tasks may take after that.
const TASKS_GRACE: Duration = Duration::from_secs(1);

/// The bound listeners. Tests bind port 0.
pub struct Listeners {
    /// For the dashboards.
    pub web: TcpListener,
    /// For ops.
    pub ops: TcpListener,
}

impl Listeners {
    /// Binds both.
    ///
    /// # Errors
    /// Names the flag and address that can't be bound.
    pub fn bind(service: &Service) -> anyhow::Result<Self> {
        use anyhow::Context;
        let bind = |flag: &str, address| {
            http::bind(address).with_context(|| format!("could not listen on {address} (change it with {flag})"))
        };
        Ok(Self { web: bind("--listen", service.listen)?, ops: bind("--ops-listen", service.ops_listen)? })
    }
}

/// Serves until `shutdown` is ready; then ends the streams with `bye: draining`, lets requests finish, and returns. It
/// starts without a database too, and says so where ops look, until there is one.
///
/// # Errors
/// If the configuration can't be used, or there are to be own forms where Django manages the database.
pub async fn run(
    url: DatabaseUrl,
    service: Service,
    listeners: Listeners,
    shutdown: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    let sign_on = service.django.sign_on()?;
    let store = Store::new(url, service.pool_size)?;
    let forms = forms(&store, service.forms).await?;
    let sessions = Sessions::new(&store, &sign_on, service.session_idle);
    let live = Live::new(store.clone(), sessions.clone(), service.time_zone);
    let (tasks, background, requests) = (TaskTracker::new(), CancellationToken::new(), CancellationToken::new());
    live.start(service.retention, &tasks, &background);
    if let SignOn::Django(keys) = &sign_on {
        let (store, django, keys) = (store.clone(), service.django.clone(), keys.clone());
        let stopped = background.clone().cancelled_owned();
        tasks.spawn(async move {
            tokio::select! {
                () = stopped => {}
                () = sign_on_check::say_at_start(&store, &django, &keys) => {}
            }
        });
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
        site: site(&service.django, &sign_on, service.sign_in.public_url),
    };
    let app = App {
        store: store.clone(),
        sessions,
        live: Arc::clone(&live),
        passwords: Passwords::new(service.sign_in.failed_login_takes),
        logins: Queue::default(),
        sign_in_key: Arc::default(),
        two_cookies: Arc::default(),
        untrusted_proxy: Arc::default(),
        turns: Turns::of_pool(service.pool_size),
        crowding: Arc::default(),
        settings: Arc::new(settings),
    };
    let ops = Ops { store, live: Arc::clone(&live), sign_on, stopping: requests.clone() };
    let web = http::serve(listeners.web, web::router(app), requests.clone().cancelled_owned(), GRACE);
    let web = tokio::spawn(web);
    let ops = http::serve(listeners.ops, ops::router(ops), background.clone().cancelled_owned(), TASKS_GRACE);
    let ops = tokio::spawn(ops);

    shutdown.await;
    tracing::info!("stopping");
    requests.cancel();
    live.hub.drain();
    // a panic in either is in the log, and the other must still be waited for
    let _ = web.await;
    background.cancel();
    let _ = ops.await;
    tasks.close();
    if tokio::time::timeout(TASKS_GRACE, tasks.wait()).await.is_err() {
        tracing::warn!("background tasks did not end in time");
    }
    Ok(())
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
