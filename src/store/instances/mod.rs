//! The instances of the service on this database, and the files of each version that serves.

mod asset;
mod instance;

pub use instance::{Instance, InstanceState};
