//! What is read from orders, statistics and events, each with its columns.

mod event;
mod order;
mod statistics;

pub(super) use event::{
    CHANGES_STANDING, CONCERNED, EVENT_COLUMNS, EVENT_VERSION, NAMES_ITS_REPS, OF_NEW_ORDER, PERSON, RECORDED_COLUMNS,
    is_of_later_version, order_event,
};
pub use order::Listed;
pub(super) use order::{REP_COLUMNS, ROW_COLUMNS, amount, listed, order_row, row_rep, rows_by_id, rows_by_id_query};
pub(super) use statistics::{SUMMARIES, TOTAL_SUMMARY, summaries, summary, summary_query, summed_up};
