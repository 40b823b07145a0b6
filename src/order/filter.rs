//! What is asked of a list: which orders, in which order, which page.

use chrono::{DateTime, Days, NaiveDate, NaiveTime, TimeZone, Utc};
use chrono_tz::Tz;

use super::code::{PaymentStatus, Status};
use super::money::Money;
use super::page::PageNumber;
use super::sort::{Column, EXPECTED_SORT, Sort};

/// A parameter that does not parse, and what was expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid {
    /// The parameter's name.
    pub parameter: &'static str,
    /// What was expected, for the person who wrote it.
    pub expected: &'static str,
}

/// The list's filter, order and page, parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// Only orders whose number or customer has each of these words, whatever their case. Empty for all.
    pub search: Vec<String>,
    /// Only these statuses: listed ones in the order of the codes, then, as the shop may ask for them, others. Empty for all.
    pub statuses: Vec<Status>,
    /// Only these payment statuses, likewise.
    pub payment_statuses: Vec<PaymentStatus>,
    /// Created on this day or later.
    pub date_from: Option<NaiveDate>,
    /// Created on this day or earlier.
    pub date_to: Option<NaiveDate>,
    /// With this total or a larger one.
    pub total_min: Option<Money>,
    /// With this total or a smaller one.
    pub total_max: Option<Money>,
    /// In which order.
    pub sort: Sort,
    /// The page asked for.
    pub page: PageNumber,
}

impl Default for Filter {
    fn default() -> Self {
        Self {
            search: Vec::new(),
            statuses: Vec::new(),
            payment_statuses: Vec::new(),
            date_from: None,
            date_to: None,
            total_min: None,
            total_max: None,
            sort: Sort::Rank,
            page: PageNumber::FIRST,
        }
    }
}

/// What the parameters are called, in the order in which a query has them.
const PARAMETERS: [&str; 9] =
    ["q", "status", "payment_status", "date_from", "date_to", "total_min", "total_max", "sort", "page"];

impl Filter {
    /// Reads a query string. Empty parameters count as absent; `status` and `payment_status` may be repeated or have several
    /// codes between commas, of the others the last counts; what is no parameter is ignored.
    ///
    /// # Errors
    /// Every parameter that does not parse.
    pub fn parse(query: &str) -> Result<Self, Vec<Invalid>> {
        let mut filter = Self::default();
        let mut invalid = Vec::new();
        for parameter in PARAMETERS {
            let values = values(query, parameter);
            if let Some(last) = values.last()
                && let Err(expected) = filter.set(parameter, &values, last)
            {
                invalid.push(Invalid { parameter, expected });
            }
        }
        if invalid.is_empty() { Ok(filter) } else { Err(invalid) }
    }

    /// Reads a query string as the shop reads it, whose own scripts ask too, some for a month from a browser's cache: nothing is
    /// refused. A status or payment status that is not listed is searched for as it stands; a day need not have two digits for its
    /// month; a page that is no number is the first, and one before the first or past the last is the last, as Django's
    /// `Paginator.get_page` has it; whatever else does not parse counts as absent.
    #[must_use]
    pub fn as_shop(query: &str) -> Self {
        let mut filter = Self::default();
        for parameter in PARAMETERS {
            let values = values(query, parameter);
            let Some(last) = values.last() else { continue };
            match parameter {
                "status" => filter.statuses = asked(&values, |code| code.into(), Status::ALL),
                "payment_status" => filter.payment_statuses = asked(&values, |code| code.into(), PaymentStatus::ALL),
                "date_from" => filter.date_from = parse_short_day(last),
                "date_to" => filter.date_to = parse_short_day(last),
                "page" => filter.page = parse_any_page(last),
                // what does not parse leaves it as it is
                _ => drop(filter.set(parameter, &values, last)),
            }
        }
        filter
    }

