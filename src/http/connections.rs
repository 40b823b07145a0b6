//! How many connections there may be, of all clients and of one address; and how long a client may take.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::http::HeaderMap;

use crate::network::{Network, Origin, Peer, PerAddress};
use crate::security;

/// How long no other refusal is said after one: nobody fills the log by coming again and again. All are counted.
const QUIET: Duration = Duration::from_secs(1);

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

/// Why a client is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// All there may be are in use.
    All,
    /// Its address has as many as it may.
    Address,
}

impl Refusal {
    /// All there are.
    pub const ALL: [Self; 2] = [Self::All, Self::Address];

    /// As log and metrics have it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Address => "address",
        }
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

impl TooSlow {
    /// All there are.
    pub const ALL: [Self; 3] = [Self::Head, Self::Body, Self::Answer];

    /// As the metrics have it.
    #[must_use]
    pub fn name(self) -> &'static str {
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
    refused: [AtomicU64; Refusal::ALL.len()],
    too_slow: [AtomicU64; TooSlow::ALL.len()],
    said: Mutex<Said>,
}

#[derive(Debug, Default)]
struct Held {
    connections: usize,
    /// An address that has nothing is not in it.
    by_place: HashMap<IpAddr, usize>,
}

/// Of refusals.
#[derive(Debug, Default)]
struct Said {
    at: Option<Instant>,
    unsaid: u64,
}

impl Connections {
    /// None yet.
    #[must_use]
    pub fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self {
            limits,
            held: Mutex::default(),
            refused: Default::default(),
            too_slow: Default::default(),
            said: Mutex::default(),
        })
    }

    /// How long a client may take.
    #[must_use]
    pub fn patience(&self) -> Duration {
        self.limits.patience
    }

    /// How many there are.
    #[must_use]
    pub fn open(&self) -> usize {
        self.lock().connections
    }

    /// How often somebody was refused for that.
    #[must_use]
    pub fn refused(&self, refusal: Refusal) -> u64 {
        self.refused[refusal as usize].load(Relaxed)
    }

    /// How many clients took too long for that.
    #[must_use]
    pub fn too_slow(&self, what: TooSlow) -> u64 {
        self.too_slow[what as usize].load(Relaxed)
    }

    pub(super) fn give_up(&self, what: TooSlow) {
        self.too_slow[what as usize].fetch_add(1, Relaxed);
    }

    /// Whether so many are in use that none should wait for a client's next request.
    pub(super) fn is_crowded(&self) -> bool {
        self.lock().connections > self.limits.connections / 4 * 3
    }

    /// A connection from there.
    pub(super) fn admit(self: &Arc<Self>, peer: IpAddr) -> Result<Place, Refusal> {
        let peer = peer.to_canonical();
        let place = (!self.is_trusted(peer)).then(|| Origin { address: peer, connection: None }.place());
        let mut held = self.lock();
        let admitted = if held.connections >= self.limits.connections {
            Err(Refusal::All)
        } else {
            held.take(place, self.limits.per_address)
        };
        match admitted {
            Ok(()) => held.connections += 1,
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
        self.refused[refusal as usize].fetch_add(1, Relaxed);
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.at.is_some_and(|at| at.elapsed() < QUIET) {
            said.unsaid += 1;
            return;
        }
        said.at = Some(Instant::now());
        let unsaid = std::mem::take(&mut said.unsaid);
        drop(said);
        let reason = refusal.name();
        tracing::warn!(target: security::TARGET, reason, %address, refused_unsaid = unsaid, "connection refused");
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn take(&mut self, place: Option<IpAddr>, cap: PerAddress) -> Result<(), Refusal> {
        let Some(place) = place else { return Ok(()) };
        let count = self.by_place.get(&place).copied().unwrap_or_default();
        if count >= cap.of(place) {
            return Err(Refusal::Address);
        }
        self.by_place.insert(place, count + 1);
        Ok(())
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
        held.connections -= usize::from(self.is_connection);
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
        assert_eq!((connections.open(), connections.refused(Refusal::Address)), (6, 2));
        places.remove(0);
        assert!(connections.admit(ip("192.0.2.1")).is_ok());
        places.clear();
        assert!(connections.open() == 0 && connections.lock().by_place.is_empty(), "nothing is left of who has gone");
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
        assert!(connections.open() == 0 && connections.lock().by_place.is_empty());
    }

    #[test]
    fn of_many_refusals_one_is_said_a_second_and_all_are_counted() {
        let connections = connections(0, 0, true);
        for _ in 0..1_000 {
            connections.admit(ip("192.0.2.1")).unwrap_err();
        }
        assert_eq!((connections.refused(Refusal::All), connections.said.lock().unwrap().unsaid), (1_000, 999));
    }
}
