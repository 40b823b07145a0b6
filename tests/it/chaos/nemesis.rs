//! Whatever one machine can do to the service, its database, and the wires between them and the pages.

use std::process::Command;
use std::time::Duration;

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use tokio::time::sleep;
use tokio_postgres::Client;

use super::ground::{Address, Ground};
use super::history::History;
use super::reader::now;
use crate::harness::eventually;
use crate::harness::instance::Instance;
use crate::harness::wire::{Weather, Wire};

/// Kinds of faults, each in its turn in a short run, at random in a long one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    ListenerTerminated,
    PoolTerminated,
    ListenerStopped,
    PoolStopped,
    ServerRestarted,
    ServerCrashed,
    CommitsLost,
    FailOver,
    Database(Weather),
    Browsers(Weather),
    ServiceKilled,
    OtherInstance,
    ForgedNotifications,
    StuckListener,
    ClockStepped,
}

const LATE: Weather = Weather::Delay(Duration::from_millis(150));

impl Fault {
    pub const ALL: [Self; 23] = [
        Self::ListenerTerminated,
        Self::Database(Weather::Cut),
        Self::ServiceKilled,
        Self::Browsers(Weather::Stall),
        Self::CommitsLost,
        Self::PoolTerminated,
        Self::Browsers(Weather::BlackHole),
        Self::ServerCrashed,
        Self::OtherInstance,
        Self::Database(Weather::Stall),
        Self::ListenerStopped,
        Self::Browsers(Weather::Cut),
        Self::ForgedNotifications,
        Self::Database(Weather::BlackHole),
        Self::ServerRestarted,
        Self::Browsers(LATE),
        Self::Database(Weather::Trickle),
        Self::FailOver,
        Self::Browsers(Weather::Trickle),
        Self::PoolStopped,
        Self::Database(LATE),
        Self::StuckListener,
        Self::ClockStepped,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::ListenerTerminated => "listener's backend terminated",
            Self::PoolTerminated => "pool's backends terminated",
            Self::ListenerStopped => "listener's backend stopped",
            Self::PoolStopped => "a pool's backend stopped",
            Self::ServerRestarted => "server restarted",
            Self::ServerCrashed => "server crashed",
            Self::CommitsLost => "server crashed and lost commits",
            Self::FailOver => "standby refused, then promoted",
            Self::Database(Weather::Cut) => "database wire cut",
            Self::Database(Weather::Stall) => "database wire stalled",
            Self::Database(Weather::Delay(_)) => "database wire slow",
            Self::Database(Weather::Trickle) => "database wire trickling",
            Self::Database(_) => "database wire a black hole",
            Self::Browsers(Weather::Cut) => "browsers' wire cut",
            Self::Browsers(Weather::Stall) => "browsers' wire stalled",
            Self::Browsers(Weather::Delay(_)) => "browsers' wire slow",
            Self::Browsers(Weather::Trickle) => "browsers' wire trickling",
            Self::Browsers(_) => "browsers' wire a black hole",
            Self::ServiceKilled => "service killed",
            Self::OtherInstance => "pages led to the other instance",
            Self::ForgedNotifications => "notifications forged, 10,000 a second",
            Self::StuckListener => "a listening session stuck in a transaction",
            Self::ClockStepped => "service's clock stepped",
        }
    }
}

/// Between when, in seconds since 1970, pages may have been told states that the database does not have any more.
#[derive(Clone, Copy)]
pub struct Lost {
    pub from: f64,
    pub until: f64,
}

/// Everything that can be broken.
pub struct World {
    pub ground: Ground,
    pub database_wire: Wire,
    pub browsers_wire: Wire,
    pub instances: [Instance; 2],
    pub serving: usize,
    pub lost: Vec<Lost>,
    pub history: History,
}

impl World {
    pub async fn begin(history: &History) -> Self {
        let ground = Ground::prepare().await;
        let database_wire = Wire::to(([127, 0, 0, 1], ground.port()).into()).await;
        let url = ground.address().url().replace(&ground.port().to_string(), &database_wire.address.port().to_string());
        let instances = [Instance::start_with_clock(&url), Instance::start_with_clock(&url)];
        let browsers_wire = Wire::to(instances[0].web).await;
        let world = Self {
            ground,
            database_wire,
            browsers_wire,
            instances,
            serving: 0,
            lost: Vec::new(),
            history: history.clone(),
        };
        world.wait_until_ready().await;
        world
    }

    pub async fn wait_until_ready(&self) {
        for instance in &self.instances {
            eventually("both instances are ready", async || instance.is_ready().await).await;
        }
    }

    fn lead_to_server(&self) {
        self.database_wire.lead_to(([127, 0, 0, 1], self.ground.port()).into());
    }

