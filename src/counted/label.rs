//! Metrics by one label of which all values are known: each is there from the start, so that nobody waits for a metric that comes
//! only with the first of its kind, and an increase from 0 to 1 is one.

use std::marker::PhantomData;

use prometheus_client::encoding::EncodeMetric;
use prometheus_client::metrics::TypedMetric;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::{Metric, Registry};

/// What tells some of a metric from the others.
pub trait Label: Copy + 'static {
    /// The label's name.
    const KEY: &'static str;
    /// All values there are.
    const KNOWN: &'static [Self];
    /// The value, as the metrics have it.
    fn value(self) -> &'static str;
}

/// A metric for each value of a label.
#[derive(Debug)]
pub struct Labelled<L, M = Counter> {
    family: Family<[(&'static str, &'static str); 1], M>,
    label: PhantomData<fn() -> L>,
}

impl<L: Label, M: Default + Clone> Default for Labelled<L, M> {
    fn default() -> Self {
        let family = Family::default();
        L::KNOWN.iter().for_each(|label| drop(family.get_or_create_owned(&[(L::KEY, label.value())])));
        Self { family, label: PhantomData }
    }
}

impl<L: Label, M: Default + Clone> Labelled<L, M> {
    /// The one of that value.
    #[must_use]
    pub fn of(&self, label: L) -> M {
        self.family.get_or_create_owned(&[(L::KEY, label.value())])
    }
}

impl<L: Label, M: Default + EncodeMetric + TypedMetric + Metric> Labelled<L, M>
where
    Family<[(&'static str, &'static str); 1], M>: Metric,
{
    /// Has it in the metrics.
    pub fn register(&self, registry: &mut Registry, name: &str, help: &str) {
        registry.register(name, help, self.family.clone());
    }
}
