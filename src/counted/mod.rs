//! How things are counted: with the counters of the metrics' crate, which whoever counts has in its hands. `label.rs`: by a label
//! of which all values are known. `requests.rs`: requests by their route.

mod label;
mod requests;

pub use label::{Label, Labelled};
pub use requests::Requests;
