//! The shop that other people run: Django with gunicorn, in a database whose owner is no superuser. Its sources are in
//! `tests/shop`; what it needs is installed by `scripts/install-shop`.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use oncare_live::store::session_grant;
use reqwest::Response;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::{Mutex, OnceCell};

use super::database::{Database, PASSWORD, ROLES, migrate, temporary_folder};
use super::http::Browserless;
use super::service::Service;
use super::supervised::Supervised;

/// The zone of the shop's days.
pub const ZONE: &str = "America/New_York";

/// The role that owns the shop's tables, and the one that the service attached to it runs as.
const OWNER: &str = ROLES[0];
const SERVICE: &str = ROLES[1];

/// Where `manage.py` is.
pub const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/shop");

/// Of Django. Most tests run on this one.
const USUAL: &str = "5.2";

/// The folder of what `scripts/install-shop` installed, if it did.
fn installed(version: &str) -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/shop").join(version);
    folder.join("installed").exists().then_some(folder)
}

/// A database of the shop's, with nothing of the service in it.
pub struct Shop {
    pub database: Database,
    /// Where what its processes need and say is.
    pub folder: PathBuf,
    programs: PathBuf,
    deeds: Mutex<Deeds>,
    _gunicorn: Supervised,
}

impl Shop {
    /// What it signs its sessions with.
    pub const SECRET_KEY: &str = "of a shop that serves nobody but tests";

    /// With the people of `people()`, nine medicines and no orders.
    pub async fn open() -> Self {
        Self::open_with(&[]).await
    }

    /// The same, with variables added to its environment.
    pub async fn open_with(environment: &[(&str, &str)]) -> Self {
        static TEMPLATE: OnceCell<()> = OnceCell::const_new();
        const NAME: &str = "shop_template";
        let programs = installed(USUAL).expect("the shop is installed; do so with `scripts/install-shop`");
        let made = async || {
            let template = Database::of(OWNER, NAME, "template template0").await;
            set_up(&programs, &template).await;
        };
        TEMPLATE.get_or_init(made).await;
        Self::in_database(programs, Database::new_of(OWNER, &format!("template {NAME}")).await, environment).await
    }

    /// On another version of Django; `None` where that is not installed.
    pub async fn open_on(version: &str) -> Option<Self> {
        let programs = installed(version)?;
        let database = Database::new_of(OWNER, "template template0").await;
        set_up(&programs, &database).await;
        Some(Self::in_database(programs, database, &[]).await)
    }

    async fn in_database(programs: PathBuf, database: Database, environment: &[(&str, &str)]) -> Self {
        let folder = temporary_folder("oncare-live-shop").join(&database.name);
        std::fs::create_dir_all(&folder).unwrap();
        let mut gunicorn = in_shop(&programs, "gunicorn", &database);
        gunicorn.envs(environment.iter().copied()).arg("--bind").arg(format!("unix:{}", socket(&folder).display()));
        gunicorn.args(["--worker-class", "gthread", "--threads", "8", "--workers", "2", "--log-level", "warning"]);
        gunicorn.arg("shop.wsgi");
        let gunicorn = Supervised::start(&gunicorn, &folder.join("gunicorn.log"));
        let deeds = Mutex::new(Deeds::start(&programs, &database));
        Self { database, folder, programs, deeds, _gunicorn: gunicorn }
    }

    /// Where gunicorn listens.
    pub fn socket(&self) -> PathBuf {
        socket(&self.folder)
    }

    /// Where the pages' files are, with their hashed names.
    pub fn static_files(&self) -> PathBuf {
        static_files(&self.programs)
    }

