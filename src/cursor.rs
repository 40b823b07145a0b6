//! Snapshot, revision, epoch and cursor: what tells one state of the database from a later one.
//!
//! A position among committed changes is a PostgreSQL snapshot, never a sequence number: sequence numbers are not in
//! commit order. Everything here is pure; the queries that produce these values live in `store`.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};

/// Longest cursor that is accepted from outside, in bytes. The database's own may be longer, with hundreds of
/// transactions in progress: such a one is handed out and just does not resume.
const LONGEST_FROM_OUTSIDE: usize = 4_096;

/// Text that is not what PostgreSQL or this service writes for the type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected}")]
pub struct Malformed {
    expected: &'static str,
}

/// A `pg_snapshot`: which transactions are visible. `xmin <= xip… < xmax`, `xip` ascending and unique.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    xmin: u64,
    xmax: u64,
    xip: Vec<u64>,
}

impl Snapshot {
    /// The oldest transaction that was still in progress.
    #[must_use]
    pub fn xmin(&self) -> u64 {
        self.xmin
    }

    /// Whether the snapshot has what the transaction did, given that it committed.
    #[must_use]
    pub fn has(&self, xid: u64) -> bool {
        xid < self.xmin || (xid < self.xmax && self.xip.binary_search(&xid).is_err())
    }
}

impl FromStr for Snapshot {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let malformed = Malformed { expected: "a snapshot such as 745:748:745,747" };
        let mut parts = text.split(':');
        let (Some(xmin), Some(xmax), Some(xip), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
            return Err(malformed);
        };
        let number = |digits: &str| -> Result<u64, Malformed> {
            if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
                return Err(malformed.clone());
            }
            digits.parse().map_err(|_| malformed.clone())
        };
        let (xmin, xmax) = (number(xmin)?, number(xmax)?);
        let xip = match xip {
            "" => Vec::new(),
            list => list.split(',').map(number).collect::<Result<Vec<_>, _>>()?,
        };
        let ascending = xip.windows(2).all(|pair| pair[0] < pair[1]);
        let within = xip.iter().all(|xid| (xmin..xmax).contains(xid));
        if xmin == 0 || xmin > xmax || !ascending || !within {
            return Err(malformed);
        }
        Ok(Self { xmin, xmax, xip })
    }
}

impl fmt::Display for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:", self.xmin, self.xmax)?;
        for (position, xid) in self.xip.iter().enumerate() {
            let comma = if position == 0 { "" } else { "," };
            write!(f, "{comma}{xid}")?;
        }
        Ok(())
    }
}

/// States can be compared only within one epoch. A new one begins when the server is restarted, replaced or promoted, when
/// the database is restored, when schema `live` is installed anew, and when the statistics are rebuilt. It is a hash of what
/// SQL calls the life: `live.server_life()` plus two parts in `PRESENT` (`store/database/snapshot.rs`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Epoch(u64);

impl Epoch {
    /// The epoch of a life, whatever tells it from others: the same for every instance.
    #[must_use]
    pub fn of(life: &str) -> Self {
        let digest = Sha256::digest(life);
        Self(digest.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }
}

impl FromStr for Epoch {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let malformed = Malformed { expected: "an epoch of 16 hexadecimal digits" };
        if text.len() != 16 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(malformed);
        }
        u64::from_str_radix(text, 16).map(Self).map_err(|_| malformed)
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// Where a reader stands: everything visible in the snapshot is known. Written `epoch/snapshot`; it is the `id:` of a
/// server-sent event and comes back as `Last-Event-ID`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// The epoch in which the snapshot means something.
    pub epoch: Epoch,
    /// What is known.
    pub snapshot: Snapshot,
}

impl Cursor {
    /// A cursor that a page brought. `None` where it can't be read, or is too long to be looked at.
    #[must_use]
    pub fn from_outside(text: &str) -> Option<Self> {
        if text.len() > LONGEST_FROM_OUTSIDE { None } else { text.parse().ok() }
    }

    /// The revision of the state that this cursor stands for.
    #[must_use]
    pub fn revision(&self) -> Revision {
        Revision { epoch: self.epoch, xmax: self.snapshot.xmax, in_progress: self.snapshot.xip.len() }
    }
}

