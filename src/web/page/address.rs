//! Where the pages are.

use crate::order::{OrderId, Scope};

/// A rep's list.
pub(crate) const ORDERS: &str = "/orders/orders/";

/// The list of all orders.
pub(crate) const QUEUE: &str = "/orders/pharmacist/orders/";

/// The pharmacists' first page.
pub(crate) const PHARMACY: &str = "/orders/pharmacist/dashboard/";

/// Where people sign in.
pub(crate) const LOGIN: &str = "/accounts/login/";

/// Where people choose what they are told of.
pub(crate) const PREFERENCES: &str = "/accounts/preferences/";

/// The list of those orders.
pub(crate) fn list(scope: Scope) -> &'static str {
    match scope {
        Scope::Rep(_) => ORDERS,
        Scope::All => QUEUE,
    }
}

/// The order's page.
pub(crate) fn order(id: OrderId) -> String {
    format!("{ORDERS}{id}/")
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
    use super::*;

    #[test]
    fn only_paths_on_this_site_are_followed() {
        for next in ["", "//evil", "/\\evil", "https://evil", "javascript:x", "/a\r\nb", "/\tb", "evil"] {
            assert_eq!(local_path(next), None, "{next}");
        }
        assert_eq!(local_path("/orders/orders/?page=2"), Some("/orders/orders/?page=2"));
    }
}
