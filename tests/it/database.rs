//! Migrations: what they make on an empty database, what they leave alone on an OnCare database.

use oncare_live::doctor;
use oncare_live::store::{DatabaseUrl, Finding, Link, SchemaState, Store, StoreError};

use crate::harness::database::{Database, migrate, order_sql};
use crate::harness::service::Service;

const COLUMNS: &str =
    "select string_agg(format('%s.%s %s %s', c.relname, a.attname, format_type(a.atttypid, a.atttypmod),
        case when a.attnotnull then 'not null' else 'null' end), E'\n' order by c.relname, a.attnum)
    from pg_attribute a join pg_class c on c.oid = a.attrelid
    where c.relnamespace = 'public'::regnamespace and c.relkind = 'r' and a.attnum > 0 and not a.attisdropped";

const INDEXES: &str =
    "select string_agg(indexdef, E'\n' order by indexdef) from pg_indexes where schemaname = 'public'";

const CONSTRAINTS: &str = "select string_agg(conrelid::regclass || ' ' || pg_get_constraintdef(oid), E'\n' order by 1)
    from (select oid, conrelid from pg_constraint where connamespace = 'public'::regnamespace
          order by conrelid::regclass::text, pg_get_constraintdef(oid)) c";

/// What the host's part of a database is, but for our triggers and index.
async fn host(database: &Database) -> String {
    let rows = database.value("select coalesce(sum(id), 0) || '/' || count(*) from orders_order").await;
    let objects = "select string_agg(relname || relkind::text, ' ' order by relname) from pg_class
        where relnamespace = 'public'::regnamespace and relname <> 'orders_order_live_list_idx'";
    let functions = "select count(*) from pg_proc where pronamespace = 'public'::regnamespace";
    [
        rows,
        database.value(COLUMNS).await,
        database.value(CONSTRAINTS).await,
        database.value(objects).await,
        database.value(functions).await,
    ]
    .join("\n")
}

#[tokio::test]
async fn an_empty_database_gets_the_tables_of_the_existing_system() {
    let database = Database::empty().await;
    let applied = database.store().create_tables_and_migrate().await.unwrap();
    assert_eq!(
        applied.migrations,
        [
            "oncare_tables",
            "live_tables",
            "leaner_events",
            "order_timeline",
            "positions",
            "fold_database",
            "unreadable",
            "fold_recording",
            "live_functions",
            "triggers",
            "no_role",
            "viewing",
            "saved_view",
            "accounts",
            "arrival",
            "tidied",
            "sign_in",
            "instances",
            "event_version",
            "list_index"
        ]
    );
    let columns = database.value(COLUMNS).await;
    let expected = [
        "orders_order.id bigint not null",
        "orders_order.order_number character varying(20) not null",
        "orders_order.sales_rep_id bigint null",
        "orders_order.customer_name character varying(100) not null",
        "orders_order.customer_phone character varying(15) not null",
        "orders_order.customer_address text not null",
        "orders_order.status character varying(20) not null",
        "orders_order.payment_status character varying(20) not null",
        "orders_order.subtotal numeric(10,2) not null",
        "orders_order.tax_amount numeric(10,2) not null",
        "orders_order.shipping_cost numeric(10,2) not null",
        "orders_order.discount_amount numeric(10,2) not null",
        "orders_order.total_amount numeric(10,2) not null",
        "orders_order.delivery_method character varying(20) not null",
        "orders_order.delivery_address text not null",
        "orders_order.delivery_instructions text not null",
        "orders_order.prescription_required boolean not null",
        "orders_order.prescription_verified boolean not null",
        "orders_order.prescription_image character varying(100) null",
        "orders_order.verified_by_id bigint null",
        "orders_order.verified_at timestamp with time zone null",
        "orders_order.confirmed_at timestamp with time zone null",
        "orders_order.shipped_at timestamp with time zone null",
        "orders_order.delivered_at timestamp with time zone null",
        "orders_order.created_at timestamp with time zone not null",
        "orders_order.updated_at timestamp with time zone not null",
        "orders_order.customer_notes text not null",
        "orders_order.internal_notes text not null",
    ];
    let of_orders: Vec<&str> = columns.lines().filter(|line| line.starts_with("orders_order.")).collect();
    assert_eq!(of_orders, expected);
    for line in [
        "accounts_user.password character varying(128) not null",
        "accounts_user.last_login timestamp with time zone null",
        "accounts_user.username character varying(150) not null",
        "accounts_user.date_of_birth date null",
        "accounts_user.zip_code character varying(10) not null",
        "inventory_medicine.name character varying(200) not null",
        "orders_orderitem.quantity integer not null",
        "orders_orderitem.unit character varying(20) not null",
        "orders_orderstatushistory.changed_by_id bigint not null",
    ] {
        assert!(columns.lines().any(|column| column == line), "{line}");
    }
    let indexes = database.value(INDEXES).await;
    for key in ["(order_number)", "(sales_rep_id, status)", "(status, created_at)", "(sales_rep_id)"] {
        assert!(indexes.lines().any(|line| line.contains("ON public.orders_order ") && line.ends_with(key)), "{key}");
    }
    assert!(indexes.contains("(sales_rep_id, status, created_at DESC, id DESC)"), "{indexes}");
    let constraints = database.value(CONSTRAINTS).await;
    assert_eq!(
        constraints.matches("FOREIGN KEY").count(),
        constraints.matches("DEFERRABLE INITIALLY DEFERRED").count()
    );
    for constraint in [
        "orders_order UNIQUE (order_number)",
        "orders_orderitem CHECK ((quantity >= 0))",
        "orders_orderitem UNIQUE (order_id, medicine_id)",
        "accounts_user UNIQUE (username)",
    ] {
        assert!(constraints.lines().any(|line| line == constraint), "{constraint}");
    }
    let identity =
        "select count(*) from pg_attribute where attrelid::regclass::text in ('orders_order', 'accounts_user',
        'orders_orderitem', 'orders_orderstatushistory', 'inventory_medicine') and attidentity = 'd'";
    assert_eq!(database.value(identity).await, "5");
    assert_eq!(
        database
            .value(
                "select count(*) from pg_attrdef d join pg_class c on c.oid = d.adrelid
        where c.relnamespace = 'public'::regnamespace"
            )
            .await,
        "0",
        "no column has a default"
    );
}