    /// Breaks something for a while and mends it.
    pub async fn suffer(&mut self, fault: Fault, random: &mut StdRng) {
        let history = self.history.clone();
        history.tell(fault.name());
        let address = self.ground.address();
        let a_while = Duration::from_millis(random.random_range(300..3_000));
        match fault {
            Fault::ListenerTerminated => terminate(&address, "oncare-live listener").await,
            Fault::PoolTerminated => terminate(&address, "oncare-live").await,
            Fault::ListenerStopped => stop_for(&address, "oncare-live listener", Duration::from_secs(11)).await,
            Fault::PoolStopped => stop_for(&address, "oncare-live", Duration::from_secs(6)).await,
            Fault::ServerRestarted => self.ground.restart("fast").await,
            Fault::ServerCrashed => {
                // ids of transactions that were not over come a second time
                let from = now();
                self.ground.restart("immediate").await;
                self.lost.push(Lost { from: from - 0.5, until: now() });
            }
            Fault::CommitsLost => self.lose_commits(random).await,
            Fault::FailOver => self.fail_over().await,
            Fault::Database(weather) => {
                self.database_wire.set(weather);
                sleep(length(weather, a_while)).await;
                self.database_wire.set(Weather::Fair);
            }
            Fault::Browsers(weather) => {
                self.browsers_wire.set(weather);
                sleep(length(weather, a_while)).await;
                self.browsers_wire.set(Weather::Fair);
            }
            Fault::ServiceKilled => {
                self.instances[self.serving].kill().await;
                sleep(a_while).await;
                self.instances[self.serving].start_again();
            }
            Fault::OtherInstance => {
                self.serving = 1 - self.serving;
                self.browsers_wire.lead_to(self.instances[self.serving].web);
            }
            Fault::ForgedNotifications => forge(&address, Duration::from_secs(3)).await,
            Fault::StuckListener => {
                let stuck = address.connect().await;
                stuck.batch_execute("listen live_orders").await.unwrap();
                stuck.batch_execute("begin; select 1").await.unwrap();
                forge(&address, Duration::from_secs(1)).await;
                sleep(a_while).await;
            }
            Fault::ClockStepped => {
                let seconds = *[-86_400, -600, -5, 5, 600, 86_400].choose(random).unwrap();
                if !self.instances[self.serving].set_clock(seconds).await {
                    return history.left_out(fault.name(), "there is no libfaketime; install it with `make tools`");
                }
                sleep(Duration::from_secs(2) + a_while).await;
                self.instances[self.serving].set_clock(0).await;
            }
        }
        history.fault(fault.name());
        history.tell(format!("{}: over", fault.name()));
    }

    /// Commits that the server did not write to disk are told to the pages, and then it crashes.
    async fn lose_commits(&mut self, random: &mut StdRng) {
        let client = self.ground.address().connect().await;
        let from = now();
        client.batch_execute("set synchronous_commit = off").await.unwrap();
        for _ in 0..5 {
            let id = random.random_range(1..=240);
            // what another writer holds is left alone
            let update = format!(
                "update orders_order set status = 'shipped', total_amount = 1 where id in (
                select id from orders_order where id = {id} for update skip locked)"
            );
            client.batch_execute(&update).await.unwrap();
        }
        sleep(Duration::from_millis(60)).await;
        self.ground.restart("immediate").await;
        self.lost.push(Lost { from, until: now() });
    }

    /// A standby is first offered to the service as it is, which must be refused, and then takes the server's place.
    async fn fail_over(&mut self) {
        let standby = self.ground.add_standby().await;
        self.database_wire.lead_to(([127, 0, 0, 1], standby.port).into());
        let instance = &self.instances[self.serving];
        let refused = eventually("the standby is refused", async || {
            instance.ops("/readyz").await.filter(|(status, text)| *status == 503 && text.contains("standby"))
        })
        .await;
        self.history.tell(format!("of a standby: {}", refused.1.trim()));
        let from = now();
        self.ground.fail_over(standby).await;
        self.lost.push(Lost { from, until: now() });
        self.lead_to_server();
    }
}

/// Long enough for it to be noticed, where nothing but time tells.
fn length(weather: Weather, a_while: Duration) -> Duration {
    match weather {
        Weather::BlackHole => a_while + Duration::from_secs(10),
        Weather::Stall => a_while * 3,
        _ => a_while,
    }
}

async fn backends(client: &Client, application: &str) -> Vec<i32> {
    let sql =
        "select pid from pg_stat_activity where application_name = $1 and state = 'idle' and wait_event = 'ClientRead'";
    client.query(sql, &[&application]).await.unwrap().iter().map(|row| row.get(0)).collect()
}

async fn terminate(address: &Address, application: &str) {
    let client = address.connect().await;
    let sql = "select pg_terminate_backend(pid) from pg_stat_activity where application_name = $1";
    client.query(sql, &[&application]).await.unwrap();
}

/// Stops a backend that waits for its client, as one that holds a lock of the server stops the server.
async fn stop_for(address: &Address, application: &str, time: Duration) {
    let client = address.connect().await;
    let signal = |name: &str, pid: i32| Command::new("kill").args([name, &pid.to_string()]).status().unwrap().success();
    let stopped = eventually("a backend is idle and is stopped", async || {
        let pid = *backends(&client, application).await.first()?;
        if !signal("-STOP", pid) {
            return None;
        }
        // it may have begun to work in between
        if !backends(&client, application).await.contains(&pid) {
            signal("-CONT", pid);
            return None;
        }
        Some(pid)
    })
    .await;
    sleep(time).await;
    signal("-CONT", stopped);
}

/// Forged, malformed and oversized notifications.
async fn forge(address: &Address, time: Duration) {
    let client = address.connect().await;
    let forged = "select pg_notify(c, left(p || n || clock_timestamp(), 7999)) from generate_series(1, 250) n,
        (values ('live_orders'), ('live_canary')) v (c),
        (values ('reps:1,2,'), ('reps:99999999999999999999'), ('{'), ('all')) w (p);
        select pg_notify('live_orders', repeat('x', 7999)), pg_notify('live_orders', '')";
    let ends = tokio::time::Instant::now() + time;
    let mut ticks = tokio::time::interval(Duration::from_millis(200));
    while tokio::time::Instant::now() < ends {
        ticks.tick().await;
        client.batch_execute(forged).await.unwrap();
    }
}
