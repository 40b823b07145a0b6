//! How long orders may stay in a status, and how that is said.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::code::Status;

const EXPECTED: &str = "expected unfinished statuses, each at most once, with durations from 1min to 3650days, such as \
                        pending=4h,shipped=5days";

const SHORTEST: Duration = Duration::from_secs(60);
const LONGEST: Duration = Duration::from_secs(3_650 * 86_400);

/// How long an order may stay in each status before it is late. A status that is not listed has no limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LateAfter(Vec<(Status, Duration)>);

impl LateAfter {
    /// Whether an order that is in the status since then is late now.
    #[must_use]
    pub fn is_late(&self, status: &Status, since: DateTime<Utc>, now: DateTime<Utc>) -> bool {
        let limit = self.0.iter().find(|(listed, _)| listed == status).map(|(_, limit)| *limit);
        limit.is_some_and(|limit| (now - since).to_std().is_ok_and(|time| time >= limit))
    }
}

impl FromStr for LateAfter {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let mut limits: Vec<(Status, Duration)> = Vec::new();
        for limit in text.split(',').filter(|_| !text.is_empty()) {
            let (status, duration) = limit.split_once('=').ok_or(EXPECTED)?;
            let status = Status::listed(status.trim()).filter(Status::is_unfinished).ok_or(EXPECTED)?;
            let duration = humantime::parse_duration(duration.trim()).map_err(|_| EXPECTED)?;
            if !(SHORTEST..=LONGEST).contains(&duration) || limits.iter().any(|(listed, _)| *listed == status) {
                return Err(EXPECTED);
            }
            limits.push((status, duration));
        }
        Ok(Self(limits))
    }
}

/// `pending=14400,shipped=432000`, in seconds, as the page is told.
impl fmt::Display for LateAfter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (status, limit)) in self.0.iter().enumerate() {
            let comma = if place == 0 { "" } else { "," };
            write!(f, "{comma}{}={}", status.code(), limit.as_secs())?;
        }
        Ok(())
    }
}

/// `for 2 h`: how long something has been so. The page says it in the same words, in `static/js/list/in_status.js`.
#[must_use]
pub fn for_how_long(time: TimeDelta) -> String {
    match (time.num_minutes(), time.num_hours(), time.num_days()) {
        (..1, _, _) => "just now".to_owned(),
        (minutes, 0, _) => format!("for {minutes} min"),
        (_, hours, 0) => format!("for {hours} h"),
        (_, _, 1) => "for 1 day".to_owned(),
        (_, _, days) => format!("for {days} days"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_strictly() {
        let limits: LateAfter = "pending=4h, shipped=5days".parse().unwrap();
        assert_eq!(limits.to_string(), "pending=14400,shipped=432000");
        assert_eq!("".parse::<LateAfter>().unwrap().to_string(), "");
        for wrong in [
            "pending",
            "pending=",
            "=4h",
            "pending=4",
            "pending=59s",
            "pending=3651days",
            "pending=4h,",
            ",pending=4h",
            "pending=4h,pending=5h",
            "delivered=4h",
            "Pending=4h",
            "lost=4h",
            "pending=-4h",
            "pending=4h shipped=1day",
        ] {
            assert_eq!(wrong.parse::<LateAfter>(), Err(EXPECTED), "{wrong}");
        }
    }

    #[test]
    fn an_order_is_late_when_its_limit_is_over_and_only_in_a_status_that_has_one() {
        let limits: LateAfter = "pending=1h".parse().unwrap();
        let now = Utc::now();
        for (status, seconds, late) in [
            (Status::Pending, 3_599, false),
            (Status::Pending, 3_600, true),
            (Status::Pending, -7_200, false),
            (Status::Shipped, 999_999, false),
        ] {
            assert_eq!(limits.is_late(&status, now - TimeDelta::seconds(seconds), now), late, "{status:?} {seconds}");
        }
    }

    #[test]
    fn how_long_is_said_in_the_largest_unit() {
        let table: serde_json::Value = serde_json::from_str(include_str!("../../tests/cases/durations.json")).unwrap();
        for case in table["durations"].as_array().unwrap() {
            let time = TimeDelta::milliseconds(case["milliseconds"].as_i64().unwrap());
            assert_eq!(for_how_long(time), case["words"].as_str().unwrap(), "{time}");
        }
    }
}
