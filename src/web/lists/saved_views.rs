//! Saving and deleting views of a list.

use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};

use crate::order::{Filter, Invalid, Scope, UserId};
use crate::store::SavedView;
use crate::web::app::App;
use crate::web::page::address;
use crate::web::request::failure::Failure;
use crate::web::request::form::Form;
use crate::web::request::session::{Pharmacist, SalesRep};

/// Longest name of a view, in characters.
const LONGEST_NAME: usize = 40;

pub(crate) async fn save_of_rep(State(app): State<App>, rep: SalesRep, form: Form) -> Result<Response, Failure> {
    save(&app, rep.scope(), rep.user.id, &form).await
}

pub(crate) async fn save_of_all(
    State(app): State<App>,
    Pharmacist { user }: Pharmacist,
    form: Form,
) -> Result<Response, Failure> {
    save(&app, Scope::All, user.id, &form).await
}

pub(crate) async fn delete_of_rep(State(app): State<App>, rep: SalesRep, form: Form) -> Result<Response, Failure> {
    delete(&app, rep.scope(), rep.user.id, &form).await
}

pub(crate) async fn delete_of_all(
    State(app): State<App>,
    Pharmacist { user }: Pharmacist,
    form: Form,
) -> Result<Response, Failure> {
    delete(&app, Scope::All, user.id, &form).await
}

/// Saves what the form's `query` asks for, and leads back to that list.
async fn save(app: &App, scope: Scope, user: UserId, form: &Form) -> Result<Response, Failure> {
    let name = form.text("name");
    let is_name = !name.is_empty() && name.chars().count() <= LONGEST_NAME && !name.chars().any(char::is_control);
    if !is_name {
        let invalid = Invalid { parameter: "name", expected: "expected a name of 1 to 40 characters" };
        return Err(Failure::Invalid(vec![invalid]));
    }
    let filter = Filter::parse(form.field("query").trim_start_matches('?')).map_err(Failure::Invalid)?;
    let view = SavedView { name, query: filter.query(1) };
    if !app.store.save_view(user, scope, &view).await? {
        return Err(Failure::Conflict("there are 30 saved views already; delete one first".to_owned()));
    }
    Ok(back(scope, &view.query))
}

async fn delete(app: &App, scope: Scope, user: UserId, form: &Form) -> Result<Response, Failure> {
    let name = form.text("name");
    if !name.contains('\0') {
        app.store.delete_view(user, scope, &name).await?;
    }
    let filter = Filter::parse(form.field("query").trim_start_matches('?')).unwrap_or_default();
    Ok(back(scope, &filter.query(1)))
}

fn back(scope: Scope, query: &str) -> Response {
    Redirect::to(&format!("{}{query}", address::list(scope))).into_response()
}
