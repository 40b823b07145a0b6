//! What an order is to who sees it: ids, codes, money, the list's filter and page, rows, changes and statistics.
//! Pure: no I/O, no SQL, no HTTP.

mod change;
mod code;
mod filter;
mod id;
mod late;
mod link;
mod money;
mod page;
mod plural;
mod row;
mod scope;
mod sort;
mod statistics;
mod timeline;
mod transition;

pub use change::{Change, Field, Operation, OrderEvent, Writer, entered};
pub use code::{DeliveryMethod, PaymentStatus, Status};
pub use filter::{Filter, Invalid};
pub use id::{OrderId, OrderKey, RepId, UserId};
pub use late::{LateAfter, for_how_long};
pub use link::OrderLink;
pub use money::{Currency, Money, grouped};
pub use page::{PAGE_SIZE, PageNumber, Pagination};
pub use plural::{counted, in_units};
pub use row::{FullRowJson, OrderRow, RowJson, display_time, display_time_with_zone, exact_time, iso_time};
pub use scope::Scope;
pub use sort::{Column, Sort};
pub use statistics::{Statistics, StatusCounts, Summary, Tally};
pub use timeline::{Entry, History, Recorded, timeline};
pub use transition::{Refusal, Standing, Wanted};
