//! A throw-away cluster for the whole run, and a database per test, copied from a migrated template.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::prelude::{BASE64_STANDARD, Engine};
use oncare_live::demo::{Cluster, Durability};
use oncare_live::store::{DatabaseUrl, Store};
use ring::{digest, hmac};
use tokio::sync::OnceCell;
use tokio_postgres::{Client, NoTls};

use super::eventually;

pub const PASSWORD: &str = "correct horse";
/// Of [`PASSWORD`], with a single iteration: tests sign in often.
const ENCODED: &str = "pbkdf2_sha256$1$saltsaltsalt$VTZdk8Km2da17X4U5HtygxdLLPIFYadEcduZLPYCOzg=";

const TEMPLATE: &str = "oncare_template";

/// Roles that are no superusers: a shop's, and the service's beside it. Their passwords are their names.
pub const ROLES: [&str; 2] = ["oncare_owner", "oncare_live"];

struct Shared {
    cluster: Cluster,
    next: AtomicUsize,
}

static SHARED: OnceCell<Shared> = OnceCell::const_new();

async fn shared() -> &'static Shared {
    SHARED
        .get_or_init(|| async {
            let (cluster, template) = cluster(&temporary_folder("oncare-live-test"), TEMPLATE).await;
            for role in ROLES {
                template.sql(&format!("create role {role} login password '{}'", verifier(role))).await;
            }
            Shared { cluster, next: AtomicUsize::new(1) }
        })
        .await
}

/// A name that no database has.
async fn new_name() -> String {
    format!("test_{}", shared().await.next.fetch_add(1, Ordering::Relaxed))
}

/// A new cluster in a folder, and a database in it with schema, people and no orders.
async fn cluster(folder: &Path, name: &str) -> (Cluster, Database) {
    let cluster = Cluster::start(folder, 0, Durability::None).await.expect("the test cluster starts");
    cluster.create_database(name).await.unwrap();
    let database = Database { url: cluster.url(name), name: name.to_owned(), _own: None };
    database.sql(&format!("alter role oncare password '{}'", verifier("oncare"))).await;
    migrate(&database.url).await;
    database.sql(&people()).await;
    (cluster, database)
}

/// What the server keeps of a password, with a single iteration in place of 4096: tests connect often, and each time both sides
/// would go through them all.
fn verifier(password: &str) -> String {
    let signed = |key: &[u8], message: &[u8]| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message);
    let salt = b"saltsaltsaltsalt";
    let salted = signed(password.as_bytes(), &[salt.as_slice(), &1_u32.to_be_bytes()].concat());
    let client_key = signed(salted.as_ref(), b"Client Key");
    let stored_key = digest::digest(&digest::SHA256, client_key.as_ref());
    let server_key = signed(salted.as_ref(), b"Server Key");
    let text = |bytes: &[u8]| BASE64_STANDARD.encode(bytes);
    format!("SCRAM-SHA-256$1:{}${}:{}", text(salt), text(stored_key.as_ref()), text(server_key.as_ref()))
}

/// Migrates a database, and makes the mistake that is asked for.
pub async fn migrate(url: &str) {
    Store::new(DatabaseUrl::parse(url).unwrap(), 2).unwrap().create_tables_and_migrate().await.unwrap();
    make_mistake(url).await;
}

/// A file that `MUTANT_SQL` names puts its functions in the place of ours: a mistake of `tests/mutants`, which a test must find.
pub async fn make_mistake(url: &str) {
    if let Some(file) = std::env::var_os("MUTANT_SQL") {
        let mistaken = std::fs::read_to_string(&file).expect("the file that MUTANT_SQL names can be read");
        let done = connect(url).await.batch_execute(&mistaken).await;
        done.unwrap_or_else(|error| panic!("the file that MUTANT_SQL names is executed: {error:?}"));
    }
}

