//! Addresses of pages of one order.

use std::str::FromStr;

use super::id::OrderId;

/// What stands in an address for the order's id.
const PLACE: &str = "{id}";

const EXPECTED: &str = "expected a path such as /orders/orders/{id}/edit/, or an http or https URL, with {id} in it for the \
                        order's id";

/// The address of a page that every order has, with a place for the order's id: a path on the same site, or a URL of another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderLink(String);

impl OrderLink {
    /// The page's address for one order.
    #[must_use]
    pub fn of(&self, id: OrderId) -> String {
        self.0.replace(PLACE, &id.to_string())
    }

    /// The address with the place for the id.
    #[must_use]
    pub fn pattern(&self) -> &str {
        &self.0
    }
}

impl FromStr for OrderLink {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let path = match text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")) {
            Some(rest) => {
                let (host, path) = rest.find('/').map(|end| rest.split_at(end)).ok_or(EXPECTED)?;
                let is_host =
                    !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.:[]".contains(&b));
                Some(path).filter(|_| is_host).ok_or(EXPECTED)?
            }
            // a browser takes what begins with two slashes for another site
            None => Some(text).filter(|path| path.starts_with('/') && !path.starts_with("//")).ok_or(EXPECTED)?,
        };
        let without = path.replace(PLACE, "");
        let is_plain = without.bytes().all(|b| b.is_ascii_graphic() && !b"\\{}<>\"'`".contains(&b));
        if is_plain && without != path { Ok(Self(text.to_owned())) } else { Err(EXPECTED) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_takes_its_place() {
        for (link, of_12) in [
            ("/orders/orders/{id}/edit/", "/orders/orders/12/edit/"),
            ("/edit?order={id}&from=live", "/edit?order=12&from=live"),
            ("https://shop.example:8443/o/{id}", "https://shop.example:8443/o/12"),
            ("http://[::1]/{id}/", "http://[::1]/12/"),
        ] {
            let link: OrderLink = link.parse().unwrap();
            assert_eq!(link.of(OrderId(12)), of_12);
        }
    }

    #[test]
    fn what_is_no_address_of_an_order_is_refused() {
        for link in [
            "",
            "/orders/orders/edit/",
            "orders/{id}/",
            "//evil.example/{id}/",
            "/\\evil.example/{id}/",
            "javascript:alert({id})",
            "ftp://shop.example/{id}/",
            "https://{id}.example/",
            "https:///{id}/",
            "https://shop.example",
            "https://user:secret@shop.example/{id}/",
            "/orders/{id}/{what}/",
            "/orders/{id}/ edit/",
            "/orders/{id}/\"",
        ] {
            assert_eq!(link.parse::<OrderLink>(), Err(EXPECTED), "{link}");
        }
    }
}
