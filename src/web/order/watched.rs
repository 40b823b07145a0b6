//! What a page of one order is told, so that it notices what others change meanwhile.

use crate::order::{Entry, Standing};
use crate::store::{OrderDetail, SignedIn};
use crate::web::app::App;
use crate::web::page::live::LiveData;
use crate::web::request::failure::Failure;

/// An order as it was when its page was made.
pub(super) struct Watched {
    /// What the page is told of the streams and the API.
    pub(super) live: LiveData,
    /// Another one after any write to it.
    pub(super) touched: String,
    pub(super) standing: Standing,
    /// Who brought the order where it stands; empty where that is not known.
    pub(super) by: String,
}

impl Watched {
    /// # Errors
    /// If the user sees no orders.
    pub(super) fn of(app: &App, user: &SignedIn, order: &OrderDetail) -> Result<Self, Failure> {
        let scope = user.sight().ok_or(Failure::NotFound)?.scope();
        Ok(Self {
            live: LiveData::new(app, scope, &order.cursor),
            touched: order.touched.clone(),
            standing: order.row.standing(),
            by: brought_by(order),
        })
    }
}

/// Who brought an order where it stands; empty where that is not known.
pub(super) fn brought_by(order: &OrderDetail) -> String {
    let newest = order.timeline.iter().find(|entry| entry.changed_standing());
    newest.and_then(Entry::by).unwrap_or_default().to_owned()
}
