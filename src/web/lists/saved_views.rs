//! Saving and deleting views of a list.

use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};

use crate::order::{Filter, Invalid, Scope};
use crate::store::SavedView;
use crate::web::app::App;
use crate::web::request::failure::Failure;
use crate::web::request::form::Form;
use crate::web::request::session::ListReader;
use crate::web::request::turn::turn;
use crate::web::turns::Kind;

/// Longest name of a view, in characters.
const LONGEST_NAME: usize = 40;

/// Saves what the form's `query` asks for, and leads back to that list.
pub(crate) async fn save<R: ListReader>(State(app): State<App>, reader: R, form: Form) -> Result<Response, Failure> {
    let (sight, user) = reader.whose();
    form.is_theirs(&user)?;
    let name = form.text("name");
    let is_name = !name.is_empty() && name.chars().count() <= LONGEST_NAME && !name.chars().any(char::is_control);
    if !is_name {
        let invalid = Invalid { parameter: "name", expected: "expected a name of 1 to 40 characters" };
        return Err(Failure::Invalid(vec![invalid]));
    }
    let filter = Filter::parse(form.field("query").trim_start_matches('?')).map_err(Failure::Invalid)?;
    let _turn = turn(&app, &user, Kind::Other).await?;
    let view = SavedView { name, query: filter.query(1) };
    if !app.store.save_view(&user, sight.scope(), &view).await? {
        return Err(Failure::Conflict("there are 30 saved views already; delete one first".to_owned()));
    }
    Ok(back(&app, sight.scope(), &view.query))
}

/// Deletes the view of that name, and leads back to the list.
pub(crate) async fn delete<R: ListReader>(State(app): State<App>, reader: R, form: Form) -> Result<Response, Failure> {
    let (sight, user) = reader.whose();
    form.is_theirs(&user)?;
    let name = form.text("name");
    let _turn = turn(&app, &user, Kind::Other).await?;
    if !name.contains('\0') {
        app.store.delete_view(&user, sight.scope(), &name).await?;
    }
    let filter = Filter::parse(form.field("query").trim_start_matches('?')).unwrap_or_default();
    Ok(back(&app, sight.scope(), &filter.query(1)))
}

fn back(app: &App, scope: Scope, query: &str) -> Response {
    Redirect::to(&format!("{}{query}", app.settings.site.list(scope))).into_response()
}
