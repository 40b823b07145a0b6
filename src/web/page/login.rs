//! Signing in and out, and where to go from there. Where the host signs people on, all of it leads there.

use askama::Template;
use axum::extract::{OriginalUri, RawQuery, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{AppendHeaders, IntoResponse, Redirect, Response};
use chrono::Utc;
use sha2::{Digest, Sha256};

use super::failure::sentence;
use super::shell::{Shell, render};
use super::way_back::{forget, lead_to_host, wanted};
use crate::network::Origin;
use crate::password::{Asker, Checked, NoTurn, encode};
use crate::security::{By, End, Login};
use crate::store::{Attempted, NewSession, Role, StoreError, UserRecord, Whom};
use crate::web::address::{Host, Site, local_path};
use crate::web::app::App;
use crate::web::request::device::Account;
use crate::web::request::failure::Failure;
use crate::web::request::form::Form;
use crate::web::request::origin::Sender;
use crate::web::request::query::last_value;
use crate::web::request::session::{Token, Visitor, has_two_sessions, no_cookie, session_key};

const MISMATCH: &str = "This username and password do not match an active account.";

/// After how many seconds somebody may come again who got no turn.
const CROWDED_FOR: u64 = 5;

/// What a browser forgets with a session: pages that it keeps for going back to. Of what scripts keep the page itself takes away what
/// is the person's (`static/js/base/kept.js`), also at a host that is not ours alone, and leaves what they need of this machine.
const CLEARED: (HeaderName, &str) = (HeaderName::from_static("clear-site-data"), "\"cache\"");

/// How much is kept of what a browser says that it is, in characters.
const LONGEST_BROWSER: usize = 200;

#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage {
    shell: Shell,
    username: String,
    next: String,
    problem: Option<String>,
    /// Whether a form was sent that had no session any more.
    is_unsaved: bool,
    /// Whether the browser sends two session cookies.
    is_doubled: bool,
}

/// Where a user's work is; or the page that they wanted before the host signed them on.
pub(crate) async fn home(State(app): State<App>, Visitor(user): Visitor, headers: HeaderMap) -> Response {
    let site = &app.settings.site;
    match wanted(site, &headers) {
        Some(page) => ([(header::SET_COOKIE, forget(site, &headers))], Redirect::to(&page)).into_response(),
        None => Redirect::to(&home_of(site, user.role)).into_response(),
    }
}

fn home_of(site: &Site, role: Role) -> String {
    match role {
        Role::SalesRep => site.orders(),
        Role::Pharmacist | Role::Admin | Role::Other => site.pharmacy(),
    }
}

pub(crate) async fn form(
    State(app): State<App>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    user: Option<Visitor>,
) -> Result<Response, Failure> {
    let site = &app.settings.site;
    let query = query.unwrap_or_default();
    let next = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "next").map(|(_, value)| value);
    let next = next.as_deref().and_then(local_path);
    if let Some(Visitor(user)) = user {
        return Ok(Redirect::to(next.unwrap_or(&home_of(site, user.role))).into_response());
    }
    if let Some(host) = site.host() {
        return Ok(lead_to_host(site, host, next.unwrap_or(&site.home()), &headers));
    }
    let next = next.unwrap_or_default().to_owned();
    let is_unsaved = last_value(&query, "unsaved").is_some();
    let is_doubled = has_two_sessions(site, &headers);
    let shell = Shell::for_nobody(&app);
    render(&LoginPage { shell, username: String::new(), next, problem: None, is_unsaved, is_doubled })
}

