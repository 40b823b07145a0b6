//! The database server under attack: a cluster of its own that is restarted, crashed, and replaced by its standby.

use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use oncare_live::demo::{Cluster, Durability};
use tokio_postgres::{Client, Connection, NoTls, Socket, tls::NoTlsStream};

use crate::harness::database::{connect, migrate, order_sql, people, temporary_folder};
use crate::harness::eventually;

const DATABASE: &str = "chaos";

/// Orders that there are at the beginning, with ids from 1.
pub const ORDERS: i64 = 240;

const SETTINGS: &str = "
    alter system set track_commit_timestamp = on;
    alter system set wal_writer_delay = '1s';
    alter system set wal_keep_size = '256MB';";

pub struct Ground {
    cluster: Option<Cluster>,
    folder: PathBuf,
    generation: usize,
    url: Arc<Mutex<String>>,
}

/// Where the database is now, for those who connect to it directly.
#[derive(Clone)]
pub struct Address(Arc<Mutex<String>>);

impl Address {
    pub fn url(&self) -> String {
        self.0.lock().unwrap().clone()
    }

    /// A connection, or none while there is no server.
    pub async fn try_connect(&self) -> Option<Client> {
        let (client, connection): (Client, Connection<Socket, NoTlsStream>) =
            tokio_postgres::connect(&self.url(), NoTls).await.ok()?;
        tokio::spawn(connection);
        Some(client)
    }

    pub async fn connect(&self) -> Client {
        eventually("the server is there", async || self.try_connect().await).await
    }
}

impl Ground {
    pub async fn prepare() -> Self {
        static GROUNDS: AtomicUsize = AtomicUsize::new(0);
        let parent = temporary_folder("oncare-live-chaos");
        let folder = parent.join(GROUNDS.fetch_add(1, Ordering::Relaxed).to_string());
        std::fs::create_dir_all(&folder).unwrap();
        opened(&parent);
        opened(&folder);
        let cluster = Cluster::start(&folder.join("0"), 0, Durability::Full).await.expect("the cluster starts");
        cluster.create_database(DATABASE).await.unwrap();
        let url = Arc::new(Mutex::new(cluster.url(DATABASE)));
        let mut ground = Self { cluster: Some(cluster), folder, generation: 0, url };
        let client = ground.address().connect().await;
        for setting in SETTINGS.split(';').filter(|setting| !setting.trim().is_empty()) {
            client.batch_execute(setting).await.unwrap();
        }
        ground.restart("fast").await;
        let url = ground.address().url();
        migrate(&url).await;
        let client = connect(&url).await;
        client.batch_execute(&people()).await.unwrap();
        client.batch_execute(include_str!("audit.sql")).await.unwrap();
        client.batch_execute(&first_orders(1, ORDERS)).await.unwrap();
        ground
    }

    pub fn address(&self) -> Address {
        Address(Arc::clone(&self.url))
    }

    pub fn port(&self) -> u16 {
        port_of(&self.address().url())
    }

    fn folder(&self, generation: usize) -> PathBuf {
        self.folder.join(generation.to_string())
    }

    async fn stop(&mut self, mode: &str) {
        let cluster = self.cluster.take().unwrap();
        cluster.pg_ctl(&["stop", "-m", mode, "-w"]).await.unwrap();
    }

    async fn start(&mut self, port: u16) {
        let cluster = Cluster::start(&self.folder(self.generation), port, Durability::Full).await.unwrap();
        *self.url.lock().unwrap() = cluster.url(DATABASE);
        self.cluster = Some(cluster);
    }

    /// Stops the server in a `pg_ctl` mode and starts it again. `immediate` is a crash.
    pub async fn restart(&mut self, mode: &str) {
        let port = self.port();
        self.stop(mode).await;
        self.start(port).await;
    }

    /// Makes a standby that follows, and gives its port.
    pub async fn add_standby(&mut self) -> Standby {
        let (port, url) = (self.port(), self.address().url());
        self.stop("fast").await;
        let copy = self.folder(self.generation + 1);
        let copied = Command::new("cp").arg("-a").arg(self.folder(self.generation)).arg(&copy).status().unwrap();
        assert!(copied.success());
        self.start(port).await;
        std::fs::write(copy.join("standby.signal"), "").unwrap();
        let settings = copy.join("postgresql.auto.conf");
        let mut text = std::fs::read_to_string(&settings).unwrap();
        text.push_str(&format!("primary_conninfo = '{}'\n", url.replace(&format!("/{DATABASE}"), "/postgres")));
        std::fs::write(&settings, text).unwrap();
        let cluster = Cluster::start(&copy, 0, Durability::Full).await.unwrap();
        let client = self.address().connect().await;
        eventually("the standby follows", async || {
            let rows = client.query("select from pg_stat_replication where state = 'streaming'", &[]).await.unwrap();
            (!rows.is_empty()).then_some(())
        })
        .await;
        let url = cluster.url(DATABASE);
        Standby { port: port_of(&url), cluster, url }
    }

    /// The server crashes, and its standby takes its place.
    pub async fn fail_over(&mut self, standby: Standby) {
        self.stop("immediate").await;
        standby.cluster.pg_ctl(&["promote", "-w"]).await.unwrap();
        std::fs::remove_dir_all(self.folder(self.generation)).unwrap();
        self.generation += 1;
        self.cluster = Some(standby.cluster);
        *self.url.lock().unwrap() = standby.url;
    }
}

pub struct Standby {
    cluster: Cluster,
    url: String,
    pub port: u16,
}

impl Drop for Ground {
    fn drop(&mut self) {
        // a server that is still running ends with its pipe and does not need its files for that
        drop(self.cluster.take());
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Lets the user that PostgreSQL runs as pass.
fn opened(folder: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755)).unwrap();
}

fn port_of(url: &str) -> u16 {
    url.rsplit_once(':').and_then(|(_, rest)| rest.split('/').next()).unwrap().parse().unwrap()
}

/// The statement that enters orders from an id on, of both reps and of nobody.
pub fn first_orders(from: i64, count: i64) -> String {
    let statuses = ["pending", "confirmed", "processing", "shipped", "delivered", "cancelled"];
    let orders: Vec<String> = (from..from + count)
        .map(|id| {
            let rep = ["1", "2", "1", "2", "null::bigint"][id as usize % 5];
            let payment = if id % 3 == 0 { "paid" } else { "pending" };
            format!("({id}, {rep}, '{}', '{payment}', {id}.25)", statuses[id as usize % 6])
        })
        .collect();
    order_sql(&orders.join(", "))
}
