//! What every scenario works with.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Instant;

use crate::databases::{Databases, Kind};
use crate::fleet::{Fleet, Wanted};
use crate::options::Scenario;
use crate::plan::Plan;
use crate::results::Results;
use crate::system::{Programs, Reps, Server, System};
use crate::writers::Sequence;

/// A run.
pub struct Bench {
    /// How much is measured.
    pub plan: Plan,
    /// The database server.
    pub databases: Databases,
    /// The figures so far.
    pub results: Results,
    /// The amounts of the updates.
    pub sequence: Sequence,
    /// Where peers are installed that are not built here.
    pub peers: PathBuf,
    programs: Programs,
    began: Instant,
    fleets: u8,
}

impl Bench {
    /// A run on databases that are ready.
    pub fn new(plan: Plan, databases: Databases, programs: Programs, peers: PathBuf, began: Instant) -> Self {
        Self {
            plan,
            databases,
            programs,
            peers,
            began,
            results: Results::default(),
            sequence: Sequence::default(),
            fleets: 0,
        }
    }

    /// Says what is being measured.
    pub fn say(&self, what: &str) {
        say(self.began, what);
    }

    /// The systems that can be measured here.
    pub fn systems(&self) -> Vec<System> {
        self.programs.systems()
    }

    /// Starts a server on its database.
    ///
    /// # Errors
    /// If it does not become ready.
    pub async fn start(&self, system: System) -> anyhow::Result<Server> {
        Server::start(&self.programs, system, &self.databases.url(system.database())).await
    }

    /// Starts the service on a database that only it has.
    ///
    /// # Errors
    /// If it does not become ready.
    pub async fn start_service_on(&self, database: Kind) -> anyhow::Result<Server> {
        Server::start(&self.programs, System::Service, &self.databases.url(database)).await
    }

    /// The same, with more arguments and variables.
    ///
    /// # Errors
    /// If it does not become ready.
    pub async fn start_service_with(
        &self,
        database: Kind,
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> anyhow::Result<Server> {
        let url = self.databases.url(database);
        Server::start_with(&self.programs, System::Service, &url, arguments, variables).await
    }

    /// Opens streams, from an address of their own, as the ports of closed ones stay in use for a while.
    ///
    /// # Errors
    /// If nothing can be received. That a stream did not open is in the fleet.
    pub async fn open(&mut self, server: &Server, reps: Reps) -> anyhow::Result<Fleet> {
        let requests = server.requests(reps);
        Fleet::open(self.wanted(server, requests)).await
    }

    /// The same, where all must open.
    ///
    /// # Errors
    /// If one did not.
    pub async fn open_all(&mut self, server: &Server, reps: Reps) -> anyhow::Result<Fleet> {
        self.open_requests(server, server.requests(reps)).await
    }

    /// Opens the streams that these requests ask for. All must open.
    ///
    /// # Errors
    /// If one did not.
    pub async fn open_requests(&mut self, server: &Server, requests: Vec<Vec<u8>>) -> anyhow::Result<Fleet> {
        Fleet::open_all(self.wanted(server, requests)).await
    }

    fn wanted(&mut self, server: &Server, requests: Vec<Vec<u8>>) -> Wanted {
        self.fleets = self.fleets % 250 + 1;
        Wanted {
            server: server.address(),
            source: Ipv4Addr::new(127, 0, 0, 1 + self.fleets).into(),
            requests,
            first: server.first(),
        }
    }

    /// Runs a scenario. One that fails is noted, and the others go on.
    pub async fn attempt(&mut self, scenario: Scenario, run: impl AsyncFnOnce(&mut Self) -> anyhow::Result<()>) {
        if let Err(error) = run(self).await {
            self.results.fail(scenario, &error);
        }
    }
}

/// A line of progress.
pub fn say(began: Instant, what: &str) {
    eprintln!("{:5.1} s  {what}", began.elapsed().as_secs_f64());
}