/// Somebody who signs in: first a turn, so that nobody keeps others waiting for the database and the hashing (only a device that has
/// signed in before is looked up for that); then it is counted, and only then looked at. Who leaves meanwhile is dropped wherever they are.
pub(crate) async fn sign_in(
    State(app): State<App>,
    Sender(origin): Sender,
    headers: HeaderMap,
    form: Form,
) -> Result<Response, Failure> {
    let site = &app.settings.site;
    let (username, next) = (form.text("username"), local_path(form.field("next")));
    if let Some(host) = site.host() {
        return Ok(lead_to_host(site, host, next.unwrap_or(&site.home()), &headers));
    }
    let refused = |status, problem: String| refuse(&app, &headers, status, &username, next, problem);
    let account = Account::of(&username);
    let device = known_device(&app, account, &username, &headers).await?;
    let asker = Asker {
        address: origin.place(),
        connection: origin.connection,
        account: account.digest(),
        is_known: device.is_some(),
    };
    let turn = match app.logins.turn(asker).await {
        Ok(turn) => turn,
        Err(why) => {
            say(&app, Login::Crowded, None, &username, origin);
            let status = match why {
                NoTurn::TooMany => StatusCode::TOO_MANY_REQUESTS,
                NoTurn::Crowded => StatusCode::SERVICE_UNAVAILABLE,
            };
            let problem = sentence(&format!("{why}; try again in {CROWDED_FOR} seconds"));
            return refused(status, problem).map(|response| retry_after(response, CROWDED_FOR));
        }
    };
    let attempted = match app.store.attempt_sign_in(whom(account, origin, device)).await? {
        Ok(attempted) => attempted,
        Err(wait) => {
            say(&app, Login::TooEarly, None, &username, origin);
            let seconds = wait.as_secs() + 1;
            let problem = format!("Signing in failed too often. The next attempt is possible in {seconds} seconds.");
            return refused(StatusCode::TOO_MANY_REQUESTS, problem).map(|response| retry_after(response, seconds));
        }
    };
    // PostgreSQL has no text with a zero byte in it, so nobody has such a name
    let user = if username.contains('\0') { None } else { app.store.user_for_login(&username).await? };
    let encoded = user.as_ref().filter(|user| user.is_active).map(|user| user.encoded_password.clone());
    let checked = app.passwords.check(turn, form.field("password").to_owned(), encoded).await;
    let (user, is_weak) = match (user, checked) {
        (Some(user), Checked::Matches { is_weak }) => (user, is_weak),
        (user, checked) => {
            let outcome = match (&user, checked) {
                (None, _) => Login::UnknownUser,
                (Some(user), _) if !user.is_active => Login::Inactive,
                (_, Checked::Unusable | Checked::Incomprehensible(_)) => Login::NoPassword,
                _ => Login::WrongPassword,
            };
            if let (Some(user), Checked::Incomprehensible(why)) = (&user, checked) {
                tracing::warn!(user = user.id.0, %why, "a password's hash can't be checked, so that nobody can sign in by it");
            }
            say(&app, outcome, user.as_ref(), &username, origin);
            return refused(StatusCode::UNAUTHORIZED, MISMATCH.to_owned());
        }
    };
    let beginning = Beginning {
        token: Token::new(),
        account,
        user,
        username,
        new_encoding: (is_weak && app.settings.upgrades_passwords).then(|| form.field("password").to_owned()),
        attempted,
        origin,
        headers: headers.clone(),
    };
    // from here on it goes on to its end, also when its sender leaves
    let cookies = tokio::spawn(begin(app.clone(), beginning)).await.map_err(|_| Failure::Panicked)??;
    let cookies: Vec<(HeaderName, String)> = cookies.into_iter().map(|cookie| (header::SET_COOKIE, cookie)).collect();
    Ok((AppendHeaders(cookies), Redirect::to(next.unwrap_or(&app.settings.site.home()))).into_response())
}

/// A session that is about to begin.
struct Beginning {
    token: Token,
    account: Account,
    user: UserRecord,
    username: String,
    /// The password, where it is to be encoded anew.
    new_encoding: Option<String>,
    attempted: Attempted,
    origin: Origin,
    headers: HeaderMap,
}

/// Begins it, and gives the cookies: its own, and those of devices.
async fn begin(app: App, beginning: Beginning) -> Result<Vec<String>, StoreError> {
    let Beginning { token, account, mut user, username, new_encoding, attempted, origin, headers } = beginning;
    if let Some(password) = new_encoding {
        let encoded = tokio::task::spawn_blocking(move || encode(&password)).await;
        if let Ok(encoded) = encoded {
            match app.store.encode_anew(&user, &encoded).await {
                Ok(true) => user.encoded_password = encoded,
                Ok(false) => {}
                Err(error) => tracing::warn!(error = error.chain(), "a weak hash stays"),
            }
        }
    }
    let (now, settings) = (Utc::now(), &app.settings);
    let browser = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let browser: String = browser.chars().take(LONGEST_BROWSER).collect();
    let replaces = session_key(&app, &headers);
    let new = NewSession {
        session: token.hash(),
        user: &user,
        expires_at: now + settings.session_lifetime,
        idle_at: now + settings.session_idle,
        address: &origin.address.to_string(),
        browser: &browser,
        replaces,
    };
    if let Some((whose, name)) = app.store.begin_session(&new, &attempted).await? {
        let path = settings.site.login();
        let by = by(Some(&user), &username, origin, &path);
        app.live.meter.security.ended(End::Replaced, (whose, name.as_deref()), by);
        app.live.hub.end_sessions(|session| Some(session) == replaces);
    }
    say(&app, Login::SignedIn, Some(&user), &username, origin);
    let mut cookies = vec![token.cookie(settings.session_lifetime, &settings.site, &headers)];
    if let Some(key) = key(&app).await {
        let of_devices =
            account.new_device(key, &user.encoded_password, &settings.site, &headers, Utc::now().timestamp());
        cookies.extend(of_devices.into_iter().flatten());
    }
    Ok(cookies)
}

