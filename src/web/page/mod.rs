//! What every page has: its shell, its scripts and styles. And the pages of no feature: the login, and
//! that of a failure.

pub(super) mod assets;
mod browser;
pub(super) mod failure;
pub(super) mod host;
pub(super) mod live;
pub(super) mod login;
mod script;
pub(super) mod sessions;
pub(super) mod shell;
mod way_back;
