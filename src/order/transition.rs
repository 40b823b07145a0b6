//! Which status and payment status may follow which: the rules by which people change an order here. Other clients follow
//! rules of their own, so that an order can be in any state.

use std::borrow::Cow;

use super::code::{PaymentStatus, Status};

/// Where an order stands: what its status form is made from, and what a change of it leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Its status.
    pub status: Status,
    /// Its payment status.
    pub payment_status: PaymentStatus,
}

/// What somebody wants an order to become. What is `None` stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// The status it is to have.
    pub status: Option<Status>,
    /// The payment status it is to have.
    pub payment_status: Option<PaymentStatus>,
}

impl Wanted {
    /// As shown to a person: `Shipped, payment Paid`; who asks for neither adds a note.
    #[must_use]
    pub fn label(&self) -> String {
        let status = self.status.as_ref().map(|status| status.label().into_owned());
        let payment = self.payment_status.as_ref().map(|payment| format!("payment {}", payment.label()));
        let parts: Vec<String> = status.into_iter().chain(payment).collect();
        if parts.is_empty() { "a note".to_owned() } else { parts.join(", ") }
    }
}

/// Why an order can't become what is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// It stands so already.
    NoChange(Standing),
    /// Nothing follows on that status.
    Ended(Status),
    /// The second would be a step back.
    Backwards(Status, Status),
    /// Only an order that was handed over can come back.
    NotHandedOver(Status),
    /// A delivered order can come back, and no more.
    Delivered,
    /// One of the two is no status of the existing system, so that nobody knows whether the second follows on the first.
    Unlisted(Status, Status),
    /// It is not paid, and would be delivered.
    Unpaid(PaymentStatus),
    /// It is delivered, and so was paid.
    WasPaid(PaymentStatus),
}

impl Standing {
    /// `status:payment_status`: what a form carries, and is compared with.
    #[must_use]
    pub fn version(&self) -> String {
        format!("{}:{}", self.status.code(), self.payment_status.code())
    }

    /// Reads a version. Whether it is still true is told by comparing the versions, as codes may have any letters.
    #[must_use]
    pub fn of_version(version: &str) -> Option<Self> {
        let (status, payment_status) = version.split_once(':')?;
        Some(Self { status: status.into(), payment_status: payment_status.into() })
    }

    /// As shown to a person: `Pending, payment Paid`.
    #[must_use]
    pub fn label(&self) -> String {
        format!("{}, payment {}", self.status.label(), self.payment_status.label())
    }

    /// What is wanted, whether that is allowed or not.
    #[must_use]
    pub fn with(&self, wanted: &Wanted) -> Self {
        Self {
            status: wanted.status.clone().unwrap_or_else(|| self.status.clone()),
            payment_status: wanted.payment_status.clone().unwrap_or_else(|| self.payment_status.clone()),
        }
    }

    /// What the order becomes. Who only adds a note may leave it as it is.
    ///
    /// # Errors
    /// Why it can't.
    pub fn change(&self, wanted: &Wanted, has_note: bool) -> Result<Self, Refusal> {
        let after = self.with(wanted);
        if after == *self {
            return if has_note { Ok(after) } else { Err(Refusal::NoChange(after)) };
        }
        self.status.leads_to(&after.status)?;
        self.pays(&after.payment_status)?;
        let delivers = after.status == Status::Delivered && self.status != Status::Delivered;
        if delivers && after.payment_status != PaymentStatus::Paid {
            return Err(Refusal::Unpaid(after.payment_status));
        }
        Ok(after)
    }

    /// Whether the payment status may become that one.
    ///
    /// # Errors
    /// Why it may not.
    pub fn pays(&self, after: &PaymentStatus) -> Result<(), Refusal> {
        let undone = [PaymentStatus::Pending, PaymentStatus::Failed].contains(after);
        if self.status == Status::Delivered && undone && *after != self.payment_status {
            return Err(Refusal::WasPaid(after.clone()));
        }
        Ok(())
    }
}

