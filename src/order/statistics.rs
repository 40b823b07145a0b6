//! The statistics cards and the breakdown.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::change::OrderEvent;
use super::code::{PaymentStatus, Status};
use super::money::Money;
use super::scope::Scope;

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

/// The cards. They cover all orders of a scope, whatever the filter.
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

/// Cards and breakdown of one scope in one snapshot.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// The cards.
    pub statistics: Statistics,
    /// The breakdown.
    pub orders_by_status: StatusCounts,
    /// The unlisted statuses that occur, with their number of orders: the list has to look for them too.
    #[serde(skip)]
    pub unknown_statuses: Vec<(Status, i64)>,
}

impl Summary {
    /// How many orders have that status, listed or not.
    #[must_use]
    pub fn count(&self, status: &Status) -> i64 {
        let unknown = self.unknown_statuses.iter().find(|(known, _)| known == status);
        unknown.map_or_else(|| self.orders_by_status.of(status), |(_, orders)| *orders)
    }

    /// Adds orders, or takes them away where their number is negative.
    pub fn add(&mut self, Tally { status, payment_status, orders, amount }: Tally) {
        let statistics = &mut self.statistics;
        statistics.total_orders += orders;
        if status == Status::Delivered && payment_status == PaymentStatus::Paid {
            statistics.total_revenue = statistics.total_revenue.plus(amount);
        }
        let of_status = match status {
            Status::Pending => Some(&mut statistics.pending_orders),
            Status::Confirmed => Some(&mut statistics.confirmed_orders),
            Status::Processing => Some(&mut statistics.processing_orders),
            Status::ReadyForPickup => Some(&mut statistics.ready_orders),
            Status::Shipped => Some(&mut statistics.shipped_orders),
            Status::Delivered => Some(&mut statistics.delivered_orders),
            Status::Cancelled => Some(&mut statistics.cancelled_orders),
            Status::Returned | Status::Unknown(_) => None,
        };
        if let Some(count) = of_status {
            *count += orders;
        }
        match Status::ALL.iter().position(|listed| *listed == status) {
            Some(place) => self.orders_by_status.0[place] += orders,
            None => self.add_unknown(status, orders),
        }
    }

    fn add_unknown(&mut self, status: Status, orders: i64) {
        match self.unknown_statuses.iter_mut().find(|(known, _)| *known == status) {
            Some((_, count)) => *count += orders,
            None => self.unknown_statuses.push((status, orders)),
        }
        self.unknown_statuses.retain(|(_, count)| *count != 0);
    }

    /// Applies what an event did to the orders of a scope.
    pub fn apply(&mut self, event: &OrderEvent, scope: Scope) {
        let of = |status: &Option<Status>, payment_status: &Option<PaymentStatus>, total: Option<Money>, orders| {
            let (status, payment_status) = (status.clone()?, payment_status.clone()?);
            Some(Tally { status, payment_status, orders, amount: total.unwrap_or_default() })
        };
        let (before, after) = (scope.has(event.rep.0), scope.has(event.rep.1));
        let gone = of(&event.status.0, &event.payment_status.0, event.total.0.map(Money::negated), -1);
        let come = of(&event.status.1, &event.payment_status.1, event.total.1, 1);
        gone.filter(|_| before).into_iter().chain(come.filter(|_| after)).for_each(|tally| self.add(tally));
    }
}

impl FromIterator<Tally> for Summary {
    fn from_iter<T: IntoIterator<Item = Tally>>(tallies: T) -> Self {
        let mut summary = Self::default();
        tallies.into_iter().for_each(|tally| summary.add(tally));
        summary
    }
}
