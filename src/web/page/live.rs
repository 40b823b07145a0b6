//! What a page is told of the streams and the API.

use crate::cursor::Cursor;
use crate::order::Scope;
use crate::web::app::App;

/// How many rows a page may ask for by id. It shows twenty, and of a queue what has arrived since, and offers others.
pub(crate) const MOST_VISIBLE: usize = 100;

/// Where a page asks for what is new, for whom, and from which state on.
pub(crate) struct LiveData {
    pub(crate) api: String,
    pub(crate) events: String,
    pub(crate) scope: String,
    pub(crate) cursor: String,
    pub(crate) revision: String,
    pub(crate) poll_milliseconds: u128,
    pub(crate) late_after: String,
    pub(crate) most_visible: usize,
}

impl LiveData {
    pub(crate) fn new(app: &App, scope: Scope, cursor: &Cursor) -> Self {
        Self {
            api: app.settings.site.api(scope, "dashboard/"),
            events: app.settings.site.api(scope, "events/"),
            scope: scope.to_string(),
            cursor: cursor.to_string(),
            revision: cursor.revision().to_string(),
            poll_milliseconds: app.settings.poll_interval.as_millis(),
            late_after: app.settings.late_after.to_string(),
            most_visible: MOST_VISIBLE,
        }
    }
}