    fn set(&mut self, parameter: &str, values: &[String], last: &str) -> Result<(), &'static str> {
        match parameter {
            "q" => self.search = words(last)?,
            "status" => {
                let expected = "expected statuses such as pending or ready_for_pickup";
                self.statuses = listed(values, Status::listed, Status::ALL).ok_or(expected)?;
            }
            "payment_status" => {
                let expected = "expected payment statuses such as paid or refunded";
                self.payment_statuses = listed(values, PaymentStatus::listed, PaymentStatus::ALL).ok_or(expected)?;
            }
            "date_from" => self.date_from = Some(parse_day(last)?),
            "date_to" => self.date_to = Some(parse_day(last)?),
            "total_min" => self.total_min = Some(parse_amount(last)?),
            "total_max" => self.total_max = Some(parse_amount(last)?),
            "sort" => self.sort = Sort::parse(last).ok_or(EXPECTED_SORT)?,
            _ => self.page = PageNumber::parse(last).ok_or("expected a whole number from 1")?,
        }
        Ok(())
    }

    /// Whether the list is limited by date, so that its length is not simply the statistics' count.
    #[must_use]
    pub fn has_dates(&self) -> bool {
        self.date_from.is_some() || self.date_to.is_some()
    }

    /// Whether the list is made of whole statuses, in the order of their time: what an index has ready.
    #[must_use]
    pub fn is_indexed(&self) -> bool {
        self.search.is_empty()
            && self.payment_statuses.is_empty()
            && self.total_min.is_none()
            && self.total_max.is_none()
            && matches!(self.sort, Sort::Rank | Sort::By { column: Column::CreatedAt, .. })
    }

    /// Whether its page is read in the same time however many orders there are: nothing is searched for or counted, and few
    /// are passed over.
    #[must_use]
    pub fn is_bounded(&self) -> bool {
        self.is_indexed() && !self.has_dates() && self.page <= PageNumber::FAR
    }

    /// Whether anything but the order and the page is asked for.
    #[must_use]
    pub fn is_narrowed(&self) -> bool {
        !self.asks_only(&[], &[])
    }

    /// Whether these statuses and payment statuses are asked for, and besides at most an order and a page.
    #[must_use]
    pub fn asks_only(&self, statuses: &[Status], payment_statuses: &[PaymentStatus]) -> bool {
        let (statuses, payment_statuses) = (statuses.to_vec(), payment_statuses.to_vec());
        *self == Self { statuses, payment_statuses, sort: self.sort, page: self.page, ..Self::default() }
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

    /// The query string that asks for this filter, this order and the given page, with its `?`; empty for the first page of
    /// all.
    #[must_use]
    pub fn query(&self, page: u64) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        if !self.search.is_empty() {
            query.append_pair("q", &self.search.join(" "));
        }
        for status in &self.statuses {
            query.append_pair("status", status.code());
        }
        for status in &self.payment_statuses {
            query.append_pair("payment_status", status.code());
        }
        for (name, day) in [("date_from", self.date_from), ("date_to", self.date_to)] {
            if let Some(day) = day {
                query.append_pair(name, &day.to_string());
            }
        }
        for (name, amount) in [("total_min", self.total_min), ("total_max", self.total_max)] {
            if let Some(amount) = amount {
                query.append_pair(name, &amount.to_string());
            }
        }
        if self.sort != Sort::Rank {
            query.append_pair("sort", &self.sort.to_string());
        }
        if page > 1 {
            query.append_pair("page", &page.to_string());
        }
        let query = query.finish();
        if query.is_empty() { query } else { format!("?{query}") }
    }
}

/// Longest text that is searched for, in characters. A customer's name has at most 100.
const LONGEST_SEARCH: usize = 100;

/// How many words are searched for: each is looked for in every order.
const MOST_WORDS: usize = 6;

/// Each once.
fn words(text: &str) -> Result<Vec<String>, &'static str> {
    if text.chars().nth(LONGEST_SEARCH).is_some() || text.contains('\0') {
        return Err("expected at most 100 characters of a number or a customer's name");
    }
    let mut words: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        if !words.iter().any(|known| known == word) {
            words.push(word.to_owned());
        }
    }
    if words.len() > MOST_WORDS {
        return Err("expected at most 6 words of a number or a customer's name");
    }
    Ok(words)
}

/// The codes among all listed ones, in their order. `None` if one is not listed.
fn listed<T: Clone + PartialEq>(values: &[String], of: fn(&str) -> Option<T>, all: &[T]) -> Option<Vec<T>> {
    let codes = values.iter().flat_map(|value| value.split(',')).filter(|code| !code.is_empty());
    let asked: Vec<T> = codes.map(of).collect::<Option<_>>()?;
    Some(all.iter().filter(|code| asked.contains(code)).cloned().collect())
}

