//! Attaching to a database, and taking off again: what is refused, upgraded, put back and told.

use oncare_live::doctor;
use oncare_live::store::{DatabaseUrl, Finding, SchemaState, Store, StoreError, Verdict};

use crate::harness::database::{Database, PASSWORD, order_sql, people};
use crate::harness::eventually;
use crate::harness::http::Browserless;
use crate::harness::service::Service;

const ONCARE: &str = include_str!("../../sql/0001_oncare_tables.sql");

/// A database as another application has it.
async fn host() -> Database {
    let database = Database::empty().await;
    database.sql(ONCARE).await;
    database
}

async fn findings(url: &str) -> Vec<Finding> {
    doctor::examine(&DatabaseUrl::parse(url).unwrap()).await
}

/// What the doctor says of a subject.
async fn verdict(url: &str, subject: &str) -> Verdict {
    let findings = findings(url).await;
    let finding = findings.iter().find(|finding| finding.subject == subject);
    finding.unwrap_or_else(|| panic!("{subject}: {findings:?}")).verdict.clone()
}

async fn assert_healthy(database: &Database, when: &str) {
    let findings = findings(&database.url).await;
    assert!(findings.iter().all(|finding| finding.problem().is_none()), "{when}: {findings:?}");
}

fn problem(verdict: &Verdict) -> &str {
    match verdict {
        Verdict::Problem(problem) => problem,
        other => panic!("no problem: {other:?}"),
    }
}

/// All that is in schema live, and every trigger.
async fn attached(database: &Database) -> String {
    database
        .value(
            "select string_agg(o, E'\\n' order by o) from (
                 select oid::regclass::text || ' ' || relkind::text as o from pg_class where relnamespace = to_regnamespace('live')
                 union all select p.oid::regprocedure || md5(p.prosrc) from pg_proc p where pronamespace = to_regnamespace('live')
                 union all select tgrelid::regclass || '.' || tgname from pg_trigger where not tgisinternal
             ) x",
        )
        .await
}

#[tokio::test]
async fn a_newer_schema_is_refused_by_name_and_nothing_is_put_back() {
    let database = Database::new().await;
    database.orders("(1, 1, 'pending', 'paid', 5)").await;
    // a later version: one migration more, a function and a trigger that are not ours
    database
        .sql(
            "insert into live.migration (version, name) values (9001, 'of_tomorrow');
             create table live.of_tomorrow (id bigint);
             create or replace function live.listener_sleeps() returns boolean language sql volatile as 'select true';
             drop trigger \"!live_truncate\" on orders_order;
             drop index orders_order_live_list_idx",
        )
        .await;
    let before = attached(&database).await;
    let error = database.store().migrate().await.unwrap_err();
    assert!(matches!(error, StoreError::Unsuitable(_)));
    assert!(error.to_string().contains("9001_of_tomorrow") && error.to_string().contains("newer version"), "{error}");
    assert_eq!(attached(&database).await, before);
    assert_eq!(database.store().schema().await.unwrap(), SchemaState::Newer(vec!["9001_of_tomorrow".to_owned()]));

    let migrations = verdict(&database.url, "migrations").await;
    assert!(problem(&migrations).contains("9001_of_tomorrow"), "{migrations:?}");

    // an instance that is not updated yet goes on
    let service = Service::start(&database).await;
    let (status, text) = service.get_ops("/readyz").await;
    assert!(status == 200 && text.contains("9001_of_tomorrow"), "{text}");
    let ana = service.signed_in("ana").await;
    let mut stream = ana.events().await;
    stream.wait_for("ping").await;
    database.sql("update orders_order set status = 'confirmed'").await;
    stream.patch_of(1).await;
}

