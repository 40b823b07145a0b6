//! The host alters what the triggers read: its writes go on, pages are not live meanwhile, and what was missed is made up for.

use std::time::Duration;

use oncare_live::doctor;
use oncare_live::store::{DatabaseUrl, Doubt, Store};
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use crate::harness::database::{Database, connect, make_mistake, order_sql, people};
use crate::harness::http::{Browserless, Events};
use crate::harness::service::Service;
use crate::harness::{eventually, eventually_within};

/// Within this time the service must have noticed by itself.
const A_MINUTE: Duration = Duration::from_secs(60);

const ITEM: &str = "insert into orders_orderitem (order_id, medicine_id, quantity, unit, unit_price, total_price,
    prescription_notes, created_at) values (1, 9, 1, 'boxes', 1, 1, '', now())";

/// Orders and items without keys, so that any row can be entered twice, whatever columns there are.
async fn loose() -> Database {
    let database = Database::new().await;
    loosen(&database).await;
    database
}

/// The same, of somebody who is no superuser.
async fn of_an_owner() -> Database {
    let database = Database::new_of("oncare_owner", "template template0").await;
    database.sql(include_str!("../../sql/0001_oncare_tables.sql")).await;
    database.store().migrate().await.unwrap();
    make_mistake(&database.url).await;
    database.sql(&people()).await;
    loosen(&database).await;
    database
}

async fn loosen(database: &Database) {
    database
        .orders(
            "(1, 1::bigint, 'pending', 'paid', 10), (2, 1, 'shipped', 'paid', 20), (3, null, 'pending', 'paid', 30)",
        )
        .await;
    database.sql(ITEM).await;
    database
        .sql(
            "alter table orders_order drop constraint orders_order_pkey cascade, drop constraint orders_order_order_number_key,
                 drop constraint orders_order_sales_rep_id_fk;
             alter table orders_orderitem drop constraint orders_orderitem_pkey cascade,
                 drop constraint orders_orderitem_order_id_medicine_id_key;
             do $$ declare index record; begin
                 for index in select i.indexrelid::regclass as name from pg_index i
                     where i.indrelid in ('orders_order'::regclass, 'orders_orderitem'::regclass)
                         and not exists (select from pg_constraint c where c.conindid = i.indexrelid)
                 loop execute format('drop index %s', index.name); end loop;
             end $$",
        )
        .await;
    database.store().fold().await.unwrap();
}

/// Statements that fire each trigger, whatever the columns are called.
fn writes(orders: &str) -> Vec<String> {
    [
        "update ORDERS set updated_at = now()",
        "update ORDERS set internal_notes = internal_notes || '.', delivery_method = 'delivery'",
        "insert into ORDERS select * from ORDERS limit 1",
        "insert into orders_orderitem select * from orders_orderitem limit 1",
        "update orders_orderitem set quantity = quantity + 1",
        "delete from orders_orderitem where ctid = (select max(ctid) from orders_orderitem)",
        "begin; savepoint s; delete from ORDERS where ctid = (select max(ctid) from ORDERS); rollback to s; commit",
        "begin; delete from ORDERS; delete from orders_orderitem; rollback",
        "begin; truncate ORDERS, orders_orderitem; rollback",
    ]
    .map(|statement| statement.replace("ORDERS", orders))
    .into()
}

async fn write_all(session: &Client, orders: &str, when: &str) {
    for statement in writes(orders) {
        let written = session.batch_execute(&statement).await;
        written.unwrap_or_else(|error| panic!("{when}: {statement}: {error:?}"));
    }
}

const ORDER_COLUMNS: [&str; 8] =
    ["id", "order_number", "sales_rep_id", "customer_name", "status", "payment_status", "total_amount", "created_at"];

/// The alteration, what the table of orders is called then, how it is undone where it can be, and whether some change can't be
/// read meanwhile.
fn alterations() -> Vec<(String, &'static str, String, bool)> {
    let mut all = Vec::new();
    for column in ORDER_COLUMNS {
        let renamed = format!("alter table orders_order rename column {column} to other");
        let back = format!("alter table orders_order rename column other to {column}");
        all.push((renamed, "orders_order", back, true));
        all.push((
            format!("alter table orders_order drop column {column} cascade"),
            "orders_order",
            String::new(),
            true,
        ));
    }
    let renamed = "alter table orders_orderitem rename column order_id to other".to_owned();
    let back = "alter table orders_orderitem rename column other to order_id".to_owned();
    all.push((renamed, "orders_order", back, true));
    for (change, cant_be_read) in [
        ("orders_order alter column status type integer using 1", false),
        ("orders_order alter column status type json using '{}'", false),
        ("orders_order alter column total_amount type text using 'dear'", true),
        ("orders_order alter column total_amount type double precision using 'infinity'", false),
        ("orders_order alter column total_amount type point using point(1, 1)", true),
        (
            "orders_order alter column id drop identity; alter table orders_order alter column id type uuid using gen_random_uuid()",
            true,
        ),
        (
            "orders_order alter column id drop identity; alter table orders_order alter column id type numeric using 1e30",
            true,
        ),
        ("orders_order alter column id type integer", false),
        ("orders_order alter column sales_rep_id type text using 'ana'", true),
        ("orders_order alter column customer_name type point using point(1, 1)", false),
        ("orders_order alter column created_at type text using 'then'", true),
        ("orders_orderitem alter column order_id type text using 'first'", true),
    ] {
        all.push((format!("alter table {change}"), "orders_order", String::new(), cant_be_read));
    }
    let renamed = "alter table orders_order rename to shop_order".to_owned();
    all.push((renamed, "shop_order", "alter table shop_order rename to orders_order".to_owned(), true));
    for ours in [
        "drop table live.order_event cascade",
        "drop table live.truncation",
        "drop table live.unreadable",
        "drop table live.order_event, live.unreadable cascade",
        "drop function live.notify()",
        "drop function live.listener_sleeps()",
    ] {
        all.push((ours.to_owned(), "orders_order", String::new(), false));
    }
    all
}

