//! A list as comma-separated values, for a spreadsheet.

use async_stream::try_stream;
use axum::BoxError;
use axum::body::{Body, Bytes};
use axum::extract::{RawQuery, State};
use axum::http::{HeaderName, header};
use axum::response::{IntoResponse, Response};
use chrono_tz::Tz;
use futures_util::{Stream, TryStreamExt};

use crate::order::{Filter, Money, OrderId, Scope};
use crate::store::{Listed, Sight, SignedIn};
use crate::web::app::App;
use crate::web::request::failure::Failure;
use crate::web::request::session::ListReader;
use crate::web::request::turn::turn;
use crate::web::turns::{Kind, Turn};

/// Orders that are read and sent at once.
const AT_ONCE: usize = 500;

/// Tells spreadsheets that the text is UTF-8.
const BYTE_ORDER_MARK: &str = "\u{feff}";

/// Which orders, and in which order, is read at once, as ids; the orders themselves are read as the client takes them, a few
/// hundred at a time, as they are then. So neither this process holds them, nor does a slow client hold a transaction open.
pub(crate) async fn export<R: ListReader>(
    State(app): State<App>,
    reader: R,
    RawQuery(query): RawQuery,
) -> Result<Response, Failure> {
    let (sight, user) = reader.whose();
    let filter = Filter::parse(&query.unwrap_or_default()).map_err(Failure::Invalid)?;
    let export = turn(&app, &user, Kind::Export).await?;
    let ids = {
        let _turn = turn(&app, &user, Kind::Search).await?;
        app.store.list_ids(sight, &filter, app.settings.zone).await?
    };
    let body = table(app, sight, user, ids, export).inspect_err(|error| {
        tracing::warn!(error = error.to_string(), "an export broke off");
    });
    let about: [(HeaderName, &str); 3] = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8; header=present"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"orders.csv\""),
        (header::CACHE_CONTROL, "no-store"),
    ];
    Ok((about, Body::from_stream(body)).into_response())
}

/// The lines, with their heading. A client that gets an error in place of the end knows that lines are missing.
fn table(
    app: App,
    sight: Sight,
    user: SignedIn,
    ids: Vec<OrderId>,
    turn: Turn,
) -> impl Stream<Item = Result<Bytes, BoxError>> {
    let scope = sight.scope();
    try_stream! {
        let _until_all_is_taken = turn;
        yield heading(scope)?;
        for ids in ids.chunks(AT_ONCE) {
            still_reads(&app, &user).await?;
            yield lines(scope, &app.store.listed(sight, ids).await?, app.settings.zone)?;
        }
    }
}

/// An export may take long, and whoever has been signed out meanwhile, or is another role's, gets no more of it.
async fn still_reads(app: &App, user: &SignedIn) -> Result<(), BoxError> {
    let reader = app.sessions.signed_in(user.session).await?;
    if reader.is_none_or(|reader| reader.role != user.role) {
        return Err("its reader is signed out".into());
    }
    Ok(())
}

fn heading(scope: Scope) -> Result<Bytes, BoxError> {
    let names = ["Order", "Placed", "Customer", "Status", "Payment", "Items", "Total"];
    let rep = (scope == Scope::All).then_some("Representative");
    let mut writer = writer();
    writer.write_record(names.into_iter().chain(rep))?;
    Ok([BYTE_ORDER_MARK.as_bytes(), &writer.into_inner()?].concat().into())
}

fn lines(scope: Scope, orders: &[Listed], zone: Tz) -> Result<Bytes, BoxError> {
    let mut writer = writer();
    for order in orders {
        writer.write_record(record(scope, order, zone))?;
    }
    Ok(writer.into_inner()?.into())
}

fn writer() -> csv::Writer<Vec<u8>> {
    csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new())
}

fn record(scope: Scope, Listed { row, rep_name, .. }: &Listed, zone: Tz) -> Vec<String> {
    let placed = row.created_at.map(|at| at.with_timezone(&zone).format("%Y-%m-%d %H:%M:%S").to_string());
    let mut record = vec![
        text(&row.order_number),
        placed.unwrap_or_default(),
        text(&row.customer_name),
        text(&row.status.label()),
        text(&row.payment_status.label()),
        row.items_count.to_string(),
        row.total_amount.as_ref().map(Money::to_string).unwrap_or_default(),
    ];
    if scope == Scope::All {
        record.push(text(rep_name.as_deref().unwrap_or_default()));
    }
    record
}

/// A text that no spreadsheet takes for a formula: what begins like one is quoted as spreadsheets do, with an apostrophe. Where
/// the list separator is another one than the comma, a spreadsheet cuts such a file in the middle of a text, and a formula may
/// begin there.
fn text(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 1);
    let mut rest = text;
    if text.starts_with(SEPARATORS) {
        quoted.push('\'');
    }
    loop {
        let cell = rest.find(SEPARATORS).map_or(rest, |end| &rest[..=end]);
        if cell.trim_start().starts_with(FORMULA) {
            quoted.push('\'');
        }
        quoted.push_str(cell);
        rest = &rest[cell.len()..];
        if rest.is_empty() {
            return quoted;
        }
    }
}

const FORMULA: [char; 8] = ['=', '+', '-', '@', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}'];
const SEPARATORS: [char; 4] = [';', '\t', '\r', '\n'];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_is_taken_for_a_formula() {
        for formula in ["=1+1", "+63917", "-1", "@sum(a1)", " =1", "\u{ff1d}1"] {
            assert_eq!(text(formula), format!("'{formula}"));
            // wherever a spreadsheet cuts
            for separator in SEPARATORS {
                assert_eq!(text(&format!("a{separator}{formula}; b")), format!("a{separator}'{formula}; b"));
            }
        }
        assert_eq!(text("\t=1"), "'\t'=1");
        assert_eq!(text("a\r\n =1"), "a\r\n' =1");
        for harmless in ["", "Maria", "ORD-2025-00001", "1=1", "a;b;", "a\nb"] {
            assert_eq!(text(harmless), harmless);
        }
    }
}
