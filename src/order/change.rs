//! What changed, from, to, by whom and when: the rows of `live.order_event`, and how those may see them who may see the orders.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::code::{PaymentStatus, Status};
use super::id::{OrderId, OrderKey, RepId};
use super::money::Money;
use super::row::iso_time;
use super::scope::Scope;

/// What a statement did to an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// The order was entered.
    Insert,
    /// Something shown of it changed.
    Update,
    /// The order was deleted.
    Delete,
    /// Its number of items changed.
    Items,
    /// The application that changed it wrote to its history, which may say who made an earlier change.
    History,
    /// All orders, or all items, were deleted at once; the event names no order.
    Truncate,
    /// Something that its trigger could not read; the event names no order.
    Unreadable,
}

/// Who wrote a change.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Writer {
    /// The signed-in user that the client named in `app.user`, else the one whom the application's history names. The database role
    /// is no person's: an application's connections share one.
    pub user: Option<String>,
    /// The client's `application_name`.
    pub application: Option<String>,
}

/// One row of `live.order_event`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderEvent {
    /// Tells it from all others. It is in the order of recording, never of commit.
    pub id: i64,
    /// The transaction that wrote it: what tells whether a snapshot has it already.
    pub xid: u64,
    /// When the trigger recorded it, by the database's clock.
    pub at: DateTime<Utc>,
    /// What was done.
    pub operation: Operation,
    /// To which order; `None` only for [`Operation::Truncate`] and [`Operation::Unreadable`].
    pub order: Option<OrderId>,
    /// The order's number before the change.
    pub order_number: Option<String>,
    /// Whose order it was and is.
    pub rep: (Option<RepId>, Option<RepId>),
    /// Its status, before and after.
    pub status: (Option<Status>, Option<Status>),
    /// Its payment status, before and after.
    pub payment_status: (Option<PaymentStatus>, Option<PaymentStatus>),
    /// Its total, before and after.
    pub total: (Option<Money>, Option<Money>),
    /// By how much its number of items changed.
    pub items_delta: Option<i32>,
    /// Other shown columns that changed: name, before, after.
    pub other: Vec<(String, String, String)>,
    /// Who did it.
    pub writer: Writer,
    /// Whether the order was entered just before, for what can be a part of that; `None` for everything else.
    pub of_new_order: Option<bool>,
}

/// One thing that changed of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Field {
    /// The column's name, or `items`.
    pub field: String,
    /// The code or value before.
    pub from: Option<String>,
    /// The code or value after.
    pub to: Option<String>,
    /// Before, as shown to a person.
    pub from_display: Option<String>,
    /// After, as shown to a person.
    pub to_display: Option<String>,
}

/// An event as somebody may see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// The event's.
    pub id: i64,
    /// The order.
    pub order_id: OrderId,
    /// The same as text.
    pub order_key: OrderKey,
    /// Its number.
    pub order_number: Option<String>,
    /// `insert`, `update`, `delete`, `items`; `arrived` or `left` where the order came from or went to another rep.
    pub operation: &'static str,
    /// The order's status after the change; of an order that is gone, the one before. `None` where the event does not tell, as of
    /// an item.
    pub status: Option<Status>,
    /// When.
    pub at: String,
    /// By which person; empty where none is known.
    pub by: String,
    /// The signed-in user's login, where one did it: who has it is told no news by this.
    pub user: Option<String>,
    /// From which application, where no person is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub application: Option<String>,
    /// It is a part of the entering of its order, and no news by itself.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub part: bool,
    /// What, from and to.
    pub changed: Vec<Field>,
}

/// The orders that events enter, each with the transaction that does.
#[must_use]
pub fn entered<'a>(events: impl IntoIterator<Item = &'a OrderEvent>) -> HashSet<(OrderId, u64)> {
    let inserts = events.into_iter().filter(|event| event.operation == Operation::Insert);
    inserts.filter_map(|event| Some((event.order?, event.xid))).collect()
}

impl OrderEvent {
    /// Whether the event names the scope: the order was or is in it. Of an item's event, whose trigger may have seen another rep
    /// than the order's present one, both are asked. `tests/cases/told.json` has the cases for all that tell changes.
    #[must_use]
    pub fn concerns(&self, scope: Scope) -> bool {
        scope.has(self.rep.0) || scope.has(self.rep.1)
    }

    /// Whether it is a part of the entering of its order: an item, or a total alone, in the transaction that enters the order or
    /// just after. The bell's statement says the same (`IS_PART` of the store); `tests/cases/parts.json` has the cases.
    #[must_use]
    pub fn is_part(&self, entered: &HashSet<(OrderId, u64)>) -> bool {
        let is_together = || self.order.is_some_and(|order| entered.contains(&(order, self.xid)));
        self.of_new_order.is_some_and(|is_new| is_new || is_together())
    }