/// Three reps' worth of changes, as an older version's triggers record them; the first half of them folded by it.
async fn use_with(database: &Database) {
    database.orders("(1, 1, 'pending', 'paid', 5), (2, 1, 'shipped', 'paid', 7), (3, 2, 'pending', 'pending', 11), (4, null, 'odd', 'paid', 13)").await;
    database
        .sql("select set_config('app.user', 'rx', false); update orders_order set status = 'confirmed' where id = 1")
        .await;
    database
        .sql(
            "begin isolation level repeatable read;
             insert into live.order_stats (sales_rep_id, status, payment_status, orders, amount)
                 select sales_rep_id, status, payment_status, count(*), sum(total_amount) from orders_order group by 1, 2, 3;
             insert into live.fold (system_identifier, snapshot)
                 select system_identifier, pg_current_snapshot() from pg_control_system();
             commit",
        )
        .await;
    database.sql("update orders_order set sales_rep_id = 2, total_amount = 17 where id = 2; delete from orders_order where id = 3").await;
    database.sql("insert into orders_orderitem (order_id, medicine_id, quantity, unit, unit_price, total_price, prescription_notes, created_at)
                  values (1, 1, 2, 'boxes', 1, 2, '', now())").await;
}

#[tokio::test]
async fn an_upgrade_keeps_what_earlier_versions_recorded() {
    for (name, schema) in
        [("the first version", include_str!("schemas/first.sql")), ("0018", include_str!("schemas/0018.sql"))]
    {
        let database = host().await;
        database.sql(schema).await;
        database.sql(&people()).await;
        use_with(&database).await;
        let recorded = "select string_agg(concat_ws(' ', id, xid, operation, order_id, old_sales_rep_id, new_sales_rep_id, old_status,
            new_status, old_total, new_total, items_delta, app_user), E'\\n' order by id) from live.order_event";
        let before = database.value(recorded).await;
        assert_eq!(before.lines().count(), 8, "{name}: {before}");

        let applied = database.store().migrate().await.unwrap();
        assert!(!applied.migrations.is_empty(), "{name}");
        assert_eq!(database.value(recorded).await, before, "{name}");
        assert_healthy(&database, name).await;
        assert_eq!(
            database.value("select sum(orders) || ' ' || sum(amount) from live.statistics('{2}')").await,
            "1 17.00",
            "{name}"
        );
        assert_eq!(database.value("select sum(orders) from live.all_statistics()").await, "3", "{name}");
        assert_eq!(database.store().migrate().await.unwrap().migrations, Vec::<&str>::new(), "{name}");

        // what is changed from now on is recorded once, and told; what was recorded before is in the timeline
        database.sql("update orders_order set status = 'processing' where id = 1").await;
        let events = "select string_agg(operation || coalesce(new_status, ''), ' ' order by id) from live.events_of(1)";
        assert_eq!(database.value(events).await, "insertpending updateconfirmed items updateprocessing", "{name}");
        let service = Service::start(&database).await;
        let rx = service.signed_in("rx").await;
        let page = rx.get("/orders/pharmacist/orders/1/").await.text().await.unwrap();
        assert!(page.contains("Processing") && page.contains("Confirmed") && page.contains("rx"), "{name}: {page}");
        // and the host may alter its tables
        database.sql("alter table orders_order alter status type text").await;
        database.sql("update orders_order set status = 'shipped' where id = 1").await;
        assert_eq!(database.store().statistics_that_differ().await.unwrap(), Vec::<String>::new(), "{name}");
    }
}

/// What belongs to people, with a row of each: table, columns and values. The first version had their sessions alone.
const OF_PEOPLE: [(&str, &str, &str); 5] = [
    (
        "session",
        "token_hash, user_id, password_digest, created_at, expires_at",
        "'\\x01', 1, '\\x02', now(), now() + interval '1 day'",
    ),
    ("saved_view", "user_id, list, name, query", "1, 'orders', 'late', 'status=pending'"),
    (
        "account",
        "user_id, sound, untold_statuses, read_epoch, read_snapshot, version",
        "1, true, '{shipped}', 'then', '3:5:4', 7",
    ),
    ("muted_order", "user_id, order_id", "1, 2"),
    ("arrival", "order_id, at", "2, timestamptz '2025-02-03 04:05Z'"),
];

#[tokio::test]
async fn an_upgrade_keeps_what_belongs_to_people() {
    for (schema, tables) in
        [(include_str!("schemas/first.sql"), 1), (include_str!("schemas/0018.sql"), OF_PEOPLE.len())]
    {
        let database = host().await;
        database.sql(schema).await;
        database.sql(&people()).await;
        let rows = async || {
            let mut rows = Vec::new();
            for (table, columns, _) in &OF_PEOPLE[..tables] {
                rows.push(
                    database.value(&format!("select string_agg(({columns})::text, ' ') from live.{table}")).await,
                );
            }
            rows
        };
        for (table, columns, values) in &OF_PEOPLE[..tables] {
            database.sql(&format!("insert into live.{table} ({columns}) values ({values})")).await;
        }
        let before = rows().await;
        assert!(before.iter().all(|row| row != "null"), "{before:?}");
        database.store().migrate().await.unwrap();
        assert_eq!(rows().await, before);
    }
}

#[tokio::test]
async fn tables_that_can_not_be_watched_are_refused_before_anything_is_changed() {
    let partitioned = "alter table orders_orderitem drop constraint orders_orderitem_order_id_fk;
        alter table orders_orderstatushistory drop constraint orders_orderstatushistory_order_id_fk;
        alter table orders_order rename to before;
        create table orders_order (like before including defaults) partition by list (status);
        create table orders_order_rest partition of orders_order default";
    let view = "alter table orders_order rename to orders; create view orders_order as select * from orders";
    let materialized = "alter table orders_orderitem rename to items;
        create materialized view orders_orderitem as select * from items";
    let foreign = "create foreign data wrapper nothing; create server nowhere foreign data wrapper nothing;
        drop table orders_orderitem;
        create foreign table orders_orderitem (id bigint, order_id bigint) server nowhere";
    for (change, told) in [
        (partitioned, "public.orders_order is partitioned"),
        (view, "public.orders_order is a view"),
        (materialized, "public.orders_orderitem is a materialized view"),
        (foreign, "public.orders_orderitem is a foreign table"),
        ("create table archive () inherits (orders_order)", "public.orders_order is the parent of others"),
        (
            "create table base (id bigint not null); alter table orders_orderitem inherit base",
            "public.orders_orderitem is a child",
        ),
        (
            "alter table orders_orderitem drop constraint orders_orderitem_order_id_fk; alter table orders_order alter id type integer",
            "public.orders_order.id is integer, and must be bigint",
        ),
        ("alter table orders_order alter sales_rep_id type integer", "public.orders_order.sales_rep_id is integer"),
        ("alter table orders_orderitem alter order_id type integer", "public.orders_orderitem.order_id is integer"),
        (
            "alter table orders_order alter created_at type timestamp",
            "public.orders_order.created_at is timestamp without",
        ),
        ("alter table orders_order alter status type char(20)", "public.orders_order.status is character(20)"),
        ("alter table orders_order drop customer_name", "public.orders_order lacks the column customer_name"),
        (
            "alter table accounts_user drop role, drop is_active",
            "public.accounts_user lacks the columns role, is_active",
        ),
        ("alter table orders_orderstatushistory alter notes type jsonb using '{}'", "notes is jsonb, and must be text"),
    ] {
        let database = host().await;
        database.sql(change).await;
        let error = database.store().migrate().await.unwrap_err();
        assert!(
            error.to_string().contains(told) && error.to_string().contains("nothing was changed"),
            "{change}: {error}"
        );
        assert_eq!(attached(&database).await, "null", "{change}");
        let tables = verdict(&database.url, "the OnCare tables").await;
        assert!(problem(&tables).contains(told), "{change}: {tables:?}");
    }
}