/// A folder that no other run uses. Those of runs that are over are removed.
pub fn temporary_folder(prefix: &str) -> PathBuf {
    let parent = std::env::temp_dir();
    for entry in std::fs::read_dir(&parent).unwrap().filter_map(Result::ok) {
        let name = entry.file_name().to_string_lossy().into_owned();
        let pid = name.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('.'));
        if pid.is_some_and(|pid| !Path::new("/proc").join(pid).exists() && Path::new("/proc").exists()) {
            // another run may be removing it as well
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
    parent.join(format!("{prefix}.{}", std::process::id()))
}

/// Two reps, a pharmacist, an admin, somebody inactive, and one with a role that is none.
pub fn people() -> String {
    let person = |(id, name, role, active): (i64, &str, &str, bool)| {
        format!(
            "({id}, '{ENCODED}', false, '{name}', '{name}', 'Tester', '', false, {active}, now(), '{role}', '', '', '', '', '', '', true, now(), now())"
        )
    };
    let people = [
        (1, "ana", "sales_rep", true),
        (2, "ben", "sales_rep", true),
        (3, "rx", "pharmacist_admin", true),
        (4, "boss", "admin", true),
        (5, "gone", "sales_rep", false),
        (6, "odd", "auditor", true),
    ];
    format!(
        "insert into accounts_user (id, password, is_superuser, username, first_name, last_name, email, is_staff, is_active,
             date_joined, role, phone_number, address, city, state, country, zip_code, is_verified, created_at, updated_at)
         values {};
         insert into inventory_medicine (id, name, generic_name, strength, dosage_form, unit_price)
         select n, 'Medicine ' || n, '', '', '', 10 from generate_series(1, 9) n",
        people.map(person).join(", ")
    )
}

/// A database of the test's own.
pub struct Database {
    pub url: String,
    pub name: String,
    /// Dropped with it.
    _own: Option<OwnCluster>,
}

/// A cluster that no other test uses.
struct OwnCluster {
    cluster: Option<Cluster>,
    folder: PathBuf,
}

