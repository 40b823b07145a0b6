//! What is in the database runs with the rights of whoever calls it, so that nothing of a stranger's may be there: what was laid as a trap
//! before `migrate` is refused; the roles are given what they need and no more; and who keeps a migration waiting is named.

use std::process::Stdio;
use std::time::Duration;

use oncare_live::doctor;
use oncare_live::order::{DeliveryMethod, OrderId, Standing, Status, UserId, Wanted};
use oncare_live::store::{
    DatabaseUrl, Edit, Script, SessionKey, Sessions, Shown, SignOn, SignedIn, StatusChange, Store, StoreError,
    UserRecord,
};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::harness::database::{Database, connect, order_sql, people};
use crate::harness::eventually;
use crate::harness::instance::program;
use crate::harness::service::Service;

const HOST: &str = include_str!("../../sql/0001_oncare_tables.sql");
const ROLES: &str = include_str!("../../sql/roles.sql");

/// A role of that database's, which may do what everybody may, and make schemas.
async fn stranger(database: &Database) -> String {
    let role = format!("mallory_{}", database.name);
    database
        .sql(&format!(
            "create role {role} login password 'mallory'; grant create on database {name} to {role};
             create schema {role} authorization {role}",
            name = database.name
        ))
        .await;
    role
}

fn url_of(database: &Database, role: &str) -> String {
    database.url.replace("oncare:oncare@", &format!("{role}:mallory@"))
}

async fn refusal(store: &Store) -> String {
    match store.migrate().await {
        Err(StoreError::Unsuitable(why)) => why,
        other => panic!("it is not refused: {other:?}"),
    }
}

async fn diagnosis(database: &Database) -> Vec<String> {
    let findings = doctor::examine(&database.parsed_url()).await;
    findings.iter().filter_map(|finding| Some(format!("{}: {}", finding.subject, finding.problem()?))).collect()
}

/// A function that makes its author a superuser, if a superuser calls it.
fn trap(role: &str, name: &str, returns: &str, returned: &str) -> String {
    format!(
        "create function {role}.{name} returns {returns} language plpgsql as $f$
         begin
             execute 'alter role {role} superuser';
             return {returned};
         exception when insufficient_privilege then
             return {returned};
         end $f$;"
    )
}

#[tokio::test]
async fn a_schema_that_somebody_else_made_before_is_refused_and_nothing_of_it_runs() {
    for content in [
        "",
        "create view live.migration as select FUNCTION as version, ''::text as name;",
        "create table live.migration (version integer, name text, applied_at timestamptz, trapped integer default FUNCTION);",
        "create table live.migration (version integer, name text, applied_at timestamptz, check (FUNCTION > 0));",
        "create table live.migration (version integer, name text);
         create rule trapped as on insert to live.migration do also select FUNCTION;",
        "create table live.migration (version integer, name text);
         create trigger trapped after insert on live.migration for each statement execute function ROLE.triggered();",
    ] {
        let database = Database::empty().await;
        database.sql(HOST).await;
        let role = stranger(&database).await;
        let content = content.replace("FUNCTION", &format!("{role}.called()")).replace("ROLE", &role);
        let called = trap(&role, "called()", "integer", "1");
        let triggered = trap(&role, "triggered()", "trigger", "null");
        connect(&url_of(&database, &role))
            .await
            .batch_execute(&format!("{called} {triggered} create schema live; {content}"))
            .await
            .unwrap();
        let said = refusal(&database.store()).await;
        assert!(
            said.contains(&format!("schema live belongs to {role}")) && said.contains("drop schema live"),
            "{said}"
        );
        let told = diagnosis(&database).await;
        assert!(told.len() == 1 && told[0].starts_with("schema live: ") && told[0].contains(&role), "{told:?}");
        let is_superuser = format!("select rolsuper from pg_roles where rolname = '{role}'");
        assert_eq!(database.value(&is_superuser).await, "false", "{content}");
        assert_eq!(
            database
                .value("select count(*) from pg_trigger where not tgisinternal and tgrelid = 'orders_order'::regclass")
                .await,
            "0"
        );
        // and what it says helps
        database.sql("drop schema live cascade").await;
        database.store().migrate().await.unwrap();
    }
}

