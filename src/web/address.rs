//! Where the pages are: those of this installation, and the host's at which people sign in and out.

use crate::order::{OrderId, Scope};

/// A rep's list.
const ORDERS: &str = "/orders/orders/";

/// The list of all orders.
const QUEUE: &str = "/orders/pharmacist/orders/";

/// The pharmacists' first page.
const PHARMACY: &str = "/orders/pharmacist/dashboard/";

/// Where people sign in, or are led on to the host.
const LOGIN: &str = "/accounts/login/";

/// Where people choose what they are told of.
const PREFERENCES: &str = "/accounts/preferences/";

/// Where people see their sessions, and end them.
const SESSIONS: &str = "/accounts/sessions/";

/// Where administrators see how the service runs.
const ADMINISTRATION: &str = "/ops/";

/// Below this path every answer is for programs. It has the API and the streams, also where the pages have a prefix: the host's
/// own page asks for them there.
pub(crate) const API: &str = "/orders/api/";

/// Where this installation has its pages, and who signs people on.
#[derive(Debug, Clone)]
pub struct Site {
    /// What stands before every path of ours: nothing, or as `/live`.
    root: String,
    host: Option<Host>,
    /// Whether people come by HTTPS, where that was configured.
    is_https: Option<bool>,
}

/// The host that signs people on.
#[derive(Debug, Clone)]
pub struct Host {
    /// The name of its session's cookie.
    pub session_cookie: String,
    /// Where people sign in at it.
    pub login: String,
    /// Where they sign out.
    pub logout: String,
}

impl Site {
    /// With its pages below a prefix, which begins and ends with a slash. Without a host people sign in here.
    #[must_use]
    pub fn new(prefix: &str, host: Option<Host>, is_https: Option<bool>) -> Self {
        Self { root: prefix.trim_end_matches('/').to_owned(), host, is_https }
    }

    /// Whether people come by HTTPS, where that was configured.
    pub(crate) fn is_https(&self) -> Option<bool> {
        self.is_https
    }

    /// Whether nothing else is known to be at this host: what is said for a host as a whole is not ours to say beside the shop.
    pub(crate) fn has_host_to_itself(&self) -> bool {
        self.root.is_empty() && self.host.is_none()
    }

    /// What stands before every path of ours.
    pub(crate) fn root(&self) -> &str {
        &self.root
    }

    /// The host, where that signs people on.
    pub(crate) fn host(&self) -> Option<&Host> {
        self.host.as_ref()
    }

    /// One of our paths as this installation has it.
    pub(crate) fn at(&self, path: &str) -> String {
        format!("{}{path}", self.root)
    }

    /// What leads people to their work, and below which all pages are.
    pub(crate) fn home(&self) -> String {
        self.at("/")
    }

    pub(crate) fn pharmacy(&self) -> String {
        self.at(PHARMACY)
    }

    pub(crate) fn login(&self) -> String {
        self.at(LOGIN)
    }

    pub(crate) fn preferences(&self) -> String {
        self.at(PREFERENCES)
    }

    pub(crate) fn sessions(&self) -> String {
        self.at(SESSIONS)
    }

    pub(crate) fn administration(&self) -> String {
        self.at(ADMINISTRATION)
    }

    /// Where orders have their pages: below it, by their ids. It is a rep's list as well.
    pub(crate) fn orders(&self) -> String {
        self.at(ORDERS)
    }

    /// The list of those orders.
    pub(crate) fn list(&self, scope: Scope) -> String {
        match scope {
            Scope::Rep(_) => self.orders(),
            Scope::All => self.at(QUEUE),
        }
    }

    /// The order's page.
    pub(crate) fn order(&self, id: OrderId) -> String {
        format!("{}{id}/", self.orders())
    }

    /// A path of the API for those whose orders these are, as `dashboard/`.
    pub(crate) fn api(&self, scope: Scope, path: &str) -> String {
        let whose = match scope {
            Scope::Rep(_) => "sales-rep",
            Scope::All => "pharmacist",
        };
        format!("{}{API}{whose}/{path}", self.root)
    }

    /// Whether programs ask there, and no people.
    pub(crate) fn is_for_programs(&self, path: &str) -> bool {
        path.starts_with(API) || path.strip_prefix(&self.root).is_some_and(|path| path.starts_with(API))
    }
}

/// A path on this site; anything that a browser could take for another site is refused.
pub(crate) fn local_path(next: &str) -> Option<&str> {
    let local = next.starts_with('/')
        && !next.starts_with("//")
        && !next.contains('\\')
        && next.bytes().all(|byte| byte.is_ascii_graphic());
    local.then_some(next)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn only_paths_on_this_site_are_followed() {
        for next in ["", "//evil", "/\\evil", "https://evil", "javascript:x", "/a\r\nb", "/\tb", "evil"] {
            assert_eq!(local_path(next), None, "{next}");
        }
        assert_eq!(local_path("/orders/orders/?page=2"), Some("/orders/orders/?page=2"));
    }

    #[test]
    fn a_prefix_stands_before_every_page() {
        let (plain, prefixed) = (Site::new("/", None, None), Site::new("/live/", None, None));
        assert_eq!((plain.home(), prefixed.home()), ("/".to_owned(), "/live/".to_owned()));
        assert_eq!(plain.order(OrderId(7)), "/orders/orders/7/");
        assert_eq!(prefixed.order(OrderId(7)), "/live/orders/orders/7/");
        assert_eq!(prefixed.api(Scope::All, "events/"), "/live/orders/api/pharmacist/events/");
        for path in ["/orders/api/sales-rep/events/", "/live/orders/api/sales-rep/events/"] {
            assert!(prefixed.is_for_programs(path), "{path}");
        }
        assert!(!prefixed.is_for_programs("/live/orders/orders/"));
    }

    #[test]
    fn no_template_names_a_path_of_ours_without_what_stands_before_it() {
        let templates = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates");
        for file in std::fs::read_dir(templates).unwrap() {
            let file = file.unwrap().path();
            let text = std::fs::read_to_string(&file).unwrap();
            for bare in [" href=\"/", " action=\"/", " src=\"/", " value=\"/", "-url=\"/"] {
                assert!(!text.contains(bare), "{}: {bare}", file.display());
            }
        }
    }
}
