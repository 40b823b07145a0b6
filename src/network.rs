//! From where a request came: the peer of its connection, or whom a trusted proxy names.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use axum::http::HeaderMap;

/// Addresses with the same first bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    first: IpAddr,
    bits: u32,
}

impl FromStr for Network {
    type Err = &'static str;

    /// As `10.0.0.0/8`, `2001:db8::/32`, or one address.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let expected = "expected an address or a network such as 127.0.0.1, 10.0.0.0/8 or 2001:db8::/32";
        let (first, bits) = text.split_once('/').map_or((text, None), |(first, bits)| (first, Some(bits)));
        let first: IpAddr = first.parse().map_err(|_| expected)?;
        let most = if first.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(most), str::parse).ok().filter(|bits| *bits <= most).ok_or(expected)?;
        Ok(Self { first, bits })
    }
}

impl Network {
    /// Whether the address is one of these.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.first, address) {
            (IpAddr::V4(first), IpAddr::V4(address)) => {
                let differ = first.to_bits() ^ address.to_bits();
                differ.checked_shr(32 - self.bits).unwrap_or_default() == 0
            }
            (IpAddr::V6(first), IpAddr::V6(address)) => {
                let differ = first.to_bits() ^ address.to_bits();
                differ.checked_shr(128 - self.bits).unwrap_or_default() == 0
            }
            _ => false,
        }
    }
}

/// The other end of a connection.
#[derive(Debug, Clone, Copy)]
pub struct Peer {
    /// Its address.
    pub address: SocketAddr,
    /// Of which of this service's connections, in the order in which they were accepted.
    pub connection: u64,
}

/// From where a request came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// The client's address.
    pub address: IpAddr,
    /// The connection, where the client itself has it.
    pub connection: Option<u64>,
}

impl Origin {
    /// Whom a request came from. Only a trusted proxy is believed about it, and of the chain that it names the last that is no
    /// trusted proxy itself counts: what stands before that anybody may have written.
    ///
    /// `forwarded` has the values of `Forwarded`, `x_forwarded_for` those of `X-Forwarded-For`. A proxy that writes one of them may
    /// pass on whatever its client wrote into the other: where they name different clients neither is believed.
    #[must_use]
    pub fn of(peer: Peer, trusted: &[Network], forwarded: &[&str], x_forwarded_for: &[&str]) -> Self {
        let proxy = peer.address.ip().to_canonical();
        let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(address));
        if !is_trusted(proxy) {
            return Self { address: proxy, connection: Some(peer.connection) };
        }
        let named = |hops: Vec<Option<IpAddr>>| client(proxy, hops, is_trusted);
        let x_forwarded_for = (!x_forwarded_for.is_empty())
            .then(|| named(x_forwarded_for.iter().flat_map(|value| value.split(',')).map(address).collect()));
        let forwarded =
            (!forwarded.is_empty()).then(|| named(forwarded.iter().flat_map(|value| hops(value)).collect()));
        let address = match (forwarded, x_forwarded_for) {
            (Some(one), Some(other)) if one != other => proxy,
            (named, other) => named.or(other).unwrap_or(proxy),
        };
        Self { address, connection: None }
    }

    /// The same of a request with these headers.
    #[must_use]
    pub fn of_request(peer: Peer, trusted: &[Network], headers: &HeaderMap) -> Self {
        Self::of(peer, trusted, &values(headers, "forwarded"), &values(headers, "x-forwarded-for"))
    }

    /// What counts as one address. Of IPv6 that is a /48, the most that one household or office gets: who has a whole one would else
    /// be 65,536 askers, each with turns and failures of its own. Where a provider divides a /48 among its customers these share what
    /// strangers may do; where they signed in before they do not (see `store::people::sign_in`).
    #[must_use]
    pub fn place(&self) -> IpAddr {
        match self.address {
            IpAddr::V4(_) => self.address,
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 80)).into(),
        }
    }
}

/// What can't be read ends the chain of proxies, as a name that is no address does.
fn values<'a>(headers: &'a HeaderMap, name: &str) -> Vec<&'a str> {
    headers.get_all(name).into_iter().map(|value| value.to_str().unwrap_or("unknown")).collect()
}

/// How many of something one address may have.
#[derive(Debug, Clone, Copy)]
pub struct PerAddress {
    /// So many.
    pub most: usize,
    /// Whether this machine's own addresses may have any number: a proxy on it that nobody named would else be one client.
    pub spares_this_machine: bool,
}

impl PerAddress {
    /// So many may this one have, an [`Origin::place`].
    #[must_use]
    pub fn of(self, place: IpAddr) -> usize {
        // of IPv6's own address of this machine a place has nothing
        let is_this_machine = place.is_loopback() || place == IpAddr::V6(Ipv6Addr::UNSPECIFIED);
        if self.spares_this_machine && is_this_machine { usize::MAX } else { self.most }
    }
}

/// From the last hop back to the first that is no trusted proxy. What can't be read ends the chain.
fn client(proxy: IpAddr, hops: Vec<Option<IpAddr>>, is_trusted: impl Fn(IpAddr) -> bool) -> IpAddr {
    let mut client = proxy;
    for hop in hops.into_iter().rev() {
        let Some(hop) = hop else { break };
        client = hop;
        if !is_trusted(hop) {
            break;
        }
    }
    client
}

/// The `for` of each element of a `Forwarded`.
fn hops(value: &str) -> Vec<Option<IpAddr>> {
    let elements = split(value, ',').into_iter();
    let named = elements.map(|element| {
        split(element, ';').into_iter().find_map(|pair| {
            let (name, value) = pair.split_once('=')?;
            name.trim().eq_ignore_ascii_case("for").then(|| address(value))?
        })
    });
    named.collect()
}

