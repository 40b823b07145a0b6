//! A PostgreSQL of the benchmark's own, with a database for each kind of table.

use std::path::{Path, PathBuf};

use anyhow::Context;
use oncare_live::demo::{Cluster, Durability};
use oncare_live::store::{DatabaseUrl, Store};
use tokio_postgres::{Client, NoTls};

use crate::disk::SlowDisk;
use crate::plan::Plan;
use crate::session::{self, STREAMS_PER_SESSION};
use crate::writers::Orders;

/// Memory for its pages, and no checkpoint while something is measured: the same for every system.
pub const SETTINGS: [(&str, &str); 3] =
    [("shared_buffers", "512MB"), ("max_wal_size", "8GB"), ("checkpoint_timeout", "30min")];

const ORDERS_A_REP: i64 = 10;
const HOT_REP_ORDERS: i64 = 160;
const BULK_REPS: i64 = 100;
const ORDERS_A_BULK_REP: i64 = 100;

/// The reps of the database [`Kind::Growth`] that poll, and their orders.
pub const POLLING_REPS: u64 = 1_000;
const ORDERS_A_POLLING_REP: u64 = 100;

/// The first id of a rep that polls; before it are the three of different sizes.
pub const FIRST_POLLING_REP: u64 = 11;

/// The databases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Without any trigger.
    Bare,
    /// With the plain trigger, for the peers.
    Peers,
    /// With the service's triggers.
    Service,
    /// The same, and no service has ever run on it.
    Unserved,
    /// The same as [`Kind::Service`], with reps of different sizes.
    Growth,
    /// The same, with so many reps as have dashboards, and orders of each as a shop's rep has them.
    Dashboards,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare",
            Self::Peers => "peers",
            Self::Service => "service",
            Self::Unserved => "unserved",
            Self::Growth => "growth",
            Self::Dashboards => "dashboards",
        }
    }
}

/// The running server.
pub struct Databases {
    cluster: Cluster,
    folder: PathBuf,
    reps: i64,
}

impl Databases {
    /// Starts the server on an empty folder.
    ///
    /// # Errors
    /// If PostgreSQL is not installed or the folder can't be used.
    pub async fn start(folder: &Path, plan: &Plan) -> anyhow::Result<Self> {
        let cluster = Cluster::start(folder, 0, Durability::Full).await?;
        let admin = connect(&cluster.url("postgres")).await?;
        for (name, value) in SETTINGS {
            admin.batch_execute(&format!("alter system set {name} = '{value}'")).await?;
        }
        drop(admin);
        // some of them need a start
        cluster.stop().await?;
        let cluster = Cluster::start(folder, 0, Durability::Full).await?;
        let reps = plan.streams.max(plan.many_streams) as i64;
        Ok(Self { cluster, folder: folder.to_owned(), reps })
    }

    /// Starts it anew, on a disk of which each flush takes that much longer.
    ///
    /// # Errors
    /// If it does not stop or start.
    pub async fn slow_down(&mut self, disk: &SlowDisk, delay: std::time::Duration) -> anyhow::Result<()> {
        self.cluster.pg_ctl(&["stop", "-m", "fast", "-w"]).await?;
        self.cluster = Cluster::start_in(&self.folder, 0, Durability::Full, &disk.environment(delay)).await?;
        Ok(())
    }

    /// Stops it.
    ///
    /// # Errors
    /// If it does not stop.
    pub async fn stop(self) -> anyhow::Result<()> {
        Ok(self.cluster.stop().await?)
    }

    /// The server's version.
    ///
    /// # Errors
    /// If it does not answer.
    pub async fn version(&self) -> anyhow::Result<String> {
        let client = connect(&self.cluster.url("postgres")).await?;
        Ok(client.query_one("show server_version", &[]).await?.get(0))
    }

    /// Where its data is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The URL of a database.
    pub fn url(&self, kind: Kind) -> String {
        self.cluster.url(kind.name())
    }

    /// A connection to a database.
    ///
    /// # Errors
    /// If it does not answer.
    pub async fn connect(&self, kind: Kind) -> anyhow::Result<Client> {
        connect(&self.url(kind)).await
    }

