//! How many files may be open: each stream is one, in this process and in its server, which inherits the limit.

use anyhow::ensure;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What is open besides streams.
const OTHERS: u64 = 200;

/// Allows as many as may be allowed.
///
/// # Errors
/// If that is too few for so many streams.
pub fn allow(streams: usize) -> anyhow::Result<()> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?;
    let needed = streams as u64 + OTHERS;
    ensure!(
        maximum.is_none_or(|maximum| maximum >= needed),
        "{streams} streams need {needed} open files; raise the limit (ulimit -Hn) or ask for fewer with --streams"
    );
    Ok(())
}