#[tokio::test]
async fn a_strangers_thing_in_the_schema_or_hanging_on_it_is_refused_by_name() {
    let database = Database::new().await;
    let role = stranger(&database).await;
    let as_stranger = connect(&url_of(&database, &role)).await;
    database.sql(&format!("grant usage on schema live to {role}")).await;
    let called = trap(&role, "called()", "integer", "1");
    let triggered = trap(&role, "triggered()", "trigger", "null");
    let on_definition = trap(&role, "defined()", "event_trigger", "");
    let with_operator = trap(&role, "compares(bigint, integer)", "boolean", "true");
    as_stranger
        .batch_execute(&format!(
            "{called} {triggered} {with_operator} {} create domain {role}.trapped as integer check (value is null or {role}.called() > 0)",
            on_definition.replace("return ;", "return;")
        ))
        .await
        .unwrap();
    let make = format!("grant create on schema live to {role}");
    let unmake = format!("revoke create on schema live from {role}");
    // what a superuser does, what the stranger does then, what a superuser does after that; what is refused; what mends it
    let traps = [
        [&*make, "", "", "ROLE may create things in schema live", &*unmake],
        [
            &*make,
            "create function live.notify(integer) returns void language sql as ''",
            &*unmake,
            "function live.notify(integer) belongs to ROLE",
            "drop function live.notify(integer)",
        ],
        [
            &*make,
            "create operator live.= (leftarg = bigint, rightarg = integer, function = ROLE.compares)",
            &*unmake,
            "operator live.=(bigint,integer) belongs to ROLE",
            "drop operator live.= (bigint, integer)",
        ],
        [
            &*make,
            "create type live.statuses as enum ('pending')",
            &*unmake,
            "type live.statuses belongs to ROLE",
            "drop type live.statuses",
        ],
        [
            &*make,
            "create domain live.number as bigint",
            &*unmake,
            "type live.number belongs to ROLE",
            "drop domain live.number",
        ],
        [
            &*make,
            "create table live.order_event_1 (id bigint)",
            &*unmake,
            "table live.order_event_1 belongs to ROLE",
            "drop table live.order_event_1",
        ],
        [
            &*make,
            "create view live.orders as select 1 as id",
            &*unmake,
            "view live.orders belongs to ROLE",
            "drop view live.orders",
        ],
        [
            "create table ROLE.events () inherits (live.order_event); alter table ROLE.events owner to ROLE",
            "",
            "",
            "table ROLE.events belongs to ROLE",
            "drop table ROLE.events",
        ],
        [
            "grant trigger on live.incarnation to ROLE",
            "",
            "",
            "ROLE may hang triggers on table live.incarnation",
            "revoke trigger on live.incarnation from ROLE",
        ],
        [
            "grant trigger on live.migration to ROLE",
            "create trigger trapped after insert on live.migration for each statement execute function ROLE.triggered()",
            "revoke trigger on live.migration from ROLE",
            "trigger trapped on table live.migration needs function ROLE.triggered()",
            "drop trigger trapped on live.migration",
        ],
        [
            "alter table live.migration add trapped integer; alter table live.migration alter trapped set default ROLE.called()",
            "",
            "",
            "needs function ROLE.called(), which belongs to ROLE",
            "alter table live.migration drop trapped",
        ],
        [
            "alter table live.migration add trapped ROLE.trapped",
            "",
            "",
            "needs type ROLE.trapped, which belongs to ROLE",
            "alter table live.migration drop trapped",
        ],
        [
            "create event trigger trapped_ROLE on ddl_command_end execute function ROLE.defined()",
            "",
            "",
            "the event trigger trapped_ROLE needs function ROLE.defined()",
            "drop event trigger trapped_ROLE",
        ],
    ];
    for statements in traps {
        let [before, strangers, after, expected, mend] = statements.map(|text| text.replace("ROLE", &role));
        // something is to be done
        database.sql(&format!("delete from live.migration where version = 9; {before}")).await;
        as_stranger.batch_execute(&strangers).await.unwrap_or_else(|error| panic!("{strangers}: {error:?}"));
        database.sql(&after).await;
        let said = refusal(&database.store()).await;
        assert!(said.contains(&expected), "{expected}: {said}");
        assert!(
            diagnosis(&database).await.iter().any(|told| told.starts_with("schema live: ") && told.contains(&expected)),
            "{expected}"
        );
        database.sql(&mend).await;
        database.store().migrate().await.unwrap();
        assert_eq!(diagnosis(&database).await, Vec::<String>::new(), "after {mend}");
    }
    assert_eq!(database.value(&format!("select rolsuper from pg_roles where rolname = '{role}'")).await, "false");
}

