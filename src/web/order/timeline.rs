//! An order's timeline in words.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;

use crate::order::{
    Entry, Field, History, Operation, OrderEvent, Recorded, RepId, display_time, display_time_with_zone, exact_time,
    iso_time,
};
use crate::web::page::shell::Shell;

/// One entry of the timeline as shown.
pub(super) struct EntryView {
    /// Tells it from all others, so that a page knows what is new.
    pub(super) key: String,
    pub(super) at: String,
    pub(super) at_iso: String,
    pub(super) at_exact: String,
    /// Empty where no person is known.
    pub(super) by: String,
    /// By whom, or from which application.
    pub(super) source: Option<String>,
    pub(super) lines: Vec<String>,
    pub(super) notes: String,
}

impl EntryView {
    /// Of a move, a rep is told only that it was one; of an order's time with another rep, nothing was read.
    pub(super) fn of(entry: Entry, reader: Option<RepId>, shell: &Shell, zone: Tz) -> Self {
        let (key, at) = (entry.key(), entry.at());
        let by = entry.by().unwrap_or_default().to_owned();
        let source = match (entry.by(), entry.application()) {
            (Some(by), _) => Some(format!("by {by}")),
            (None, application) => application.map(|application| format!("from {application}")),
        };
        let arrival = entry.recorded.as_ref().and_then(|recorded| move_seen_by(reader, recorded));
        let (lines, notes) = match (arrival, entry) {
            (Some(words), _) => (vec![words.to_owned()], String::new()),
            (None, Entry { recorded, history }) => {
                let lines = match (&recorded, &history) {
                    (Some(recorded), _) => recorded_lines(recorded, shell, zone),
                    (None, Some(history)) => history_lines(history),
                    (None, None) => Vec::new(),
                };
                (lines, history.map(|history| history.notes).unwrap_or_default())
            }
        };
        let (at_iso, at_exact) = (iso_time(at), exact_time(at, zone));
        Self { key, at: display_time(at, zone), at_iso, at_exact, by, source, lines, notes }
    }
}

/// Who changed it and when, of the newest entry that tells: `rx, Jan 15, 2025 10:30 UTC`; where nobody is known, which application,
/// if that is.
pub(super) fn last_changed(timeline: &[Entry], tells: impl Fn(&Entry) -> bool, zone: Tz) -> Option<String> {
    let entry = timeline.iter().find(|entry| tells(entry))?;
    let application = || entry.application().map(|application| format!("the application {application}"));
    let who = entry.by().map(str::to_owned).or_else(application)?;
    Some(format!("{who}, {}", display_time_with_zone(entry.at(), zone)))
}

fn move_seen_by(reader: Option<RepId>, Recorded { event, .. }: &Recorded) -> Option<&'static str> {
    let moved = event.rep.0 != event.rep.1 && event.operation == Operation::Update;
    reader.filter(|_| moved)?;
    Some(if reader == event.rep.1 { "Assigned to you" } else { "Assigned to another representative" })
}

fn recorded_lines(Recorded { event, reps, .. }: &Recorded, shell: &Shell, zone: Tz) -> Vec<String> {
    match event.operation {
        Operation::Insert => vec!["Order entered".to_owned()],
        Operation::Delete => vec!["Order deleted".to_owned()],
        Operation::Update | Operation::Items | Operation::History | Operation::Truncate | Operation::Unreadable => {
            let mut lines: Vec<String> =
                event.fields().iter().map(|field| field_line(field, event, shell, zone)).collect();
            if event.rep.0 != event.rep.1 {
                let name = |rep: &Option<String>| rep.clone().unwrap_or_else(|| "nobody".to_owned());
                lines.push(format!("Representative: {} → {}", name(&reps.0), name(&reps.1)));
            }
            lines
        }
    }
}

fn history_lines(History { status, payment_status, .. }: &History) -> Vec<String> {
    let mut lines = Vec::new();
    if status.0 != status.1 {
        lines.push(format!("Status: {} → {}", status.0.label(), status.1.label()));
    }
    if payment_status.0 != payment_status.1 {
        lines.push(format!("Payment: {} → {}", payment_status.0.label(), payment_status.1.label()));
    }
    if lines.is_empty() {
        lines.push("Noted".to_owned());
    }
    lines
}

fn field_line(field: &Field, event: &OrderEvent, shell: &Shell, zone: Tz) -> String {
    let name = match field.field.as_str() {
        "status" => "Status",
        "payment_status" => "Payment",
        "total_amount" => "Total",
        "customer_name" => "Customer",
        "order_number" => "Number",
        "created_at" => "Placed",
        "items" => "Items",
        other => other,
    };
    match (&field.from_display, &field.to_display) {
        _ if field.field == "total_amount" => {
            format!("{name}: {} → {}", shell.amount(&event.total.0), shell.amount(&event.total.1))
        }
        (Some(from), Some(to)) if field.field == "created_at" => {
            format!("{name}: {} → {}", time(from, zone), time(to, zone))
        }
        (Some(from), Some(to)) => format!("{name}: {from} → {to}"),
        (None, Some(to)) => format!("{name}: {to}"),
        _ => name.to_owned(),
    }
}

/// A time that was recorded in the zone of whoever wrote it. One that is no time of ours, such as `infinity`, stays as it is.
fn time(recorded: &str, zone: Tz) -> String {
    recorded.parse::<DateTime<Utc>>().map_or_else(|_| recorded.to_owned(), |at| display_time(at, zone))
}
