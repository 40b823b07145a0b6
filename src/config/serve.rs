//! Arguments of `serve`.

use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

use anyhow::bail;
use chrono_tz::Tz;
use clap::Args;

use super::database::Database;
use super::django::Django;
use super::values;
use crate::network::Network;
use crate::order::{Currency, LateAfter, OrderLink};

/// Arguments of `serve`.
#[derive(Debug, Clone, Args)]
pub struct Serve {
    /// Which database.
    #[command(flatten)]
    pub database: Database,
    /// How to serve it.
    #[command(flatten)]
    pub service: Service,
    /// Migrate before serving.
    #[arg(long, env = "MIGRATE")]
    pub migrate: bool,
}

/// How the service is run.
#[derive(Debug, Clone, Args)]
pub struct Service {
    /// Address and port of the dashboards.
    #[arg(long, env = "ONCARE_LIVE_LISTEN", default_value = "127.0.0.1:8080", value_name = "ADDRESS", value_parser = values::address)]
    pub listen: SocketAddr,
    /// Address and port of /healthz, /readyz and /metrics.
    #[arg(long, env = "OPS_LISTEN", default_value = "127.0.0.1:9464", value_name = "ADDRESS", value_parser = values::address)]
    pub ops_listen: SocketAddr,
    /// How often a page polls while its stream is down.
    #[arg(long, env = "POLL_INTERVAL", default_value = "5s", value_name = "DURATION", value_parser = values::poll_interval)]
    pub poll_interval: Duration,
    /// The zone of the days in filters and of the times shown, as Asia/Manila.
    #[arg(long, env = "TIME_ZONE", default_value = "UTC", value_name = "ZONE", value_parser = values::time_zone)]
    pub time_zone: Tz,
    /// The sign before amounts.
    #[arg(long, env = "CURRENCY", default_value = "₱", value_name = "SIGN", value_parser = Currency::from_str)]
    pub currency: Currency,
    /// How long an order may stay in a status before it is marked as late; no limit where a status is not listed.
    #[arg(long, env = "LATE_AFTER", default_value = "pending=4h,confirmed=1day,processing=2days,ready_for_pickup=3days,shipped=5days", value_name = "LIMITS", value_parser = LateAfter::from_str)]
    pub late_after: LateAfter,
    /// Connections to the database in the pool, of which searches and exports get half; the listener has two more.
    #[arg(long, env = "POOL_SIZE", default_value_t = 8, value_name = "NUMBER", value_parser = values::pool_size)]
    pub pool_size: usize,
    /// How long somebody stays signed in at most.
    #[arg(long, env = "SESSION_LIFETIME", default_value = "14days", value_name = "DURATION", value_parser = values::long_duration)]
    pub session_lifetime: Duration,
    /// After how long without a request somebody is signed out.
    #[arg(long, env = "SESSION_IDLE", default_value = "3days", value_name = "DURATION", value_parser = values::long_duration)]
    pub session_idle: Duration,
    /// How safe signing in is.
    #[command(flatten)]
    pub sign_in: SignIn,
    /// What clients may hold, and for how long.
    #[command(flatten)]
    pub clients: Clients,
    /// How long events are kept: the timeline of an order, and how far back a page can be told what it missed.
    #[arg(long, env = "RETENTION", default_value = "90days", value_name = "DURATION", value_parser = values::long_duration)]
    pub retention: Duration,
    /// How often another stream's state is compared with the database, by a stream beside somebody's, and, at most once a minute,
    /// another rep's statistics with their orders; 0s: never.
    #[arg(long, env = "ONCARE_LIVE_AUDIT_EVERY", default_value = "60s", value_name = "DURATION", value_parser = values::audit_interval)]
    pub audit_every: Duration,
    /// How it stops.
    #[command(flatten)]
    pub drain: Drain,
    /// Who has the forms that change orders.
    #[command(flatten)]
    pub forms: Forms,
    /// Who signs people on, and where the pages are.
    #[command(flatten)]
    pub django: Django,
}

impl Service {
    /// Whether one setting does not go with another.
    ///
    /// # Errors
    /// Which.
    pub fn check(&self) -> anyhow::Result<()> {
        if self.sign_in.upgrade_password_hashes && !self.forms.own.own_forms {
            bail!("upgrade_password_hashes is set: expected own_forms with it, as another application has the users");
        }
        self.forms.own.check()
    }
}