#[tokio::test]
async fn migrating_twice_and_by_two_processes_at_once_is_migrating_once() {
    let database = Database::empty().await;
    let (one, other) = (database.store(), database.store());
    let (one, other) = tokio::join!(one.create_tables_and_migrate(), other.create_tables_and_migrate());
    let applied = one.unwrap().migrations.len() + other.unwrap().migrations.len();
    assert_eq!(applied, 20);
    assert!(database.store().migrate().await.unwrap().migrations.is_empty());
    assert_eq!(database.store().schema().await.unwrap(), SchemaState::Current);
}

#[tokio::test]
async fn an_existing_database_is_given_triggers_and_an_index_and_nothing_else() {
    let database = Database::empty().await;
    database.sql(include_str!("../../sql/0001_oncare_tables.sql")).await;
    database
        .sql(&format!(
            "alter table orders_order add column extra text; {}",
            order_sql("(1, null::bigint, 'pending', 'paid', 5)")
        ))
        .await;
    let before = host(&database).await;
    database.store().migrate().await.unwrap();
    assert_eq!(host(&database).await, before);
    let triggers = "select count(*) from pg_trigger where not tgisinternal";
    assert_eq!(database.value(triggers).await, "9");
    assert_eq!(database.value("select sum(orders) from live.all_statistics()").await, "1", "old orders are counted");
    database.sql("drop schema live cascade; drop index orders_order_live_list_idx").await;
    assert_eq!(database.value(triggers).await, "0");
    assert_eq!(host(&database).await, before);
    database.sql("update orders_order set status = 'shipped'").await;
}

#[tokio::test]
async fn an_index_of_the_hosts_own_is_enough_and_a_broken_one_is_replaced() {
    let database = Database::empty().await;
    database.sql(include_str!("../../sql/0001_oncare_tables.sql")).await;
    database.sql("create index host_own on orders_order (sales_rep_id, status, created_at desc, id desc)").await;
    database.store().migrate().await.unwrap();
    assert_eq!(database.value("select to_regclass('orders_order_live_list_idx') is null").await, "true");

    let database = Database::empty().await;
    database.sql(include_str!("../../sql/0001_oncare_tables.sql")).await;
    database
        .sql(
            "create index orders_order_live_list_idx on orders_order (sales_rep_id, status, created_at desc, id desc);
        update pg_index set indisvalid = false where indexrelid = 'orders_order_live_list_idx'::regclass",
        )
        .await;
    database.store().migrate().await.unwrap();
    let valid = "select indisvalid from pg_index where indexrelid = 'orders_order_live_list_idx'::regclass";
    assert_eq!(database.value(valid).await, "true");
}

