//! Who is asking. A handler that may see a rep's orders takes a [`SalesRep`], whose [`Sight`] nobody else can make.

use std::borrow::Cow;
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use cookie::{Cookie, SameSite};
use rand::RngCore;
use sha2::{Digest, Sha256};

use super::asker;
use super::failure::Failure;
use crate::order::Scope;
use crate::store::{Role, SessionKey, Sight, SignedIn, StoreError};
use crate::web::address::Site;
use crate::web::app::App;

const COOKIE: &str = "oncare_live_session";

/// A new session's token: 32 random bytes in hexadecimal. Only the browser has it.
pub(crate) struct Token(String);

impl Token {
    pub(crate) fn new() -> Self {
        let mut bytes = [0; 32];
        rand::rng().fill_bytes(&mut bytes);
        Self(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    pub(crate) fn hash(&self) -> SessionKey {
        SessionKey(Sha256::digest(&self.0).into())
    }

    pub(crate) fn cookie(&self, lifetime: Duration, site: &Site, headers: &HeaderMap) -> String {
        cookie_of_ours(COOKIE, self.0.clone(), lifetime, site, headers)
    }
}

/// The cookie that takes the session's place after signing out.
pub(crate) fn no_cookie(site: &Site, headers: &HeaderMap) -> String {
    cookie_of_ours(COOKIE, String::new(), Duration::ZERO, site, headers)
}

/// What a cookie of ours is called. Where people come by HTTPS browsers take one of that name from this very host alone, so that no
/// sibling of its domain can put another in its place.
pub(crate) fn cookie_name<'a>(site: &Site, name: &'a str) -> Cow<'a, str> {
    if site.is_https() == Some(true) { Cow::Owned(format!("__Host-{name}")) } else { Cow::Borrowed(name) }
}

/// A cookie of ours. It is `Secure` where people come by HTTPS: as configured, else as the request says.
pub(crate) fn cookie_of_ours(
    name: &str,
    value: String,
    lifetime: Duration,
    site: &Site,
    headers: &HeaderMap,
) -> String {
    // browsers refuse the name that is of a host alone with any other path
    let path = if site.is_https() == Some(true) { "/".to_owned() } else { site.home() };
    let max_age = cookie::time::Duration::seconds(i64::try_from(lifetime.as_secs()).unwrap_or(i64::MAX));
    let cookie = Cookie::build((cookie_name(site, name), value))
        .path(path)
        .http_only(true)
        .same_site(SameSite::Lax)
        .max_age(max_age);
    cookie.secure(site.is_https().unwrap_or_else(|| came_by_https(headers))).build().to_string()
}

/// The service itself speaks HTTP; a proxy that speaks HTTPS for it says so. A client that lies about it harms itself.
fn came_by_https(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("").to_ascii_lowercase();
    text("x-forwarded-proto").split(',').next().is_some_and(|proto| proto.trim() == "https")
        || text("forwarded").split(',').next().is_some_and(|hop| hop.contains("proto=https"))
}

/// What a request's cookies of that name say, in their order.
pub(crate) fn cookies<'a>(headers: &'a HeaderMap, name: &'a str) -> impl Iterator<Item = &'a str> {
    let cookies = headers.get_all(header::COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    let pairs = cookies.flat_map(|text| text.split(';')).filter_map(|pair| pair.split_once('='));
    pairs.filter(move |(found, _)| found.trim() == name).map(|(_, value)| value.trim().trim_matches('"'))
}

/// What the session's cookie is called, ours or the host's.
fn session_cookie(site: &Site) -> Cow<'_, str> {
    site.host().map_or_else(|| cookie_name(site, COOKIE), |host| Cow::Borrowed(&*host.session_cookie))
}

/// Whether a request brings two session cookies.
pub(crate) fn has_two_sessions(site: &Site, headers: &HeaderMap) -> bool {
    cookies(headers, &session_cookie(site)).nth(1).is_some()
}

