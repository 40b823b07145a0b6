//! What the ops routes look at.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::SetOnce;
use tokio_util::sync::CancellationToken;

use super::disk::Disk;
use super::history::History;
use super::instances::Instances;
use super::metrics::Metrics;
use crate::live::Live;
use crate::store::{SignOn, Store};

/// What the ops routes look at.
#[derive(Clone)]
pub struct Ops {
    /// The database.
    pub store: Store,
    /// Listener and streams.
    pub live: Arc<Live>,
    /// Who signs people on.
    pub sign_on: SignOn,
    /// All that is counted.
    pub metrics: Metrics,
    /// What was counted during the last hour.
    pub history: History,
    /// All instances of the service.
    pub instances: Instances,
    /// What was said of the server's disk.
    pub disk: Arc<Disk>,
    /// When the service began.
    pub started_at: Instant,
    /// Set once pages are served.
    pub serving: Arc<SetOnce<()>>,
    /// Cancelled where ops want the service to stop.
    pub stop: CancellationToken,
    /// Cancelled once the service is stopping.
    pub stopping: CancellationToken,
}