#[tokio::test]
async fn a_session_that_saw_another_schema_tells_the_epoch_of_the_present_one() {
    let database = Database::new().await;
    let url = DatabaseUrl::parse(&database.url).unwrap();
    // of one connection, so that it is the same session
    let store = Store::new(url.clone(), 1).unwrap();
    let epoch = async || store.present().await.unwrap().epoch;
    let before = epoch().await;
    let session =
        "select pid from pg_stat_activity where datname = current_database() and application_name = 'oncare-live'";
    let pid = database.value(session).await;
    database.sql("drop schema live cascade").await;
    migrate(&database.url).await;
    let listeners = Link::open(&url, "listener", |_, _| {}).await.unwrap().first_cursor().await.unwrap().epoch;
    assert_ne!(listeners, before);
    assert_eq!(epoch().await, listeners);
    assert_eq!(database.value(session).await, pid);
}

#[tokio::test]
async fn a_part_of_the_tables_is_refused_by_name() {
    let database = Database::empty().await;
    database.sql("create table orders_order (id bigint); create table accounts_user (id bigint)").await;
    let error = database.store().migrate().await.unwrap_err();
    assert!(matches!(error, StoreError::Unsuitable(_)));
    assert!(error.to_string().contains("public.inventory_medicine, public.orders_orderitem"), "{error}");
}

#[tokio::test]
async fn writers_do_not_queue_behind_the_making_of_triggers() {
    let database = Database::empty().await;
    database.sql(include_str!("../../sql/0001_oncare_tables.sql")).await;
    let long = database.client().await;
    long.batch_execute(&format!("begin; {}", order_sql("(1, null::bigint, 'pending', 'paid', 5)"))).await.unwrap();
    let store = database.store();
    let migrating = tokio::spawn(async move { store.migrate().await });
    crate::harness::eventually("the migration waits for the long transaction", async || {
        let waiting = "select count(*) from pg_locks where not granted and relation = 'orders_order'::regclass";
        (database.value(waiting).await != "0").then_some(())
    })
    .await;
    // were the request for the lock to stay, this would wait for the long transaction
    let writer = database.client().await;
    writer.batch_execute("set statement_timeout = '10s'").await.unwrap();
    writer.batch_execute(&order_sql("(2, null::bigint, 'pending', 'paid', 5)")).await.unwrap();
    long.batch_execute("commit").await.unwrap();
    migrating.await.unwrap().unwrap();
    assert_eq!(database.value("select sum(orders) from live.all_statistics()").await, "2");
}

#[tokio::test]
async fn the_doctor_finds_what_is_wrong_and_says_what_to_do() {
    async fn problems(database: &Database) -> Vec<Finding> {
        doctor::examine(&database.parsed_url())
            .await
            .into_iter()
            .filter(|finding| finding.problem().is_some())
            .collect()
    }
    let database = Database::new().await;
    database.orders("(1, 1, 'pending', 'paid', 5), (2, null, 'odd', 'paid', 5)").await;
    assert_eq!(problems(&database).await, []);

    for (breakage, subject, advice) in [
        ("alter table orders_order disable trigger \"!live_update\"", "trigger orders_order.!live_update", "oncare-live migrate"),
        ("alter table orders_orderitem enable trigger live_delete", "trigger orders_orderitem.live_delete", "every session"),
        ("drop trigger \"!live_insert\" on orders_order", "trigger orders_order.!live_insert", "it is missing"),
        (
            "drop trigger live_delete on orders_order; create trigger live_delete after delete on orders_order
                 referencing old table as old_rows for each statement when (false) execute function live.record_delete();
             alter table orders_order enable always trigger live_delete",
            "trigger orders_order.live_delete",
            "not the one of this version",
        ),
        (
            "create or replace function live.record_delete() returns trigger language plpgsql security definer
                 set search_path = pg_catalog, pg_temp as $$ begin return null; end $$",
            "functions of schema live",
            "record_delete; run oncare-live migrate",
        ),
        ("alter function live.record_update() security invoker", "functions of schema live", "record_update"),
        ("create or replace function live.notify() returns void language sql as ''", "functions of schema live", "notify"),
        ("delete from live.migration where version = 9", "migrations", "oncare-live migrate"),
        ("update live.order_stats set orders = orders + 1 where status = 'odd'", "statistics", "--rebuild-statistics"),
    ] {
        let store = database.store();
        // the fold must hold what is about to be falsified
        store.fold().await.unwrap();
        database.sql(breakage).await;
        // and what happens meanwhile goes unnoticed where a trigger is gone
        database.sql("update orders_order set payment_status = payment_status || 'x'; delete from orders_orderitem").await;
        let found = problems(&database).await;
        let finding = found.iter().find(|finding| finding.subject == subject);
        let finding = finding.unwrap_or_else(|| panic!("{breakage}: {found:?}"));
        assert!(finding.problem().unwrap().contains(advice), "{finding:?}");
        store.migrate().await.unwrap();
        if subject == "statistics" {
            store.rebuild_statistics().await.unwrap();
        }
        assert_eq!(problems(&database).await, [], "mended after {breakage}");
    }
}