    /// The folder of its Python, and what that needs in its environment.
    pub fn python(&self) -> (PathBuf, [(&'static str, String); 4]) {
        (self.programs.join("bin"), variables(&self.programs, &self.database))
    }

    /// Has the shop's code do something: a piece of Python, in which its models have their names. What it leaves in `result` is
    /// the answer.
    pub async fn deed(&self, python: &str) -> Value {
        self.try_deed(python).await.unwrap_or_else(|error| panic!("{python}: {error}"))
    }

    /// The same for what may be refused.
    pub async fn try_deed(&self, python: &str) -> Result<Value, String> {
        self.deeds.lock().await.carry_out(python).await
    }

    /// Adds to the database what the service needs, as the tables' owner, and grants its role what it needs.
    pub async fn install(&self) {
        migrate(&self.database.url).await;
        self.database.grant(SERVICE, false).await;
        self.database.sql(&session_grant(SERVICE)).await;
    }

    /// Where the service finds the database, as its own role.
    pub fn url_of_service(&self) -> String {
        self.database.url.replace(&format!("{OWNER}:{OWNER}@"), &format!("{SERVICE}:{SERVICE}@"))
    }

    /// The service beside it, ready, as its own role and in the shop's time zone.
    pub async fn attach(&self, arguments: &[&str]) -> Service {
        self.install().await;
        let arguments = [&["--time-zone", ZONE], arguments].concat();
        Service::start_beside_host(&self.url_of_service(), &arguments).await
    }
}

fn socket(folder: &Path) -> PathBuf {
    folder.join("gunicorn.socket")
}

fn static_files(programs: &Path) -> PathBuf {
    temporary_folder("oncare-live-shop").join("static").join(programs.file_name().unwrap())
}

/// A program of the version's, for that database.
fn in_shop(programs: &Path, program: &str, database: &Database) -> Command {
    let mut command = Command::new(programs.join("bin").join(program));
    command.current_dir(SOURCES).envs(variables(programs, database));
    command
}

/// What the shop's settings take from the environment.
fn variables(programs: &Path, database: &Database) -> [(&'static str, String); 4] {
    [
        ("SHOP_DATABASE_URL", database.url.clone()),
        ("SHOP_TIME_ZONE", ZONE.to_owned()),
        ("SHOP_SECRET_KEY", Shop::SECRET_KEY.to_owned()),
        ("SHOP_STATIC_ROOT", static_files(programs).display().to_string()),
    ]
}

/// Makes the tables by the shop's own migrations, and the people of `people()`.
async fn set_up(programs: &Path, database: &Database) {
    let mut deeds = Deeds::start(programs, database);
    let python = format!(
        "from django.core.management import call_command
call_command('migrate', verbosity=0)
call_command('collectstatic', interactive=False, verbosity=0)
for id, name, role, active in [(1, 'ana', 'sales_rep', True), (2, 'ben', 'sales_rep', True), (3, 'rx', 'pharmacist_admin', True),
                               (4, 'boss', 'admin', True), (5, 'gone', 'sales_rep', False)]:
    User.objects.create_user(name, id=id, password={password}, role=role, is_active=active,
                             is_staff=role == 'admin', is_superuser=role == 'admin')
Medicine.objects.bulk_create(Medicine(name=f'Medicine {{n}}', unit_price=10, stock_quantity=100) for n in range(1, 10))
# ids that were named leave the sequence where it was
connection.cursor().execute(\"select setval(pg_get_serial_sequence('accounts_user', 'id'), 100)\")",
        password = json!(PASSWORD),
    );
    deeds.carry_out(&python).await.unwrap();
    deeds.end().await;
}

/// A process that does what it is told.
struct Deeds {
    child: Child,
    told: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Deeds {
    fn start(programs: &Path, database: &Database) -> Self {
        let mut command = in_shop(programs, "python", database);
        command.args(["manage.py", "deeds"]).stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().expect("Python starts");
        let (told, answers) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Self { child, told, answers: BufReader::new(answers).lines() }
    }

    async fn carry_out(&mut self, python: &str) -> Result<Value, String> {
        self.told.write_all(format!("{}\n", json!(python)).as_bytes()).await.unwrap();
        let line = self.answers.next_line().await.unwrap().expect("the shop's process answers");
        let mut answer: Value = serde_json::from_str(&line).unwrap();
        match answer["error"].as_str() {
            Some(error) => Err(error.to_owned()),
            None => Ok(answer["result"].take()),
        }
    }

    /// Waits until it is gone, and with it its connection.
    async fn end(self) {
        let Self { mut child, told, answers } = self;
        drop((told, answers));
        child.wait().await.unwrap();
    }
}

/// Somebody at the shop's pages without a window.
pub struct Customer {
    pub browser: Browserless,
}

impl Customer {
    /// Signed in at the shop that is reached by that address.
    pub async fn signed_in(base: &str, username: &str) -> Self {
        let customer = Self { browser: Browserless::new(base.to_owned()) };
        let answer = customer.send("/accounts/login/", &[("username", username), ("password", PASSWORD)]).await;
        assert_eq!(answer.status(), 302, "{username} signs in at the shop");
        assert_eq!(answer.headers()["location"], "/orders/");
        customer
    }

    /// Sends the form of a page.
    pub async fn send(&self, path: &str, fields: &[(&str, &str)]) -> Response {
        let page = self.browser.get(path).await.text().await.unwrap();
        let (_, token) =
            page.split_once("name=\"csrfmiddlewaretoken\" value=\"").unwrap_or_else(|| panic!("{path}: {page}"));
        let token = token.split_once('"').unwrap().0;
        self.browser.post(path, &[fields, &[("csrfmiddlewaretoken", token)]].concat()).await
    }
}