/// The session that a request brings. There may be one cookie alone: nobody could say which is right, and a sibling domain may
/// have set the other to sign somebody in as another.
pub(crate) fn session_key(app: &App, headers: &HeaderMap) -> Option<SessionKey> {
    let site = &app.settings.site;
    let name = session_cookie(site);
    let mut keys = cookies(headers, &name);
    match (keys.next(), keys.next()) {
        (Some(key), None) if site.host().is_some() => SessionKey::from_host(key),
        (Some(token), None) => Some(Token(token.to_owned()).hash()),
        (None, _) => None,
        (Some(_), Some(_)) => {
            if app.two_cookies.is_due() {
                tracing::warn!(
                    cookie = &*name,
                    "a browser sends two session cookies of this name: neither is believed"
                );
            }
            None
        }
    }
}

/// Anybody who is signed in.
pub(crate) struct Visitor(pub(crate) SignedIn);

/// Who sent the request, if somebody who is signed in.
pub(crate) async fn who(app: &App, headers: &HeaderMap) -> Result<Option<SignedIn>, StoreError> {
    match session_key(app, headers) {
        Some(session) => app.sessions.signed_in(session).await,
        None => Ok(None),
    }
}

impl FromRequestParts<App> for Visitor {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Failure> {
        let user = who(app, &parts.headers).await?.ok_or(Failure::NotSignedIn)?;
        asker::is_of(parts, &user);
        Ok(Self(user))
    }
}

impl axum::extract::OptionalFromRequestParts<App> for Visitor {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Option<Self>, Failure> {
        match <Self as FromRequestParts<App>>::from_request_parts(parts, app).await {
            Ok(user) => Ok(Some(user)),
            Err(Failure::NotSignedIn) => Ok(None),
            Err(failure) => Err(failure),
        }
    }
}

/// Somebody whose list of orders is asked for. What both kinds of lists have is a handler of either.
pub(crate) trait ListReader: FromRequestParts<App, Rejection = Failure> + Send + 'static {
    /// Whose orders the list has, and who reads it.
    fn whose(self) -> (Sight, SignedIn);
}

/// A signed-in sales rep.
pub(crate) struct SalesRep {
    /// Whose orders may be seen.
    sight: Sight,
    /// Who it is.
    pub(crate) user: SignedIn,
}

impl ListReader for SalesRep {
    fn whose(self) -> (Sight, SignedIn) {
        (self.sight, self.user)
    }
}

impl FromRequestParts<App> for SalesRep {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Failure> {
        let Visitor(user) = <Visitor as FromRequestParts<App>>::from_request_parts(parts, app).await?;
        let sight = user.sight().filter(|sight| sight.scope() != Scope::All);
        Ok(Self { sight: sight.ok_or(Failure::WrongRole("sales representatives"))?, user })
    }
}

/// A signed-in pharmacist or administrator, who may see and change all orders.
pub(crate) struct Pharmacist {
    /// Whose orders may be seen: all.
    pub(crate) sight: Sight,
    /// Who it is.
    pub(crate) user: SignedIn,
}

impl ListReader for Pharmacist {
    fn whose(self) -> (Sight, SignedIn) {
        (self.sight, self.user)
    }
}

impl FromRequestParts<App> for Pharmacist {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Failure> {
        let Visitor(user) = <Visitor as FromRequestParts<App>>::from_request_parts(parts, app).await?;
        let sight = user.sight().filter(|sight| sight.scope() == Scope::All);
        Ok(Self { sight: sight.ok_or(Failure::WrongRole("pharmacists and administrators"))?, user })
    }
}

/// A signed-in administrator.
pub(crate) struct Administrator(pub(crate) SignedIn);

impl FromRequestParts<App> for Administrator {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Failure> {
        let Visitor(user) = <Visitor as FromRequestParts<App>>::from_request_parts(parts, app).await?;
        if user.role == Role::Admin { Ok(Self(user)) } else { Err(Failure::WrongRole("administrators")) }
    }
}

/// Somebody who may see orders: a rep their own, a pharmacist or admin all.
pub(crate) struct OrderReader {
    /// Whose orders may be seen.
    pub(crate) sight: Sight,
    /// Who it is.
    pub(crate) user: SignedIn,
}

impl FromRequestParts<App> for OrderReader {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Failure> {
        let Visitor(user) = <Visitor as FromRequestParts<App>>::from_request_parts(parts, app).await?;
        let sight = user.sight();
        let nobody = Failure::WrongRole("sales representatives, pharmacists and administrators");
        Ok(Self { sight: sight.ok_or(nobody)?, user })
    }
}
