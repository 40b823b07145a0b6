//! How many connections there may be, of all clients and of one address; and how long a client may take.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::http::HeaderMap;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use tokio::sync::Notify;
use tokio::time::timeout;

use super::hearing::{Attending, Unheard};
use crate::counted::{Label, Labelled};
use crate::network::{Network, Origin, Peer, PerAddress};
use crate::security;

/// What clients may hold.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Connections of all of them.
    pub connections: usize,
    /// Those of one address; of a client behind a trusted proxy, its requests under way.
    pub per_address: PerAddress,
    /// Proxies whose connections are not one client's.
    pub trusted_proxies: Vec<Network>,
    /// How long a client may take to send a request's head, as long again to send its body, and how long it may take nothing of
    /// an answer or leave a connection unused.
    pub patience: Duration,
}

/// How long a connection may take to make room for another.
const MAKES_ROOM: Duration = Duration::from_millis(200);

/// Why a client is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// All there may be are in use.
    All,
    /// Its address has as many as it may.
    Address,
    /// It had not sent all of a request when there was no room for somebody else.
    Displaced,
}

impl Refusal {
    /// As the log has it.
    fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Address => "address",
            Self::Displaced => "displaced",
        }
    }
}

impl Label for Refusal {
    const KEY: &'static str = "reason";
    const KNOWN: &'static [Self] = &[Self::All, Self::Address, Self::Displaced];

    fn value(self) -> &'static str {
        self.name()
    }
}

/// What a client took too long for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TooSlow {
    /// To send the head of a request.
    Head,
    /// To send its body.
    Body,
    /// To take an answer.
    Answer,
}

impl Label for TooSlow {
    const KEY: &'static str = "what";
    const KNOWN: &'static [Self] = &[Self::Head, Self::Body, Self::Answer];

    fn value(self) -> &'static str {
        match self {
            Self::Head => "head",
            Self::Body => "body",
            Self::Answer => "answer",
        }
    }
}

/// The connections of one listener.
#[derive(Debug)]
pub struct Connections {
    limits: Limits,
    held: Mutex<Held>,
    unheard: Unheard,
    /// A place was given back.
    freed: Notify,
    open: Gauge,
    refused: Labelled<Refusal>,
    too_slow: Labelled<TooSlow>,
}

#[derive(Debug, Default)]
struct Held {
    connections: usize,
    /// An address that has nothing is not in it.
    by_place: HashMap<IpAddr, usize>,
}

