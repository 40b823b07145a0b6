//! Where orders are changed: on the pages of the application that manages them, the host; or by forms of the service's own, as long as
//! these can do their work.

use serde::Serialize;

use crate::order::{OrderLink, Scope};
use crate::store::StoreError;
use crate::web::address::Site;
use crate::web::app::{App, Forms, HostPages, WebSettings};
use crate::web::request::deed::Deed;
use crate::web::request::failure::Failure;

/// What a person is told where forms can't do their work. What is missing is for who runs the service.
pub(crate) const UNAVAILABLE: &str = "orders can't be changed here right now, as the service lacks something in its database; who runs it is told what by oncare-live doctor";

/// Where the host has an order's page.
const HOST_ORDER: &str = "/orders/orders/{id}/";

const ON_HOST: &str = "orders are changed in the application that manages them, and not here";

/// How a page offers to change orders.
pub(crate) enum Changing<'a> {
    /// By links to the host's pages.
    OnHost(&'a HostPages),
    /// By forms of this site.
    Here(&'a Site),
    /// Not at all, while the forms lack something.
    Unavailable,
}

impl<'a> Changing<'a> {
    pub(crate) async fn of(app: &'a App) -> Result<Self, StoreError> {
        match &app.settings.forms {
            Forms::OfHost(pages) => Ok(Self::OnHost(pages)),
            Forms::Own { bypass_django } => {
                let obstacles = app.store.recent_form_obstacles(*bypass_django).await?;
                Ok(if obstacles.is_empty() { Self::Here(&app.settings.site) } else { Self::Unavailable })
            }
        }
    }

    /// Where an order is edited or cancelled.
    pub(crate) fn link(&self, deed: Deed) -> Option<OrderLink> {
        match (self, deed) {
            (Self::OnHost(pages), Deed::Edit) => Some(pages.edit.clone()),
            (Self::OnHost(pages), Deed::Cancel) => Some(pages.cancel.clone()),
            (Self::Here(site), Deed::Edit) => own(site, "edit"),
            (Self::Here(site), Deed::Cancel) => own(site, "cancel"),
            (Self::Unavailable, _) => None,
        }
    }
}

fn own(site: &Site, form: &str) -> Option<OrderLink> {
    format!("{}{{id}}/{form}/", site.orders()).parse().ok()
}

/// Where the host's own pages lead, for our script on them: addresses with a place for the order's id, but for the login.
#[derive(Serialize)]
pub(crate) struct HostPaths {
    login: String,
    order: String,
    edit: String,
    cancel: String,
    status: String,
    pharmacist_order: String,
}

impl HostPaths {
    pub(crate) fn of(settings: &WebSettings) -> Self {
        let site = &settings.site;
        let own = || {
            let [order, queue] = [site.orders(), site.list(Scope::All)].map(|list| format!("{list}{{id}}/"));
            [format!("{order}edit/"), format!("{order}cancel/"), queue]
        };
        let [edit, cancel, pharmacist_order] = match &settings.forms {
            Forms::OfHost(HostPages { edit, cancel, order }) => {
                [edit, cancel, order].map(|link| link.pattern().to_owned())
            }
            Forms::Own { .. } => own(),
        };
        // what has no setting is where the host has it beside the edit page, or where it has it unless it is told otherwise
        let order =
            edit.strip_suffix("edit/").filter(|order| order.ends_with("{id}/")).unwrap_or(HOST_ORDER).to_owned();
        Self {
            login: site.host().map_or_else(|| site.login(), |host| host.login.clone()),
            status: format!("{order}status/"),
            order,
            edit,
            cancel,
            pharmacist_order,
        }
    }
}

/// Lets somebody see a form only where it can do its work.
pub(crate) async fn shows_form(app: &App) -> Result<(), Failure> {
    match &app.settings.forms {
        Forms::OfHost(_) => Err(Failure::OfTheHost),
        Forms::Own { bypass_django } => works(app, *bypass_django).await,
    }
}

/// Lets nobody write an order but by a form that can do its work.
pub(crate) async fn takes_form(app: &App) -> Result<(), Failure> {
    match &app.settings.forms {
        Forms::OfHost(_) => Err(Failure::Conflict(ON_HOST.to_owned())),
        Forms::Own { bypass_django } => works(app, *bypass_django).await,
    }
}

async fn works(app: &App, bypass_django: bool) -> Result<(), Failure> {
    let obstacles = app.store.form_obstacles(bypass_django).await?;
    if obstacles.is_empty() {
        return Ok(());
    }
    tracing::warn!(why = obstacles.join("; "), "a form was refused");
    Err(Failure::Conflict(UNAVAILABLE.to_owned()))
}