    /// The event as the scope's people may see it. `entered`: what else is told enters these orders. Of an order that came to a rep or went it tells no value from the other
    /// rep's time.
    #[must_use]
    pub fn as_seen_by(&self, scope: Scope, entered: &HashSet<(OrderId, u64)>) -> Option<Change> {
        let (before, after) = (scope.has(self.rep.0), scope.has(self.rep.1));
        let operation = match self.operation {
            Operation::History | Operation::Truncate | Operation::Unreadable => return None,
            Operation::Insert => "insert",
            Operation::Delete => "delete",
            Operation::Items => "items",
            Operation::Update if before && !after => "left",
            Operation::Update if after && !before => "arrived",
            Operation::Update => "update",
        };
        // An item's event may be of another rep's time, or the trigger may not have seen the present rep yet: then the
        // rep is told that the order changed, and no more.
        let own = before || after;
        let mut changed = if own && matches!(operation, "update" | "items") { self.fields() } else { Vec::new() };
        if operation == "update" && self.rep.0 != self.rep.1 {
            changed.push(self.reassignment());
        }
        let status = if matches!(operation, "left" | "delete") { &self.status.0 } else { &self.status.1 };
        let Writer { user, application } = if own { self.writer.clone() } else { Writer::default() };
        Some(Change {
            id: self.id,
            order_id: self.order?,
            order_key: OrderKey(self.order?),
            order_number: self.order_number.clone(),
            operation,
            status: status.clone().filter(|_| own),
            at: iso_time(self.at),
            by: user.clone().unwrap_or_default(),
            application: application.filter(|_| user.is_none()),
            user,
            part: self.is_part(entered),
            changed,
        })
    }

    /// Who has the order now, for somebody who sees the orders of all reps.
    fn reassignment(&self) -> Field {
        let id = |rep: Option<RepId>| rep.map(|rep| rep.to_string());
        let to = if self.rep.1.is_some() { "another representative" } else { "nobody" };
        Field {
            field: "sales_rep_id".to_owned(),
            from: id(self.rep.0),
            to: id(self.rep.1),
            from_display: None,
            to_display: Some(to.to_owned()),
        }
    }

    /// Everything that changed, for somebody who may see the order before and after.
    #[must_use]
    pub fn fields(&self) -> Vec<Field> {
        let mut fields = Vec::new();
        let mut push = |field: &str, from: Option<(String, String)>, to: Option<(String, String)>| {
            if from != to {
                let (from, from_display) = from.unzip();
                let (to, to_display) = to.unzip();
                fields.push(Field { field: field.to_owned(), from, to, from_display, to_display });
            }
        };
        let status = |s: &Option<Status>| s.as_ref().map(|s| (s.code().to_owned(), s.label().into_owned()));
        let payment = |s: &Option<PaymentStatus>| s.as_ref().map(|s| (s.code().to_owned(), s.label().into_owned()));
        let amount = |a: &Option<Money>| a.map(|a| (a.to_string(), a.to_string()));
        push("status", status(&self.status.0), status(&self.status.1));
        push("payment_status", payment(&self.payment_status.0), payment(&self.payment_status.1));
        push("total_amount", amount(&self.total.0), amount(&self.total.1));
        for (column, from, to) in &self.other {
            push(column, Some((from.clone(), from.clone())), Some((to.clone(), to.clone())));
        }
        if let Some(delta) = self.items_delta {
            let change = format!("{delta:+}");
            push("items", None, Some((change.clone(), change)));
        }
        fields
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moved() -> OrderEvent {
        OrderEvent {
            id: 1,
            xid: 7,
            at: "2025-01-15T10:30:00Z".parse().unwrap(),
            operation: Operation::Update,
            order: Some(OrderId(9)),
            order_number: Some("ORD-9".into()),
            rep: (Some(RepId(1)), Some(RepId(2))),
            status: (Some(Status::Pending), Some(Status::Shipped)),
            payment_status: (None, None),
            total: (None, None),
            items_delta: None,
            other: vec![],
            writer: Writer { user: None, application: Some("psql".into()) },
            of_new_order: None,
        }
    }

    #[test]
    fn a_moved_order_tells_all_to_who_sees_all() {
        let change = moved().as_seen_by(Scope::All, &HashSet::new()).unwrap();
        let fields: Vec<&str> = change.changed.iter().map(|field| field.field.as_str()).collect();
        assert_eq!((change.operation, fields), ("update", vec!["status", "sales_rep_id"]));
    }

    #[test]
    fn a_moved_order_tells_neither_rep_the_others_values() {
        let seen = |rep| moved().as_seen_by(Scope::Rep(RepId(rep)), &HashSet::new()).unwrap();
        let (left, arrived) = (seen(1), seen(2));
        assert_eq!((left.operation, left.changed.len()), ("left", 0));
        assert_eq!((arrived.operation, arrived.changed.len()), ("arrived", 0));
        assert_eq!((left.status, arrived.status), (Some(Status::Pending), Some(Status::Shipped)));
        assert_eq!((left.by.as_str(), left.application.as_deref()), ("", Some("psql")));
    }

    #[test]
    fn a_change_names_codes_and_what_people_call_them() {
        let change = OrderEvent { rep: (Some(RepId(1)), Some(RepId(1))), ..moved() };
        let change = change.as_seen_by(Scope::Rep(RepId(1)), &HashSet::new()).unwrap();
        assert_eq!(change.operation, "update");
        assert_eq!(change.changed.len(), 1);
        assert_eq!(change.changed[0].from.as_deref(), Some("pending"));
        assert_eq!(change.changed[0].to_display.as_deref(), Some("Shipped"));
    }
}