#[tokio::test]
async fn whoever_migrates_runs_nothing_of_other_roles_and_trusts_those_that_it_is() {
    // of an owner who is no superuser
    let database = Database::new_of("oncare_owner", "template template0").await;
    database.sql(HOST).await;
    database.sql("alter default privileges grant all on tables to public").await;
    database.store().migrate().await.unwrap();
    let open = "select count(*) from pg_class c cross join lateral aclexplode(c.relacl) a
        where c.relnamespace = 'live'::regnamespace and a.grantee = 0";
    assert_eq!(database.value(open).await, "0", "what everybody would be let into by default");
    database.sql("delete from live.migration where version = 9").await;
    let as_admin = Store::new(
        DatabaseUrl::parse(&database.url.replace("oncare_owner:oncare_owner@", "oncare:oncare@")).unwrap(),
        2,
    );
    let said = refusal(&as_admin.unwrap()).await;
    assert!(said.contains("schema live belongs to oncare_owner") && said.contains("run this as its owner"), "{said}");
    database.store().migrate().await.unwrap();
    database.sql("grant insert on live.session to public").await;
    assert!(diagnosis(&database).await[0].contains("everybody may insert table live.session"));
}

/// Whoever may make functions and operators in schema `public`, as everybody may before PostgreSQL 15, is not called by forms, though they write with the
/// search path of the database.
#[tokio::test]
async fn operators_in_a_schema_of_everybodys_are_not_called() {
    let database = Database::new().await;
    database.orders("(1, 1, 'pending', 'pending', 5), (2, 1, 'pending', 'pending', 5)").await;
    let password = database.value("select password from accounts_user where id = 1").await;
    let mut traps = "create table public.stolen (what text);".to_owned();
    let texts = ["text", "varchar", "bytea"];
    let pairs = texts.iter().flat_map(|left| texts.iter().map(move |right| (*left, *right)));
    for (n, (left, right)) in
        pairs.chain([("bigint", "bigint"), ("bigint", "integer"), ("integer", "bigint")]).enumerate()
    {
        traps += &format!(
            "create function public.steals_{n}({left}, {right}) returns boolean language plpgsql as $f$
             begin insert into public.stolen values ('{left} {right}'); return $1::text operator(pg_catalog.=) $2::text; end $f$;
             create operator public.= (leftarg = {left}, rightarg = {right}, function = public.steals_{n});
             create operator public.<> (leftarg = {left}, rightarg = {right}, function = public.steals_{n});"
        );
    }
    for name in ["now()", "set_config(text, text, boolean)", "set_config(varchar, varchar, boolean)"] {
        let returns = if name == "now()" { "timestamptz" } else { "text" };
        traps += &format!(
            "create function public.{name} returns {returns} language plpgsql as $f$
             begin insert into public.stolen values ('{name}'); return null; end $f$;"
        );
    }
    // the worst there is: what everybody makes is found before the system's own
    traps += &format!("alter database {} set search_path = public, pg_catalog", database.name);
    database.sql(&traps).await;
    let stolen = "select coalesce(string_agg(distinct what, ', '), '') from public.stolen";
    let probe = database.client().await;
    probe.batch_execute("select from accounts_user where password = 'x'::varchar").await.unwrap();
    assert!(database.value(stolen).await.contains("varchar varchar"), "they are found where nothing is qualified");
    database.sql("truncate public.stolen").await;

    let service = Service::start(&database).await;
    let (ana, rx) = (service.signed_in("ana").await, service.signed_in("rx").await);
    let edit =
        [("customer_name", "New"), ("customer_phone", "1"), ("customer_address", "2"), ("delivery_method", "pickup")];
    assert_eq!(ana.post("/orders/orders/1/edit/", &edit).await.status(), 303);
    assert_eq!(ana.post("/orders/orders/1/cancel/", &[("reason", "none")]).await.status(), 303);
    assert_eq!(rx.post("/orders/orders/2/status/", &[("status", "confirmed"), ("note", "")]).await.status(), 303);
    let user = UserRecord { id: UserId(1), encoded_password: password, is_active: true };
    assert!(database.store().encode_anew(&user, "another").await.unwrap());
    for page in ["/orders/orders/?q=new", "/orders/orders/2/", "/orders/orders/export.csv"] {
        rx.get(page).await;
        ana.get(page).await;
    }
    assert_eq!(database.value(stolen).await, "");
    assert_eq!(database.value("select count(*) from orders_orderstatushistory").await, "2");
}