#[tokio::test]
async fn no_alteration_fails_a_write() {
    // of those that are undone
    let shared = loose().await;
    for (alteration, orders, back, cant_be_read) in alterations() {
        let own = if back.is_empty() { Some(loose().await) } else { None };
        let database = own.as_ref().unwrap_or(&shared);
        let open = database.client().await;
        write_all(&open, "orders_order", "before").await;
        database.sql(&alteration).await;
        write_all(&open, orders, &format!("{alteration}, in a session that was open")).await;
        write_all(&database.client().await, orders, &format!("{alteration}, in a new session")).await;
        if cant_be_read {
            let notes = database.value("select count(*) from live.unreadable").await;
            assert_ne!(notes, "0", "{alteration}");
            assert_eq!(database.value("select live.folded()").await, "null", "{alteration}: statistics are counted");
        }
        if back.is_empty() {
            continue;
        }
        database.sql(&back).await;
        let store = database.store();
        assert_eq!(store.statistics_that_differ().await.unwrap(), Vec::<String>::new(), "{back}");
        store.rebuild_statistics().await.unwrap();
        write_all(&open, "orders_order", &back).await;
        open.batch_execute("update orders_order set status = 'returned'").await.unwrap();
        assert_eq!(database.value("select count(*) from live.unreadable").await, "0", "{back}");
        assert_eq!(store.statistics_that_differ().await.unwrap(), Vec::<String>::new(), "{back}");
    }
}

/// A column that is dropped and added again has another place in the row, and its default no trigger was told of.
#[tokio::test]
async fn a_column_that_is_added_again_is_read_by_sessions_that_were_open() {
    let database = loose().await;
    let open = database.client().await;
    write_all(&open, "orders_order", "before").await;
    database
        .sql(
            "alter table orders_order drop column customer_name, drop column status cascade;
             alter table orders_order add column customer_name varchar(100) not null default 'Somebody',
                 add column status varchar(20) not null default 'pending'",
        )
        .await;
    write_all(&open, "orders_order", "added again").await;
    open.batch_execute("update orders_order set status = 'returned', customer_name = 'New' where id = 1")
        .await
        .unwrap();
    assert_eq!(database.value("select count(*) from live.unreadable").await, "0");
    let event = "select concat_ws(' ', old_status, new_status, other -> 'customer_name') from live.order_event
        where operation = 'update' order by id desc limit 1";
    assert_eq!(database.value(event).await, "pending returned [\"Somebody\", \"New\"]");
    let store = database.store();
    store.rebuild_statistics().await.unwrap();
    assert_eq!(store.statistics_that_differ().await.unwrap(), Vec::<String>::new());
}

/// No trigger tells what a table that is altered has in it afterwards.
#[tokio::test]
async fn a_column_that_was_made_anew_between_two_looks_is_read_anew() {
    let Watched { database, service, ana, .. } =
        Watched::new("(1, 1::bigint, 'delivered', 'paid', 10), (2, 1, 'delivered', 'paid', 20)").await;
    database
        .sql(
            "begin; alter table orders_order drop column total_amount;
             alter table orders_order add column total_amount numeric(10, 2) not null default 7; commit",
        )
        .await;
    eventually_within(A_MINUTE, "it is noticed", async || {
        let (_, answer) = ana.json("/orders/api/sales-rep/dashboard/").await;
        (answer["statistics"]["total_revenue"] == 14.0).then_some(())
    })
    .await;
    assert_eq!(database.store().statistics_that_differ().await.unwrap(), Vec::<String>::new());
    service.ready().await;
}

/// What the host's transaction has to know of is not taken for something that can't be read.
#[tokio::test]
async fn errors_of_the_hosts_transaction_are_its_own() {
    let database = loose().await;
    let holder = database.client().await;
    holder.batch_execute("begin; lock table orders_order in access exclusive mode").await.unwrap();
    for (setting, state) in
        [("lock_timeout", SqlState::LOCK_NOT_AVAILABLE), ("statement_timeout", SqlState::QUERY_CANCELED)]
    {
        let writer = database.client().await;
        writer.batch_execute(&format!("set {setting} = '200ms'")).await.unwrap();
        // the trigger looks up whose order it is
        let error = writer.batch_execute(ITEM).await.unwrap_err();
        assert_eq!(error.code(), Some(&state), "{error:?}");
    }
    holder.batch_execute("rollback").await.unwrap();
    assert_eq!(database.value("select count(*) from orders_orderitem").await, "1");
    assert_eq!(database.value("select count(*) from live.unreadable").await, "0");
}

