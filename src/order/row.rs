//! One line of the list.

use chrono::{DateTime, Offset, Utc};
use chrono_tz::Tz;
use serde::Serialize;

use super::code::{PaymentStatus, Status};
use super::id::{OrderId, OrderKey, RepId};
use super::money::Money;
use super::transition::Standing;

/// An order as the list shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderRow {
    /// The order.
    pub id: OrderId,
    /// Its number, as people say it.
    pub order_number: String,
    /// Who ordered.
    pub customer_name: String,
    /// Where it stands.
    pub status: Status,
    /// Whether it is paid.
    pub payment_status: PaymentStatus,
    /// How many different medicines.
    pub items_count: i64,
    /// What it costs; `None` where the database has NaN.
    pub total_amount: Option<Money>,
    /// When it was entered; `None` where the database has an infinity or a year beyond 9999.
    pub created_at: Option<DateTime<Utc>>,
}

/// A row as in the dashboard API, field for field.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RowJson<'a> {
    id: OrderId,
    /// For pages alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<OrderKey>,
    order_number: &'a str,
    status: &'a Status,
    status_display: std::borrow::Cow<'a, str>,
    payment_status: &'a PaymentStatus,
    payment_status_display: std::borrow::Cow<'a, str>,
    items_count: i64,
    total_amount: Option<Money>,
    created_at: Option<String>,
    created_at_display: Option<String>,
}

/// A row with what a list of all orders shows besides.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FullRowJson<'a> {
    #[serde(flatten)]
    row: RowJson<'a>,
    customer_name: &'a str,
    sales_rep_id: Option<RepId>,
    /// The rep's login, where it was read.
    #[serde(skip_serializing_if = "Option::is_none")]
    sales_rep: Option<&'a str>,
}

impl OrderRow {
    /// Where it stands, as one.
    #[must_use]
    pub fn standing(&self) -> Standing {
        Standing { status: self.status.clone(), payment_status: self.payment_status.clone() }
    }

    /// The row for the API, with its time also as shown in the given zone.
    #[must_use]
    pub fn json(&self, zone: Tz) -> RowJson<'_> {
        RowJson {
            id: self.id,
            key: None,
            order_number: &self.order_number,
            status: &self.status,
            status_display: self.status.label(),
            payment_status: &self.payment_status,
            payment_status_display: self.payment_status.label(),
            items_count: self.items_count,
            total_amount: self.total_amount,
            created_at: self.created_at.map(iso_time),
            created_at_display: self.created_at.map(|at| display_time(at, zone)),
        }
    }

    /// The same with customer and rep, for those who see the orders of all reps.
    #[must_use]
    pub fn full_json<'a>(&'a self, rep: Option<RepId>, rep_name: Option<&'a str>, zone: Tz) -> FullRowJson<'a> {
        let row = self.json(zone);
        FullRowJson { row, customer_name: &self.customer_name, sales_rep_id: rep, sales_rep: rep_name }
    }
}

impl RowJson<'_> {
    /// With its key, as pages have it.
    #[must_use]
    pub fn with_key(self) -> Self {
        Self { key: Some(OrderKey(self.id)), ..self }
    }
}

impl FullRowJson<'_> {
    /// With its key, as pages have it.
    #[must_use]
    pub fn with_key(self) -> Self {
        Self { row: self.row.with_key(), ..self }
    }
}

/// `2025-01-15T10:30:00+00:00`, with microseconds only where there are any, as the existing system writes it.
#[must_use]
pub fn iso_time(at: DateTime<Utc>) -> String {
    let pattern = if at.timestamp_subsec_micros() == 0 { "%Y-%m-%dT%H:%M:%S%:z" } else { "%Y-%m-%dT%H:%M:%S%.6f%:z" };
    at.format(pattern).to_string()
}

/// `Jan 15, 2025 10:30`, as the list shows it.
#[must_use]
pub fn display_time(at: DateTime<Utc>, zone: Tz) -> String {
    at.with_timezone(&zone).format("%b %d, %Y %H:%M").to_string()
}

/// `Jan 15, 2025 18:30 GMT+8`, for a sentence that is read away from any page that says the zone.
#[must_use]
pub fn display_time_with_zone(at: DateTime<Utc>, zone: Tz) -> String {
    format!("{} {}", display_time(at, zone), offset(at, zone))
}

/// `15 Jan 2025, 18:30:00 GMT+8`: to the second and with the zone, in the words of `static/js/base/time.js`.
#[must_use]
pub fn exact_time(at: DateTime<Utc>, zone: Tz) -> String {
    // as browsers write it in English
    let day = at.with_timezone(&zone).format("%-d %b %Y, %H:%M:%S").to_string().replace(" Sep ", " Sept ");
    format!("{day} {}", offset(at, zone))
}

/// `GMT+8`, as browsers write it in English.
fn offset(at: DateTime<Utc>, zone: Tz) -> String {
    let minutes = at.with_timezone(&zone).offset().fix().local_minus_utc() / 60;
    let (hours, minutes) = (minutes / 60, minutes.abs() % 60);
    match (hours, minutes) {
        (0, 0) if zone == Tz::UTC => "UTC".to_owned(),
        (0, 0) => "GMT".to_owned(),
        (_, 0) => format!("GMT{hours:+}"),
        _ => format!("GMT{hours:+}:{minutes:02}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_times_are_in_the_words_of_the_page() {
        let table: serde_json::Value = serde_json::from_str(include_str!("../../tests/cases/times.json")).unwrap();
        for case in table["times"].as_array().unwrap() {
            let [iso, zone, words] = ["iso", "zone", "exact"].map(|name| case[name].as_str().unwrap());
            assert_eq!(exact_time(iso.parse().unwrap(), zone.parse().unwrap()), words, "{case}");
        }
    }

    #[test]
    fn times_read_as_in_the_existing_system() {
        let at: DateTime<Utc> = "2025-01-05T10:30:00Z".parse().unwrap();
        assert_eq!(iso_time(at), "2025-01-05T10:30:00+00:00");
        assert_eq!(iso_time(at + chrono::TimeDelta::microseconds(1500)), "2025-01-05T10:30:00.001500+00:00");
        assert_eq!(display_time(at, chrono_tz::UTC), "Jan 05, 2025 10:30");
        assert_eq!(display_time(at, chrono_tz::Asia::Manila), "Jan 05, 2025 18:30");
        assert_eq!(display_time_with_zone(at, chrono_tz::Asia::Manila), "Jan 05, 2025 18:30 GMT+8");
    }
}
