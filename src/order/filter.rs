//! What a rep asks of the list: `status`, `date_from`, `date_to`, `page`.

use chrono::{DateTime, Days, NaiveDate, NaiveTime, TimeZone, Utc};
use chrono_tz::Tz;

use super::{PageNumber, Status};

/// A parameter that does not parse, and what was expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid {
    /// The parameter's name.
    pub parameter: &'static str,
    /// What was expected, for the person who wrote it.
    pub expected: &'static str,
}

/// The list's filter and page, parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// Only this status; always a listed one.
    pub status: Option<Status>,
    /// Created on this day or later.
    pub date_from: Option<NaiveDate>,
    /// Created on this day or earlier.
    pub date_to: Option<NaiveDate>,
    /// The page asked for.
    pub page: PageNumber,
}

impl Default for Filter {
    fn default() -> Self {
        Self { status: None, date_from: None, date_to: None, page: PageNumber::FIRST }
    }
}

impl Filter {
    /// Reads a query string. Empty parameters count as absent, of a repeated one the last counts, others are ignored.
    ///
    /// # Errors
    /// Every parameter that does not parse.
    pub fn parse(query: &str) -> Result<Self, Vec<Invalid>> {
        let mut filter = Self::default();
        let mut invalid = Vec::new();
        for parameter in ["status", "date_from", "date_to", "page"] {
            let Some(value) = last_value(query, parameter) else { continue };
            let expected = match parameter {
                "status" => {
                    filter.status = Status::listed(&value);
                    filter.status.is_none().then_some("expected a status such as pending or ready_for_pickup")
                }
                "page" => match PageNumber::parse(&value) {
                    Some(page) => {
                        filter.page = page;
                        None
                    }
                    None => Some("expected a whole number from 1"),
                },
                day => {
                    let date = parse_day(&value);
                    *(if day == "date_from" { &mut filter.date_from } else { &mut filter.date_to }) = date;
                    date.is_none().then_some("expected a day such as 2025-01-31")
                }
            };
            invalid.extend(expected.map(|expected| Invalid { parameter, expected }));
        }
        if invalid.is_empty() { Ok(filter) } else { Err(invalid) }
    }

    /// Whether the list is limited by date, so that its length is not simply the statistics' count.
    #[must_use]
    pub fn has_dates(&self) -> bool {
        self.date_from.is_some() || self.date_to.is_some()
    }

    /// Whether anything but the page is asked for.
    #[must_use]
    pub fn is_narrowed(&self) -> bool {
        self.status.is_some() || self.has_dates()
    }

    /// The instants between which an order was created: from the first, before the second. Both days are included, in
    /// the given time zone.
    #[must_use]
    pub fn instants(&self, zone: Tz) -> (Option<DateTime<Utc>>, Option<DateTime<Utc>>) {
        let from = self.date_from.map(|day| first_instant(day, zone));
        let before =
            self.date_to.and_then(|day| day.checked_add_days(Days::new(1))).map(|day| first_instant(day, zone));
        (from, before)
    }

    /// The query string that asks for this filter and the given page, with its `?`; empty for the first page of all.
    #[must_use]
    pub fn query(&self, page: u64) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        if let Some(status) = &self.status {
            query.append_pair("status", status.code());
        }
        for (name, day) in [("date_from", self.date_from), ("date_to", self.date_to)] {
            if let Some(day) = day {
                query.append_pair(name, &day.to_string());
            }
        }
        if page > 1 {
            query.append_pair("page", &page.to_string());
        }
        let query = query.finish();
        if query.is_empty() { query } else { format!("?{query}") }
    }
}

/// The first instant of a day in a time zone. Where clocks are put forward at midnight, the day begins later.
fn first_instant(day: NaiveDate, zone: Tz) -> DateTime<Utc> {
    const QUARTERS_OF_A_DAY: i64 = 96;
    let midnight = day.and_time(NaiveTime::MIN);
    (0..QUARTERS_OF_A_DAY)
        .find_map(|quarter| {
            let local = midnight + chrono::TimeDelta::minutes(15 * quarter);
            zone.from_local_datetime(&local).earliest()
        })
        .map_or_else(|| midnight.and_utc(), |instant| instant.with_timezone(&Utc))
}

fn last_value(query: &str, parameter: &str) -> Option<String> {
    form_urlencoded::parse(query.as_bytes())
        .filter(|(name, _)| name == parameter)
        .last()
        .map(|(_, value)| value.into_owned())
        .filter(|value| !value.is_empty())
}

fn parse_day(text: &str) -> Option<NaiveDate> {
    let digits_and_dashes = text.len() == 10
        && text.bytes().enumerate().all(|(at, b)| if at == 4 || at == 7 { b == b'-' } else { b.is_ascii_digit() });
    if !digits_and_dashes || text.starts_with("0000") {
        return None;
    }
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_parse_is_named() {
        for (query, parameters) in [
            ("status=lost", vec!["status"]),
            ("status=Pending", vec!["status"]),
            ("date_from=2025-13-01", vec!["date_from"]),
            ("date_to=2025-02-30&page=abc", vec!["date_to", "page"]),
            ("date_to=2025-2-3", vec!["date_to"]),
            ("date_from=0000-01-01", vec!["date_from"]),
            ("page=-1", vec!["page"]),
            ("page=0", vec!["page"]),
            ("page=%00", vec!["page"]),
        ] {
            let invalid = Filter::parse(query).unwrap_err();
            assert_eq!(invalid.iter().map(|i| i.parameter).collect::<Vec<_>>(), parameters, "{query}");
        }
    }

    #[test]
    fn empty_parameters_are_absent_and_the_last_of_a_repeated_one_counts() {
        assert_eq!(Filter::parse("status=&date_from=&date_to=&page=&x=y"), Ok(Filter::default()));
        assert_eq!(Filter::parse("status=lost&status=shipped").unwrap().status, Some(Status::Shipped));
    }

    #[test]
    fn the_query_asks_for_the_same_again() {
        let query = "?status=shipped&date_from=2025-01-01&date_to=2025-01-31&page=3";
        let filter = Filter::parse(&query[1..]).unwrap();
        assert_eq!(filter.query(3), query);
        assert_eq!(Filter::default().query(1), "");
    }

    #[test]
    fn both_days_are_included_in_the_time_zone() {
        let filter = Filter::parse("date_from=2025-01-15&date_to=2025-01-15").unwrap();
        let (from, before) = filter.instants(chrono_tz::Asia::Manila);
        assert_eq!(from.unwrap().to_rfc3339(), "2025-01-14T16:00:00+00:00");
        assert_eq!(before.unwrap().to_rfc3339(), "2025-01-15T16:00:00+00:00");
    }

    #[test]
    fn a_day_without_midnight_begins_when_the_clocks_say() {
        let day = NaiveDate::from_ymd_opt(2018, 11, 4).unwrap();
        assert_eq!(first_instant(day, chrono_tz::America::Sao_Paulo).to_rfc3339(), "2018-11-04T03:00:00+00:00");
    }

    #[test]
    fn the_last_day_of_the_calendar_is_accepted() {
        let filter = Filter::parse("date_to=9999-12-31").unwrap();
        assert!(filter.instants(chrono_tz::UTC).1.is_some());
    }
}