fn say(app: &App, login: Login, user: Option<&UserRecord>, username: &str, origin: Origin) {
    let path = app.settings.site.login();
    app.live.meter.security.login(login, by(user, username, origin, &path));
}

fn by<'a>(user: Option<&UserRecord>, username: &'a str, origin: Origin, path: &'a str) -> By<'a> {
    let user = user.map(|user| (user.id, username));
    By { user, address: Some(origin.address), path: Some(path), ..By::default() }
}

/// The key by which devices are known. Read once. Who has the right password signs in without it too.
async fn key(app: &App) -> Option<&[u8]> {
    match app.sign_in_key.get_or_try_init(|| app.store.sign_in_key()).await {
        Ok(key) => Some(key),
        Err(error) => {
            tracing::warn!(
                error = error.chain(),
                "no device is known that has signed in before: oncare-live doctor says whether a right is missing"
            );
            None
        }
    }
}

/// The device, if it has signed in before to the account, which has the same password still. Nobody can have others looked up with a
/// cookie that they made up.
async fn known_device(
    app: &App,
    account: Account,
    username: &str,
    headers: &HeaderMap,
) -> Result<Option<[u8; 32]>, StoreError> {
    let site = &app.settings.site;
    if !account.has_device(site, headers) {
        return Ok(None);
    }
    let Some(key) = key(app).await else { return Ok(None) };
    let Some(device) = account.device(key, site, headers, Utc::now().timestamp()) else { return Ok(None) };
    let user = app.store.user_for_login(username).await?;
    Ok(user.filter(|user| device.is_of(key, &user.encoded_password)).map(|_| device.digest))
}

fn whom(account: Account, origin: Origin, device: Option<[u8; 32]>) -> Whom {
    let address = origin.place().to_string();
    let account = account.digest();
    let both =
        |what: &str| Sha256::new().chain_update(what).chain_update(account).chain_update(&address).finalize().into();
    Whom {
        account,
        address: Sha256::new().chain_update("address\0").chain_update(&address).finalize().into(),
        place: both("place\0"),
        account_at_place: both("account at place\0"),
        device,
    }
}

/// The login page again, and why.
fn refuse(
    app: &App,
    headers: &HeaderMap,
    status: StatusCode,
    username: &str,
    next: Option<&str>,
    problem: String,
) -> Result<Response, Failure> {
    let page = LoginPage {
        shell: Shell::for_nobody(app),
        username: username.to_owned(),
        next: next.unwrap_or_default().to_owned(),
        problem: Some(problem),
        is_unsaved: false,
        is_doubled: has_two_sessions(&app.settings.site, headers),
    };
    Ok((status, render(&page)?).into_response())
}

fn retry_after(mut response: Response, seconds: u64) -> Response {
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    response
}

/// Ends the session and, at once, the streams that it has open here. A session of the host's is left for the host to end.
pub(crate) async fn sign_out(
    State(app): State<App>,
    Sender(origin): Sender,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    user: Option<Visitor>,
) -> Result<Response, Failure> {
    let site = &app.settings.site;
    if let Some(Host { logout, .. }) = site.host() {
        return Ok(Redirect::to(logout).into_response());
    }
    if let Some(Visitor(user)) = user {
        app.store.end_session(user.session).await?;
        let by = By::user((user.id, &user.username), origin.address, uri.path());
        app.live.meter.security.ended(End::SignedOut, (user.id, Some(&user.username)), by);
        app.live.hub.end_sessions(|session| session == user.session);
    }
    let cleared = site.has_host_to_itself().then_some([CLEARED]);
    let cookie = [(header::SET_COOKIE, no_cookie(site, &headers))];
    Ok((cookie, AppendHeaders(cleared.into_iter().flatten()), Redirect::to(&site.login())).into_response())
}