/// What clients may hold, and for how long.
#[derive(Debug, Clone, Args)]
pub struct Clients {
    /// How long a client may take to send a request's head, as long again for its body, and how long it may take nothing of an answer,
    /// or leave a connection unused.
    #[arg(long, env = "CLIENT_PATIENCE", default_value = "20s", value_name = "DURATION", value_parser = values::client_patience)]
    pub client_patience: Duration,
    /// Connections of all clients at most; by default as many as the limit of open files allows beside what the service needs itself.
    #[arg(long, env = "MAX_CONNECTIONS", value_name = "NUMBER", value_parser = values::count)]
    pub max_connections: Option<usize>,
    /// Connections of one address, or behind a trusted proxy requests, and streams. By default a quarter of all connections, and any
    /// number for this machine's own addresses, which a proxy may have.
    #[arg(long, env = "CONNECTIONS_PER_ADDRESS", value_name = "NUMBER", value_parser = values::count)]
    pub connections_per_address: Option<usize>,
    /// Streams of one user, with all sessions, at most: beyond, the oldest is replaced. A browser has one, however many tabs.
    #[arg(long, env = "STREAMS_PER_USER", default_value_t = 120, value_name = "NUMBER", value_parser = values::count)]
    pub streams_per_user: usize,
}

/// How the service stops.
#[derive(Debug, Clone, Args)]
pub struct Drain {
    /// How long it goes on serving after a signal while /readyz says that it is stopping: as long as whoever shares out requests
    /// takes to notice. New streams are refused meanwhile.
    #[arg(long, env = "DRAIN_NOTICE", default_value = "0s", value_name = "DURATION", value_parser = values::drain_time)]
    pub drain_notice: Duration,
    /// Over what time it then ends the open streams, so that they do not come back all at once; less where they are few.
    #[arg(long, env = "DRAIN_FOR", default_value = "2s", value_name = "DURATION", value_parser = values::drain_time)]
    pub drain_for: Duration,
}

/// How safe signing in is.
#[derive(Debug, Clone, Args)]
pub struct SignIn {
    /// Where people reach the service, as `https://live.example`: with https its cookies are for HTTPS alone. Without, that is so where a
    /// request says that it came by HTTPS.
    #[arg(long, env = "PUBLIC_URL", value_name = "URL", value_parser = values::public_url)]
    pub public_url: Option<values::PublicUrl>,
    /// A proxy, or a network of them, that is believed about who its clients are (X-Forwarded-For or Forwarded); several, or commas
    /// between.
    #[arg(long, env = "TRUSTED_PROXY", value_name = "NETWORK", value_delimiter = ',')]
    pub trusted_proxy: Vec<Network>,
    /// How long every failed login takes at least, so that nobody can tell by the time what failed: more than it takes here to check a
    /// password.
    #[arg(long, env = "FAILED_LOGIN_TAKES", default_value = "1s", value_name = "DURATION", value_parser = values::short_duration)]
    pub failed_login_takes: Duration,
    /// Put a present-day hash in the place of a weaker one when its user signs in: for users that no other application manages. Needs
    /// the right to update accounts_user.
    #[arg(long, env = "UPGRADE_PASSWORD_HASHES")]
    pub upgrade_password_hashes: bool,
}

/// Who has the forms that change orders.
#[derive(Debug, Clone, Args)]
pub struct Forms {
    /// Whether the service has.
    #[command(flatten)]
    pub own: OwnForms,
    /// Without own forms: where orders are edited.
    #[arg(long, env = "HOST_EDIT_PATH", default_value = "/orders/orders/{id}/edit/", value_name = "ADDRESS", value_parser = OrderLink::from_str)]
    pub host_edit_path: OrderLink,
    /// Without own forms: where orders are cancelled.
    #[arg(long, env = "HOST_CANCEL_PATH", default_value = "/orders/orders/{id}/cancel/", value_name = "ADDRESS", value_parser = OrderLink::from_str)]
    pub host_cancel_path: OrderLink,
    /// Without own forms: where pharmacists change an order's status.
    #[arg(long, env = "HOST_ORDER_PATH", default_value = "/orders/pharmacist/orders/{id}/", value_name = "ADDRESS", value_parser = OrderLink::from_str)]
    pub host_order_path: OrderLink,
}

/// Whether the service writes orders itself.
#[derive(Debug, Clone, Args)]
pub struct OwnForms {
    /// Edit, cancel and change orders by forms of the service's own, which write the OnCare tables: only for a database that no other
    /// application manages. (`demo` always does.) Else these are links to the host's pages.
    #[arg(long, env = "OWN_FORMS")]
    pub own_forms: bool,
    /// Have own forms even where Django manages the database, past its code: stock, payments, notifications and its history then do
    /// not follow what is changed here.
    #[arg(long, env = "OWN_FORMS_BYPASS_DJANGO")]
    pub own_forms_bypass_django: bool,
}

impl OwnForms {
    /// Whether one setting does not go with another.
    ///
    /// # Errors
    /// Which.
    pub fn check(&self) -> anyhow::Result<()> {
        if self.own_forms_bypass_django && !self.own_forms {
            bail!("own_forms_bypass_django is set: expected own_forms with it");
        }
        Ok(())
    }
}