/// How many codes the shop's reading looks at: more than any list of its can be asked for.
const MOST_CODES: usize = 50;

/// The codes among the listed ones in their order, then the others. What no text of a database can have is none.
fn asked<T: Clone + PartialEq>(values: &[String], of: fn(&str) -> T, all: &[T]) -> Vec<T> {
    let codes =
        values.iter().flat_map(|value| value.split(',')).filter(|code| !code.is_empty() && !code.contains('\0'));
    let mut asked: Vec<T> = Vec::new();
    for code in codes.take(MOST_CODES).map(of) {
        if !asked.contains(&code) {
            asked.push(code);
        }
    }
    asked.sort_by_key(|code| all.iter().position(|listed| listed == code).unwrap_or(all.len()));
    asked
}

/// More than any total that `numeric(10,2)` can hold; a host may have widened it.
const LARGEST_AMOUNT_DIGITS: usize = 18;

fn parse_amount(text: &str) -> Result<Money, &'static str> {
    const EXPECTED: &str = "expected an amount such as 1500 or 99.95";
    let (whole, places) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let fits = digits(whole) && digits(places) && whole.len() <= LARGEST_AMOUNT_DIGITS && places.len() <= 2;
    fits.then(|| text.parse().ok()).flatten().map(Money::new).ok_or(EXPECTED)
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

/// What a parameter has, without what is empty.
fn values(query: &str, parameter: &str) -> Vec<String> {
    let pairs = form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name == parameter);
    pairs.map(|(_, value)| value.trim().to_owned()).filter(|value| !value.is_empty()).collect()
}

fn parse_day(text: &str) -> Result<NaiveDate, &'static str> {
    const EXPECTED: &str = "expected a day such as 2025-01-31";
    let digits_and_dashes = text.len() == 10
        && text.bytes().enumerate().all(|(at, b)| if at == 4 || at == 7 { b == b'-' } else { b.is_ascii_digit() });
    if !digits_and_dashes || text.starts_with("0000") {
        return Err(EXPECTED);
    }
    text.parse().map_err(|_| EXPECTED)
}