#[tokio::test]
async fn the_doctor_names_the_privileges_that_are_missing() {
    let database = Database::new().await;
    let role = format!("poor_{}", database.name);
    database.sql(&format!("create role {role} login password 'poor'; grant usage on schema live to {role}")).await;
    let url = database.url.replace("oncare:oncare@", &format!("{role}:poor@"));
    let findings = doctor::examine(&oncare_live::store::DatabaseUrl::parse(&url).unwrap()).await;
    let finding = findings.iter().find(|finding| finding.subject == "privileges").unwrap();
    let problem = finding.problem().unwrap();
    assert!(problem.contains("grant select on public.orders_order to"), "{problem}");

    // what the README grants is enough to serve with
    database
        .sql(&format!(
            "grant select, insert, update, delete on all tables in schema live to {role};
             grant select on accounts_user, inventory_medicine, orders_order, orders_orderitem, orders_orderstatushistory to {role};
             grant update on orders_order to {role}; grant insert on orders_orderstatushistory to {role}"
        ))
        .await;
    let findings = doctor::examine(&oncare_live::store::DatabaseUrl::parse(&url).unwrap()).await;
    assert!(findings.iter().all(|finding| finding.problem().is_none()), "{findings:?}");
    database.orders("(1, 1, 'pending', 'paid', 5)").await;
    let service = Service::start_unready(&url, &[]).await;
    service.ready().await;
    let ana = service.signed_in("ana").await;
    let mut stream = ana.events().await;
    assert_eq!(ana.post("/orders/orders/1/cancel/", &[]).await.status(), 303);
    // as a change, or in a state that is read anew meanwhile
    while stream.next().await.expect("the stream goes on").data["statistics"]["cancelled_orders"] != 1 {}
}

#[tokio::test]
async fn the_doctor_tells_how_far_behind_the_background_work_is() {
    async fn said(database: &Database, subject: &str) -> String {
        let findings = doctor::examine(&database.parsed_url()).await;
        let finding = findings.into_iter().find(|finding| finding.subject.starts_with(subject)).unwrap();
        format!("{}: {}", finding.subject, finding.problem().unwrap_or("well"))
    }
    const FOLD: &str = "fold of the statistics";
    const TIMELINES: &str = "timelines of the orders";
    let database = Database::new().await;
    let store = database.store();
    database.orders("(1, 1, 'pending', 'paid', 5)").await;
    assert_eq!(said(&database, FOLD).await, "fold of the statistics: well");
    assert_eq!(said(&database, TIMELINES).await, "timelines of the orders: 1 events wait: well");
    database.sql("update live.order_event set at = now() - interval '1 hour'").await;
    assert!(said(&database, FOLD).await.contains("have waited 60 min"));
    assert!(said(&database, TIMELINES).await.contains("start an instance"));
    store.fold().await.unwrap();
    assert_eq!(said(&database, FOLD).await, "fold of the statistics: well");
    crate::harness::eventually("the timeline is extended", async || {
        store.extend_timeline().await.unwrap();
        said(&database, TIMELINES).await.contains(": 0 events wait: well").then_some(())
    })
    .await;
    // an older transaction that is open
    let open = database.client().await;
    open.batch_execute("begin; select pg_current_xact_id()").await.unwrap();
    database
        .sql("update orders_order set status = 'shipped'; update live.order_event set at = now() - interval '1 hour'")
        .await;
    assert!(said(&database, TIMELINES).await.contains("still open: end it"));
}

