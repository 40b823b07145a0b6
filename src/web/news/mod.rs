//! What people are told of and how: the bell, muted orders, preferences.

pub(super) mod bell;
pub(super) mod mute;
pub(super) mod preferences;
