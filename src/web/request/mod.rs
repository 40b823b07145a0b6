//! What a request is: who sends it, what it asks for, and why it may get no answer. Every handler is given its parts.

pub(super) mod accept;
pub(super) mod administration;
pub(super) mod asker;
pub(super) mod deed;
pub(super) mod device;
pub(super) mod etag;
pub(super) mod failure;
pub(super) mod form;
pub(super) mod guard;
pub(super) mod id;
pub(super) mod origin;
pub(super) mod path;
pub(super) mod query;
pub(super) mod session;
pub(super) mod tally;
pub(super) mod turn;