#[tokio::test]
async fn tables_that_are_only_read_may_be_views_and_domains_are_what_they_are_made_of() {
    let database = host().await;
    database
        .sql(
            "create domain code as varchar(20);
             alter table orders_order alter status type code, add column extra point;
             alter table inventory_medicine rename to medicines; create view inventory_medicine as select * from medicines",
        )
        .await;
    database.store().migrate().await.unwrap();
    assert_healthy(&database, "with a view").await;
}

#[tokio::test]
async fn the_doctor_and_readiness_say_what_the_host_changed_later() {
    let database = Database::new().await;
    let service = Service::start(&database).await;
    for (change, back, told) in [
        (
            "alter table orders_order disable trigger \"!live_update\"",
            "alter table orders_order enable always trigger \"!live_update\"",
            "orders_order.!live_update: it does not fire in every session",
        ),
        ("drop trigger live_insert on orders_orderitem", "", "orders_orderitem.live_insert: it is missing"),
    ] {
        database.sql(change).await;
        let (status, text) = service.get_ops("/readyz").await;
        assert!(status == 503 && text.contains(told) && text.contains("oncare-live migrate"), "{text}");
        database.sql(back).await;
        database.store().migrate().await.unwrap();
        service.ready().await;
    }
    database.sql("create table archive () inherits (orders_order)").await;
    let tables = verdict(&database.url, "the OnCare tables").await;
    assert!(problem(&tables).contains("the parent of others"), "{tables:?}");
}

#[tokio::test]
async fn the_lists_index_is_missed_and_put_back() {
    let database = Database::new().await;
    assert_eq!(verdict(&database.url, "the lists' index").await, Verdict::Good);
    for breakage in [
        "drop index orders_order_live_list_idx",
        "update pg_index set indisvalid = false where indexrelid = 'orders_order_live_list_idx'::regclass",
        "drop index orders_order_live_list_idx; create index orders_order_live_list_idx on orders_order (sales_rep_id)",
    ] {
        database.sql(breakage).await;
        let index = verdict(&database.url, "the lists' index").await;
        assert!(problem(&index).contains("oncare-live migrate"), "{breakage}: {index:?}");
        let applied = database.store().migrate().await.unwrap();
        assert!(applied.index_put_back && !applied.put_back && applied.migrations.is_empty(), "{applied:?}");
        assert_eq!(verdict(&database.url, "the lists' index").await, Verdict::Good);
    }
    assert!(!database.store().migrate().await.unwrap().index_put_back);
}

/// A role of the test's own, and the database's URL for it.
async fn role(database: &Database, kind: &str) -> (String, String) {
    let role = format!("{kind}_{}", database.name);
    database.sql(&format!("create role {role} login password 'secret'")).await;
    let url = database.url.replace("oncare:oncare@", &format!("{role}:secret@"));
    (role, url)
}

#[tokio::test]
async fn rows_that_row_level_security_hides_are_said_to_be_and_no_rebuild_is_advised() {
    let database = Database::new().await;
    database.orders("(1, 1, 'pending', 'paid', 5), (2, 2, 'pending', 'paid', 5)").await;
    let (role, url) = role(&database, "shortsighted").await;
    database.grant(&role, true).await;
    database
        .sql(&format!("alter table orders_order enable row level security; create policy own on orders_order to {role} using (sales_rep_id = 1)"))
        .await;
    let security = verdict(&url, "row-level security").await;
    assert!(
        problem(&security).contains("public.orders_order") && problem(&security).contains("bypassrls"),
        "{security:?}"
    );
    assert!(!format!("{:?}", findings(&url).await).contains("rebuild"), "nothing was compared");
    assert_healthy(&database, "for the owner").await;

    database.sql(&format!("create policy everything on orders_order for select to {role} using (true)")).await;
    assert_eq!(verdict(&url, "statistics equal the orders").await, Verdict::Good);
    database.sql("create policy but on orders_order as restrictive using (id > 1)").await;
    assert!(problem(&verdict(&url, "row-level security").await).contains("public.orders_order"));

    // whoever builds the statistics must see all rows
    database
        .sql(&format!("alter table orders_order owner to {role}; alter table orders_order force row level security"))
        .await;
    let error = Store::new(DatabaseUrl::parse(&url).unwrap(), 2).unwrap().migrate().await.unwrap_err();
    assert!(error.to_string().contains("row-level security may hide rows of public.orders_order"), "{error}");
}

