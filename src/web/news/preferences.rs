//! What somebody is told of and how: the page where that is chosen.

use askama::Template;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};

use crate::order::Status;
use crate::store::{MutedOrder, Preferences, SignedIn};
use crate::web::app::App;
use crate::web::page::shell::{Shell, render};
use crate::web::request::failure::Failure;
use crate::web::request::form::Form;
use crate::web::request::query::last_value;
use crate::web::request::session::OrderReader;
use crate::web::request::turn::turn;
use crate::web::turns::Kind;

#[derive(Template)]
#[template(path = "preferences.html")]
struct PreferencesPage {
    shell: Shell,
    preferences: Preferences,
    muted: Vec<MutedOrder>,
    is_rep: bool,
    is_saved: bool,
    problem: Option<String>,
}

pub(crate) async fn form(
    State(app): State<App>,
    OrderReader { user, .. }: OrderReader,
    RawQuery(query): RawQuery,
) -> Result<Response, Failure> {
    let _turn = turn(&app, &user, Kind::Other).await?;
    let preferences = app.store.account(&user).await?.preferences;
    let is_saved = last_value(&query.unwrap_or_default(), "saved").is_some();
    show(&app, &user, preferences, is_saved, None).await
}

/// Nothing of a form with something wrong in it is kept; its page shows what else was chosen.
pub(crate) async fn save(
    State(app): State<App>,
    OrderReader { user, .. }: OrderReader,
    form: Form,
) -> Result<Response, Failure> {
    form.is_theirs(&user)?;
    let _turn = turn(&app, &user, Kind::Other).await?;
    let (preferences, wrong) = chosen(&form);
    if !wrong.is_empty() {
        let problem = format!("Nothing is saved. {}.", wrong.join("; "));
        let html = show(&app, &user, preferences, false, Some(problem)).await?;
        return Ok((StatusCode::UNPROCESSABLE_ENTITY, html).into_response());
    }
    app.store.save_preferences(&user, &preferences).await?;
    Ok(Redirect::to(&format!("{}?saved", app.settings.site.preferences())).into_response())
}

/// What a form says, and what in it says nothing. Checkboxes that are not sent are off.
fn chosen(form: &Form) -> (Preferences, Vec<String>) {
    let mut wrong = Vec::new();
    let mut switch = |name: &str| match form.field(name) {
        "" => false,
        "1" => true,
        _ => {
            wrong.push(format!("{name}: expected 1, or nothing"));
            false
        }
    };
    let (toasts, sound, desktop) = (switch("toasts"), switch("sound"), switch("desktop"));
    let told: Vec<Option<Status>> = form.fields("status").map(Status::listed).collect();
    if told.contains(&None) {
        let codes: Vec<&str> = Status::ALL.iter().map(Status::code).collect();
        wrong.push(format!("status: expected some of {}", codes.join(", ")));
    }
    let is_untold = |status: &&Status| !told.contains(&Some((*status).clone()));
    let untold = Status::ALL.iter().filter(is_untold).cloned().collect();
    (Preferences { toasts, sound, desktop, untold }, wrong)
}

async fn show(
    app: &App,
    user: &SignedIn,
    preferences: Preferences,
    is_saved: bool,
    problem: Option<String>,
) -> Result<Response, Failure> {
    let muted = app.store.muted_orders(user).await?;
    let is_rep = user.as_rep().is_some();
    render(&PreferencesPage { shell: Shell::for_user(app, user), preferences, muted, is_rep, is_saved, problem })
}
