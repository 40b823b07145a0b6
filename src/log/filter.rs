//! What a filter of the log means.

use tracing_subscriber::filter::{LevelFilter, Targets};

use crate::security;

/// Reads a filter. What it does not name keeps its errors and warnings, and who signed in and what was refused is written: a name that is
/// mistyped silences nothing.
///
/// # Errors
/// Says what was expected.
pub fn parse_filter(filter: &str) -> Result<Targets, &'static str> {
    let expected = "expected a filter such as warn or oncare_live=debug";
    if filter.split(',').any(|part| part.trim().is_empty()) {
        return Err(expected);
    }
    let mut targets: Targets = filter.parse().map_err(|_| expected)?;
    if targets.default_level().is_none() {
        targets = targets.with_default(LevelFilter::WARN);
        let is_named = targets.iter().any(|(target, _)| target == security::TARGET);
        if !is_named {
            targets = targets.with_target(security::TARGET, LevelFilter::INFO);
        }
    }
    Ok(targets)
}