impl Status {
    /// Whether that status may follow on this one, or is this one, whatever is paid.
    ///
    /// # Errors
    /// Why it may not.
    pub fn leads_to(&self, after: &Self) -> Result<(), Refusal> {
        if self == after {
            return Ok(());
        }
        let place = |status: &Self| Self::unfinished().position(|unfinished| unfinished == status);
        match (self, after) {
            (Self::Cancelled | Self::Returned, _) => Err(Refusal::Ended(self.clone())),
            (Self::Shipped | Self::Delivered, Self::Returned) => Ok(()),
            (Self::Delivered, _) => Err(Refusal::Delivered),
            (_, Self::Unknown(_)) | (Self::Unknown(_), Self::Delivered | Self::Returned) => {
                Err(Refusal::Unlisted(self.clone(), after.clone()))
            }
            (Self::Unknown(_), _) | (_, Self::Cancelled | Self::Delivered) => Ok(()),
            (_, Self::Returned) => Err(Refusal::NotHandedOver(self.clone())),
            _ if place(self) < place(after) => Ok(()),
            _ => Err(Refusal::Backwards(self.clone(), after.clone())),
        }
    }
}

impl Refusal {
    /// The whole reason: `ORD-2025-00123 is Shipped; it can't go back to Processing.`
    #[must_use]
    pub fn sentence(&self, order_number: &str) -> String {
        let is: Cow<'_, str> = match self {
            Self::NoChange(standing) => standing.label().into(),
            Self::Ended(status)
            | Self::Backwards(status, _)
            | Self::NotHandedOver(status)
            | Self::Unlisted(status, _) => status.label(),
            Self::Delivered | Self::WasPaid(_) => Status::Delivered.label(),
            Self::Unpaid(payment) => format!("{} payment", payment.label()).into(),
        };
        format!("{order_number} is {is}; {}.", self.reason())
    }

    /// What the order is, in a few words that fit several refused orders: `not paid`.
    #[must_use]
    pub fn brief(&self) -> String {
        match self {
            Self::NoChange(_) => "already so".to_owned(),
            Self::Ended(status) => format!("already {}", status.label()),
            Self::Backwards(_, after) => format!("past {}", after.label()),
            Self::NotHandedOver(_) => "not handed over yet".to_owned(),
            Self::Delivered => "already Delivered".to_owned(),
            Self::Unlisted(..) => "in a status that is not known here".to_owned(),
            Self::Unpaid(_) => "not paid".to_owned(),
            Self::WasPaid(_) => "delivered and paid".to_owned(),
        }
    }

    /// The rule alone, beside what it forbids.
    #[must_use]
    pub fn reason(&self) -> String {
        match self {
            Self::NoChange(_) => "nothing would change, and there is no note".to_owned(),
            Self::Ended(status) => format!("nothing follows on {}", status.label()),
            Self::Backwards(_, after) => format!("it can't go back to {}", after.label()),
            Self::NotHandedOver(_) => "only a shipped or delivered order can be returned".to_owned(),
            Self::Delivered => "a delivered order can only be returned".to_owned(),
            Self::Unlisted(_, after) => format!("it is not known whether it can become {}", after.label()),
            Self::Unpaid(_) => "an order is delivered only when it is paid".to_owned(),
            Self::WasPaid(after) => format!("a delivered order's payment can't become {}", after.label()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing(version: &str) -> Standing {
        Standing::of_version(version).unwrap()
    }

    fn wanted(status: &str, payment_status: &str) -> Wanted {
        let given = |code: &str| (!code.is_empty()).then(|| code.to_owned());
        Wanted {
            status: given(status).map(|code| Status::from(code.as_str())),
            payment_status: given(payment_status).map(|code| PaymentStatus::from(code.as_str())),
        }
    }

    /// What follows on each status, of all the listed ones, for an order that is paid.
    #[test]
    fn every_step_is_allowed_or_refused_as_the_rules_say() {
        for (from, followers) in [
            ("pending", "confirmed processing ready_for_pickup shipped delivered cancelled"),
            ("confirmed", "processing ready_for_pickup shipped delivered cancelled"),
            ("processing", "ready_for_pickup shipped delivered cancelled"),
            ("ready_for_pickup", "shipped delivered cancelled"),
            ("shipped", "delivered cancelled returned"),
            ("delivered", "returned"),
            ("cancelled", ""),
            ("returned", ""),
            ("on_hold", "pending confirmed processing ready_for_pickup shipped cancelled"),
        ] {
            let order = Standing { status: from.into(), payment_status: PaymentStatus::Paid };
            let allowed =
                |after: &&Status| order.status != **after && order.change(&wanted(after.code(), ""), false).is_ok();
            let codes: Vec<&str> = Status::ALL.iter().filter(allowed).map(Status::code).collect();
            assert_eq!(codes.join(" "), followers, "{from}");
        }
    }

    #[test]
    fn an_order_is_delivered_only_when_it_is_paid_after_the_change() {
        for payment in ["pending", "failed", "refunded", "partially_refunded", "iou"] {
            let order = standing(&format!("shipped:{payment}"));
            let refusal = order.change(&wanted("delivered", ""), true).unwrap_err();
            assert_eq!(refusal, Refusal::Unpaid(payment.into()));
            assert_eq!(order.change(&wanted("delivered", "paid"), false), Ok(standing("delivered:paid")));
        }
        assert!(standing("shipped:paid").change(&wanted("delivered", "refunded"), false).is_err());
    }

    #[test]
    fn any_payment_status_follows_any_unless_the_order_is_delivered() {
        for before in ["pending", "paid", "failed", "refunded", "partially_refunded", "iou"] {
            for after in PaymentStatus::ALL.iter().filter(|after| after.code() != before) {
                for status in ["pending", "shipped", "cancelled", "returned", "on_hold"] {
                    let order = standing(&format!("{status}:{before}"));
                    assert!(order.change(&wanted("", after.code()), false).is_ok(), "{order:?} {after:?}");
                }
                let delivered = standing(&format!("delivered:{before}"));
                let undone = matches!(after, PaymentStatus::Pending | PaymentStatus::Failed);
                for status in ["", "delivered", "returned"] {
                    let change = delivered.change(&wanted(status, after.code()), false);
                    assert_eq!(change.is_err(), undone, "{delivered:?} {status} {after:?}");
                }
            }
        }
    }

    #[test]
    fn an_unlisted_code_is_kept_unless_it_is_changed() {
        let odd = standing("on_hold:iou");
        assert_eq!(odd.change(&wanted("", "paid"), false), Ok(standing("on_hold:paid")));
        assert_eq!(odd.change(&wanted("pending", ""), false), Ok(standing("pending:iou")));
        assert!(odd.change(&wanted("lost", ""), false).is_err());
        assert!(standing("pending:paid").change(&wanted("lost", ""), false).is_err());
    }

    #[test]
    fn a_note_alone_is_a_change_and_nothing_at_all_is_none() {
        let order = standing("cancelled:failed");
        assert_eq!(order.change(&Wanted::default(), true), Ok(order.clone()));
        assert_eq!(order.change(&wanted("cancelled", "failed"), true), Ok(order.clone()));
        assert_eq!(order.change(&wanted("cancelled", ""), false), Err(Refusal::NoChange(order.clone())));
        // also of a state that the rules would not have led to
        let delivered = standing("delivered:pending");
        assert_eq!(delivered.change(&wanted("delivered", "pending"), true), Ok(delivered.clone()));
    }

    #[test]
    fn each_refusal_is_a_sentence_for_a_person() {
        for (from, status, payment, told) in [
            ("pending:pending", "delivered", "", "O-1 is Pending payment; an order is delivered only when it is paid."),
            ("shipped:paid", "processing", "", "O-1 is Shipped; it can't go back to Processing."),
            ("cancelled:paid", "pending", "", "O-1 is Cancelled; nothing follows on Cancelled."),
            ("pending:paid", "returned", "", "O-1 is Pending; only a shipped or delivered order can be returned."),
            ("delivered:paid", "cancelled", "", "O-1 is Delivered; a delivered order can only be returned."),
            ("delivered:paid", "", "failed", "O-1 is Delivered; a delivered order's payment can't become Failed."),
            ("on_hold:paid", "delivered", "", "O-1 is On Hold; it is not known whether it can become Delivered."),
            ("pending:paid", "", "", "O-1 is Pending, payment Paid; nothing would change, and there is no note."),
        ] {
            let refusal = standing(from).change(&wanted(status, payment), false).unwrap_err();
            assert_eq!(refusal.sentence("O-1"), told);
        }
    }

    #[test]
    fn a_version_tells_one_state_from_another() {
        let order = standing("ready_for_pickup:partially_refunded");
        assert_eq!(
            (&order.status, &order.payment_status),
            (&Status::ReadyForPickup, &PaymentStatus::PartiallyRefunded)
        );
        assert_eq!(order.version(), "ready_for_pickup:partially_refunded");
        assert_eq!(standing("a:b:c").version(), "a:b:c");
        assert_eq!(Standing::of_version("pending"), None);
    }
}