impl FromStr for Cursor {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let (epoch, snapshot) = text.split_once('/').ok_or(Malformed { expected: "a cursor `epoch/snapshot`" })?;
        Ok(Self { epoch: epoch.parse()?, snapshot: snapshot.parse()? })
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.epoch, self.snapshot)
    }
}

/// Orders the states of one epoch. Snapshots of one primary are totally ordered by `(xmax, -cardinality(xip))`, and
/// strictly increase whenever anything committed. Written `epoch.xmax.in_progress`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revision {
    epoch: Epoch,
    xmax: u64,
    in_progress: usize,
}

impl PartialOrd for Revision {
    /// `None` for revisions of different epochs: neither is newer.
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        (self.epoch == other.epoch)
            .then(|| self.xmax.cmp(&other.xmax).then_with(|| other.in_progress.cmp(&self.in_progress)))
    }
}

impl FromStr for Revision {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let malformed = Malformed { expected: "a revision `epoch.xmax.in_progress`" };
        let mut parts = text.split('.');
        let (Some(epoch), Some(xmax), Some(in_progress), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(malformed);
        };
        let number = |digits: &str| -> Result<u64, Malformed> {
            let is_number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
            is_number.then(|| digits.parse().ok()).flatten().ok_or_else(|| malformed.clone())
        };
        let in_progress = usize::try_from(number(in_progress)?).map_err(|_| malformed.clone())?;
        Ok(Self { epoch: epoch.parse()?, xmax: number(xmax)?, in_progress })
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.epoch, self.xmax, self.in_progress)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cursor(snapshot: &str) -> Cursor {
        Cursor { epoch: Epoch(7), snapshot: snapshot.parse().unwrap() }
    }

    #[test]
    fn text_survives_a_round_trip() {
        for text in ["1:1:", "745:748:745,747", "745:745:", "10:20:11,15,19"] {
            assert_eq!(text.parse::<Snapshot>().unwrap().to_string(), text);
            let cursor = format!("00000000000000ff/{text}");
            assert_eq!(cursor.parse::<Cursor>().unwrap().to_string(), cursor);
            let revision = cursor.parse::<Cursor>().unwrap().revision();
            assert_eq!(revision.to_string().parse(), Ok(revision));
        }
    }

    #[test]
    fn malformed_text_is_refused() {
        for text in [
            "",
            ":",
            "::",
            "1:2",
            "1:2:3:4",
            "0:1:",
            "2:1:",
            "5:9:4",
            "5:9:9",
            "5:9:7,6",
            "5:9:6,6",
            "5:9:6,",
            "a:b:",
            "-1:2:",
            "+1:2:",
            " 1:2:",
            "1:2: ",
            "1:18446744073709551616:",
        ] {
            assert!(text.parse::<Snapshot>().is_err(), "{text:.40}");
        }
        for text in ["", "/", "1:2:", "00000000000000ff", "ff/1:2:", "00000000000000fg/1:2:", "+0000000000000ff/1:2:"] {
            assert!(text.parse::<Cursor>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_snapshot_has_what_had_ended_when_it_was_taken() {
        let snapshot: Snapshot = "5:9:5,7".parse().unwrap();
        let has: Vec<u64> = (3..11).filter(|xid| snapshot.has(*xid)).collect();
        assert_eq!(has, [3, 4, 6, 8]);
    }

    #[test]
    fn a_very_long_cursor_is_the_databases_own_or_none() {
        let xip = (1..2_000).map(|n| n.to_string()).collect::<Vec<_>>().join(",");
        let long = format!("00000000000000ff/1:99999999:{xip}");
        assert!(long.parse::<Cursor>().is_ok() && Cursor::from_outside(&long).is_none());
        assert!(Cursor::from_outside("00000000000000ff/1:9:").is_some());
    }

    #[test]
    fn a_commit_makes_a_newer_revision() {
        let in_the_order_of_commits = ["5:9:5,7", "5:9:5", "9:9:", "9:10:9", "10:10:"];
        for pair in in_the_order_of_commits.windows(2) {
            assert!(cursor(pair[0]).revision() < cursor(pair[1]).revision(), "{pair:?}");
        }
    }

    #[test]
    fn revisions_of_different_epochs_are_not_compared() {
        let other = Cursor { epoch: Epoch(8), ..cursor("5:9:") };
        assert_eq!(cursor("5:9:").revision().partial_cmp(&other.revision()), None);
    }
}