#[tokio::test]
async fn how_far_the_version_before_was_is_carried_on_and_it_can_fold_no_more() {
    let database = Database::new().await;
    let store = database.store();
    database.orders("(1, 1, 'pending', 'paid', 5), (2, 1, 'pending', 'paid', 5)").await;
    store.fold().await.unwrap();
    crate::harness::eventually("the timeline is extended", async || {
        store.extend_timeline().await.unwrap();
        (database.value("select count(*) from live.order_timeline").await == "2").then_some(())
    })
    .await;
    // as the version before left it
    let timeline_before = database.value("select max(xid::text::bigint) + 1 from live.order_event").await;
    database
        .sql(&format!(
            "alter table live.fold add snapshot pg_snapshot, add folded_at timestamptz not null default now();
             update live.fold set timeline_before = '{timeline_before}',
                 snapshot = (select p.snapshot from live.fold_position p);
             drop table live.fold_position, live.timeline_position;
             drop function live.system_identifier, live.folded;
             delete from live.migration where version in (20, 30);
             create role \"older of {name}\"; grant select, delete on live.order_stats to \"older of {name}\"",
            name = database.name
        ))
        .await;
    database.sql("update orders_order set status = 'shipped' where id = 1").await;
    assert_eq!(store.migrate().await.unwrap().migrations, ["positions", "live_functions"]);
    assert_eq!(
        database.value("select xid || ' ' || id from live.timeline_position").await,
        format!("{timeline_before} 0")
    );
    assert_eq!(database.value("select count(*) from live.events_of(1)").await, "2");
    assert_eq!(store.statistics_that_differ().await.unwrap(), Vec::<String>::new());
    let granted = format!(
        "select bool_and(has_table_privilege('older of {}', 'live.fold_position', privilege) = granted)
         from (values ('select', true), ('delete', true), ('insert', false)) p (privilege, granted)",
        database.name
    );
    assert_eq!(database.value(&granted).await, "true", "what may be done with the summary");
    let older = database.client().await;
    let error = older.batch_execute("update live.fold set snapshot = pg_current_snapshot()").await.unwrap_err();
    assert_eq!(error.code(), Some(&tokio_postgres::error::SqlState::UNDEFINED_COLUMN));
    older.batch_execute("select rebuilds, pruned_xid, timeline_before from live.fold").await.unwrap();
}

#[tokio::test]
async fn a_dump_restored_elsewhere_voids_the_fold_and_its_events_are_no_news() {
    let database = Database::new().await;
    database.orders("(1, 1, 'pending', 'paid', 5), (2, 1, 'shipped', 'paid', 5)").await;
    let store = database.store();
    store.fold().await.unwrap();
    // as if the rows had come from another cluster, whose transactions were far ahead
    database
        .sql(
            "update live.fold set system_identifier = 42; update live.fold_position set snapshot = '900000:900000:';
        update live.order_event set xid = '900001'; update live.order_stats set orders = 7",
        )
        .await;
    assert_eq!(
        database.value("select sum(orders) from live.statistics('{1}')").await,
        "2",
        "counted while there is no fold"
    );
    store.fold().await.unwrap();
    assert_eq!(database.value("select sum(orders) from live.statistics('{1}')").await, "2");
    assert_eq!(database.value("select count(*) from live.events_since(pg_current_snapshot())").await, "0");
    assert_eq!(store.statistics_that_differ().await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn a_fold_is_void_in_a_database_beside_its_own() {
    let database = Database::new().await;
    database.orders("(1, 1, 'pending', 'paid', 5), (2, 1, 'shipped', 'paid', 5)").await;
    let store = database.store();
    store.fold().await.unwrap();
    drop(store);
    let beside = database.copied().await;
    // what a restore leaves that enters the orders again while the triggers are there
    beside
        .sql(
            "insert into live.order_event (operation, order_id, new_sales_rep_id, new_status, new_payment_status, new_total)
             select 'insert', id, sales_rep_id, status, payment_status, total_amount from orders_order",
        )
        .await;
    assert_eq!(beside.value("select sum(orders) from live.statistics('{1}')").await, "2");
    let service = Service::start(&beside).await;
    let ana = service.signed_in("ana").await;
    assert_eq!(ana.dashboard("").await["statistics"]["total_orders"], 2);
    crate::harness::eventually("the statistics are built anew", async || {
        (beside.value("select live.folded() is not null").await == "true").then_some(())
    })
    .await;
    assert_eq!(ana.dashboard("").await["statistics"]["total_orders"], 2);
    assert_eq!(beside.store().statistics_that_differ().await.unwrap(), Vec::<String>::new());
}