/// A day as Python reads it, which takes `2025-1-31` as well.
fn parse_short_day(text: &str) -> Option<NaiveDate> {
    let mut parts = text.split('-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    parse_day(&format!("{year}-{month:0>2}-{day:0>2}")).ok().filter(|_| parts.next().is_none())
}

/// A page as Python reads it, which takes `+2` as well.
fn parse_any_page(text: &str) -> PageNumber {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return PageNumber::FIRST;
    }
    let is_counted = !text.starts_with('-');
    PageNumber::parse(digits).filter(|_| is_counted).unwrap_or(PageNumber::LAST)
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
            ("status=pending,lost", vec!["status"]),
            ("status=lost&status=shipped", vec!["status"]),
            ("payment_status=broke", vec!["payment_status"]),
            ("q=a%00b", vec!["q"]),
            ("q=1+2+3+4+5+6+7", vec!["q"]),
            ("total_min=-1&total_max=1e3", vec!["total_min", "total_max"]),
            ("total_max=1.234", vec!["total_max"]),
            ("total_min=9999999999999999999", vec!["total_min"]),
            ("sort=password", vec!["sort"]),
            ("sort=--created_at", vec!["sort"]),
        ] {
            let invalid = Filter::parse(query).unwrap_err();
            assert_eq!(invalid.iter().map(|i| i.parameter).collect::<Vec<_>>(), parameters, "{query}");
        }
    }

    #[test]
    fn the_shop_is_refused_nothing() {
        let filter = Filter::as_shop(
            "status=on_hold&status=shipped,Pending,pending&payment_status=iou&date_from=2025-2-3&date_to=2025-13-01&q=a%00b\
             &total_min=cheap&sort=password",
        );
        let codes: Vec<&str> = filter.statuses.iter().map(Status::code).collect();
        assert_eq!(codes, ["pending", "shipped", "on_hold", "Pending"]);
        assert_eq!(filter.payment_statuses, [PaymentStatus::from("iou")]);
        assert_eq!(filter.date_from, NaiveDate::from_ymd_opt(2025, 2, 3));
        let rest = Filter { statuses: Vec::new(), payment_statuses: Vec::new(), date_from: None, ..filter };
        assert_eq!(rest, Filter::default());
        assert_eq!(Filter::as_shop("status=&status=%00&date_from=2025-2&date_to=2025-1-1-1"), Filter::default());
    }

    #[test]
    fn what_takes_longer_the_more_is_asked_for_is_bounded() {
        let codes = (0..20_000).map(|n| n.to_string()).collect::<Vec<_>>().join(",");
        assert_eq!(Filter::as_shop(&format!("status={codes}")).statuses.len(), MOST_CODES);
        assert_eq!(Filter::parse("q=ana+ana+ana+ana+ana+cruz+ana").unwrap().search, ["ana", "cruz"]);
        assert_eq!(Filter::parse("q=1+2+3+4+5+6").unwrap().search.len(), MOST_WORDS);
    }

    #[test]
    fn pages_are_read_as_django_reads_them() {
        let page = |number: &str| PageNumber::parse(number).unwrap();
        for (text, expected) in [
            ("", PageNumber::FIRST),
            ("abc", PageNumber::FIRST),
            ("1.5", PageNumber::FIRST),
            ("-", PageNumber::FIRST),
            ("2", page("2")),
            ("%2B2", page("2")),
            ("0", PageNumber::LAST),
            ("-1", PageNumber::LAST),
            ("99999999999999999999", PageNumber::LAST),
        ] {
            assert_eq!(Filter::as_shop(&format!("page={text}")).page, expected, "{text}");
        }
    }

    #[test]
    fn what_the_strict_reading_takes_the_shop_is_given_as_well() {
        for query in [
            "",
            "status=shipped,pending&status=returned",
            "payment_status=refunded,paid&total_min=1&total_max=99.95",
            "date_from=2025-01-15&date_to=2025-01-16&q=maria+cruz&sort=-total_amount&page=7",
        ] {
            assert_eq!(Ok(Filter::as_shop(query)), Filter::parse(query), "{query}");
        }
    }

    #[test]
    fn empty_parameters_are_absent_and_the_last_of_a_repeated_one_counts() {
        let empty = "q=&status=&payment_status=&date_from=&date_to=&total_min=&total_max=&sort=&page=&x=y";
        assert_eq!(Filter::parse(empty), Ok(Filter::default()));
        assert_eq!(Filter::parse("page=x&page=2").unwrap().page, PageNumber::parse("2").unwrap());
    }

    #[test]
    fn several_codes_may_be_asked_for_in_either_way() {
        for query in
            ["status=shipped&status=pending&status=", "status=shipped,pending", "status=,shipped,pending,shipped"]
        {
            assert_eq!(Filter::parse(query).unwrap().statuses, [Status::Pending, Status::Shipped], "{query}");
        }
        let filter = Filter::parse("payment_status=refunded,paid").unwrap();
        assert_eq!(filter.payment_statuses, [PaymentStatus::Paid, PaymentStatus::Refunded]);
    }

    #[test]
    fn what_takes_the_longer_the_more_orders_there_are_is_not_bounded() {
        for (query, is_bounded) in [
            ("", true),
            ("status=shipped,pending&sort=created_at", true),
            ("status=shipped&page=50", true),
            ("page=51", false),
            ("page=99999999999999999999", false),
            ("date_to=2025-02-28", false),
            ("q=maria", false),
            ("sort=total_amount", false),
            ("total_min=1", false),
            ("payment_status=paid", false),
        ] {
            assert_eq!(Filter::parse(query).unwrap().is_bounded(), is_bounded, "{query}");
        }
    }

    #[test]
    fn the_query_asks_for_the_same_again() {
        for query in [
            "?status=shipped&date_from=2025-01-01&date_to=2025-01-31&page=3",
            "?q=maria+00123&status=pending&status=shipped&payment_status=paid&total_min=10.00&total_max=99.50&sort=-total_amount&page=3",
        ] {
            assert_eq!(Filter::parse(&query[1..]).unwrap().query(3), query);
        }
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