#[tokio::test]
async fn a_stranger_who_holds_the_listeners_lock_is_told() {
    const KEY: &str = "8029464455914023781";
    let database = Database::new().await;
    database.orders("(1, 1, 'pending', 'paid', 5)").await;
    let service = Service::start(&database).await;
    let subject = "the lock by which listeners sleep";
    let ana = service.signed_in("ana").await;
    let mut stream = ana.events().await;
    stream.wait_for("ping").await;
    service.until_listener_is_awake(false).await;
    assert_eq!(verdict(&database.url, subject).await, Verdict::Good, "the service's own listener is no stranger");

    let writer = database.client().await;
    drop(stream);
    service.until_listener_is_awake(true).await;
    writer.batch_execute("begin; update orders_order set status = 'confirmed'").await.unwrap();
    assert_eq!(verdict(&database.url, subject).await, Verdict::Good, "nor is a writer in its transaction");
    writer.batch_execute("commit").await.unwrap();

    for (lock, unlock, how) in [
        ("pg_advisory_lock_shared", "pg_advisory_unlock_shared", "shared: no listener can sleep"),
        ("pg_advisory_lock", "pg_advisory_unlock", "exclusively: no listener can sleep"),
    ] {
        let stranger = database.client().await;
        stranger.batch_execute(&format!("set application_name = 'a stranger'; select {lock}({KEY})")).await.unwrap();
        let found = verdict(&database.url, subject).await;
        let Verdict::Warning(warning) = &found else { panic!("{found:?}") };
        assert!(
            warning.contains("a stranger") && warning.contains(how) && warning.contains("pg_terminate_backend"),
            "{warning}"
        );
        let (status, text) = service.get_ops("/readyz").await;
        assert!(status == 200 && text.contains(how), "{text}");
        stranger.batch_execute(&format!("select {unlock}({KEY})")).await.unwrap();
        assert!(!service.get_ops("/readyz").await.1.contains("warnings"));
    }
    let stranger = database.client().await;
    stranger.batch_execute(&format!("select pg_advisory_lock_shared({KEY})")).await.unwrap();
    // a service that starts looks at once
    let other = Service::start(&database).await;
    eventually("the metric counts the stranger", async || {
        (other.metric("oncare_live_sleep_lock_strangers").await == 1.0).then_some(())
    })
    .await;
}

/// What the host's part of a database is.
async fn of_host(database: &Database) -> String {
    database
        .value(
            "select string_agg(o, E'\\n' order by o) from (
                 select c.oid::regclass || ' ' || c.relkind::text || coalesce(c.relacl::text, '') as o from pg_class c
                 where relnamespace in (select oid from pg_namespace where nspname not like 'pg\\_%' and nspname <> 'information_schema')
                 union all select tgrelid::regclass || '.' || tgname from pg_trigger where not tgisinternal
                 union all select oid::regprocedure::text from pg_proc where pronamespace = 'public'::regnamespace
                 union all select nspname || coalesce(nspacl::text, '') from pg_namespace
             ) x",
        )
        .await
}

#[tokio::test]
async fn taking_it_off_leaves_the_host_as_it_was_and_makes_no_writer_wait() {
    let database = host().await;
    let nothing = database.store().uninstall(None).await.unwrap();
    assert!(nothing.triggers.is_empty() && !nothing.schema && !nothing.index, "{nothing:?}");
    // as the owner's own grants are written out once anything is granted, they are there before
    let (role, url) = role(&database, "service").await;
    database
        .sql(
            &oncare_live::store::rights(true)
                .filter(|right| right.contains("public"))
                .map(|right| format!("grant {right} to {role}; revoke {right} from {role};"))
                .chain([format!(
                    "grant select on accounts_user, inventory_medicine to {role};
                     revoke select on accounts_user, inventory_medicine from {role}"
                )])
                .collect::<String>(),
        )
        .await;
    let before = of_host(&database).await;
    database.store().migrate().await.unwrap();
    database.grant(&role, true).await;
    database.sql(&format!("grant update (password) on accounts_user to {role}")).await;
    database.orders("(1, null::bigint, 'pending', 'paid', 5), (2, null, 'pending', 'paid', 5)").await;
    let service = Service::start_unready(&url, &[]).await;
    service.ready().await;

    let long = database.client().await;
    long.batch_execute("begin; update orders_order set status = 'shipped' where id = 1").await.unwrap();
    let store = database.store();
    let named = role.clone();
    let removing = tokio::spawn(async move { store.uninstall(Some(&named)).await });
    let waiting = "select count(*) from pg_locks where not granted and relation = 'orders_order'::regclass";
    for _ in 0..2 {
        eventually("the removal asks for the lock", async || (database.value(waiting).await != "0").then_some(()))
            .await;
        // were the request to stay, this would wait for the long transaction
        let writer = database.client().await;
        writer
            .batch_execute("set statement_timeout = '10s'; update orders_order set status = 'confirmed' where id = 2")
            .await
            .unwrap();
        eventually("the request is withdrawn", async || (database.value(waiting).await == "0").then_some(())).await;
    }
    long.batch_execute("commit").await.unwrap();
    let removed = removing.await.unwrap().unwrap();
    assert_eq!((removed.triggers.len(), removed.schema, removed.index, removed.instances), (9, true, true, 1));
    assert_eq!(removed.left_granted, Vec::<String>::new());
    assert_eq!(of_host(&database).await, before);
    database.sql("update orders_order set status = 'delivered'; delete from orders_order where id = 2").await;
    service.stop().await;

    let again = database.store().uninstall(Some(&role)).await.unwrap();
    assert!(again.triggers.is_empty() && !again.schema && !again.index, "{again:?}");
    database.sql(&format!("drop role {role}")).await;
    database.store().migrate().await.unwrap();
    assert_healthy(&database, "attached again").await;
}

