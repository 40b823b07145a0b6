//! One order: its page, and what people do with it.

pub(super) mod cancel;
pub(super) mod edit;
mod overtaken;
pub(super) mod page;
mod refusal;
pub(super) mod selection;
pub(super) mod status;
mod timeline;
pub(super) mod viewing;
mod watched;
