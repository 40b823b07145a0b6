//! A change that somebody else's overtook: the person is told both versions, and whose the other one is.

use super::timeline::last_changed;
use crate::order::{Entry, Standing, Wanted};
use crate::store::OrderDetail;
use crate::web::app::App;
use crate::web::request::failure::Failure;

/// A change of where an order stands that somebody else's change overtook.
pub(super) struct Overtaken {
    pub(super) was: String,
    pub(super) wanted: String,
    pub(super) now: String,
    /// `rx, Jan 15, 2025 10:30 UTC`, if it is known.
    pub(super) by: Option<String>,
    pub(super) is_now_as_wanted: bool,
}

impl Overtaken {
    /// Of an order that was read after the other change.
    pub(super) fn of(was: &Standing, wanted: &Wanted, order: &OrderDetail, app: &App) -> Self {
        let now = order.row.standing();
        Self {
            was: was.label(),
            wanted: wanted.label(),
            now: now.label(),
            by: last_changed(&order.timeline, Entry::changed_standing, app.settings.zone),
            is_now_as_wanted: now == was.with(wanted),
        }
    }

    /// In one sentence.
    pub(super) fn sentence(&self, number: &str) -> String {
        let by = self.by.as_ref().map(|by| format!(" (changed by {by})")).unwrap_or_default();
        format!("{number} was {}, and is {} now{by}; you wanted {}.", self.was, self.now, self.wanted)
    }
}

/// What a form was made from, as its version says; nothing where it has none.
pub(super) fn standing_seen(version: &str) -> Result<Option<Standing>, Failure> {
    if version.is_empty() {
        return Ok(None);
    }
    let expected = "version: expected a status and a payment status such as pending:paid";
    Standing::of_version(version).map(Some).ok_or_else(|| Failure::Unwritable(expected.to_owned()))
}
