//! What every handler is given.

use std::sync::Arc;
use std::time::Duration;

use chrono_tz::Tz;
use tokio::sync::OnceCell;

use crate::counted::Requests;
use crate::live::Live;
use crate::network::Network;
use crate::order::{Currency, LateAfter, OrderLink};
use crate::password::{Passwords, Queue};
use crate::seldom::Seldom;
use crate::store::{Sessions, Store};
use crate::web::address::Site;
use crate::web::other_assets::OtherAssets;
use crate::web::turns::Turns;

/// What the handlers need.
#[derive(Clone)]
pub struct App {
    /// The database.
    pub store: Store,
    /// Who is signed in.
    pub sessions: Sessions,
    /// The streams.
    pub live: Arc<Live>,
    /// The checking of passwords.
    pub passwords: Passwords,
    /// Who waits for that.
    pub logins: Queue,
    /// The key by which a device is known that has signed in before, once it was read.
    pub sign_in_key: Arc<OnceCell<Vec<u8>>>,
    /// When it was said last that a browser sends the host's cookie twice.
    pub two_cookies: Arc<Seldom>,
    /// When it was said last that a proxy names its clients that is not trusted.
    pub untrusted_proxy: Arc<Seldom>,
    /// How many requests there were.
    pub requests: Requests,
    /// Scripts and styles of other versions, for whose pages a balancer leads to this instance.
    pub other_assets: Arc<OtherAssets>,
    /// How much one person may have under way at once.
    pub turns: Turns,
    /// What was configured.
    pub settings: Arc<WebSettings>,
}

/// What the pages are told by the configuration.
#[derive(Debug, Clone)]
pub struct WebSettings {
    /// Zone of days and times.
    pub zone: Tz,
    /// Sign before amounts.
    pub currency: Currency,
    /// How long orders may stay in a status.
    pub late_after: LateAfter,
    /// How often a page polls while its stream is down.
    pub poll_interval: Duration,
    /// How long somebody stays signed in at most.
    pub session_lifetime: Duration,
    /// After how long without a request somebody is signed out.
    pub session_idle: Duration,
    /// Which proxies are believed about who their clients are.
    pub trusted_proxies: Vec<Network>,
    /// Whether a weaker hash is replaced when its user signs in.
    pub upgrades_passwords: bool,
    /// Who has the forms that change orders.
    pub forms: Forms,
    /// Where the pages are, and who signs people on.
    pub site: Site,
}

/// Who has the forms that change orders.
#[derive(Debug, Clone)]
pub enum Forms {
    /// The application that manages the orders, the *host*. Then nothing outside schema `live` is ever written.
    OfHost(HostPages),
    /// This service.
    Own {
        /// Whether also where Django manages the database, past its code.
        bypass_django: bool,
    },
}

/// The host's pages on which orders are changed.
#[derive(Debug, Clone)]
pub struct HostPages {
    /// Where an order is edited.
    pub edit: OrderLink,
    /// Where an order is cancelled.
    pub cancel: OrderLink,
    /// Where pharmacists change where an order stands.
    pub order: OrderLink,
}
