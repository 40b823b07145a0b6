//! What the pages with a list have in common: filter, order, paging and saved views as the templates write them.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;

use crate::order::{
    Column, Filter, Invalid, LateAfter, OrderId, OrderRow, Pagination, PaymentStatus, Sort, Status, display_time,
    for_how_long, grouped, iso_time,
};
use crate::store::{Listed, SavedView};

/// A list as a page shows it.
pub(super) struct ListView {
    /// Where the page is.
    pub(super) path: String,
    pub(super) filter: Filter,
    pub(super) pagination: Pagination,
    pub(super) lines: Vec<Line>,
    pub(super) views: Vec<SavedView>,
    /// What stands in the filter's fields: what was asked for, right or wrong.
    asked: Vec<(String, String)>,
    invalid: Vec<Invalid>,
}

/// A row as the template writes it.
pub(super) struct Line {
    pub(super) row: OrderRow,
    pub(super) rep_name: String,
    pub(super) created_iso: String,
    pub(super) created_display: String,
    /// Of an unfinished order, where it is known.
    pub(super) in_status: Option<InStatus>,
}

/// How long an order has been in its status.
pub(super) struct InStatus {
    pub(super) since_iso: String,
    pub(super) since_display: String,
    pub(super) words: String,
    pub(super) late: bool,
}

impl InStatus {
    fn new(status: &Status, since: DateTime<Utc>, late_after: &LateAfter, zone: Tz) -> Option<Self> {
        let now = Utc::now();
        let late = late_after.is_late(status, since, now);
        status.is_unfinished().then(|| Self {
            since_iso: iso_time(since),
            since_display: display_time(since, zone),
            words: format!("{}{}", for_how_long(now - since), if late { ", late" } else { "" }),
            late,
        })
    }
}

/// One code in a filter.
pub(super) struct Choice {
    pub(super) code: &'static str,
    pub(super) label: Cow<'static, str>,
    pub(super) is_chosen: bool,
}

/// A status that orders can be given.
pub(super) struct Target {
    pub(super) code: &'static str,
    pub(super) label: Cow<'static, str>,
    /// The codes of those that lead to it, with spaces between.
    pub(super) from: String,
    /// The payment status that it needs; empty where it needs none.
    pub(super) needs: &'static str,
}

/// A column's heading, which sorts by it.
pub(super) struct Heading {
    pub(super) label: &'static str,
    pub(super) href: String,
    /// For `aria-sort`; empty where the list is not sorted by the column.
    pub(super) direction: &'static str,
}

/// A query's filter; where it does not parse, or ends before it begins, the whole list and what was wrong.
pub(super) fn parse(query: &str) -> (Filter, Vec<Invalid>) {
    match Filter::parse(query).and_then(in_order) {
        Ok(filter) => (filter, Vec::new()),
        // all else is as it should be, and has a first page
        Err(invalid) if invalid.iter().all(|invalid| invalid.parameter == PAGE) => {
            let (filter, others) = parse(&without_page(query));
            (filter, [invalid, others].concat())
        }
        Err(invalid) => (Filter::default(), invalid),
    }
}

const PAGE: &str = "page";

fn without_page(query: &str) -> String {
    let others = form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name != PAGE);
    form_urlencoded::Serializer::new(String::new()).extend_pairs(others).finish()
}

/// A filter whose days and totals are not the wrong way round. The API takes such a one as it stands: no order fits it.
fn in_order(filter: Filter) -> Result<Filter, Vec<Invalid>> {
    let days = filter.date_from.zip(filter.date_to).is_some_and(|(from, to)| from > to);
    let totals = filter.total_min.zip(filter.total_max).is_some_and(|(from, to)| from > to);
    let days = days.then_some(Invalid { parameter: "date_to", expected: EARLIER });
    let totals = totals.then_some(Invalid { parameter: "total_max", expected: SMALLER });
    let invalid: Vec<Invalid> = days.into_iter().chain(totals).collect();
    if invalid.is_empty() { Ok(filter) } else { Err(invalid) }
}

/// What is said of a range that ends before it begins.
const EARLIER: &str = "This day is before the first one. Swap the two, or leave one empty.";
const SMALLER: &str = "This total is smaller than the first one. Swap the two, or leave one empty.";

impl Line {
    pub(super) fn of(listed: Listed, since: Option<DateTime<Utc>>, late_after: &LateAfter, zone: Tz) -> Self {
        let Listed { row, rep_name, .. } = listed;
        Self {
            in_status: since.and_then(|since| InStatus::new(&row.status, since, late_after, zone)),
            created_iso: row.created_at.map(iso_time).unwrap_or_default(),
            created_display: row.created_at.map_or_else(|| "–".to_owned(), |at| display_time(at, zone)),
            rep_name: rep_name.unwrap_or_else(|| "–".to_owned()),
            row,
        }
    }
}