/// Somebody signed in, by a session of the service's own.
async fn signed_in(owner: &Database, store: &Store, user: i64) -> Result<SignedIn, StoreError> {
    owner
        .sql(&format!(
            "insert into live.session (token_hash, user_id, password_digest, expires_at)
             select sha256('{user}'), id, sha256(convert_to(password, 'UTF8')), now() + interval '1 day'
             from accounts_user where id = {user} on conflict do nothing"
        ))
        .await;
    let key: Vec<u8> = {
        let client = owner.client().await;
        client.query_one(&format!("select sha256('{user}')"), &[]).await.unwrap().get(0)
    };
    let sessions = Sessions::new(store, &SignOn::Own, Duration::from_secs(86_400));
    Ok(sessions.signed_in(SessionKey(key.try_into().unwrap())).await?.expect("the session holds"))
}

/// What the statements of the forms write, each order once more.
async fn write_everything(store: &Store, rep: &SignedIn, pharmacist: &SignedIn, turn: usize) -> Result<(), StoreError> {
    let text = |name: &str| format!("{name} {turn}");
    let edit = Edit {
        customer_name: text("name"),
        customer_phone: text("1"),
        customer_address: text("address"),
        delivery_method: DeliveryMethod::from(["pickup", "delivery"][turn % 2]),
        delivery_address: text("to"),
        delivery_instructions: text("how"),
        customer_notes: text("notes"),
    };
    store.edit_order(OrderId(1), &edit, |_| true, rep, |_| true).await?;
    let status = Status::from(["confirmed", "pending"][turn % 2]);
    let change = StatusChange { wanted: Wanted { status: Some(status), payment_status: None }, note: text("note") };
    store.change_status(OrderId(1), None::<&Standing>, &change, pharmacist).await?;
    store.cancel_order(OrderId(2), &text("reason"), |_| true, rep, |_| true).await?;
    Ok(())
}

/// What is read of people and medicines.
async fn read_everything(owner: &Database, store: &Store) -> Result<(), StoreError> {
    let pharmacist = signed_in(owner, store, 3).await?;
    store.user_for_login("ana").await?;
    store.order(OrderId(1), &pharmacist).await?;
    let sight = pharmacist.sight().unwrap();
    store.dashboard(sight, &oncare_live::order::Filter::default(), Shown::List, chrono_tz::UTC).await?;
    Ok(())
}