#[tokio::test]
async fn an_index_in_use_is_dropped_without_making_writers_wait() {
    let database = Database::new().await;
    database.orders("(1, null::bigint, 'pending', 'paid', 5)").await;
    // a transaction that has read the orders: dropping the triggers must wait for it, and so must the index
    database.sql("drop schema live cascade").await;
    let long = database.client().await;
    long.batch_execute("begin; update orders_order set status = 'shipped'").await.unwrap();
    let store = database.store();
    let removing = tokio::spawn(async move { store.uninstall(None).await });
    let waiting = "select count(*) from pg_locks where not granted and locktype = 'virtualxid'";
    eventually("dropping the index waits", async || (database.value(waiting).await != "0").then_some(())).await;
    database.orders("(2, null::bigint, 'pending', 'paid', 5)").await;
    long.batch_execute("commit").await.unwrap();
    assert!(removing.await.unwrap().unwrap().index);
}

#[tokio::test]
async fn what_would_go_with_the_schema_is_refused_and_what_stays_granted_is_said() {
    let database = Database::new().await;
    database.sql("create view report as select order_id from live.order_event").await;
    let error = database.store().uninstall(None).await.unwrap_err().to_string();
    assert!(error.contains("view public.report") && error.contains("Nothing was changed"), "{error}");
    let error = database.store().uninstall(Some("nobody of that name")).await.unwrap_err().to_string();
    assert!(error.contains("report"), "{error}");
    assert_healthy(&database, "refused").await;
    database.sql("drop view report").await;
    let error = database.store().uninstall(Some("nobody of that name")).await.unwrap_err().to_string();
    assert!(error.contains("no role \"nobody of that name\"; nothing was changed"), "{error}");
    assert_healthy(&database, "refused again").await;

    let (role, _) = role(&database, "left").await;
    database.grant(&role, true).await;
    database.sql(&format!("grant update (password) on accounts_user to {role}")).await;
    let removed = database.store().uninstall(None).await.unwrap();
    for right in ["update on public.orders_order", "update (password) on public.accounts_user"] {
        let expected = format!("revoke {right} from \"{role}\";");
        assert!(removed.left_granted.contains(&expected), "{removed:?}");
    }
    database.sql(&removed.left_granted.join(" ")).await;
    assert_eq!(
        database.value(&format!("select count(*) from pg_class where relacl::text like '%{role}=%'")).await,
        "0"
    );
}

#[tokio::test]
async fn the_doctor_measures_what_it_costs_and_leaves_no_trace() {
    let database = Database::new().await;
    let cost = doctor::cost(&database.parsed_url()).await;
    assert!(matches!(&cost[0].verdict, Verdict::Warning(why) if why.contains("no orders")), "{cost:?}");
    let many: Vec<String> = (1..=50).map(|id| format!("({id}, 1, 'pending', 'paid', 1)")).collect();
    database.orders(&many.join(", ")).await;
    let state = "select concat_ws(' ', (select md5(string_agg(o::text, ',' order by id)) from orders_order o),
        (select count(*) || ' ' || max(id) from live.order_event), (select count(*) from pg_class))";
    let before = database.value(state).await;
    // somebody writes an order meanwhile, and need not let go of it
    let writer = database.client().await;
    writer.batch_execute("begin; update orders_order set status = 'shipped' where id = 1").await.unwrap();
    let cost = database.store().cost().await.unwrap().unwrap();
    writer.batch_execute("rollback").await.unwrap();
    assert_eq!(cost.covered, ["public.orders_order_sales_rep_id_idx", "public.orders_order_sales_rep_id_status_idx"]);
    assert_eq!(cost.updates, 50);
    assert_eq!(database.value(state).await, before);
    let said = format!("{:?}", doctor::cost(&database.parsed_url()).await);
    assert!(said.contains("by the triggers") && said.contains("serves what they are there for"), "{said}");
    assert_healthy(&database, "measured").await;

    let (_, url) = role(&database, "poor").await;
    let cost = doctor::cost(&DatabaseUrl::parse(&url).unwrap()).await;
    assert!(matches!(&cost[0].verdict, Verdict::Warning(why) if why.contains("as the tables' owner")), "{cost:?}");
}