impl Line {
    /// The row of no order.
    pub(super) fn blank() -> Self {
        let row = OrderRow {
            id: OrderId(0),
            order_number: String::new(),
            customer_name: String::new(),
            status: "".into(),
            payment_status: "".into(),
            items_count: 0,
            total_amount: None,
            created_at: None,
        };
        let [rep_name, created_iso, created_display] = [const { String::new() }; 3];
        Self { row, rep_name, created_iso, created_display, in_status: None }
    }
}

impl ListView {
    pub(super) fn new(
        path: String,
        query: &str,
        (filter, invalid): (Filter, Vec<Invalid>),
        pagination: Pagination,
        lines: Vec<Line>,
        views: Vec<SavedView>,
    ) -> Self {
        let asked = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        Self { path, filter, pagination, lines, views, asked, invalid }
    }

    /// What was asked for by a parameter, as it was written.
    pub(super) fn asked(&self, parameter: &str) -> &str {
        self.asked.iter().rfind(|(name, _)| name == parameter).map_or("", |(_, value)| value)
    }

    /// What is wrong with a parameter, for the person who filled in its field.
    pub(super) fn error(&self, parameter: &str) -> Option<String> {
        let expected = self.invalid.iter().find(|invalid| invalid.parameter == parameter)?.expected;
        let asked = self.asked(parameter);
        Some(match parameter {
            _ if [EARLIER, SMALLER].contains(&expected) => expected.to_owned(),
            "date_from" | "date_to" => {
                format!("“{asked}” is no day of the calendar. Choose one, or write it as 2025-01-31.")
            }
            "total_min" | "total_max" => {
                format!("“{asked}” is no amount. Write it as 1500 or 99.95, without commas.")
            }
            "status" => self.no_status(parameter, |value| Status::ALL.iter().any(|status| status.code() == value)),
            "payment_status" => {
                self.no_status(parameter, |value| PaymentStatus::ALL.iter().any(|status| status.code() == value))
            }
            "sort" => format!("The list can't be sorted by “{asked}”. Choose from this list."),
            PAGE => format!("There is no page “{asked}”. This is the first."),
            _ => format!("Search for {}.", expected.trim_start_matches("expected ")),
        })
    }

    /// Of several that were asked for one is none.
    fn no_status(&self, parameter: &str, is_one: impl Fn(&str) -> bool) -> String {
        let mut asked = self.asked.iter().filter(|(name, _)| name == parameter);
        let none = asked.find(|(_, value)| !is_one(value)).map_or("", |(_, value)| value);
        format!("There is no status “{none}”. Choose from this list.")
    }

    /// Whether something in the filter is wrong, so that it is not applied.
    pub(super) fn is_unfiltered(&self) -> bool {
        self.invalid.iter().any(|invalid| invalid.parameter != PAGE)
    }

    pub(super) fn statuses(&self) -> Vec<Choice> {
        let chosen = |code: &Status| self.filter.statuses.contains(code);
        let choice = |status| Choice { code: Status::code(status), label: status.label(), is_chosen: chosen(status) };
        Status::ALL.iter().map(choice).collect()
    }