    /// Makes `bare`, `peers` and `service` with the same orders.
    ///
    /// # Errors
    /// If the server refuses a statement.
    pub async fn make_equal_ones(&self, plan: &Plan) -> anyhow::Result<()> {
        let (hot, bulk) = (self.hot_rep(), self.bulk_reps().0);
        let planned = format!(
            "select rep, {ORDERS_A_REP} as orders from generate_series(1, {}) rep
             union all select {hot}, {HOT_REP_ORDERS}
             union all select rep, {ORDERS_A_BULK_REP} from generate_series({bulk}, {}) rep",
            self.reps,
            bulk + BULK_REPS - 1
        );
        self.load(Kind::Bare, &planned).await?;
        let admin = connect(&self.cluster.url("postgres")).await?;
        for copy in [Kind::Peers, Kind::Service] {
            admin.batch_execute(&format!("create database {} template {}", copy.name(), Kind::Bare.name())).await?;
        }
        self.connect(Kind::Peers).await?.batch_execute(include_str!("../sql/notify_trigger.sql")).await?;
        let shared = plan.streams.div_ceil(STREAMS_PER_SESSION);
        let sessions = format!(
            "select rep as session, rep from generate_series(1, {hot}) rep
             union all select {} + n, {hot} from generate_series(0, {shared}) n",
            session::FIRST_OF_HOT_REP
        );
        self.migrate(Kind::Service, &sessions).await?;
        let copy = format!("create database {} template {}", Kind::Unserved.name(), Kind::Service.name());
        admin.batch_execute(&copy).await?;
        for kind in [Kind::Bare, Kind::Peers, Kind::Service, Kind::Unserved] {
            self.connect(kind).await?.batch_execute("vacuum analyze").await?;
        }
        Ok(admin.batch_execute("checkpoint").await?)
    }

    /// Makes `growth`.
    ///
    /// # Errors
    /// If the server refuses a statement.
    pub async fn make_growth(&self, plan: &Plan) -> anyhow::Result<()> {
        let [small, middle, large] = plan.growth;
        let polling = format!("generate_series({FIRST_POLLING_REP}, {})", FIRST_POLLING_REP + POLLING_REPS - 1);
        let planned = format!(
            "select rep, orders from (values (1, {small}), (2, {middle}), (3, {large})) sizes (rep, orders)
             union all select rep, {ORDERS_A_POLLING_REP} from {polling} rep"
        );
        self.load(Kind::Growth, &planned).await?;
        self.migrate(Kind::Growth, "select id as session, id as rep from accounts_user").await?;
        let client = self.connect(Kind::Growth).await?;
        client.batch_execute("vacuum analyze").await?;
        Ok(client.batch_execute("checkpoint").await?)
    }

    /// Makes `dashboards`.
    ///
    /// # Errors
    /// If the server refuses a statement.
    pub async fn make_dashboards(&self, plan: &Plan) -> anyhow::Result<()> {
        let planned = format!("select rep, {ORDERS_A_REP} as orders from generate_series(1, {}) rep", plan.dashboards);
        self.load(Kind::Dashboards, &planned).await?;
        self.migrate(Kind::Dashboards, "select id as session, id as rep from accounts_user").await?;
        let client = self.connect(Kind::Dashboards).await?;
        client.batch_execute("vacuum analyze").await?;
        Ok(client.batch_execute("checkpoint").await?)
    }

    /// The orders of the reps that have streams.
    pub fn orders_of(&self, reps: usize) -> Orders {
        Orders { first: 1, count: reps as i64 * ORDERS_A_REP }
    }

    /// A rep whose orders are many enough for many writers.
    pub fn hot_rep(&self) -> i64 {
        self.reps + 1
    }

    /// Their orders.
    pub fn hot_orders(&self) -> Orders {
        Orders { first: self.reps * ORDERS_A_REP + 1, count: HOT_REP_ORDERS }
    }

    /// The first and the last rep of the bulk update. They have 10,000 orders.
    pub fn bulk_reps(&self) -> (i64, i64) {
        (self.reps + 2, self.reps + 1 + BULK_REPS)
    }

    /// A database with orders and without schema `live`.
    async fn load(&self, kind: Kind, planned: &str) -> anyhow::Result<()> {
        self.cluster.create_database(kind.name()).await?;
        self.store(kind)?.create_tables_and_migrate().await?;
        let client = self.connect(kind).await?;
        // as the README has it taken off again
        client.batch_execute("drop schema live cascade; drop index public.orders_order_live_list_idx").await?;
        client.batch_execute(&format!("create temporary table bench_plan as {planned}")).await?;
        client.batch_execute(include_str!("../sql/load.sql")).await.context("could not load orders")
    }

    async fn migrate(&self, kind: Kind, sessions: &str) -> anyhow::Result<()> {
        self.store(kind)?.migrate().await?;
        let client = self.connect(kind).await?;
        client.batch_execute(&format!("create temporary table bench_sessions as {sessions}")).await?;
        client.batch_execute(include_str!("../sql/sessions.sql")).await.context("could not sign the reps in")
    }

    fn store(&self, kind: Kind) -> anyhow::Result<Store> {
        let url = DatabaseUrl::parse(&self.url(kind)).map_err(anyhow::Error::msg)?;
        Ok(Store::new(url, 2)?)
    }
}

/// The connection ends when the client is dropped.
async fn connect(url: &str) -> anyhow::Result<Client> {
    let (client, connection) =
        tokio_postgres::connect(url, NoTls).await.context("could not connect to the database")?;
    tokio::spawn(connection);
    Ok(client)
}