#[tokio::test]
async fn the_three_roles_are_enough_and_nothing_of_them_is_too_much() {
    let database = Database::alone().await;
    // another application's database, of an owner who is no superuser, in which nobody may do anything by default
    database
        .sql(
            &"drop schema live cascade; drop index orders_order_live_list_idx;
             create role shop login password 'shop'; create role clerk login password 'clerk';
             revoke all on schema public from public; grant usage on schema public to shop, clerk;
             alter database alone_db owner to shop"
                .replace("alone_db", &database.name),
        )
        .await;
    // the tables are a superuser's, which nobody is to become by owning schema live
    let refused = database.client().await.batch_execute(ROLES).await.unwrap_err();
    let refused = refused.as_db_error().map(|said| said.message().to_owned()).unwrap_or_default();
    assert!(refused.contains("belongs to oncare, a superuser"), "{refused}");
    let tables = "select string_agg(format('alter table %s owner to shop', c.oid::regclass), ';') from pg_class c
        where c.relnamespace = 'public'::regnamespace and c.relkind = 'r'";
    let owned = database.value(tables).await;
    database.sql(&owned).await;
    database.sql("grant select, insert, update, delete on all tables in schema public to clerk").await;
    // first step
    database.sql(ROLES).await;
    database
        .sql(
            "alter role oncare_live_owner login password 'owner'; alter role oncare_live login password 'live';
             create role serves_forms login password 'forms' in role oncare_live, oncare_live_forms",
        )
        .await;
    let as_role = |role: &str| database.url.replace("oncare:oncare@", role);
    let of = |role: &str| DatabaseUrl::parse(&as_role(role)).unwrap();
    // second and third, without a superuser, and again
    let owner = of("oncare_live_owner:owner@");
    Store::new(owner.clone(), 2).unwrap().migrate().await.unwrap();
    for _ in 0..2 {
        connect(&as_role("oncare_live_owner:owner@")).await.batch_execute(ROLES).await.unwrap();
        database.sql(ROLES).await;
    }
    assert!(Store::new(owner.clone(), 2).unwrap().migrate().await.unwrap().migrations.is_empty());
    let of_live = "select string_agg(distinct pg_get_userbyid(relowner), ',') from pg_class where relnamespace = 'live'::regnamespace";
    assert_eq!(database.value(of_live).await, "oncare_live_owner");

    // whoever writes orders needs nothing
    let clerk = connect(&as_role("clerk:clerk@")).await;
    clerk.batch_execute(&order_sql("(1, 1, 'pending', 'paid', 5), (2, 1, 'pending', 'paid', 7)")).await.unwrap();
    assert_eq!(database.value("select count(*) from live.order_event where operation = 'insert'").await, "2");
    assert!(clerk.batch_execute("select from live.order_event").await.is_err());

    // who serves reads, and writes nothing of the host's
    let service = of("oncare_live:live@");
    let problems = async |url: &DatabaseUrl, forms: bool| {
        let own = if forms { doctor::own_forms(url, false).await } else { Vec::new() };
        let findings = [doctor::examine(url).await, own].concat();
        findings.iter().filter_map(|finding| finding.problem().map(str::to_owned)).collect::<Vec<_>>()
    };
    assert_eq!(problems(&service, false).await, Vec::<String>::new());
    let told = problems(&service, true).await.join(" ");
    assert!(told.contains("grant update (customer_name, ") && told.contains("grant insert (order_id, "), "{told}");
    let beyond = "select string_agg(format('%s %s %s', r, c.relname, p), ', ')
        from unnest('{oncare_live,oncare_live_forms}'::text[]) r, unnest('{insert,update,delete,truncate,references,trigger}'::text[]) p, pg_class c
        where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v') and has_table_privilege(r, c.oid, p)";
    assert_eq!(database.value(beyond).await, "null");
    assert_eq!(
        database.value("select has_column_privilege('oncare_live', 'accounts_user', 'phone_number', 'select')").await,
        "false"
    );
    let running = Service::start_beside_host(&as_role("oncare_live:live@"), &[]).await;
    let ana = running.signed_in("ana").await;
    let mut stream = ana.events().await;
    stream.wait_for("ping").await;
    clerk.batch_execute("update public.orders_order set status = 'confirmed' where id = 1").await.unwrap();
    // as a patch; or with the whole state, which is read anew once after what may be done in schema live was changed
    eventually("the change is told", async || {
        let event = stream.next().await.expect("the stream goes on");
        (event.data["statistics"]["confirmed_orders"] == 1).then_some(())
    })
    .await;
    drop((stream, running));

    // with forms
    let forms = of("serves_forms:forms@");
    assert_eq!(problems(&forms, true).await, Vec::<String>::new());
    let store = Store::new(forms.clone(), 2).unwrap();
    let (rep, pharmacist) =
        (signed_in(&database, &store, 1).await.unwrap(), signed_in(&database, &store, 3).await.unwrap());
    write_everything(&store, &rep, &pharmacist, 0).await.unwrap();
    read_everything(&database, &store).await.unwrap();

    // and each column that is taken away is missed, and named
    let columns =
        "select coalesce(string_agg(format('%s/%s/%s/%s', r.rolname, a.privilege_type, c.relname, t.attname), ' '), '')
        from pg_attribute t join pg_class c on c.oid = t.attrelid cross join lateral aclexplode(t.attacl) a
        join pg_roles r on r.oid = a.grantee where r.rolname in ('oncare_live', 'oncare_live_forms')";
    let granted = database.value(columns).await;
    assert_eq!(granted.split(' ').count(), 7 + 4 + 13 + 8, "{granted}");
    for (turn, right) in granted.split(' ').enumerate() {
        let parts: Vec<&str> = right.split('/').collect();
        let [role, privilege, table, column] = parts[..] else { panic!("{right}") };
        database.sql(&format!("revoke {privilege} ({column}) on {table} from {role}")).await;
        let store = Store::new(forms.clone(), 2).unwrap();
        let outcome = match privilege {
            "SELECT" => read_everything(&database, &store).await,
            _ => write_everything(&store, &rep, &pharmacist, turn + 1).await,
        };
        let error = outcome.err().unwrap_or_else(|| panic!("nothing needs {right}"));
        assert!(error.is_lack_of_rights() && error.chain().contains(table), "{right}: {}", error.chain());
        let told = store.missing_grants(true).await.unwrap().join(" ");
        let named = format!("grant {} ({column}) on public.{table} to ", privilege.to_lowercase());
        assert!(told.contains(&named), "{named}: {told}");
        database.sql(&format!("grant {privilege} ({column}) on {table} to {role}")).await;
    }
    write_everything(&Store::new(forms.clone(), 2).unwrap(), &rep, &pharmacist, 99).await.unwrap();
    assert_eq!(problems(&forms, true).await, Vec::<String>::new());
}

