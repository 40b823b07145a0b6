//! How the log is written: what goes in, how often, and each thing on one line.

mod line;
mod quiet;

pub use line::OneLine;
pub use quiet::{Quiet, is_ours};