impl Connections {
    /// None yet.
    #[must_use]
    pub fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self {
            limits,
            held: Mutex::default(),
            unheard: Unheard::default(),
            freed: Notify::new(),
            open: Gauge::default(),
            refused: Labelled::default(),
            too_slow: Labelled::default(),
        })
    }

    /// How long a client may take.
    #[must_use]
    pub fn patience(&self) -> Duration {
        self.limits.patience
    }

    /// Has them in the metrics.
    pub fn register(&self, registry: &mut Registry) {
        let help = "Connections of the dashboards' clients, streams among them.";
        registry.register("connections_open", help, self.open.clone());
        let help = "Connections and requests refused, as all clients or one address had as many as they may; and connections closed \
                    before a request had come, as there was no room for another.";
        self.refused.register(registry, "connections_refused", help);
        let help = "Clients that took too long to send a request's head or body, or to take an answer.";
        self.too_slow.register(registry, "clients_too_slow", help);
    }

    pub(super) fn give_up(&self, what: TooSlow) {
        self.too_slow.of(what).inc();
    }

    /// Whether so many are in use that none should wait for a client's next request.
    pub(super) fn is_crowded(&self) -> bool {
        self.lock().connections > self.limits.connections / 4 * 3
    }

    /// Where there is no room for a connection from there, has one make it of which no request has come yet.
    pub(super) async fn make_room(&self, peer: IpAddr) {
        let peer = peer.to_canonical();
        let place = self.place_of(peer);
        let is_wanted = {
            let held = self.lock();
            let may_have = place.is_none_or(|place| held.count(place) < self.limits.per_address.of(place));
            may_have && held.connections >= self.limits.connections
        };
        if !is_wanted {
            return;
        }
        let Some(displaced) = self.unheard.displace() else { return };
        self.refuse(Refusal::Displaced, displaced);
        let is_made = async {
            while self.lock().connections >= self.limits.connections {
                self.freed.notified().await;
            }
        };
        // whose last request has come meanwhile ends after its answer
        let _ = timeout(MAKES_ROOM, is_made).await;
    }

    /// Has a connection from there looked after.
    pub(super) fn attend(&self, peer: IpAddr) -> Attending {
        Attending::to(self.unheard.clone(), self.place_of(peer.to_canonical()))
    }

    /// Whose a connection is; nobody's, if a trusted proxy's.
    fn place_of(&self, peer: IpAddr) -> Option<IpAddr> {
        (!self.is_trusted(peer)).then(|| Origin { address: peer, connection: None }.place())
    }

    /// A connection from there.
    pub(super) fn admit(self: &Arc<Self>, peer: IpAddr) -> Result<Place, Refusal> {
        let peer = peer.to_canonical();
        let place = self.place_of(peer);
        let mut held = self.lock();
        let admitted = if held.connections >= self.limits.connections {
            Err(Refusal::All)
        } else {
            held.take(place, self.limits.per_address)
        };
        match admitted {
            Ok(()) => {
                held.connections += 1;
                self.open.inc();
            }
            Err(refusal) => {
                drop(held);
                self.refuse(refusal, peer);
                return Err(refusal);
            }
        }
        Ok(Place { connections: Arc::clone(self), place, is_connection: true })
    }

    /// A request that a trusted proxy brings: its client has no connection of its own that would count. `None` for others.
    pub(super) fn admit_request(self: &Arc<Self>, peer: Peer, headers: &HeaderMap) -> Result<Option<Place>, Refusal> {
        if !self.is_trusted(peer.address.ip().to_canonical()) {
            return Ok(None);
        }
        let origin = Origin::of_request(peer, &self.limits.trusted_proxies, headers);
        if self.is_trusted(origin.address) {
            return Ok(None);
        }
        let place = Some(origin.place());
        if let Err(refusal) = self.lock().take(place, self.limits.per_address) {
            self.refuse(refusal, origin.address);
            return Err(refusal);
        }
        Ok(Some(Place { connections: Arc::clone(self), place, is_connection: false }))
    }

    fn is_trusted(&self, address: IpAddr) -> bool {
        self.limits.trusted_proxies.iter().any(|network| network.contains(address))
    }

    fn refuse(&self, refusal: Refusal, address: IpAddr) {
        self.refused.of(refusal).inc();
        tracing::warn!(target: security::TARGET, reason = refusal.name(), %address, "connection refused");
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn take(&mut self, place: Option<IpAddr>, cap: PerAddress) -> Result<(), Refusal> {
        let Some(place) = place else { return Ok(()) };
        let count = self.count(place);
        if count >= cap.of(place) {
            return Err(Refusal::Address);
        }
        self.by_place.insert(place, count + 1);
        Ok(())
    }

    fn count(&self, place: IpAddr) -> usize {
        self.by_place.get(&place).copied().unwrap_or_default()
    }

    fn give_back(&mut self, place: IpAddr) {
        if let Some(count) = self.by_place.get_mut(&place) {
            *count -= 1;
            if *count == 0 {
                self.by_place.remove(&place);
            }
        }
    }
}

/// What somebody holds: a connection, or a request under way. Dropping it makes room for others. There are as many as streams, so
/// that it is small.
#[derive(Debug)]
pub struct Place {
    connections: Arc<Connections>,
    /// Whose it is; nobody's, if a trusted proxy's.
    place: Option<IpAddr>,
    is_connection: bool,
}

impl Place {
    /// How long its client may take.
    pub(crate) fn patience(&self) -> Duration {
        self.connections.limits.patience
    }