/// A run of `migrate`, with what it says.
struct Migration {
    child: Child,
    said: BufReader<tokio::process::ChildStderr>,
    heard: String,
}

impl Migration {
    fn start(database: &Database) -> Self {
        let mut command = Command::new(program());
        command.arg("migrate").env("DATABASE_URL", &database.url);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let said = BufReader::new(child.stderr.take().unwrap());
        Self { child, said, heard: String::new() }
    }

    /// Waits until it says that.
    async fn says(&mut self, what: &[&str]) {
        let hearing = async {
            while !what.iter().all(|what| self.heard.contains(what)) {
                assert_ne!(self.said.read_line(&mut self.heard).await.unwrap(), 0, "{what:?}: {}", self.heard);
            }
        };
        timeout(Duration::from_secs(30), hearing).await.expect("it says so in time");
    }

    async fn ends(mut self) -> bool {
        timeout(Duration::from_secs(30), self.child.wait()).await.expect("it ends").unwrap().success()
    }
}

async fn as_application(database: &Database, name: &str) -> (tokio_postgres::Client, String) {
    let client = connect(&format!("{}?application_name={name}", database.url)).await;
    let pid: i32 = client.query_one("select pg_backend_pid()", &[]).await.unwrap().get(0);
    (client, format!("process {pid} (role oncare, application \"{name}\""))
}

#[tokio::test]
async fn whoever_keeps_a_migration_waiting_is_named() {
    // anybody may take an advisory lock: that is not waited for
    let stranger = async {
        let database = Database::new().await;
        let (client, named) = as_application(&database, "backup").await;
        client.batch_execute("select pg_advisory_lock(8029464455746774898)").await.unwrap();
        let mut migration = Migration::start(&database);
        migration.says(&[&named, "is held by another than a migration", "pg_terminate_backend"]).await;
        assert!(!migration.ends().await);
    };
    // a migration is, however long it takes
    let another = async {
        let database = Database::new().await;
        let (client, named) = as_application(&database, "oncare-live%20migration").await;
        client.batch_execute("select pg_advisory_lock(8029464455746774898)").await.unwrap();
        let mut migration = Migration::start(&database);
        migration.says(&[&named.replace("%20", " ")]).await;
        client.batch_execute("select pg_advisory_unlock(8029464455746774898)").await.unwrap();
        assert!(migration.ends().await);
    };
    // a long transaction has the orders
    let long = async {
        let database = Database::empty().await;
        database.sql(HOST).await;
        database.sql(&people()).await;
        let (client, named) = as_application(&database, "import").await;
        client
            .batch_execute(
                "begin; update orders_order set status = status; lock table orders_order in row exclusive mode",
            )
            .await
            .unwrap();
        let mut migration = Migration::start(&database);
        migration.says(&["the orders are locked", &named, "since 20"]).await;
        client.batch_execute("commit").await.unwrap();
        assert!(migration.ends().await);
    };
    // or a snapshot, for which an index waits
    let old = async {
        let database = Database::new().await;
        database.sql("drop index orders_order_live_list_idx").await;
        let (client, named) = as_application(&database, "report").await;
        client.batch_execute("begin isolation level repeatable read; select from accounts_user").await.unwrap();
        let mut migration = Migration::start(&database);
        migration.says(&["waiting for", &named]).await;
        // nobody else waits
        database.orders("(1, 1, 'pending', 'paid', 5)").await;
        client.batch_execute("commit").await.unwrap();
        assert!(migration.ends().await);
    };
    tokio::join!(stranger, another, long, old);
}

