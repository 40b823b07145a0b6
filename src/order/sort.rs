//! In which order a list is.

use std::fmt;

/// What a `sort` that does not parse is told.
pub(super) const EXPECTED_SORT: &str =
    "expected a column such as created_at or total_amount, with a minus for the largest first";

macro_rules! columns {
    ($($variant:ident = $name:literal;)+) => {
        /// A column by which a list can be sorted.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Column {
            $(#[doc = concat!("`", $name, "`.")] $variant,)+
        }

        impl Column {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The column's name, as in the API's rows.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }
        }
    };
}

columns! {
    OrderNumber = "order_number";
    CreatedAt = "created_at";
    CustomerName = "customer_name";
    Status = "status";
    PaymentStatus = "payment_status";
    ItemsCount = "items_count";
    TotalAmount = "total_amount";
}

/// The order of a list. Ties are broken by id, so that pages never overlap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    /// What still needs somebody first, see [`super::Status::rank`]; newest first within each rank.
    Rank,
    /// By a column: statuses in the order of their codes, unlisted ones last; texts as the database sorts them.
    By {
        /// Which.
        column: Column,
        /// Whether the largest, newest or last comes first.
        descending: bool,
    },
}

impl Sort {
    /// Reads `total_amount` or `-total_amount`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (name, descending) = text.strip_prefix('-').map_or((text, false), |name| (name, true));
        let column = Column::ALL.iter().find(|column| column.name() == name)?;
        Some(Self::By { column: *column, descending })
    }
}

/// As in a query; nothing for the usual order.
impl fmt::Display for Sort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rank => Ok(()),
            Self::By { column, descending } => write!(f, "{}{}", if *descending { "-" } else { "" }, column.name()),
        }
    }
}