    /// The statuses that an order can be given, each with those from which it can.
    pub(super) fn targets(&self) -> Vec<Target> {
        let target = |to: &'static Status| {
            let leads = |from: &&Status| *from != to && from.leads_to(to).is_ok();
            let from: Vec<&str> = Status::ALL.iter().filter(leads).map(Status::code).collect();
            let needs = if *to == Status::Delivered { PaymentStatus::Paid.code() } else { "" };
            Target { code: to.code(), label: to.label(), from: from.join(" "), needs }
        };
        Status::ALL.iter().map(target).filter(|target| !target.from.is_empty()).collect()
    }

    pub(super) fn payment_statuses(&self) -> Vec<Choice> {
        let chosen = |code: &PaymentStatus| self.filter.payment_statuses.contains(code);
        let choice =
            |status| Choice { code: PaymentStatus::code(status), label: status.label(), is_chosen: chosen(status) };
        PaymentStatus::ALL.iter().map(choice).collect()
    }

    /// What the closed filter says of the chosen ones.
    pub(super) fn chosen(&self, choices: &[Choice]) -> String {
        let chosen: Vec<&str> = choices.iter().filter(|choice| choice.is_chosen).map(|choice| &*choice.label).collect();
        match chosen[..] {
            [] => "All".to_owned(),
            [one] => one.to_owned(),
            [..] => format!("{} of {}", chosen.len(), choices.len()),
        }
    }

    /// Whether a status is all that is asked for.
    pub(super) fn is_only(&self, status: &Status) -> bool {
        self.filter.asks_only(std::slice::from_ref(status), &[])
    }

    /// Whether what revenue is counted of is all that is asked for.
    pub(super) fn is_revenue(&self) -> bool {
        self.filter.asks_only(&[Status::Delivered], &[PaymentStatus::Paid])
    }

    /// Whether something that is wrong stands behind "more filters".
    pub(super) fn has_errors_in_more(&self) -> bool {
        ["payment_status", "date_from", "date_to", "total_min", "total_max", "sort"]
            .iter()
            .any(|parameter| self.error(parameter).is_some())
    }

    /// How many filters are set behind "more filters".
    pub(super) fn more(&self) -> usize {
        let filter = &self.filter;
        [
            !filter.payment_statuses.is_empty(),
            filter.has_dates(),
            filter.total_min.is_some() || filter.total_max.is_some(),
        ]
        .into_iter()
        .filter(|is_set| *is_set)
        .count()
    }

    pub(super) fn range(&self) -> String {
        self.pagination.range(self.lines.len())
    }

    pub(super) fn pages(&self) -> String {
        format!("Page {} of {}", grouped(self.pagination.current_page), grouped(self.pagination.total_pages))
    }

    pub(super) fn page_link(&self, page: u64) -> String {
        format!("{}{}", self.path, self.filter.query(page))
    }

    /// What the API is asked for to get this same list.
    pub(super) fn query(&self) -> String {
        self.filter.query(self.pagination.current_page)
    }

    /// The list as a table for a spreadsheet.
    pub(super) fn export_link(&self) -> String {
        format!("{}export.csv{}", self.path, self.filter.query(1))
    }

    /// Whether a view is the list that is shown.
    pub(super) fn shows(&self, view: &SavedView) -> bool {
        view.query == self.filter.query(1)
    }

    /// The name of the view that is shown, if it is one.
    pub(super) fn view(&self) -> &str {
        self.views.iter().find(|view| self.shows(view)).map_or("Choose", |view| &view.name)
    }

    /// Whether the page itself can tell where a changed order belongs; else it asks.
    pub(super) fn is_placed_by_page(&self) -> bool {
        let by_page = matches!(self.filter.sort, Sort::Rank | Sort::By { column: Column::CreatedAt, .. });
        by_page && self.filter.search.is_empty()
    }

    /// The heading of a column. A first click sorts the way that is wanted most often, a second one the other way, a third one
    /// not at all.
    pub(super) fn heading(&self, column: &Column) -> Heading {
        let (label, largest_first) = match column {
            Column::OrderNumber => ("Order", false),
            Column::CreatedAt => ("Placed", true),
            Column::CustomerName => ("Customer", false),
            Column::Status => ("Status", false),
            Column::PaymentStatus => ("Payment", false),
            Column::ItemsCount => ("Items", true),
            Column::TotalAmount => ("Total", true),
        };
        let (now, next) = match self.filter.sort {
            Sort::By { column: sorted, descending } if sorted == *column => {
                let next = if descending == largest_first {
                    Sort::By { column: *column, descending: !descending }
                } else {
                    Sort::Rank
                };
                (if descending { "descending" } else { "ascending" }, next)
            }
            _ => ("", Sort::By { column: *column, descending: largest_first }),
        };
        let sorted = Filter { sort: next, ..self.filter.clone() };
        Heading { label, href: format!("{}{}", self.path, sorted.query(1)), direction: now }
    }

    /// The orders that a list can be in, for the filter's form: value, name, whether it is this one.
    pub(super) fn sorts(&self) -> Vec<(String, String, bool)> {
        let words = |column: &Column, descending: bool| match column {
            Column::CreatedAt if descending => "Newest first".to_owned(),
            Column::CreatedAt => "Oldest first".to_owned(),
            Column::TotalAmount if descending => "Largest total first".to_owned(),
            Column::TotalAmount => "Smallest total first".to_owned(),
            Column::ItemsCount if descending => "Most items first".to_owned(),
            Column::ItemsCount => "Fewest items first".to_owned(),
            _ => format!("{}{}", self.heading(column).label, if descending { ", from the end" } else { "" }),
        };
        let each = Column::ALL.iter().flat_map(|column| {
            [true, false].map(|descending| (Sort::By { column: *column, descending }, words(column, descending)))
        });
        let usual = (Sort::Rank, "Unfinished first".to_owned());
        let all = std::iter::once(usual).chain(each);
        all.map(|(sort, words)| (sort.to_string(), words, sort == self.filter.sort)).collect()
    }
}