/// A subtransaction with an id for each row would make every snapshot in the cluster slower.
#[tokio::test]
async fn no_row_takes_a_transaction_id_of_its_own() {
    let database = loose().await;
    let client = database.client().await;
    client
        .batch_execute("insert into orders_order select o.* from orders_order o, generate_series(1, 100)")
        .await
        .unwrap();
    // whatever the rows are written by
    let ids = "select count(distinct xmin::text) from live.order_event where xid = pg_current_xact_id()";
    client.batch_execute("begin; update orders_order set status = 'confirmed'").await.unwrap();
    assert_eq!(client.query_one(ids, &[]).await.unwrap().get::<_, i64>(0), 1);
    client.batch_execute("rollback; alter table orders_order rename customer_name to buyer; begin; update orders_order set status = 'confirmed'").await.unwrap();
    assert_eq!(client.query_one(ids, &[]).await.unwrap().get::<_, i64>(0), 1, "one note, and no more");
    client.batch_execute("commit").await.unwrap();
    assert_eq!(database.value("select count(*) from live.unreadable").await, "1");
}

/// A service with these orders, and a page of a rep's that is live.
struct Watched {
    database: Database,
    service: Service,
    ana: Browserless,
    stream: Events,
}

impl Watched {
    async fn new(orders: &str) -> Self {
        let database = Database::new().await;
        database.orders(orders).await;
        let service = Service::start(&database).await;
        let ana = service.signed_in("ana").await;
        let mut stream = ana.events().await;
        until_pinged(&mut stream, "live").await;
        Self { database, service, ana, stream }
    }
}

async fn until_pinged(stream: &mut Events, listener: &str) {
    let told = async { while stream.wait_for("ping").await.data["listener"] != listener {} };
    tokio::time::timeout(A_MINUTE, told).await.unwrap_or_else(|_| panic!("no ping says {listener}"));
}

/// The state that a stream is told once everything was made up for: a page that is live again shows it.
async fn until_told_anew(stream: &mut Events, total: i64) {
    let told = async { while stream.wait_for("sync").await.data["statistics"]["total_orders"] != total {} };
    tokio::time::timeout(A_MINUTE, told).await.expect("the stream is told the state anew");
}

async fn until_live(service: &Service) {
    eventually_within(A_MINUTE, "the service is live again", async || {
        let (status, _) = service.get_ops("/readyz").await;
        (status == 200 && service.metric("oncare_live_triggers_intact").await == 1.0).then_some(())
    })
    .await;
}

async fn assert_folded_and_exact(database: &Database) {
    eventually("statistics are folded again", async || {
        (database.value("select live.folded() is not null").await == "true").then_some(())
    })
    .await;
    assert_eq!(database.store().statistics_that_differ().await.unwrap(), Vec::<String>::new());
}

