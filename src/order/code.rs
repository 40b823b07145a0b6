//! The codes of the existing system. Its columns are plain text without a check constraint, so that any client can
//! write a code that is not listed here: it is kept and shown as it stands, titled.

use std::borrow::Cow;

use serde::{Serialize, Serializer};

macro_rules! codes {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $code:literal, $label:literal;)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        pub enum $name {
            $(#[doc = concat!("`", $code, "`, shown as ", $label, ".")] $variant,)+
            /// A code that the existing system does not have.
            Unknown(Box<str>),
        }

        impl $name {
            /// Every listed code, in the order in which the existing system lists them.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The code as stored.
            #[must_use]
            pub fn code(&self) -> &str {
                match self {
                    $(Self::$variant => $code,)+
                    Self::Unknown(code) => code,
                }
            }

            /// The code as shown to a person.
            #[must_use]
            pub fn label(&self) -> Cow<'_, str> {
                match self {
                    $(Self::$variant => Cow::Borrowed($label),)+
                    Self::Unknown(code) => Cow::Owned(titled(code)),
                }
            }

            /// The listed code of this name, if it is one.
            #[must_use]
            pub fn listed(code: &str) -> Option<Self> {
                match code {
                    $($code => Some(Self::$variant),)+
                    _ => None,
                }
            }
        }

        impl From<&str> for $name {
            fn from(code: &str) -> Self {
                Self::listed(code).unwrap_or_else(|| Self::Unknown(code.into()))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.code())
            }
        }
    };
}

codes!(
    /// `orders_order.status`.
    Status {
        Pending = "pending", "Pending";
        Confirmed = "confirmed", "Confirmed";
        Processing = "processing", "Processing";
        ReadyForPickup = "ready_for_pickup", "Ready for Pickup";
        Shipped = "shipped", "Shipped";
        Delivered = "delivered", "Delivered";
        Cancelled = "cancelled", "Cancelled";
        Returned = "returned", "Returned";
    }
);

codes!(
    /// `orders_order.payment_status`.
    PaymentStatus {
        Pending = "pending", "Pending";
        Paid = "paid", "Paid";
        Failed = "failed", "Failed";
        Refunded = "refunded", "Refunded";
        PartiallyRefunded = "partially_refunded", "Partially Refunded";
    }
);

codes!(
    /// `orders_order.delivery_method`.
    DeliveryMethod {
        Pickup = "pickup", "Pickup";
        Delivery = "delivery", "Delivery";
    }
);

impl Status {
    /// The unfinished statuses, in which somebody must still do something about an order, in the order in which an unsorted
    /// list has them.
    pub const RANKED: [Self; 5] =
        [Self::Pending, Self::Processing, Self::Confirmed, Self::ReadyForPickup, Self::Shipped];

    /// The place of the status in an unsorted list: what is unfinished comes first, the rest last.
    #[must_use]
    pub fn rank(&self) -> usize {
        Self::RANKED.iter().position(|ranked| ranked == self).unwrap_or(Self::RANKED.len())
    }

    /// Whether somebody must still do something about an order in this status.
    #[must_use]
    pub fn is_unfinished(&self) -> bool {
        Self::RANKED.contains(self)
    }

    /// The unfinished statuses, in the order in which an order goes through them.
    pub fn unfinished() -> impl Iterator<Item = &'static Self> {
        Self::ALL.iter().filter(|status| status.is_unfinished())
    }
}

fn titled(code: &str) -> String {
    let words = code.split(['_', ' ']).filter(|word| !word.is_empty()).map(|word| {
        let mut letters = word.chars();
        letters.next().map(|first| first.to_uppercase().chain(letters).collect::<String>()).unwrap_or_default()
    });
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_code_is_shown_as_it_stands_titled() {
        let status = Status::from("on_hold by_QA");
        assert_eq!((status.code(), status.label().as_ref(), status.rank()), ("on_hold by_QA", "On Hold By QA", 5));
        assert_eq!(Status::from("").label(), "");
    }

    #[test]
    fn listed_codes_survive_a_round_trip() {
        for status in Status::ALL {
            assert_eq!(&Status::from(status.code()), status);
        }
    }
}