/// The parts between separators that are not within quotes.
fn split(text: &str, separator: char) -> Vec<&str> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    let parts = text.split(|c: char| {
        let was_escaped = std::mem::take(&mut is_escaped);
        match c {
            '\\' if is_quoted && !was_escaped => is_escaped = true,
            '"' if !was_escaped => is_quoted = !is_quoted,
            _ => {}
        }
        c == separator && !is_quoted
    });
    parts.collect()
}

/// `192.0.2.1`, `192.0.2.1:4711`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:4711`, each also in quotes.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let text = text.strip_prefix('"').map_or(Some(text), |text| text.strip_suffix('"'))?;
    let address = text.parse::<IpAddr>().or_else(|_| text.parse::<SocketAddr>().map(|address| address.ip()));
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse::<Ipv6Addr>().ok().map(IpAddr::V6);
    address.ok().or_else(bracketed).map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_network_has_the_addresses_with_its_first_bits() {
        let network = |text: &str| text.parse::<Network>();
        for (text, inside, outside) in [
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.1"),
            ("127.0.0.1", "127.0.0.1", "127.0.0.2"),
            ("0.0.0.0/0", "203.0.113.9", "::1"),
            ("2001:db8::/32", "2001:db8:ffff::1", "2001:db9::1"),
            ("::/0", "::1", "127.0.0.1"),
            ("::1", "::1", "::2"),
        ] {
            let network = network(text).unwrap();
            assert!(network.contains(ip(inside)) && !network.contains(ip(outside)), "{text}");
        }
        for wrong in ["", "ten", "10.0.0.0/33", "10.0.0.0/-1", "2001:db8::/129", "10.0.0.0/8/8"] {
            assert!(network(wrong).is_err(), "{wrong}");
        }
    }

    fn origin(peer: &str, forwarded: &[&str], x_forwarded_for: &[&str]) -> String {
        let trusted = ["127.0.0.1".parse().unwrap(), "10.0.0.0/8".parse().unwrap()];
        let peer = Peer { address: SocketAddr::new(ip(peer), 4_711), connection: 1 };
        Origin::of(peer, &trusted, forwarded, x_forwarded_for).address.to_string()
    }

    #[test]
    fn a_proxy_that_is_not_trusted_is_the_client() {
        assert_eq!(origin("192.0.2.1", &["for=198.51.100.1"], &["198.51.100.1"]), "192.0.2.1");
        assert_eq!(origin("::ffff:192.0.2.1", &[], &["198.51.100.1"]), "192.0.2.1");
    }

    #[test]
    fn a_trusted_proxys_client_is_the_last_that_is_no_trusted_proxy() {
        for (x_forwarded_for, client) in [
            (&["198.51.100.1"][..], "198.51.100.1"),
            (&["203.0.113.66, 198.51.100.1"], "198.51.100.1"),
            (&["203.0.113.66", "198.51.100.1, 10.1.2.3"], "198.51.100.1"),
            (&["198.51.100.1:4711"], "198.51.100.1"),
            (&["2001:db8::1"], "2001:db8::1"),
            (&["[2001:db8::1]:4711"], "2001:db8::1"),
            (&["::ffff:198.51.100.1"], "198.51.100.1"),
            (&["198.51.100.1, unknown"], "127.0.0.1"),
            (&["198.51.100.1, unknown, 10.1.2.3"], "10.1.2.3"),
            (&[""], "127.0.0.1"),
            (&[], "127.0.0.1"),
        ] {
            assert_eq!(origin("127.0.0.1", &[], x_forwarded_for), client, "{x_forwarded_for:?}");
            assert_eq!(origin("::ffff:127.0.0.1", &[], x_forwarded_for), client, "{x_forwarded_for:?}");
        }
        for (forwarded, client) in [
            (r#"for=198.51.100.1;proto=https;by=10.0.0.1"#, "198.51.100.1"),
            (r#"proto=https; For="198.51.100.1:4711""#, "198.51.100.1"),
            (r#"for="[2001:db8::1]:4711""#, "2001:db8::1"),
            (r#"for=203.0.113.66, for="[2001:db8::1]""#, "2001:db8::1"),
            (r#"for=203.0.113.66;host="a,for=192.0.2.9;b", for=198.51.100.1, for=10.1.2.3"#, "198.51.100.1"),
            (r#"for=198.51.100.1;host="a,for=192.0.2.9;b""#, "198.51.100.1"),
            (r#"for=198.51.100.1;host="a\",for=192.0.2.9""#, "198.51.100.1"),
            (r#"for=_hidden"#, "127.0.0.1"),
            (r#"for=198.51.100.1, proto=https"#, "127.0.0.1"),
        ] {
            assert_eq!(origin("127.0.0.1", &[forwarded], &[]), client, "{forwarded}");
        }
    }

    #[test]
    fn where_two_headers_name_different_clients_neither_is_believed() {
        assert_eq!(origin("127.0.0.1", &["for=203.0.113.66"], &["198.51.100.1"]), "127.0.0.1");
        assert_eq!(origin("127.0.0.1", &["for=198.51.100.1"], &["198.51.100.1"]), "198.51.100.1");
    }

    #[test]
    fn a_place_is_an_ipv4_address_or_all_that_one_household_may_have_of_the_others() {
        let place = |address: &str| Origin { address: ip(address), connection: None }.place().to_string();
        assert_eq!(place("192.0.2.1"), "192.0.2.1");
        assert_eq!(place("2001:db8:1:2:3:4:5:6"), "2001:db8:1::");
        assert_eq!(place("2001:db8:1:ffff::1"), "2001:db8:1::");
        assert_eq!(place("2001:db8:2:2::1"), "2001:db8:2::");
    }
}