/// A schema of that name that is the host's own, or has what is: none of it is touched, and nothing is begun that can't be ended.
#[tokio::test]
async fn what_is_not_of_the_service_in_schema_live_is_refused_by_name_by_each_command() {
    let everything = "select string_agg(o, E'\\n' order by o) from (
        select oid::regclass::text as o from pg_class where relnamespace in ('live'::regnamespace, 'public'::regnamespace)
        union all select oid::regprocedure::text from pg_proc where pronamespace = 'live'::regnamespace
        union all select tgrelid::regclass || tgname from pg_trigger where not tgisinternal) o";
    let hosts = Database::empty().await;
    hosts.sql(HOST).await;
    let attached = Database::new().await;
    let trigger = "create function live.score() returns trigger language plpgsql as 'begin return null; end';
        create trigger score after insert on orders_order execute function live.score()";
    for (database, made, expected, gone) in [
        (
            &hosts,
            "create schema live; create table live.tournament (id integer); create table live.session (id integer)"
                .to_owned(),
            "is not oncare-live's, which needs one of that name for itself: it has table live.session, table live.tournament. Nothing was changed",
            "drop schema live cascade",
        ),
        (&hosts, format!("create schema live; {trigger}"), "it has function live.score()", "drop schema live cascade"),
        (
            &hosts,
            "create schema live; create table live.migration (id integer)".to_owned(),
            "it has table live.migration",
            "drop schema live cascade",
        ),
        (
            &attached,
            "create table live.mine (id bigserial)".to_owned(),
            "has what is not of oncare-live, and would go with it: table live.mine. Nothing",
            "drop table live.mine",
        ),
        (&attached, "create type live.mine as (a integer)".to_owned(), "type live.mine", "drop type live.mine"),
        (&attached, trigger.to_owned(), "function live.score()", "drop function live.score() cascade"),
    ] {
        database.sql(&made).await;
        let before = database.value(everything).await;
        let store = database.store();
        let mut script = Script::default();
        for (command, outcome) in [
            ("migrate", store.migrate().await.err()),
            ("migrate --dry-run", store.write_migration(false, false, &mut script).await.err()),
            ("uninstall's question", store.attached().await.err()),
            ("uninstall", store.uninstall(None).await.err()),
        ] {
            let said = outcome.unwrap_or_else(|| panic!("{command} did not refuse {made}")).to_string();
            assert!(said.contains(expected), "{command}: {said}");
            assert_eq!(database.value(everything).await, before, "{command}: {made}");
        }
        assert_eq!(script.text(), "", "{made}");
        database.sql(gone).await;
    }
    // it keeps nobody from freeing the writers
    attached.sql("create table live.mine (id bigserial)").await;
    assert!(!attached.store().detach().await.unwrap().triggers.is_empty());
    attached.sql("drop table live.mine").await;
    // an empty one that was made for the service is welcome, and all goes as ever
    hosts.sql("create schema live").await;
    for database in [&hosts, &attached] {
        database.store().migrate().await.unwrap();
        assert!(database.store().uninstall(None).await.unwrap().schema);
    }
}

/// What somebody dropped of our tables is named, with the way out, which is one.
#[tokio::test]
async fn tables_of_ours_that_are_gone_are_named_with_what_to_do() {
    let database = Database::new().await;
    for table in ["migration", "viewing", "fold"] {
        database.sql(&format!("drop table live.{table}")).await;
        let said = refusal(&database.store()).await;
        assert!(said.contains(&format!("lacks live.{table}, which somebody dropped. Nothing was changed")), "{said}");
        assert!(said.contains("oncare-live uninstall and then oncare-live migrate"), "{said}");
        database.store().uninstall(None).await.unwrap();
        database.store().migrate().await.unwrap();
    }
    // no write fails, and migrating says why nothing is recorded
    database.sql("alter table live.order_event drop column id").await;
    let faults = database.store().migrate().await.unwrap().faults;
    assert!(faults.iter().any(|fault| fault.contains("order_event")), "{faults:?}");
}
