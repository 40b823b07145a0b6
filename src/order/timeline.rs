//! What happened to one order: what the triggers recorded of it, together with what an application wrote down.

use chrono::{DateTime, TimeDelta, Utc};

use super::change::{Operation, OrderEvent};
use super::code::{PaymentStatus, Status};

/// How far apart, of the same change, the trigger's record and the history of an application that writes it in a transaction
/// of its own can be.
const MOMENT: TimeDelta = TimeDelta::seconds(5);

/// How long a transaction can have lasted before it came to the order: its history has the time of its begin.
const LONGEST_TRANSACTION: TimeDelta = TimeDelta::days(1);

/// A change by any client, as the triggers recorded it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// The event's id.
    pub id: i64,
    /// What was recorded.
    pub event: OrderEvent,
    /// The logins of the reps whose order it was and is.
    pub reps: (Option<String>, Option<String>),
}

/// A change that a signed-in user made in an application which keeps a history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct History {
    /// The row's id.
    pub id: i64,
    /// The transaction, or the savepoint in it, that wrote the row: its lower 32 bits.
    pub xid: u32,
    /// When.
    pub at: DateTime<Utc>,
    /// The user's login.
    pub by: String,
    /// From and to.
    pub status: (Status, Status),
    /// From and to.
    pub payment_status: (PaymentStatus, PaymentStatus),
    /// What the user wrote.
    pub notes: String,
}

/// One entry of an order's timeline. At least one of the two is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What was recorded.
    pub recorded: Option<Recorded>,
    /// What was written down, by whom.
    pub history: Option<History>,
}

impl Entry {
    /// When it happened.
    #[must_use]
    pub fn at(&self) -> DateTime<Utc> {
        let recorded = self.recorded.as_ref().map(|recorded| recorded.event.at);
        recorded.or(self.history.as_ref().map(|history| history.at)).unwrap_or_default()
    }

    /// The signed-in user who did it, if one is known.
    #[must_use]
    pub fn by(&self) -> Option<&str> {
        let history = self.history.as_ref().map(|history| history.by.as_str());
        history.or_else(|| self.recorded.as_ref()?.event.writer.user.as_deref())
    }

    /// The application that did it, if it says which it is.
    #[must_use]
    pub fn application(&self) -> Option<&str> {
        self.recorded.as_ref()?.event.writer.application.as_deref()
    }

    /// Tells it from all other entries of the order, and from itself before its history was written.
    #[must_use]
    pub fn key(&self) -> String {
        let recorded = self.recorded.as_ref().map(|recorded| format!("e{}", recorded.id)).unwrap_or_default();
        let history = self.history.as_ref().map(|history| format!("h{}", history.id)).unwrap_or_default();
        recorded + &history
    }

    /// Whether the status or the payment status of an order that was there changed.
    #[must_use]
    pub fn changed_standing(&self) -> bool {
        let recorded = self.recorded.as_ref().is_some_and(|Recorded { event, .. }| {
            let changed = event.status.0 != event.status.1 || event.payment_status.0 != event.payment_status.1;
            event.operation == Operation::Update && changed
        });
        recorded || self.history.as_ref().is_some_and(History::changes)
    }
}

impl History {
    fn changes(&self) -> bool {
        self.status.0 != self.status.1 || self.payment_status.0 != self.payment_status.1
    }

    /// Whether this can be of the recorded change: in its transaction, or a moment from it. A note alone, which changes
    /// nothing, is of no recorded change. The first of what is given is the better evidence.
    fn is_of(&self, event: &OrderEvent) -> Option<(bool, TimeDelta)> {
        let same = |(from, to): &(Status, Status)| event.status == (Some(from.clone()), Some(to.clone()));
        let paid = |(from, to): &(PaymentStatus, PaymentStatus)| {
            event.payment_status == (Some(from.clone()), Some(to.clone()))
        };
        if !self.changes() || !same(&self.status) || !paid(&self.payment_status) {
            return None;
        }
        let apart = (event.at - self.at).abs();
        let elsewhere = self.xid != event.xid as u32;
        (apart < if elsewhere { MOMENT } else { LONGEST_TRANSACTION }).then_some((elsewhere, apart))
    }
}

/// The entries, newest first. A change that was both recorded and written down is one entry, and each record and each
/// history is in one entry only, so that of two quick changes neither hides the other.
#[must_use]
pub fn timeline(recorded: Vec<Recorded>, history: Vec<History>) -> Vec<Entry> {
    let mut pairs = Vec::new();
    for (one, Recorded { id, event, .. }) in recorded.iter().enumerate() {
        for (other, written) in history.iter().enumerate() {
            pairs.extend(written.is_of(event).map(|evidence| (evidence, *id, written.id, one, other)));
        }
    }
    pairs.sort_unstable();
    let mut recorded: Vec<Option<Recorded>> = recorded.into_iter().map(Some).collect();
    let mut history: Vec<Option<History>> = history.into_iter().map(Some).collect();
    let mut entries = Vec::with_capacity(recorded.len() + history.len());
    for (.., one, other) in pairs {
        if recorded[one].is_some() && history[other].is_some() {
            entries.push(Entry { recorded: recorded[one].take(), history: history[other].take() });
        }
    }
    entries.extend(recorded.into_iter().flatten().map(|one| Entry { recorded: Some(one), history: None }));
    entries.extend(history.into_iter().flatten().map(|other| Entry { recorded: None, history: Some(other) }));
    let ids = |entry: &Entry| (entry.recorded.as_ref().map(|one| one.id), entry.history.as_ref().map(|other| other.id));
    entries.sort_by_key(|entry| std::cmp::Reverse((entry.at(), ids(entry))));
    entries
}

