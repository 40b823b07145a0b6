//! Paging of a list.

use serde::Serialize;

use super::money::grouped;

/// Orders on one page.
pub const PAGE_SIZE: u64 = 20;

/// A page's number, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PageNumber(u64);

impl PageNumber {
    /// The first page.
    pub const FIRST: Self = Self(1);

    /// As far as people leaf. Beyond, what comes before a page is more than the page.
    pub const FAR: Self = Self(50);

    /// The last page, however many there are.
    pub const LAST: Self = Self(u64::MAX);

    /// `None` unless the text is a whole number from 1. A number too large to count to is past every last page.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let number = text.parse().unwrap_or(u64::MAX);
        (number > 0).then_some(Self(number))
    }
}

/// Which page of how many. `current_page` is between 1 and `total_pages`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Pagination {
    /// The page shown.
    pub current_page: u64,
    /// At least 1, also for an empty list.
    pub total_pages: u64,
    /// Whether a page follows.
    pub has_next: bool,
    /// Whether a page comes before.
    pub has_previous: bool,
    /// Orders on all pages.
    #[serde(skip)]
    pub total_orders: u64,
}

impl Pagination {
    /// The asked page of a list of that many orders; a page past the last gives the last.
    #[must_use]
    pub fn of(asked: PageNumber, total_orders: u64) -> Self {
        let total_pages = total_orders.div_ceil(PAGE_SIZE).max(1);
        let current_page = asked.0.min(total_pages);
        Self {
            current_page,
            total_pages,
            has_next: current_page < total_pages,
            has_previous: current_page > 1,
            total_orders,
        }
    }

    /// `21–40 of 1,124`, where so many rows of the page are shown; `tests/cases/counts.json`.
    #[must_use]
    pub fn range(&self, shown: usize) -> String {
        if shown == 0 {
            return format!("0 of {}", grouped(self.total_orders));
        }
        let last = (self.offset() + shown as u64).min(self.total_orders);
        format!("{}–{} of {}", grouped(self.offset() + 1), grouped(last), grouped(self.total_orders))
    }

    /// Orders before the page's first.
    #[must_use]
    pub fn offset(&self) -> u64 {
        (self.current_page - 1) * PAGE_SIZE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_whole_numbers_from_one() {
        for text in ["", "0", "-1", "abc", "1.5", "+1", " 1", "١", "00"] {
            assert_eq!(PageNumber::parse(text), None, "{text}");
        }
        assert_eq!(PageNumber::parse("007"), Some(PageNumber(7)));
        assert_eq!(PageNumber::parse("99999999999999999999999"), Some(PageNumber(u64::MAX)));
    }

    #[test]
    fn ranges_are_as_the_table_has_them() {
        let table: serde_json::Value = serde_json::from_str(include_str!("../../tests/cases/counts.json")).unwrap();
        for case in table["ranges"].as_array().unwrap() {
            let [page, shown, orders] = ["page", "shown", "orders"].map(|key| case[key].as_u64().unwrap());
            let page = Pagination::of(PageNumber(page), orders);
            assert_eq!(page.range(usize::try_from(shown).unwrap()), case["range"].as_str().unwrap());
        }
    }

    #[test]
    fn past_the_last_page_is_the_last() {
        for (asked, orders, current, total) in
            [(1, 0, 1, 1), (9, 0, 1, 1), (1, 20, 1, 1), (2, 21, 2, 2), (u64::MAX, 130, 7, 7)]
        {
            let page = Pagination::of(PageNumber(asked), orders);
            assert_eq!((page.current_page, page.total_pages), (current, total));
            assert_eq!((page.has_previous, page.has_next), (current > 1, current < total));
            assert_eq!(page.offset(), (current - 1) * 20);
        }
    }
}