#[tokio::test]
async fn what_changed_while_nothing_watched_is_in_the_statistics_whoever_attaches() {
    let database = Database::new().await;
    database.orders("(1, 1, 'pending', 'pending', 5), (2, 1, 'pending', 'paid', 7)").await;
    let store = database.store();
    store.rebuild_statistics().await.unwrap();
    store.detach().await.unwrap();
    database.sql("update orders_order set status = 'shipped', total_amount = 70 where id = 2").await;
    // as where the attaching is broken off before it is done
    assert_eq!(store.statistics_that_differ().await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn attached_again_pages_are_live_and_exact_and_what_people_have_is_kept() {
    let database = Database::new().await;
    database
        .orders("(1, 1, 'pending', 'pending', 5), (2, 1, 'pending', 'paid', 7), (3, 1, 'pending', 'paid', 9)")
        .await;
    let service = Service::start(&database).await;
    let (ana, rx) = (service.signed_in("ana").await, service.signed_in("rx").await);
    assert_eq!(
        ana.post("/orders/orders/views/", &[("name", "Mine"), ("query", "?status=pending")]).await.status(),
        303
    );
    assert_eq!(ana.post("/orders/api/orders/2/mute/", &[("muted", "1")]).await.status(), 303);
    let kept = "select (select count(*) from live.session) || ' ' || (select count(*) from live.saved_view) || ' '
        || (select count(*) from live.muted_order) || ' ' || (select count(*) from live.order_event)";
    let mut stream = ana.events().await;
    let mut of_all = rx.events_of("/orders/api/pharmacist/events/", None).await;
    for stream in [&mut stream, &mut of_all] {
        stream.wait_for("sync").await;
        stream.wait_for("ping").await;
    }
    // the listener has the statistics that events move on
    database.sql("update orders_order set status = 'confirmed' where id = 1").await;
    stream.patch_of(1).await;
    of_all.patch_of(1).await;

    for changes in 1..=2 {
        let before = database.value(kept).await;
        let detached = database.store().detach().await.unwrap();
        assert_eq!((detached.triggers.len(), detached.index), (9, true));
        let triggers = verdict(&database.url, "trigger orders_order.!live_update").await;
        assert!(problem(&triggers).contains("it is missing"), "{triggers:?}");
        // the host's writes go on, and nobody notes them
        database
            .sql(&format!(
                "update orders_order set status = 'shipped', total_amount = total_amount + {changes} where id = 1;
                 delete from orders_order where id = 1 + {changes}; {}",
                order_sql(&format!("(1{changes}, 1, 'pending', 'paid', 100)"))
            ))
            .await;
        assert_eq!(database.value(kept).await, before);
        let again = database.store().detach().await.unwrap();
        assert!(again.triggers.is_empty() && !again.index, "{again:?}");

        let applied = database.store().migrate().await.unwrap();
        assert!(applied.put_back && applied.index_put_back && applied.migrations.is_empty(), "{applied:?}");
        assert_healthy(&database, "attached again").await;
        assert_eq!(database.value(kept).await, before);
        let total = database.value("select count(*) from orders_order").await.parse::<i64>().unwrap();
        for stream in [&mut stream, &mut of_all] {
            let sync = stream.wait_for("sync").await;
            assert_eq!(sync.data["statistics"]["total_orders"], total);
            assert_eq!(sync.data["statistics"]["shipped_orders"], 1);
            assert!(sync.data["missed"].is_null(), "it can't be told what was missed: {}", sync.data);
        }
        service.ready().await;
        // live: at once, with exact statistics
        database.sql("update orders_order set status = 'pending' where id = 1").await;
        for stream in [&mut stream, &mut of_all] {
            let patch = stream.patch_of(1).await;
            assert_eq!(patch.data["statistics"]["shipped_orders"], 0);
            assert_eq!(patch.data["statistics"]["pending_orders"], total);
        }
        assert_eq!(ana.dashboard("").await["statistics"]["total_orders"], total, "still signed in");
    }
    assert!(ana.get("/orders/orders/").await.text().await.unwrap().contains("Mine"), "the view is kept");
}

#[tokio::test]
async fn after_an_uninstall_a_service_that_still_runs_is_live_again_once_it_is_attached_and_granted_its_rights() {
    let database = Database::new().await;
    database.orders("(1, 1, 'pending', 'pending', 5)").await;
    let (role, url) = role(&database, "lasting").await;
    database.grant(&role, true).await;
    let service = Service::start_unready(&url, &[]).await;
    service.ready().await;
    let ana = service.signed_in("ana").await;
    ana.events().await.wait_for("ping").await;
    database.store().uninstall(None).await.unwrap();
    database.sql("update orders_order set status = 'shipped'").await;
    database.store().migrate().await.unwrap();
    eventually("it says which rights it lacks", async || {
        let (status, text) = service.get_ops("/readyz").await;
        (status == 503 && text.contains("permission denied")).then_some(())
    })
    .await;
    database.grant(&role, true).await;
    service.ready().await;
    let ana = service.signed_in("ana").await;
    let mut stream = ana.events().await;
    assert_eq!(stream.wait_for("sync").await.data["statistics"]["shipped_orders"], 1);
    stream.wait_for("ping").await;
    // the listener may learn only by the next change that all is new
    database.sql("update orders_order set status = 'delivered'").await;
    while stream.next().await.expect("the stream goes on").data["statistics"]["delivered_orders"] != 1 {}
    database.sql("update orders_order set status = 'returned'").await;
    stream.patch_of(1).await;
}

/// Asks for everything that reads or writes orders, and gives the first answer that failed.
async fn first_failure(service: &Service, ana: &Browserless, rx: &Browserless) -> Option<String> {
    for page in [
        "/orders/orders/",
        "/orders/orders/?q=customer&sort=-total_amount",
        "/orders/orders/?date_from=2025-01-01&status=pending",
        "/orders/orders/export.csv",
        "/orders/orders/1/",
        "/orders/orders/1/edit/",
        "/orders/orders/1/cancel/",
        "/orders/api/sales-rep/dashboard/?visible=1,2",
        "/orders/api/sales-rep/changes/",
        "/accounts/preferences/",
    ] {
        let status = ana.get(page).await.status();
        if status.is_server_error() {
            return Some(format!("GET {page}: {status}"));
        }
    }
    for page in [
        "/orders/pharmacist/dashboard/",
        "/orders/pharmacist/orders/?q=ana",
        "/orders/pharmacist/orders/export.csv",
        "/orders/pharmacist/orders/1/",
        "/orders/api/pharmacist/dashboard/?visible=1,2",
        "/orders/api/pharmacist/changes/",
        "/orders/find/?number=1",
    ] {
        let status = rx.get(page).await.status();
        if status.is_server_error() {
            return Some(format!("GET {page}: {status}"));
        }
    }
    for (who, path, fields) in [
        (rx, "/orders/orders/1/status/", &[("status", "confirmed"), ("note", "by rx")][..]),
        (rx, "/orders/orders/status/", &[("status", "confirmed"), ("order", "2")]),
        (ana, "/orders/orders/3/edit/", &[("customer_notes", "Call first")]),
        (ana, "/orders/orders/3/cancel/", &[("reason", "by ana")]),
        (ana, "/orders/api/orders/1/mute/", &[("muted", "1")]),
        (ana, "/orders/api/orders/1/viewing/", &[("page", "p1")]),
    ] {
        let status = who.post(path, fields).await.status();
        if status.is_server_error() {
            return Some(format!("POST {path}: {status}"));
        }
    }
    let status = service.anonymous().try_sign_in("ben", PASSWORD).await.status();
    status.is_server_error().then(|| format!("signing in: {status}"))
}

#[tokio::test]
async fn every_column_that_a_statement_uses_is_missed_by_name_and_no_other() {
    let database = Database::new().await;
    database
        .orders("(1, 1, 'pending', 'pending', 5), (2, 1, 'pending', 'paid', 7), (3, 1, 'pending', 'paid', 9)")
        .await;
    let service = Service::start(&database).await;
    let (ana, rx, store) = (service.signed_in("ana").await, service.signed_in("rx").await, database.store());
    assert_eq!(first_failure(&service, &ana, &rx).await, None);
    let columns = database
        .value(
            "select string_agg(c.relname || ' ' || a.attname, ',' order by c.relname, a.attnum)
             from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0
             where c.relnamespace = 'public'::regnamespace and c.relkind = 'r'",
        )
        .await;
    let mut wrong = Vec::new();
    let mut counts = (0, 0);
    for (table, column) in columns.split(',').map(|column| column.split_once(' ').unwrap()) {
        let reset = "update orders_order set status = 'pending', payment_status = 'pending', customer_notes = ''";
        database.sql(&format!("{reset}; alter table {table} rename {column} to taken_away")).await;
        let faults = store.unsuitable_tables().await.unwrap();
        let failure = first_failure(&service, &ana, &rx).await;
        let rebuilt = store.rebuild_statistics().await.err().map(|error| error.chain());
        database.sql(&format!("alter table {table} rename taken_away to {column}")).await;
        match (faults.as_slice(), failure.or(rebuilt)) {
            ([], None) => counts.0 += 1,
            ([fault], Some(_)) if *fault == format!("public.{table} lacks the column {column}") => counts.1 += 1,
            (faults, failure) => wrong.push(format!("{table}.{column}: {failure:?}, and what is missed: {faults:?}")),
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(counts.0 > 10 && counts.1 > 50, "columns were found: {counts:?}");
}

#[tokio::test]
async fn a_column_that_is_gone_makes_the_service_unready_by_its_name() {
    let database = Database::new().await;
    let service = Service::start(&database).await;
    for (table, column) in
        [("orders_order", "shipped_at"), ("orders_orderstatushistory", "notes"), ("inventory_medicine", "strength")]
    {
        database.sql(&format!("alter table {table} rename {column} to taken_away")).await;
        let fault = format!("public.{table} lacks the column {column}");
        eventually("it is named", async || {
            let (status, text) = service.get_ops("/readyz").await;
            (status == 503 && text.contains(&fault)).then_some(())
        })
        .await;
        let tables = verdict(&database.url, "the OnCare tables").await;
        assert!(problem(&tables).contains(&fault), "{tables:?}");
        let error = database.store().migrate().await.unwrap_err().to_string();
        assert!(error.contains(&fault) && error.contains("the triggers fail no write"), "{error}");
        database.sql(&format!("alter table {table} rename taken_away to {column}")).await;
        service.ready().await;
    }
}

#[tokio::test]
async fn orders_are_changed_on_the_hosts_pages_unless_there_are_own_forms() {
    let database = Database::new().await;
    database
        .orders("(1, 1, 'pending', 'pending', 5), (2, 1, 'confirmed', 'paid', 7), (3, 1, 'delivered', 'paid', 9)")
        .await;
    let elsewhere = [
        "--host-edit-path",
        "https://shop.example/edit?order={id}&a=1",
        "--host-cancel-path",
        "/shop/{id}/cancel",
        "--host-order-path",
        "/shop/0/{id}/",
    ];
    for (paths, edit, cancel, order) in [
        (&[][..], "/orders/orders/1/edit/", "/orders/orders/1/cancel/", "/orders/pharmacist/orders/1/"),
        (&elsewhere[..], "https://shop.example/edit?order=1&#38;a=1", "/shop/1/cancel", "/shop/0/1/"),
    ] {
        let service = Service::start_beside_host(&database.url, paths).await;
        let (ana, rx) = (service.signed_in("ana").await, service.signed_in("rx").await);
        let page = async |who: &Browserless, path: &str| who.get(path).await.text().await.unwrap();
        let link = |address: &str| format!("href=\"{address}\"");
        let list = page(&ana, "/orders/orders/").await;
        let of_3 = [edit.replace('1', "3"), cancel.replace('1', "3")];
        assert!(list.contains(&link(edit)) && list.contains(&link(cancel)), "{list}");
        assert!(of_3.iter().all(|link| !list.contains(link) || list.contains(" hidden>")), "{list}");
        let html = page(&ana, "/orders/orders/1/").await;
        assert!(
            html.contains(&link(edit)) && html.contains(&link(cancel)) && !html.contains("Change status"),
            "{html}"
        );
        for path in ["/orders/orders/2/", "/orders/orders/3/"] {
            let html = page(&ana, path).await;
            assert!(!html.contains("Edit</a>"), "what the rules forbid is not offered: {html}");
        }
        let html = page(&rx, "/orders/pharmacist/orders/1/").await;
        assert!(
            html.contains(&link(order)) && html.contains("Change status") && !html.contains("id=\"change\""),
            "{html}"
        );
        for path in ["/orders/pharmacist/orders/", "/orders/pharmacist/dashboard/"] {
            let html = page(&rx, path).await;
            assert!(html.contains(&link(order)) && html.contains(&link(&order.replace('1', "{id}"))), "{html}");
            assert!(
                !html.contains("id=\"selection\"") && !html.contains("checkbox\" form"),
                "none is selected: {html}"
            );
        }
        // the addresses of the host's pages are none of ours, and lead nowhere
        for path in ["/orders/orders/1/edit/", "/orders/orders/1/cancel/"] {
            let answer = ana.get(path).await;
            assert_eq!(answer.status(), 404, "{path}");
            let html = answer.text().await.unwrap();
            assert!(
                html.contains("a page of the application in which orders are changed") && html.contains("proxy"),
                "{html}"
            );
            assert_eq!(ana.post(path, &[]).await.status(), 409, "{path}");
        }
    }
    // as before where the orders are this service's own
    let service = Service::start(&database).await;
    let rx = service.signed_in("rx").await;
    let html = rx.get("/orders/pharmacist/orders/").await.text().await.unwrap();
    assert!(html.contains("id=\"selection\"") && !html.contains("{id}"), "{html}");
    assert!(rx.get("/orders/orders/1/").await.text().await.unwrap().contains("id=\"change\""));
}

/// Then the triggers call functions in it that find nothing, and none of it is where it is looked for.
#[tokio::test]
async fn a_schema_that_was_given_another_name_fails_no_write_and_each_command_mends_it() {
    let database = Database::new().await;
    database.orders("(1, 1::bigint, 'pending', 'paid', 10)").await;
    let open = database.client().await;
    let write = async |when: &str| {
        for name in ["a", "b"] {
            let statement =
                format!("update orders_order set customer_name = '{name} {when}', status = 'confirmed' where id = 1");
            open.batch_execute(&statement).await.unwrap_or_else(|error| panic!("{when}: {error:?}"));
        }
    };
    let store = database.store();
    write("before").await;
    database.sql("alter schema live rename to live_1").await;
    write("renamed").await;
    let detached = store.detach().await.unwrap();
    assert_eq!((detached.triggers.len(), detached.index), (9, true));
    write("detached").await;
    store.migrate().await.unwrap();
    write("migrated").await;
    database.sql("alter schema live rename to live_2").await;
    // over those that still call the renamed one
    store.migrate().await.unwrap();
    write("migrated over them").await;
    assert_eq!(database.value("select count(*) from live.order_event").await, "2");
    assert_healthy(&database, "after it is migrated").await;
    database.sql("alter schema live rename to live_3").await;
    assert_eq!(store.attached().await.unwrap().triggers.len(), 9);
    let removed = store.uninstall(None).await.unwrap();
    assert_eq!((removed.triggers.len(), removed.schema, removed.index), (9, false, true));
    write("uninstalled").await;
    assert_eq!(database.value("select count(*) from pg_trigger where not tgisinternal").await, "0");
}
