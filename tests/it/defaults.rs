//! Whatever the host's database or our role has by default: the service's sessions do not depend on it, and do no harm by it.

use oncare_live::doctor;
use oncare_live::store::{DatabaseUrl, Store};
use serde_json::json;

use crate::harness::database::{Database, order_sql, people};
use crate::harness::service::Service;

/// By name and value: what nobody would have all at once, and each somebody has.
const HOSTILE: [(&str, &str); 40] = [
    ("default_transaction_isolation", "'serializable'"),
    ("default_transaction_read_only", "on"),
    ("default_transaction_deferrable", "on"),
    ("statement_timeout", "'200ms'"),
    ("lock_timeout", "'1ms'"),
    ("transaction_timeout", "'200ms'"),
    ("idle_in_transaction_session_timeout", "'1ms'"),
    ("idle_session_timeout", "'500ms'"),
    ("client_connection_check_interval", "'1h'"),
    ("tcp_keepalives_idle", "7200"),
    ("tcp_keepalives_interval", "75"),
    ("tcp_keepalives_count", "9"),
    ("tcp_user_timeout", "'1h'"),
    ("TimeZone", "'Asia/Manila'"),
    ("DateStyle", "'SQL, DMY'"),
    ("IntervalStyle", "'sql_standard'"),
    ("bytea_output", "'escape'"),
    ("extra_float_digits", "-15"),
    ("standard_conforming_strings", "off"),
    ("array_nulls", "off"),
    ("transform_null_equals", "on"),
    ("quote_all_identifiers", "on"),
    ("row_security", "off"),
    ("enable_seqscan", "on"),
    ("enable_indexscan", "off"),
    ("enable_indexonlyscan", "off"),
    ("enable_bitmapscan", "off"),
    ("enable_nestloop", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
    ("enable_hashagg", "off"),
    ("enable_sort", "off"),
    ("enable_material", "off"),
    ("plan_cache_mode", "'force_custom_plan'"),
    ("max_parallel_workers_per_gather", "4"),
    ("jit", "on"),
    ("client_min_messages", "'debug1'"),
    ("check_function_bodies", "off"),
    ("client_encoding", "'LATIN1'"),
    ("search_path", "shop"),
];

/// The path has a table that a trigger of the host's finds by it, and operators and functions that nobody may call.
const SHOP: &str = "
    create schema shop;
    create table shop.audit (id bigint);
    create function shop.audit() returns trigger language plpgsql as $$
        begin
            insert into audit values (new.id);
            return null;
        end $$;
    create function shop.refuse(a text, b text) returns boolean language plpgsql as $$
        begin
            raise exception 'an operator of the search path was called';
        end $$;
    create operator shop.= (leftarg = text, rightarg = text, function = shop.refuse);
    grant usage on schema shop to public; grant all on all tables in schema shop to public";

/// Notes what a session has, when it begins to do something: one of the pool signs somebody in, a link names the server's
/// incarnation.
const NOTES: &str = "
    create table public.noted (application text, name text, setting text);
    create function public.note() returns trigger language plpgsql security definer as $$
        begin
            insert into public.noted
            select current_setting('application_name'), name, setting from pg_settings;
            return null;
        end $$;
    create trigger note after insert on live.session for each statement execute function public.note();
    create trigger note after insert on live.incarnation for each statement execute function public.note()";

/// A database of a role that has every hostile default, some of it by the database. Others who connect to it have none.
async fn hostile() -> (Database, String) {
    let database = Database::empty().await;
    let (name, role) = (&database.name, format!("hostile_{}", database.name));
    database
        .sql(&format!(
            "create role {role} login password 'hostile'; alter database {name} owner to {role}; {SHOP};
             grant all on schema public to {role}"
        ))
        .await;
    let known = "select string_agg(name, ' ') from pg_settings";
    let known = database.value(known).await;
    let known: Vec<&str> = known.split(' ').collect();
    for (at, (setting, value)) in HOSTILE.iter().enumerate().filter(|(_, (setting, _))| known.contains(setting)) {
        let others = database.value(&format!("select current_setting('{setting}')")).await;
        let of_all = format!(
            "alter role oncare in database {name} set {setting} = '{others}'; alter database {name} set {setting} = {value}"
        );
        let of_role = format!("alter role {role} set {setting} = {value}");
        // of the newest server this can't be turned off
        let set = database.client().await.batch_execute(if at % 2 == 0 { &of_all } else { &of_role }).await;
        assert!(set.is_ok() || *setting == "standard_conforming_strings", "{setting}: {set:?}");
    }
    let url = database.url.replace("oncare:oncare@", &format!("{role}:hostile@"));
    (database, url)
}

#[tokio::test]
async fn no_default_of_the_database_or_the_role_reaches_the_service() {
    let (database, url) = hostile().await;
    let store = Store::new(DatabaseUrl::parse(&url).unwrap(), 2).unwrap();
    store.create_tables_and_migrate().await.unwrap();
    database.sql(&format!("{}; {NOTES}", people())).await;
    database.sql(&order_sql("(1, 1, 'pending', 'paid', 5), (2, 1, 'pending', 'pending', 5)")).await;
    database.sql("create trigger audit after update on orders_order for each row execute function shop.audit()").await;
    assert!(store.migrate().await.unwrap().migrations.is_empty());

    let service = Service::start_unready(&url, &[]).await;
    service.ready().await;
    let (ana, rx) = (service.signed_in("ana").await, service.signed_in("rx").await);
    let mut stream = ana.events().await;
    stream.wait_for("ping").await;
    // a writer who has all of it as well, but for what keeps it from writing
    let (writer, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    writer
        .batch_execute("begin read write; update public.orders_order set status = 'confirmed' where id = 1; commit")
        .await
        .unwrap();
    let patch = stream.patch_of(1).await;
    assert_eq!(patch.data["orders"][0]["status"], "confirmed");

    // forms, in whose transactions the host's triggers run
    let fields = [
        ("customer_name", "Maria"),
        ("customer_phone", "0917"),
        ("customer_address", "Here"),
        ("delivery_method", "pickup"),
        ("delivery_address", "Here"),
        ("delivery_instructions", ""),
        ("customer_notes", ""),
    ];
    let html = ana.get("/orders/orders/2/edit/").await.text().await.unwrap();
    assert_eq!(ana.post("/orders/orders/2/edit/", &fields).await.status(), 303, "{html}");
    stream.patch_of(2).await;
    assert_eq!(rx.post("/orders/orders/1/status/", &[("status", "processing")]).await.status(), 303);
    stream.patch_of(1).await;
    assert_eq!(ana.post("/orders/orders/2/cancel/", &[("reason", "")]).await.status(), 303);
    assert_eq!(database.value("select count(*) from shop.audit").await, "4");

    for page in ["/orders/orders/", "/orders/orders/1/", "/orders/orders/?q=maria", "/orders/orders/export.csv"] {
        assert_eq!(ana.get(page).await.status(), 200, "{page}");
    }
    let dashboard = ana.dashboard("").await;
    assert_eq!(dashboard["statistics"]["processing_orders"], json!(1));
    assert_eq!(dashboard["statistics"]["cancelled_orders"], json!(1));
    store.fold().await.unwrap();
    store.prune(std::time::Duration::ZERO).await.unwrap();
    let findings = doctor::examine(&DatabaseUrl::parse(&url).unwrap()).await;
    let problems: Vec<_> = findings.iter().filter(|finding| finding.problem().is_some()).collect();
    assert!(problems.is_empty(), "{problems:?}");

    // what somebody changed is put back by the same sessions
    database.sql("drop trigger \"!live_insert\" on orders_order").await;
    assert!(store.migrate().await.unwrap().put_back);

    let noted = database.client().await;
    for application in ["oncare-live", "oncare-live listener", "oncare-live migration"] {
        let rows = noted
            .query("select distinct name, setting from noted where application = $1", &[&application])
            .await
            .unwrap();
        let has = |name: &str| -> Vec<String> {
            rows.iter().filter(|row| row.get::<_, &str>(0) == name).map(|row| row.get(1)).collect()
        };
        assert_eq!(has("default_transaction_isolation"), ["read committed"], "{application}");
        assert_eq!(has("search_path"), ["pg_catalog, pg_temp"], "{application}");
        for (name, value) in [
            ("tcp_keepalives_idle", "5"),
            ("tcp_keepalives_interval", "2"),
            ("tcp_keepalives_count", "3"),
            ("tcp_user_timeout", "10000"),
            ("client_connection_check_interval", "5000"),
        ] {
            assert!(has(name).iter().all(|has| has == value), "{application}: {name} is {:?}", has(name));
        }
        // given in units of their own
        let times = ["'200ms'", "'1ms'", "'500ms'", "'1h'"];
        for (name, hostile) in HOSTILE.iter().filter(|(_, value)| !times.contains(value)) {
            let kept = has(name).iter().any(|has| has == hostile.trim_matches('\''));
            // how bodies of functions are checked is no matter, and what is read for a migration is read once
            let is_no_matter =
                *name == "check_function_bodies" || application.ends_with("migration") && *name == "enable_seqscan";
            assert!(!kept || is_no_matter, "{application} has {name} = {hostile}");
        }
        let time = |name: &str| has(name).iter().map(|has| has.parse::<i64>().unwrap()).collect::<Vec<_>>();
        assert!(time("statement_timeout").iter().all(|time| [0, 15_000].contains(time)), "{application}");
        assert_eq!(time("lock_timeout"), [0], "{application}");
        assert_eq!(time("idle_in_transaction_session_timeout"), [15_000], "{application}");
        assert!(time("idle_session_timeout").iter().all(|time| *time >= 20_000), "{application}");
    }
}

#[tokio::test]
async fn serializable_writers_never_fail_because_somebody_looks_on() {
    let database = Database::new().await;
    // so many that two of them are on different pages of the primary key, which is read and not the table
    let orders: Vec<String> = (1..=3_000).map(|id| format!("({id}, 1, 'pending', 'paid', 5)")).collect();
    database.orders(&orders.join(", ")).await;
    for setting in ["default_transaction_isolation = 'serializable'", "enable_seqscan = off"] {
        database.sql(&format!("alter database {} set {setting}", database.name)).await;
    }
    let service = Service::start(&database).await;
    let ana = service.signed_in("ana").await;
    let mut stream = ana.events().await;
    stream.wait_for("ping").await;
    let (one, other) = (database.client().await, database.client().await);
    for (round, status) in ["confirmed", "processing", "shipped"].iter().enumerate() {
        one.batch_execute("begin; select total_amount from orders_order where id = 2000").await.unwrap();
        other.batch_execute(&format!("update orders_order set status = '{status}' where id = 2000")).await.unwrap();
        // who has read this and not what the first one writes comes after the one and before the other
        stream.patch_of(2000).await;
        ana.dashboard("").await;
        let written = format!("update orders_order set status = '{status}' where id = 1; commit");
        one.batch_execute(&written).await.unwrap_or_else(|error| panic!("round {round}: {error:?}"));
        stream.patch_of(1).await;
    }
}