#[cfg(test)]
mod tests {
    use super::super::{OrderId, RepId, Writer};
    use super::*;

    const OTHER_TRANSACTION: u32 = 999;

    fn time(milliseconds: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::milliseconds(milliseconds)
    }

    fn pair<T: for<'a> From<&'a str>>((from, to): (&str, &str)) -> (T, T) {
        (from.into(), to.into())
    }

    fn recorded(id: i64, at: i64, status: (&str, &str), payment: (&str, &str)) -> Recorded {
        let ((from, to), (unpaid, paid)) = (pair(status), pair(payment));
        let event = OrderEvent {
            id,
            xid: u64::from(u32::MAX) + 1 + id as u64,
            at: time(at),
            operation: Operation::Update,
            order: Some(OrderId(1)),
            order_number: None,
            rep: (Some(RepId(1)), Some(RepId(1))),
            status: (Some(from), Some(to)),
            payment_status: (Some(unpaid), Some(paid)),
            total: (None, None),
            items_delta: None,
            other: vec![],
            writer: Writer::default(),
            of_new_order: None,
        };
        Recorded { id, event, reps: (None, None) }
    }

    fn written(id: i64, xid: u32, at: i64, status: (&str, &str), payment: (&str, &str)) -> History {
        let (status, payment_status) = (pair(status), pair(payment));
        History { id, xid, at: time(at), by: "rx".into(), status, payment_status, notes: String::new() }
    }

    fn keys(recorded: Vec<Recorded>, history: Vec<History>) -> String {
        timeline(recorded, history).iter().map(Entry::key).collect::<Vec<_>>().join(" ")
    }

    const PAID: (&str, &str) = ("paid", "paid");
    const UP: (&str, &str) = ("pending", "confirmed");
    const DOWN: (&str, &str) = ("confirmed", "pending");

    #[test]
    fn a_change_and_its_history_are_one_entry_with_the_user() {
        let entries = timeline(vec![recorded(1, 0, UP, PAID)], vec![written(7, OTHER_TRANSACTION, 300, UP, PAID)]);
        assert_eq!((entries[0].key(), entries[0].by(), entries[0].at()), ("e1h7".to_owned(), Some("rx"), time(0)));
        assert_eq!(entries.len(), 1);
        // so is one of the payment alone
        let (still, pays) = (("pending", "pending"), ("pending", "paid"));
        assert_eq!(
            keys(vec![recorded(1, 0, still, pays)], vec![written(7, OTHER_TRANSACTION, 300, still, pays)]),
            "e1h7"
        );
    }

    #[test]
    fn what_is_too_far_apart_is_not_the_same_unless_it_was_one_transaction() {
        let minute = 60_000;
        assert_eq!(
            keys(vec![recorded(1, minute, UP, PAID)], vec![written(7, OTHER_TRANSACTION, 0, UP, PAID)]),
            "e1 h7"
        );
        assert_eq!(keys(vec![recorded(1, minute, UP, PAID)], vec![written(7, 1, 0, UP, PAID)]), "e1h7");
    }

    #[test]
    fn two_quick_changes_do_not_swallow_each_other() {
        // psql does, undoes; the application does the same again and says so
        let quick = vec![recorded(1, 0, UP, PAID), recorded(2, 400, DOWN, PAID), recorded(3, 900, UP, PAID)];
        assert_eq!(keys(quick.clone(), vec![written(7, OTHER_TRANSACTION, 950, UP, PAID)]), "e3h7 e2 e1");
        let both = vec![written(7, OTHER_TRANSACTION, 40, UP, PAID), written(8, OTHER_TRANSACTION, 950, UP, PAID)];
        assert_eq!(keys(quick.clone(), both), "e3h8 e2 e1h7");
        // the transaction tells better than the time
        assert_eq!(keys(quick, vec![written(7, 1, 890, UP, PAID)]), "e3 e2 e1h7");
    }

    #[test]
    fn other_changes_and_notes_are_entries_of_their_own() {
        let still = ("pending", "pending");
        // a total changed while somebody wrote a note
        assert_eq!(keys(vec![recorded(1, 0, still, PAID)], vec![written(7, 1, 10, still, PAID)]), "h7 e1");
        // the history is of another payment
        let unpaid = written(7, OTHER_TRANSACTION, 10, UP, ("pending", "pending"));
        assert_eq!(keys(vec![recorded(1, 0, UP, PAID)], vec![unpaid]), "h7 e1");
    }
}
