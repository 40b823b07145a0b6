//! The way to the host's login, and back to the page that was wanted. A host may lead on to it by `next`. One that does not leaves
//! people on a page of its own: for them a cookie keeps the page a while, and our first page leads to it.

use std::time::Duration;

use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Redirect, Response};

use crate::web::address::{Host, Site, local_path};
use crate::web::request::session::{cookie_name, cookie_of_ours, cookies};

const COOKIE: &str = "oncare_live_next";

/// How long somebody may take to sign in.
const KEPT: Duration = Duration::from_secs(600);

/// To the host's login, for the sake of a page.
pub(super) fn lead_to_host(site: &Site, host: &Host, page: &str, headers: &HeaderMap) -> Response {
    let kept = form_urlencoded::byte_serialize(page.as_bytes()).collect();
    let cookie = cookie_of_ours(COOKIE, kept, KEPT, site, headers);
    ([(header::SET_COOKIE, cookie)], Redirect::to(&login_for(host, page))).into_response()
}

/// The address of the host's login for the sake of a page.
pub(super) fn login_for(host: &Host, page: &str) -> String {
    let next = form_urlencoded::Serializer::new(String::new()).append_pair("next", page).finish();
    format!("{}?{next}", host.login)
}

/// The page for whose sake somebody was led to the host's login, and to which they have not come yet.
pub(super) fn led_for(site: &Site, headers: &HeaderMap) -> Option<String> {
    site.host()?;
    let name = cookie_name(site, COOKIE);
    let kept = cookies(headers, &name).next()?;
    let (page, _) = form_urlencoded::parse(kept.as_bytes()).next()?;
    local_path(&page).map(str::to_owned)
}

/// The same, where it is another than the first page, which itself leads on to somebody's work.
pub(super) fn wanted(site: &Site, headers: &HeaderMap) -> Option<String> {
    led_for(site, headers).filter(|page| *page != site.home())
}

/// Whether a page is kept.
pub(super) fn is_kept(site: &Site, headers: &HeaderMap) -> bool {
    cookies(headers, &cookie_name(site, COOKIE)).next().is_some_and(|kept| !kept.is_empty())
}

/// The cookie that takes the kept page's place.
pub(super) fn forget(site: &Site, headers: &HeaderMap) -> String {
    cookie_of_ours(COOKIE, String::new(), Duration::ZERO, site, headers)
}