async fn problems(database: &Database) -> String {
    let findings = doctor::examine(&database.parsed_url()).await;
    findings.iter().filter_map(|finding| finding.problem()).collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn a_renamed_column_is_named_everywhere_and_made_up_for() {
    let Watched { database, service, mut stream, .. } =
        Watched::new("(1, 1::bigint, 'pending', 'paid', 10), (2, 1, 'shipped', 'paid', 20)").await;
    assert_eq!(service.metric("oncare_live_triggers_intact").await, 1.0);

    database.sql("alter table orders_order rename column customer_name to buyer").await;
    until_pinged(&mut stream, "degraded").await;
    let named = "public.orders_order lacks the column customer_name";
    // it looks at the columns every three seconds
    eventually("it is named", async || {
        let (status, readiness) = service.get_ops("/readyz").await;
        (status == 503 && readiness.contains(named)).then_some(())
    })
    .await;
    eventually_within(A_MINUTE, "the metric says so", async || {
        (service.metric("oncare_live_triggers_intact").await == 0.0).then_some(())
    })
    .await;
    assert_eq!(service.metric("oncare_live_recording_faults").await, 1.0);
    let refusal = database.store().migrate().await.unwrap_err().to_string();
    assert!(refusal.contains(named) && !refusal.contains("nothing was changed"), "{refusal}");
    database.sql("update orders_order set status = 'confirmed' where id = 1").await;
    database.sql("delete from orders_order where id = 2").await;
    let problems = problems(&database).await;
    assert!(problems.contains(named) && problems.contains("has no field \"customer_name\""), "{problems}");

    database.sql("alter table orders_order rename column buyer to customer_name").await;
    until_told_anew(&mut stream, 1).await;
    until_live(&service).await;
    until_pinged(&mut stream, "live").await;
    assert_folded_and_exact(&database).await;
    database.sql("update orders_order set status = 'processing' where id = 1").await;
    let patch = stream.patch_of(1).await;
    assert_eq!(patch.data["statistics"]["total_orders"], 1, "{}", patch.data);
    assert_eq!(patch.data["statistics"]["processing_orders"], 1, "{}", patch.data);
}

#[tokio::test]
async fn what_a_disabled_trigger_missed_is_made_up_for() {
    let Watched { database, service, ana, mut stream } = Watched::new("(1, 1::bigint, 'pending', 'paid', 10)").await;
    let poll = async |tag: &str| {
        let answer = ana.get_with("/orders/api/sales-rep/dashboard/", &[("if-none-match", tag)]).await;
        (answer.status().as_u16(), answer.headers()["etag"].to_str().unwrap().to_owned())
    };
    let (_, mut tag) = poll("").await;
    eventually("a poll is told that nothing changed", async || {
        let (status, now) = poll(&tag).await;
        tag = now;
        (status == 304).then_some(())
    })
    .await;

    database.sql("alter table orders_order disable trigger \"!live_insert\"").await;
    until_pinged(&mut stream, "degraded").await;
    let (status, readiness) = service.get_ops("/readyz").await;
    assert!(status == 503 && readiness.contains("orders_order.!live_insert: it does not fire"), "{readiness}");
    database.orders("(2, 1::bigint, 'pending', 'paid', 20)").await;
    // nor is a page that polls told that nothing changed, or figures that lack the order
    assert_eq!(poll(&tag).await.0, 200);
    assert_eq!(ana.dashboard("").await["statistics"]["total_orders"], 2);

    database.sql("alter table orders_order enable always trigger \"!live_insert\"").await;
    until_told_anew(&mut stream, 2).await;
    until_live(&service).await;
    assert_folded_and_exact(&database).await;
}

/// Too short for anybody to have looked meanwhile.
#[tokio::test]
async fn what_was_missed_in_a_moment_is_made_up_for_as_well() {
    let Watched { database, service, mut stream, .. } = Watched::new("(1, 1::bigint, 'pending', 'paid', 10)").await;
    let session = database.client().await;
    for statement in [
        "alter table orders_order disable trigger \"!live_insert\"",
        &order_sql("(2, 1::bigint, 'pending', 'paid', 20)"),
        "alter table orders_order enable always trigger \"!live_insert\"",
    ] {
        session.batch_execute(statement).await.unwrap();
    }
    until_told_anew(&mut stream, 2).await;
    until_live(&service).await;
    assert_folded_and_exact(&database).await;
}

/// What leaves changes unrecorded and is over before anybody looks.
const UNSEEN: [(&str, &str); 6] = [
    (
        "a trigger switched off and on",
        "alter table orders_order disable trigger \"!live_update\"; update orders_order set status = 'delivered', total_amount = 7;
         alter table orders_order enable always trigger \"!live_update\"",
    ),
    (
        "a trigger dropped and put back",
        "drop trigger \"!live_update\" on orders_order; update orders_order set status = 'delivered', total_amount = 7;
         create trigger \"!live_update\" after update on orders_order for each row execute function live.record_update();
         alter table orders_order enable always trigger \"!live_update\"",
    ),
    (
        "values made anew by a type",
        "alter table orders_order alter status type varchar(20) using 'delivered', alter total_amount type numeric(10, 2) using 7",
    ),
    (
        "columns made anew",
        "alter table orders_order drop status cascade, drop total_amount;
         alter table orders_order add status varchar(20) not null default 'delivered', add total_amount numeric(10, 2) not null default 7",
    ),
    (
        "columns in the place of others",
        "update orders_order set internal_notes = 'delivered', subtotal = 7; alter table orders_order rename status to was;
         alter table orders_order rename total_amount to cost; alter table orders_order rename internal_notes to status;
         alter table orders_order rename subtotal to total_amount; alter table orders_order rename was to internal_notes;
         alter table orders_order rename cost to subtotal",
    ),
    (
        "a function replaced and put back",
        "do $do$ declare was text := pg_get_functiondef('live.record_update'::regproc); begin
             create or replace function live.record_update() returns trigger language plpgsql as 'begin return null; end';
             update orders_order set status = 'delivered', total_amount = 7;
             execute was; end $do$",
    ),
];

#[tokio::test]
async fn what_was_missed_while_no_service_ran_is_made_up_for() {
    for (what, unseen) in UNSEEN {
        let database = Database::new().await;
        database.orders("(1, 1::bigint, 'pending', 'paid', 10), (2, 1, 'pending', 'paid', 20)").await;
        database.store().fold().await.unwrap();
        database.sql(unseen).await;
        assert_ne!(database.store().statistics_that_differ().await.unwrap(), Vec::<String>::new(), "{what}");
        let service = Service::start(&database).await;
        assert_eq!(database.store().statistics_that_differ().await.unwrap(), Vec::<String>::new(), "{what}");
        let ana = service.signed_in("ana").await;
        assert_eq!(ana.dashboard("").await["statistics"]["total_revenue"], 14.0, "{what}");
    }
}

#[tokio::test]
async fn what_may_have_been_missed_is_told_from_what_the_host_does_every_day() {
    let database = Database::new().await;
    database.orders("(1, 1::bigint, 'pending', 'paid', 10)").await;
    let store = database.store();
    let role = format!("reader_{}", database.name);
    let grant = format!("create role {role}; grant select on all tables in schema live to {role}");
    for (change, doubt) in [
        ("vacuum full orders_order, orders_orderitem", Doubt::None),
        ("cluster orders_order using orders_order_pkey", Doubt::None),
        ("reindex table orders_order; analyze orders_order", Doubt::None),
        ("vacuum full pg_trigger, pg_attribute; vacuum freeze pg_trigger, pg_attribute, pg_class", Doubt::None),
        ("truncate orders_order cascade", Doubt::None),
        ("alter table orders_order alter status type varchar(50), alter order_number type text", Doubt::None),
        ("alter table orders_order add note text not null default '', add rolled float8 default random()", Doubt::None),
        ("create index on orders_order (customer_name)", Doubt::None),
        ("alter table orders_order rename customer_name to buyer; alter table orders_order rename buyer to customer_name", Doubt::None),
        ("alter table orders_order disable trigger user; alter table orders_order enable always trigger \"!live_insert\",
              enable always trigger \"!live_update\", enable always trigger live_delete, enable always trigger \"!live_truncate\"", Doubt::Grave),
        ("alter table orders_order alter customer_name type text using upper(customer_name)", Doubt::Slight),
        (&grant, Doubt::Slight),
    ] {
        for statement in if change.starts_with("vacuum") { change.split("; ").collect() } else { vec![change] } {
            database.sql(statement).await;
        }
        let recording = store.recording().await.unwrap().unwrap();
        assert_eq!((recording.doubt, recording.faults), (doubt, vec![]), "{change}");
        if doubt != Doubt::None {
            store.rebuild_statistics().await.unwrap();
            assert_eq!(store.recording().await.unwrap().unwrap().doubt, Doubt::None, "{change}, read anew");
        }
        // as after each look
        store.keep_recording().await.unwrap();
    }
    // what an unlogged table loses in a crash no trigger tells; another token tells the crash
    database.sql("alter table orders_orderstatushistory set unlogged; alter table orders_orderitem set unlogged; alter table orders_order set unlogged").await;
    store.rebuild_statistics().await.unwrap();
    assert_eq!(store.recording().await.unwrap().unwrap().doubt, Doubt::None);
    database.sql("update live.incarnation set token = gen_random_uuid()").await;
    assert_eq!(store.recording().await.unwrap().unwrap().doubt, Doubt::Grave);
}

/// Rows that a change of type may have changed are read anew, and as it may as well have changed nothing no page says that it is
/// not live.
#[tokio::test]
async fn rows_that_are_written_anew_are_read_anew_without_a_flicker() {
    let Watched { database, mut stream, .. } = Watched::new("(1, 1::bigint, 'pending', 'paid', 10)").await;
    database.sql("alter table orders_order alter customer_name type varchar(200) using upper(customer_name)").await;
    let told = async {
        loop {
            let event = stream.next().await.expect("the stream goes on");
            match event.name.as_str() {
                "sync" => return,
                "ping" => assert_eq!(event.data["listener"], "live"),
                other => panic!("{other}"),
            }
        }
    };
    tokio::time::timeout(A_MINUTE, told).await.expect("the stream is told to read anew");
    until_pinged(&mut stream, "live").await;
}

/// As soon as one make-up is over another change can't be read.
#[tokio::test]
async fn what_goes_unrecorded_after_a_make_up_is_made_up_for_as_soon() {
    let Watched { database, mut stream, .. } = Watched::new("(1, 1::bigint, 'pending', 'paid', 10)").await;
    for time in ["first", "second"] {
        database.sql(&format!("select live.note_unreadable('the {time} time')")).await;
        // that pages are not live meanwhile may be over before a ping says so
        stream.wait_for("sync").await;
        eventually(&format!("the {time} is made up for"), async || {
            (database.value("select count(*) from live.unreadable").await == "0").then_some(())
        })
        .await;
        until_pinged(&mut stream, "live").await;
    }
}

/// What somebody may do to our own tables, and whether changes are recorded all the same.
fn harms(owner: &str) -> Vec<(String, bool)> {
    [
        (format!("revoke insert on live.order_event from {owner}"), false),
        (format!("revoke insert on live.unreadable from {owner}"), true),
        (format!("revoke all on all tables in schema live from {owner}"), false),
        (format!("revoke all on schema live from {owner}"), false),
        ("alter schema live owner to postgres_like".to_owned(), false),
        ("alter table live.order_event drop column app_user".to_owned(), true),
        ("alter table live.order_event drop column other".to_owned(), false),
        ("alter table live.order_event alter new_status type varchar(20)".to_owned(), false),
        ("alter table live.order_event alter xid drop default".to_owned(), false),
        ("alter table live.order_event alter id drop identity".to_owned(), false),
        ("alter table live.order_event add told_to text not null default ''; alter table live.order_event alter told_to drop default".to_owned(), false),
        ("alter table live.order_event add constraint of_mine check (order_id < 0) not valid".to_owned(), false),
        ("create unique index of_mine on live.order_event (operation) where id < 0".to_owned(), false),
        ("alter sequence live.order_event_id_seq maxvalue 1000".to_owned(), false),
        ("alter table live.order_event enable row level security, force row level security".to_owned(), false),
        ("alter table live.order_event rename to gone".to_owned(), false),
        ("drop function live.note_unreadable(text)".to_owned(), true),
        ("drop function live.note_unreadable(text); alter table live.order_event drop column other".to_owned(), false),
        ("drop function live.must_take_events(regclass, regclass)".to_owned(), false),
        ("drop function live.other_changes(text, text, text, text, timestamptz, timestamptz)".to_owned(), false),
        ("update live.order_event set new_sales_rep_id = 0 where new_sales_rep_id is null;
          alter table live.order_event alter new_sales_rep_id set default 0, alter new_sales_rep_id set not null".to_owned(), false),
        ("alter table live.order_event drop column other, add other jsonb generated always as ('{}'::jsonb) stored".to_owned(), false),
    ]
    .into()
}

/// A column that only readers need is missed by the listener, which says so.
#[tokio::test]
async fn no_harm_to_our_own_tables_fails_a_write_or_goes_unsaid() {
    for (harm, is_recorded) in harms("oncare_owner") {
        let database = of_an_owner().await;
        let open = database.client().await;
        write_all(&open, "orders_order", "before").await;
        database.store().fold().await.unwrap();
        let admin = connect(&database.url.replace("oncare_owner:oncare_owner@", "oncare:oncare@")).await;
        admin.batch_execute(&harm.replace("postgres_like", "oncare")).await.unwrap();
        write_all(&open, "orders_order", &format!("{harm}, in a session that was open")).await;
        write_all(&database.client().await, "orders_order", &format!("{harm}, in a new session")).await;
        for change in ["total_amount = total_amount + 1", "customer_name = customer_name || ' Cruz'"] {
            open.batch_execute(&format!("update orders_order set {change} where id = 1")).await.unwrap();
        }
        // as the cluster's owner, who may still look
        let url = database.url.replace("oncare_owner:oncare_owner@", "oncare:oncare@");
        let store = Store::new(DatabaseUrl::parse(&url).unwrap(), 2).unwrap();
        let recording = store.recording().await;
        let is_said = recording.is_err()
            || recording.is_ok_and(|recording| {
                let recording = recording.unwrap();
                !recording.faults.is_empty() || recording.unreadable.is_some()
            });
        assert!(is_said || is_recorded, "{harm}");
        if is_recorded {
            assert_eq!(store.statistics_that_differ().await.unwrap(), Vec::<String>::new(), "{harm}");
            let unread = admin.query("select from live.unreadable", &[]).await.unwrap();
            assert!(unread.is_empty(), "{harm}");
        }
    }
}

/// Harms to where events are written, and how each is undone.
const UNDONE_HARMS: &[(&str, &str)] = &[
    ("revoke insert on live.order_event from oncare_owner", "grant insert on live.order_event to oncare_owner"),
    ("alter table live.order_event owner to oncare", "alter table live.order_event owner to oncare_owner"),
    (
        "alter function live.record_delete() owner to pg_monitor",
        "alter function live.record_delete() owner to oncare_owner",
    ),
    (
        "alter table live.order_event add constraint c check (order_id < 0) not valid",
        "alter table live.order_event drop constraint c",
    ),
    (
        "alter table live.order_event alter xid drop default",
        "alter table live.order_event alter xid set default pg_current_xact_id()",
    ),
    (
        "alter table live.order_event add c text not null default ''; alter table live.order_event alter c drop default",
        "alter table live.order_event drop c",
    ),
    ("alter table live.order_event add c live.nothing", "alter table live.order_event drop c"),
    (
        "alter table live.order_event add c integer generated always as (1 / coalesce(order_id * 0, 0)) stored",
        "alter table live.order_event drop c",
    ),
    (
        "alter table live.order_event alter new_status type varchar(3)",
        "alter table live.order_event alter new_status type text",
    ),
    (
        "alter table live.order_event alter application type varchar(3)",
        "alter table live.order_event alter application type text",
    ),
    (
        "alter table live.order_event alter app_user set not null",
        "alter table live.order_event alter app_user drop not null",
    ),
    (
        "alter table live.order_event alter order_id type live.nothing",
        "alter table live.order_event alter order_id type bigint",
    ),
    (
        "alter table live.order_event enable row level security, force row level security",
        "alter table live.order_event no force row level security, disable row level security",
    ),
    ("alter table live.order_event rename new_total to c", "alter table live.order_event rename c to new_total"),
    ("create rule c as on insert to live.order_event do also select 1 / 0", "drop rule c on live.order_event"),
    (
        "alter sequence live.order_event_id_seq increment -4611686018427387904",
        "alter sequence live.order_event_id_seq increment 1",
    ),
    (
        "alter table live.unreadable rename to c; alter table live.order_event rename other to c",
        "alter table live.c rename to unreadable; alter table live.order_event rename c to other",
    ),
    ("alter schema live rename to live2", "alter schema live2 rename to live"),
];

/// Of each trigger and each way of it: what a session that has failed to record a change does the next time may be another thing.
const HARMED_WRITES: &[&str] = &[
    "update orders_order set customer_name = 'y1' where id = 3",
    "update orders_order set customer_name = 'y2' where id = 3",
    "update orders_order set customer_name = md5(customer_name)",
    "update orders_order set status = 'confirmed', payment_status = left(md5(payment_status), 9)",
    "update orders_order set total_amount = total_amount + 1, sales_rep_id = null",
    "begin; update orders_order set customer_name = 'y3' where id = 3; update orders_order set total_amount = 7 where id = 3;
     update orders_order set customer_name = 'y4', total_amount = 8 where id = 3; commit",
    "update orders_order set id = id + 100",
    "update orders_order set id = id - 100",
    "insert into orders_order select * from orders_order",
    "delete from orders_order where ctid in (select max(ctid) from orders_order group by id)",
    "insert into orders_orderitem select * from orders_orderitem",
    "update orders_orderitem set order_id = 2",
    "update orders_orderitem set order_id = 1",
    "delete from orders_orderitem where ctid <> (select min(ctid) from orders_orderitem)",
    "insert into orders_orderstatushistory (order_id, old_status, new_status, old_payment_status, new_payment_status, notes,
     changed_by_id, changed_at) select id, '', '', '', '', '', 1, now() from (values (1), (2)) o (id)",
    "begin; truncate orders_order, orders_orderitem, orders_orderstatushistory; rollback",
];

/// Whatever is done to schema live: each statement commits, again and again, in a session that was open as in a new one.
#[tokio::test]
async fn each_statement_commits_whatever_is_done_to_where_events_are_written() {
    let database = of_an_owner().await;
    database
        .sql("alter table orders_orderstatushistory drop constraint if exists orders_orderstatushistory_order_id_fk")
        .await;
    let admin = connect(&database.url.replace("oncare_owner:oncare_owner@", "oncare:oncare@")).await;
    admin.batch_execute("create domain live.nothing bigint check (value is null)").await.unwrap();
    for (harm, undo) in UNDONE_HARMS {
        let open = database.client().await;
        let fresh = database.client().await;
        for statement in HARMED_WRITES {
            open.batch_execute(statement).await.unwrap_or_else(|error| panic!("before {harm}: {statement}: {error:?}"));
        }
        admin.batch_execute("delete from live.order_event").await.unwrap();
        admin.batch_execute(harm).await.unwrap_or_else(|error| panic!("{harm}: {error:?}"));
        for (session, which) in [(&open, "open"), (&fresh, "new")] {
            for time in ["first", "second"] {
                for statement in HARMED_WRITES {
                    let written = session.batch_execute(statement).await;
                    written.unwrap_or_else(|error| {
                        panic!("{harm}: {statement}, {time} time in a session that was {which}: {error:?}")
                    });
                }
            }
        }
        admin.batch_execute(undo).await.unwrap_or_else(|error| panic!("{undo}: {error:?}"));
        open.batch_execute("delete from live.order_event").await.unwrap();
        for session in [&open, &fresh] {
            session
                .batch_execute("update orders_order set customer_name = md5(customer_name) where id = 3")
                .await
                .unwrap();
        }
        let recorded = "select count(*) > 0 and count(*) = 2 * (select count(*) from orders_order where id = 3) from live.order_event";
        assert_eq!(database.value(recorded).await, "true", "after {undo}");
    }
}

/// What triggers see of a column that is computed when it is read is nothing.
#[tokio::test]
async fn a_column_that_is_computed_when_it_is_read_is_a_fault() {
    let database = Database::new().await;
    database.sql("alter table orders_order drop total_amount, add total_amount numeric(10, 2) generated always as (subtotal + 1) stored").await;
    let store = database.store();
    assert_eq!(store.recording().await.unwrap().unwrap().faults, Vec::<String>::new());
    if database.version().await < 18 {
        return;
    }
    database.sql("alter table orders_order drop total_amount, add total_amount numeric(10, 2) generated always as (subtotal + 1) virtual").await;
    let faults = store.recording().await.unwrap().unwrap().faults;
    assert!(faults.join("").contains("orders_order.total_amount is computed when it is read"), "{faults:?}");
}

/// Nobody who reads them knows of rows that are hidden.
#[tokio::test]
async fn what_row_level_security_hides_later_is_a_fault() {
    let database = of_an_owner().await;
    let store = database.store();
    assert_eq!(store.recording().await.unwrap().unwrap().faults, Vec::<String>::new());
    database.sql("alter table orders_order enable row level security, force row level security").await;
    let faults = store.recording().await.unwrap().unwrap().faults;
    assert!(faults.join("").contains("row-level security may hide rows of public.orders_order"), "{faults:?}");
}

/// The tables are dropped, with triggers and index, and made anew.
#[tokio::test]
async fn tables_that_are_made_anew_are_not_live_until_they_are_migrated() {
    let Watched { database, service, mut stream, .. } = Watched::new("(1, 1::bigint, 'pending', 'paid', 10)").await;

    database
        .sql("drop table orders_orderstatushistory, orders_orderitem, orders_order, inventory_medicine, accounts_user")
        .await;
    until_pinged(&mut stream, "degraded").await;
    let refusal = database.store().migrate().await.unwrap_err().to_string();
    assert!(!refusal.contains("nothing was changed"), "{refusal}");
    database.sql(include_str!("../../sql/0001_oncare_tables.sql")).await;
    database.sql(&people()).await;
    database.orders("(7, 1::bigint, 'pending', 'paid', 10), (8, 1, 'pending', 'paid', 10)").await;
    let (status, readiness) = service.get_ops("/readyz").await;
    assert!(status == 503 && readiness.contains("orders_order.!live_insert: it is missing"), "{readiness}");

    let applied = database.store().migrate().await.unwrap();
    assert!(applied.put_back && applied.index_put_back, "{applied:?}");
    until_live(&service).await;
    assert_folded_and_exact(&database).await;
    let ana = service.signed_in("ana").await;
    let mut stream = ana.events().await;
    until_pinged(&mut stream, "live").await;
    database.sql("update orders_order set status = 'confirmed' where id = 8").await;
    let patch = stream.patch_of(8).await;
    assert_eq!(patch.data["statistics"]["total_orders"], 2, "{}", patch.data);
}

/// As `flush`, `loaddata` and `pg_restore --data-only` write: everything is emptied at once, children come before their parents, and
/// the search path is empty.
#[tokio::test]
async fn what_is_restored_into_the_tables_is_recorded() {
    let Watched { database, service, ana, .. } =
        Watched::new("(1, 1::bigint, 'pending', 'paid', 10), (2, 2, 'shipped', 'paid', 20)").await;
    database.sql(ITEM).await;
    database
        .sql(
            "create table kept_orders as table orders_order; create table kept_items as table orders_orderitem;
             create table kept_people as table accounts_user; create table kept_medicines as table inventory_medicine",
        )
        .await;
    let tables = "public.accounts_user, public.inventory_medicine, public.orders_order, public.orders_orderitem,
        public.orders_orderstatushistory";
    for emptied in [
        format!("truncate {tables}"),
        format!("truncate {tables} restart identity cascade"),
        "begin; set constraints all deferred; delete from public.orders_order; delete from public.orders_orderitem;
         delete from public.accounts_user; delete from public.inventory_medicine; commit"
            .to_owned(),
    ] {
        let session = database.client().await;
        session.batch_execute("select pg_catalog.set_config('search_path', '', false)").await.unwrap();
        session.batch_execute(&emptied).await.unwrap_or_else(|error| panic!("{emptied}: {error:?}"));
        assert_eq!(
            database.value("select coalesce(sum(orders), 0) from live.all_statistics()").await,
            "0",
            "{emptied}"
        );
        session
            .batch_execute(
                "begin; set constraints all deferred; insert into public.orders_orderitem table public.kept_items;
                 insert into public.orders_order table public.kept_orders;
                 insert into public.accounts_user table public.kept_people;
                 insert into public.inventory_medicine table public.kept_medicines; set constraints all immediate; commit",
            )
            .await
            .unwrap_or_else(|error| panic!("after {emptied}: {error:?}"));
        assert_eq!(database.store().statistics_that_differ().await.unwrap(), Vec::<String>::new(), "{emptied}");
        assert_eq!(database.value("select sum(orders) from live.all_statistics()").await, "2", "{emptied}");
    }
    assert_eq!(database.value("select count(*) from live.unreadable").await, "0");
    assert_folded_and_exact(&database).await;
    eventually("the page has it", async || (ana.dashboard("").await["statistics"]["total_orders"] == 1).then_some(()))
        .await;
    assert_eq!(service.get_ops("/readyz").await.0, 200);
}

/// The triggers of earlier versions failed the host's writes: those go even where nothing else can be migrated.
#[tokio::test]
async fn triggers_that_fail_are_replaced_even_where_a_column_is_missing() {
    for schema in [include_str!("schemas/first.sql"), include_str!("schemas/0018.sql")] {
        let database = Database::empty().await;
        database.sql(include_str!("../../sql/0001_oncare_tables.sql")).await;
        database.sql(schema).await;
        database.sql(&people()).await;
        database.orders("(1, 1::bigint, 'pending', 'paid', 10)").await;
        database.sql("alter table orders_order rename column customer_name to buyer").await;
        let write = "update orders_order set status = 'confirmed' where id = 1";
        assert!(database.client().await.batch_execute(write).await.is_err(), "as it was");
        let refusal = database.store().migrate().await.unwrap_err().to_string();
        assert!(refusal.contains("lacks the column customer_name; the triggers fail no write"), "{refusal}");
        database.sql(write).await;
        database.sql("alter table orders_order rename column buyer to customer_name").await;
        database.store().migrate().await.unwrap();
        assert_eq!(problems(&database).await, "");
        assert_eq!(database.store().statistics_that_differ().await.unwrap(), Vec::<String>::new());
    }
}
