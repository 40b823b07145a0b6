//! How instances are, as one of them sees them.

use std::sync::Arc;

use prometheus_client::metrics::gauge::Gauge;
use serde::Serialize;

use crate::counted::{Label, Labelled};

/// How an instance is, as far as the one that is asked knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) enum State {
    #[serde(rename = "live")]
    Live,
    #[serde(rename = "not live")]
    NotLive,
    #[serde(rename = "draining")]
    Draining,
    /// It has said nothing for too long.
    #[serde(rename = "vanished")]
    Vanished,
}

impl Label for State {
    const KEY: &'static str = "state";
    const KNOWN: &'static [Self] = &[Self::Live, Self::NotLive, Self::Draining, Self::Vanished];

    fn value(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::NotLive => "not_live",
            Self::Draining => "draining",
            Self::Vanished => "vanished",
        }
    }
}

/// How many instances there are, as the metrics have it.
pub(super) type Seen = Arc<Labelled<State, Gauge>>;