impl Drop for OwnCluster {
    fn drop(&mut self) {
        // the server ends with its pipe and does not need its files for that
        drop(self.cluster.take());
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl Database {
    /// With schema, people and no orders.
    pub async fn new() -> Self {
        let database = Self::create(&format!("template {TEMPLATE}")).await;
        // the template's statistics are those of no orders
        database
            .sql("update live.fold set database_oid = (select oid from pg_database where datname = current_database())")
            .await;
        database
    }

    /// A copy of another, to which nobody may be connected.
    pub async fn copied(&self) -> Self {
        let nobody = format!("select count(*) from pg_stat_activity where datname = '{}'", self.name);
        let admin = connect(&self.url.replace(&self.name, "postgres")).await;
        eventually("nobody is connected", async || {
            (admin.query_one(&nobody, &[]).await.unwrap().get::<_, i64>(0) == 0).then_some(())
        })
        .await;
        Self::create(&format!("template {}", self.name)).await
    }

    /// In an encoding that takes any bytes, with schema, people and no orders.
    pub async fn in_sql_ascii() -> Self {
        let database = Self::create("encoding 'SQL_ASCII' lc_collate 'C' lc_ctype 'C' template template0").await;
        migrate(&database.url).await;
        database.sql(&people()).await;
        database
    }

    /// With nothing in it.
    pub async fn empty() -> Self {
        Self::create("template template0").await
    }

    /// In a cluster of its own, with schema, people and no orders: for what the transactions or notifications of any other
    /// database would change.
    pub async fn alone() -> Self {
        Self::alone_with("").await
    }

    /// The same, on a server with that setting, as `ALTER SYSTEM` has it.
    pub async fn alone_with(setting: &str) -> Self {
        static ALONE: AtomicUsize = AtomicUsize::new(1);
        let name = format!("alone_{}", ALONE.fetch_add(1, Ordering::Relaxed));
        let folder = temporary_folder("oncare-live-alone").join(&name);
        if !setting.is_empty() {
            let cluster = Cluster::start(&folder, 0, Durability::None).await.unwrap();
            connect(&cluster.url("postgres"))
                .await
                .batch_execute(&format!("alter system set {setting}"))
                .await
                .unwrap();
            cluster.stop().await.unwrap();
        }
        let (cluster, database) = cluster(&folder, &name).await;
        Self { _own: Some(OwnCluster { cluster: Some(cluster), folder }), ..database }
    }

    async fn create(how: &str) -> Self {
        Self::create_named(&new_name().await, how).await
    }

    async fn create_named(name: &str, how: &str) -> Self {
        let shared = shared().await;
        let admin = connect(&shared.cluster.url("postgres")).await;
        admin.batch_execute(&format!("create database {name} {how}")).await.unwrap();
        Self { url: shared.cluster.url(name), name: name.to_owned(), _own: None }
    }

    /// With a new name, of an owner who is no superuser, as whom it is used.
    pub async fn new_of(owner: &str, how: &str) -> Self {
        Self::of(owner, &new_name().await, how).await
    }

    /// The same, with that name.
    pub async fn of(owner: &str, name: &str, how: &str) -> Self {
        let database = Self::create_named(name, &format!("owner {owner} {how}")).await;
        Self { url: database.url.replace("oncare:oncare@", &format!("{owner}:{owner}@")), ..database }
    }

    pub fn parsed_url(&self) -> DatabaseUrl {
        DatabaseUrl::parse(&self.url).unwrap()
    }

    pub fn store(&self) -> Store {
        Store::new(self.parsed_url(), 4).unwrap()
    }

    /// A connection of another client.
    pub async fn client(&self) -> Client {
        connect(&self.url).await
    }

    /// The server's major version.
    pub async fn version(&self) -> u32 {
        self.value("select current_setting('server_version_num')::int / 10000").await.parse().unwrap()
    }

    /// Runs statements as another client would, each run on a connection of its own.
    pub async fn sql(&self, statements: &str) {
        self.client().await.batch_execute(statements).await.unwrap_or_else(|error| panic!("{statements}: {error:?}"));
    }

    /// Takes the database away from its users, as an outage does. It comes back when the guard is told so.
    pub async fn take_away(&self) -> Away {
        let away = Away { admin: connect(&self.url.replace(&self.name, "postgres")).await, name: self.name.clone() };
        eventually("the database is taken away", async || {
            let Away { admin, name } = &away;
            let connections =
                format!("select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}'");
            admin.batch_execute(&connections).await.unwrap();
            admin.batch_execute(&format!("alter database {name} rename to {name}_away")).await.ok()
        })
        .await;
        away
    }

    /// One value, as text.
    pub async fn value(&self, query: &str) -> String {
        let client = self.client().await;
        let row = client
            .query_one(&format!("select ({query})::text"), &[])
            .await
            .unwrap_or_else(|e| panic!("{query}: {e:?}"));
        row.get::<_, Option<String>>(0).unwrap_or_else(|| "null".to_owned())
    }

    /// Grants a role what `doctor --grants` prints for it.
    pub async fn grant(&self, role: &str, own_forms: bool) {
        let grants = self.store().grants(role, own_forms).await.unwrap();
        self.sql(&grants.join("\n")).await;
    }

    /// Enters orders from a list of `(id, rep, status, payment status, total)`; `created_at` is the id in minutes after
    /// the beginning of 2025.
    pub async fn orders(&self, orders: &str) {
        self.sql(&order_sql(orders)).await;
    }
}

/// A database that is away.
pub struct Away {
    admin: Client,
    name: String,
}

impl Away {
    pub async fn give_back(self) {
        let Away { admin, name } = self;
        admin.batch_execute(&format!("alter database {name}_away rename to {name}")).await.unwrap();
    }
}

/// The statement that enters orders.
pub fn order_sql(orders: &str) -> String {
    format!(
        "insert into orders_order (id, order_number, sales_rep_id, customer_name, customer_phone, customer_address, status,
             payment_status, subtotal, tax_amount, shipping_cost, discount_amount, total_amount, delivery_method,
             delivery_address, delivery_instructions, prescription_required, prescription_verified, created_at, updated_at,
             customer_notes, internal_notes)
         select id, 'ORD-2025-' || lpad(id::text, greatest(5, length(id::text)), '0'), rep, 'Customer ' || id, '0917', 'Address', status, payment, 0, 0, 0,
             0, total, 'pickup', '', '', false, false,
             timestamptz '2025-01-01 00:00Z' + make_interval(mins => id::int), now(), '', ''
         from (values {orders}) o (id, rep, status, payment, total)"
    )
}

pub async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}
