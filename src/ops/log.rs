//! The log while the service runs: levels that can be changed, and what last went wrong.

use std::collections::VecDeque;
use std::fmt::{Debug, Write};
use std::sync::{Mutex, PoisonError, RwLock};

use chrono::{DateTime, Utc};
use serde::Serialize;
use tracing::field::{Field, Visit};
use tracing::subscriber::Interest;
use tracing::{Event, Level, Metadata, Subscriber, callsite, dispatcher};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::Context;

use crate::log::{is_ours, parse_filter};

/// So many of the last lines are kept.
const KEPT: usize = 20;

/// Which events are written, by their module. A layer over all others.
#[derive(Debug)]
pub struct Levels(RwLock<Targets>);

impl Levels {
    /// These to begin with.
    #[must_use]
    pub fn new(targets: Targets) -> Self {
        Self(RwLock::new(targets))
    }

    fn targets<T>(&self, ask: impl FnOnce(&Targets) -> T) -> T {
        ask(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<S: Subscriber> Layer<S> for Levels {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        self.targets(|targets| Layer::<S>::register_callsite(targets, metadata))
    }

    fn enabled(&self, metadata: &Metadata<'_>, context: Context<'_, S>) -> bool {
        self.targets(|targets| Layer::<S>::enabled(targets, metadata, context))
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        self.targets(Layer::<S>::max_level_hint)
    }
}

/// Which events the log of this process is to have from now on. Gives which it had.
///
/// # Errors
/// Says what was expected, or that this process has no such log.
pub(super) fn change_levels(filter: &str) -> Result<String, &'static str> {
    let targets = parse_filter(filter)?;
    if targets.iter().any(|(target, level)| !target.is_empty() && !is_ours(target) && level > LevelFilter::WARN) {
        return Err("of other crates nothing below a warning is written, as it may have people's data in it");
    }
    const NONE: &str = "the log of this process has no levels that can be changed";
    // it is written whatever was written before, and is from now on
    let had = replace_levels(Targets::new().with_default(LevelFilter::INFO)).ok_or(NONE)?.to_string();
    tracing::info!(filter, had, "the log's levels were changed, as ops wanted");
    replace_levels(targets).map(|_| had).ok_or(NONE)
}

/// Gives those before.
fn replace_levels(targets: Targets) -> Option<Targets> {
    let had = dispatcher::get_default(|dispatch| {
        let Levels(levels) = dispatch.downcast_ref()?;
        Some(std::mem::replace(&mut *levels.write().unwrap_or_else(PoisonError::into_inner), targets.clone()))
    });
    callsite::rebuild_interest_cache();
    had
}

/// A line of the log.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Line {
    at: DateTime<Utc>,
    level: &'static str,
    text: String,
}

/// Keeps the last warnings and errors that were written. A layer beneath those that decide which are.
#[derive(Debug, Default)]
pub struct Recent(Mutex<VecDeque<Line>>);

impl<S: Subscriber> Layer<S> for Recent {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let level = *event.metadata().level();
        if level > Level::WARN {
            return;
        }
        let mut words = Words::default();
        event.record(&mut words);
        let text = words.message + &words.fields;
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.truncate(KEPT - 1);
        lines.push_front(Line { at: Utc::now(), level: level.as_str(), text });
    }
}

/// The last warnings and errors of this process, the newest first.
pub(super) fn recent() -> Vec<Line> {
    dispatcher::get_default(|dispatch| {
        let kept = dispatch.downcast_ref::<Recent>();
        kept.map(|Recent(lines)| lines.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect())
    })
    .unwrap_or_default()
}

#[derive(Default)]
struct Words {
    message: String,
    fields: String,
}

impl Visit for Words {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        // a String takes whatever is written to it
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, ", {name}: {value:?}"),
        };
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }
}

#[cfg(test)]
mod tests {
    use crate::security;
    use tracing_subscriber::layer::SubscriberExt;
    use tracing_subscriber::registry;

    use super::*;

    #[test]
    fn levels_change_while_it_runs_and_the_last_warnings_are_kept() {
        let log = registry().with(Levels::new("error".parse().unwrap())).with(Recent::default());
        tracing::subscriber::with_default(log, || {
            let say = |count: u32| tracing::warn!(count, cause = "a cable", "it broke");
            say(1);
            assert_eq!(change_levels("warn").unwrap(), "error");
            (2..49).for_each(say);
            tracing::info!("no more than that");
            for wrong in ["warn=nonsense=really", "", " ", "warn,", ","] {
                assert!(change_levels(wrong).is_err(), "{wrong:?}");
            }
            change_levels("oncare_lve=warn").unwrap();
            say(49);
            assert_eq!(recent()[0].text, "it broke, count: 49, cause: a cable", "a mistyped name silences nothing");
            tracing::info!(target: security::TARGET, "written");
            assert!(tracing::enabled!(target: security::TARGET, Level::INFO));
            change_levels("oncare_live=off,security=off").unwrap();
            say(51);
            assert!(!tracing::enabled!(target: security::TARGET, Level::INFO), "but what is named is as it says");
            change_levels("error").unwrap();
            say(50);
            let texts: Vec<String> = recent().into_iter().map(|line| format!("{} {}", line.level, line.text)).collect();
            assert_eq!(texts.len(), KEPT);
            assert_eq!(texts[0], "WARN it broke, count: 49, cause: a cable");
        });
    }
}
