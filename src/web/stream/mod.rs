//! The stream of events: opening it, and writing it to its browser.

pub(super) mod open;
pub(super) mod response;
