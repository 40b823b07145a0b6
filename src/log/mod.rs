//! How the log is written: what goes in (`filter.rs` reads it), how often, and each thing on one line.

mod filter;
mod line;
mod quiet;

pub use filter::parse_filter;
pub use line::OneLine;
pub use quiet::{Quiet, is_ours};
