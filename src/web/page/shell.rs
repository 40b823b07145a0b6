//! What every page has around its content.

use askama::Template;
use axum::http::header;
use axum::response::{Html, IntoResponse, Response};
use chrono::Utc;

use super::assets::{BASE, modules};
use crate::order::{Currency, Money, UserId, iso_time};
use crate::store::{MOST_UNREAD, NEWEST_CHANGES, Role, SignedIn};
use crate::web::address::{Host, Site};
use crate::web::app::App;
use crate::web::request::failure::Failure;

/// What every page has around its content.
pub(crate) struct Shell {
    /// The person's name and role, where somebody is signed in.
    pub(crate) person: Option<(String, &'static str)>,
    /// For whom the page is, which its forms send along.
    pub(crate) user: Option<UserId>,
    /// What the bell needs, where somebody is signed in who sees orders.
    pub(crate) bell: Option<Bell>,
    /// Where scripts and styles are.
    pub(crate) assets: String,
    /// Sign before amounts.
    pub(crate) currency: Currency,
    /// The zone of every clock on the page, by the name that browsers know it by.
    pub(crate) zone: &'static str,
    /// Where orders have their pages: below it, by their ids.
    pub(crate) orders: String,
    /// What stands before every path of this installation.
    pub(crate) root: String,
    /// Where administrators see how the service runs, where one is signed in.
    pub(crate) administration: Option<String>,
    /// Where people sign in, or are led on to the host.
    pub(crate) login: String,
    /// Where people sign out, where that is the host.
    pub(crate) host_logout: Option<String>,
}

/// Where the bell's changes come from, of whose orders, and for whom.
pub(crate) struct Bell {
    pub(crate) changes: String,
    /// How many changes are listed there.
    pub(crate) most_listed: usize,
    /// More unread ones are only said to be more.
    pub(crate) most_unread: i64,
    pub(crate) scope: String,
    pub(crate) user: String,
}

impl Bell {
    fn of(user: &SignedIn, site: &Site) -> Option<Self> {
        let scope = user.sight()?.scope();
        Some(Self {
            changes: site.api(scope, "changes/"),
            most_listed: NEWEST_CHANGES,
            most_unread: MOST_UNREAD,
            scope: scope.to_string(),
            user: user.username.clone(),
        })
    }
}

impl Shell {
    pub(crate) fn for_user(app: &App, user: &SignedIn) -> Self {
        let person = Some((user.name.clone(), user.role.label()));
        let site = &app.settings.site;
        let administration = (user.role == Role::Admin).then(|| site.administration());
        Self { person, user: Some(user.id), bell: Bell::of(user, site), administration, ..Self::for_nobody(app) }
    }

    pub(crate) fn for_nobody(app: &App) -> Self {
        let site = &app.settings.site;
        Self {
            person: None,
            user: None,
            bell: None,
            assets: site.at(&BASE),
            currency: app.settings.currency.clone(),
            zone: app.settings.zone.name(),
            orders: site.orders(),
            root: site.root().to_owned(),
            administration: None,
            login: site.login(),
            host_logout: site.host().map(|Host { logout, .. }| logout.clone()),
        }
    }

    /// The server's time, by which a page's ages go from the start.
    #[expect(clippy::unused_self, reason = "templates reach what every page has through the shell")]
    pub(crate) fn now(&self) -> String {
        iso_time(Utc::now())
    }

    /// The modules of a page's script.
    #[expect(clippy::unused_self, reason = "templates reach what every page has through the shell")]
    pub(crate) fn modules(&self, script: &str) -> &'static [String] {
        modules(script)
    }

    /// `₱1,500.00`, or a dash where there is no amount.
    pub(crate) fn amount(&self, amount: &Option<Money>) -> String {
        amount.map_or_else(|| "–".to_owned(), |amount| self.currency.show(amount))
    }
}

/// Renders a page that nobody may keep: it is true only now and only for this person.
pub(crate) fn render(template: &impl Template) -> Result<Response, Failure> {
    let html = template.render()?;
    Ok(([(header::CACHE_CONTROL, "no-store"), (header::VARY, "Cookie")], Html(html)).into_response())
}
