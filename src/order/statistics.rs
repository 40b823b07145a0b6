//! The statistics cards and the breakdown.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::{Money, PaymentStatus, Status};

/// Number and amount of the orders with one status and payment status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally {
    /// The orders' status.
    pub status: Status,
    /// The orders' payment status.
    pub payment_status: PaymentStatus,
    /// How many there are.
    pub orders: i64,
    /// Their total.
    pub amount: Money,
}

/// The cards. They cover all of a rep's orders, whatever the filter.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Statistics {
    /// All orders, those with an unknown status included.
    pub total_orders: i64,
    /// `pending`.
    pub pending_orders: i64,
    /// `confirmed`.
    pub confirmed_orders: i64,
    /// `processing`.
    pub processing_orders: i64,
    /// `ready_for_pickup`.
    pub ready_orders: i64,
    /// `shipped`.
    pub shipped_orders: i64,
    /// `delivered`.
    pub delivered_orders: i64,
    /// `cancelled`.
    pub cancelled_orders: i64,
    /// The total of the orders that are both delivered and paid.
    pub total_revenue: Money,
}

/// The breakdown: a count for each of the eight statuses, in the order of the codes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StatusCounts([i64; 8]);

impl StatusCounts {
    /// Each status with its count.
    pub fn iter(&self) -> impl Iterator<Item = (&'static Status, i64)> {
        Status::ALL.iter().zip(self.0)
    }

    /// The count of one status; 0 for an unknown one.
    #[must_use]
    pub fn of(&self, status: &Status) -> i64 {
        self.iter().find(|(listed, _)| *listed == status).map_or(0, |(_, count)| count)
    }
}

impl Serialize for StatusCounts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Entry<'a> {
            name: &'a str,
            count: i64,
        }
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (status, count) in self.iter() {
            map.serialize_entry(status.code(), &Entry { name: &status.label(), count })?;
        }
        map.end()
    }
}

/// Cards and breakdown of one rep in one snapshot.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// The cards.
    pub statistics: Statistics,
    /// The breakdown.
    pub orders_by_status: StatusCounts,
    /// The unlisted statuses that occur: the list has to look for them too.
    #[serde(skip)]
    pub unknown_statuses: Vec<Status>,
}

impl FromIterator<Tally> for Summary {
    fn from_iter<T: IntoIterator<Item = Tally>>(tallies: T) -> Self {
        let mut summary = Self::default();
        for tally in tallies {
            summary.statistics.total_orders += tally.orders;
            if tally.status == Status::Delivered && tally.payment_status == PaymentStatus::Paid {
                summary.statistics.total_revenue = summary.statistics.total_revenue.plus(tally.amount);
            }
            match Status::ALL.iter().position(|listed| *listed == tally.status) {
                Some(place) => summary.orders_by_status.0[place] += tally.orders,
                None if !summary.unknown_statuses.contains(&tally.status) => {
                    summary.unknown_statuses.push(tally.status);
                }
                None => {}
            }
        }
        let counts = &summary.orders_by_status;
        summary.statistics = Statistics {
            pending_orders: counts.of(&Status::Pending),
            confirmed_orders: counts.of(&Status::Confirmed),
            processing_orders: counts.of(&Status::Processing),
            ready_orders: counts.of(&Status::ReadyForPickup),
            shipped_orders: counts.of(&Status::Shipped),
            delivered_orders: counts.of(&Status::Delivered),
            cancelled_orders: counts.of(&Status::Cancelled),
            ..summary.statistics
        };
        summary
    }
}