    /// Its client took too long.
    pub(crate) fn give_up(&self, what: TooSlow) {
        self.connections.give_up(what);
    }

    /// A connection that is for one request alone from now on.
    pub(super) fn with_request(mut self, request: Option<Self>) -> Self {
        if let Some(mut request) = request {
            self.place = request.place.take();
        }
        self
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut held = self.connections.lock();
        if let Some(place) = self.place {
            held.give_back(place);
        }
        if self.is_connection {
            held.connections -= 1;
            self.connections.open.dec();
            self.connections.freed.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn connections(connections: usize, most: usize, spares_this_machine: bool) -> Arc<Connections> {
        Connections::new(Limits {
            connections,
            per_address: PerAddress { most, spares_this_machine },
            trusted_proxies: vec!["10.0.0.0/8".parse().unwrap()],
            patience: Duration::from_secs(1),
        })
    }

    #[test]
    fn all_and_one_address_have_so_many_and_no_more() {
        let connections = connections(6, 2, true);
        let mut places: Vec<Place> = ["192.0.2.1", "::ffff:192.0.2.1", "2001:db8:1:2::3"]
            .map(|peer| connections.admit(ip(peer)).unwrap())
            .into_iter()
            .collect();
        assert_eq!(connections.admit(ip("192.0.2.1")).unwrap_err(), Refusal::Address);
        places.push(connections.admit(ip("2001:db8:1:ffff::1")).unwrap());
        assert_eq!(connections.admit(ip("2001:db8:1::")).unwrap_err(), Refusal::Address, "a household is one address");
        places.push(connections.admit(ip("10.0.0.1")).unwrap());
        places.push(connections.admit(ip("10.0.0.1")).unwrap());
        assert_eq!(connections.admit(ip("192.0.2.9")).unwrap_err(), Refusal::All);
        assert_eq!((connections.open.get(), connections.refused.of(Refusal::Address).get()), (6, 2));
        places.remove(0);
        assert!(connections.admit(ip("192.0.2.1")).is_ok());
        places.clear();
        assert!(
            connections.open.get() == 0 && connections.lock().by_place.is_empty(),
            "nothing is left of who has gone"
        );
    }

    #[test]
    fn this_machine_may_be_spared_the_cap_of_an_address() {
        for (spares, admitted) in [(true, 4), (false, 2)] {
            let connections = connections(4, 2, spares);
            for peer in ["127.0.0.1", "::1"] {
                let places: Vec<_> = (0..4).map_while(|_| connections.admit(ip(peer)).ok()).collect();
                assert_eq!(places.len(), admitted, "{peer}");
            }
        }
    }

    #[test]
    fn behind_a_trusted_proxy_a_clients_requests_count() {
        let connections = connections(10, 2, true);
        let request = |proxy: &str, client: &str| {
            let headers = HeaderMap::from_iter([("x-forwarded-for".parse().unwrap(), client.parse().unwrap())]);
            let peer = Peer { address: SocketAddr::new(ip(proxy), 1), connection: 1 };
            connections.admit_request(peer, &headers)
        };
        let proxy = connections.admit(ip("10.0.0.1")).unwrap();
        let first = request("10.0.0.1", "198.51.100.1").unwrap();
        let second = request("10.0.0.1", "198.51.100.1").unwrap();
        assert_eq!(request("10.0.0.1", "198.51.100.1").unwrap_err(), Refusal::Address);
        assert!(request("10.0.0.1", "198.51.100.2").unwrap().is_some());
        assert!(request("192.0.2.1", "198.51.100.1").unwrap().is_none(), "nobody else is believed");
        drop(first);
        let taken = proxy.with_request(request("10.0.0.1", "198.51.100.1").unwrap());
        assert_eq!(request("10.0.0.1", "198.51.100.1").unwrap_err(), Refusal::Address, "a stream goes on to count");
        drop((second, taken));
        assert!(connections.open.get() == 0 && connections.lock().by_place.is_empty());
    }
}
