//! How many files the process may have open, and what they are for: each connection is one.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What connections of the ops listener may take.
pub const OPS_CONNECTIONS: usize = 64;

/// What is left for the log, look-ups of names, certificates and the runtime.
const OTHERS: usize = 64;

/// More connections than these are for no machine that runs one service.
const MOST_CONNECTIONS: usize = 100_000;

/// Fewer are too few for anybody to be served.
const FEWEST_CONNECTIONS: usize = 64;

/// The limit of open files.
#[derive(Debug, Clone, Copy)]
pub struct Limit {
    /// The limit as it was.
    pub before: usize,
    /// The limit now.
    pub now: usize,
}

/// Raises the limit as far as this process may. Where that can't be done, it stays.
#[must_use]
pub fn raise() -> Limit {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let in_number = |limit: Option<u64>| limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    let now = if raised.is_ok() { maximum } else { current };
    Limit { before: in_number(current), now: in_number(now) }
}

/// What of the limit clients may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shares {
    /// Connections of all clients.
    pub connections: usize,
    /// Those of one address.
    pub per_address: usize,
    /// Streams: others are left for whoever signs in or reads a page.
    pub streams: usize,
}

impl Shares {
    /// Of a limit, beside so many for the database and for connections that are being refused.
    #[must_use]
    pub fn of(limit: usize, database: usize, refusals: usize, most: Option<usize>) -> Self {
        let reserve = database + refusals + OPS_CONNECTIONS + OTHERS;
        let there_are = limit.saturating_sub(reserve).max(FEWEST_CONNECTIONS.min(limit / 4));
        let connections = most.unwrap_or(MOST_CONNECTIONS).min(there_are);
        let others = (connections / 32).max(32).min(connections / 4);
        Self { connections, per_address: (connections / 4).max(1), streams: connections - others }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_share_what_the_service_does_not_need_itself() {
        let shares = |limit, most| {
            let Shares { connections, per_address, streams } = Shares::of(limit, 10, 32, most);
            (connections, per_address, streams)
        };
        assert_eq!(shares(1_024, None), (854, 213, 822));
        assert_eq!(shares(20_000, None), (19_830, 4_957, 19_211));
        assert_eq!(shares(usize::MAX, None), (100_000, 25_000, 96_875));
        assert_eq!(shares(20_000, Some(40)), (40, 10, 30));
        assert_eq!(shares(20_000, Some(50_000)).0, 19_830, "never more than there are");
        assert_eq!(shares(128, None), (32, 8, 24), "there are too few, and clients get some");
    }
}
