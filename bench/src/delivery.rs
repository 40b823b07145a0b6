//! Which updates arrived, and when.

use std::collections::HashMap;
use std::time::Instant;

use crate::fleet::Receipt;
use crate::samples::{Samples, milliseconds};
use crate::writers::Update;

/// What became of updates.
#[derive(Debug, Default)]
pub struct Delivered {
    /// Milliseconds from the commit's acknowledgement to the receipt; 0 where the receipt came first.
    pub latency: Samples,
    /// Milliseconds from the sending of the update to the receipt.
    pub in_all: Samples,
    /// How many never arrived.
    pub lost: usize,
}

impl Delivered {
    /// Matches updates, in the order of their commits for each order, with receipts. A later amount of an order proves
    /// that its earlier updates arrived, too: a server may tell of several changes at once.
    pub fn of(updates: &[Update], receipts: &[Receipt]) -> Self {
        let mut received: HashMap<u64, Instant> = HashMap::with_capacity(receipts.len());
        for receipt in receipts {
            received.entry(receipt.amount).and_modify(|at| *at = receipt.at.min(*at)).or_insert(receipt.at);
        }
        let mut updates: Vec<&Update> = updates.iter().collect();
        updates.sort_by_key(|update| std::cmp::Reverse(update.amount));
        let mut proven: HashMap<i64, Instant> = HashMap::new();
        let mut delivered = Self::default();
        for update in updates {
            let later = proven.get(&update.order).copied();
            match received.get(&update.amount).copied().into_iter().chain(later).min() {
                Some(at) => {
                    proven.insert(update.order, at);
                    delivered.latency.push(milliseconds(at.saturating_duration_since(update.acknowledged)));
                    delivered.in_all.push(milliseconds(at.saturating_duration_since(update.sent)));
                }
                None => delivered.lost += 1,
            }
        }
        delivered
    }

    /// Adds another's.
    pub fn append(&mut self, other: &Self) {
        self.latency.append(&other.latency);
        self.in_all.append(&other.in_all);
        self.lost += other.lost;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_later_amount_of_the_same_order_proves_the_earlier_ones() {
        let zero = Instant::now();
        let after = |milliseconds| zero + Duration::from_millis(milliseconds);
        let update = |amount, order| Update { amount, order, sent: zero, acknowledged: after(1) };
        let updates = [update(1, 7), update(2, 7), update(3, 7), update(4, 8), update(5, 9)];
        let receipts = [Receipt { amount: 2, at: after(11) }, Receipt { amount: 5, at: zero }];
        let delivered = Delivered::of(&updates, &receipts);
        assert_eq!(delivered.lost, 2, "3 and 4");
        assert_eq!(delivered.latency.max(), 10.0);
        assert_eq!(delivered.latency.percentile(0.3), 0.0, "received before it was acknowledged");
        assert_eq!(delivered.in_all.max(), 11.0);
    }
}
