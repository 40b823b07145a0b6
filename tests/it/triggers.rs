//! The triggers over real statements: which events are recorded, who is told, and that no writer ever fails.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use oncare_live::store::{DatabaseUrl, Link, Sleeper};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::sync::mpsc;

use crate::harness::database::{Database, order_sql};
use crate::harness::eventually;

/// The events of a statement: `operation order old_rep>new_rep old_status>new_status`.
const EVENTS: &str = "select coalesce(string_agg(format('%s %s %s>%s %s>%s%s', operation, order_id, old_sales_rep_id,
        new_sales_rep_id, old_status, new_status, case when items_delta is not null then format(' %s', items_delta) end),
        '; ' order by order_id, id), '') from live.order_event";

/// Statements on orders 1 (rep 1, pending), 2 (rep 1, shipped), 3 (rep 2, pending), 4 (nobody's, pending), each of
/// which has one item but order 4, and the events that they must leave.
const STATEMENTS: &[(&str, &str)] = &[
    ("update orders_order set status = 'confirmed' where id = 1", "update 1 1>1 pending>confirmed"),
    (
        "update orders_order set status = 'delivered' where id < 4",
        "update 1 1>1 pending>delivered; update 2 1>1 shipped>delivered; update 3 2>2 pending>delivered",
    ),
    ("update orders_order set status = status, updated_at = now()", ""),
    ("update orders_order set internal_notes = 'seen'", ""),
    ("update orders_order set status = 'confirmed' where id = 99", ""),
    ("update orders_order set total_amount = 7 where id = 4", "update 4 > pending>pending"),
    ("update orders_order set payment_status = 'failed' where id = 4", "update 4 > pending>pending"),
    ("update orders_order set customer_name = 'New' where id = 1", "update 1 1>1 pending>pending"),
    ("update orders_order set sales_rep_id = 2 where id = 1", "update 1 1>2 pending>pending"),
    ("update orders_order set sales_rep_id = null where id = 1", "update 1 1> pending>pending"),
    ("update orders_order set sales_rep_id = 1 where id = 4", "update 4 >1 pending>pending"),
    (
        "delete from orders_orderitem; update orders_order set id = 11 where id = 1",
        "items 1 1>1 > -1; delete 1 1> pending>; items 2 1>1 > -1; items 3 2>2 > -1; insert 11 >1 >pending",
    ),
    (
        "insert into orders_order select * from orders_order where id = 1
             on conflict (id) do update set status = 'cancelled'",
        "update 1 1>1 pending>cancelled",
    ),
    ("insert into orders_order select * from orders_order where id = 1 on conflict do nothing", ""),
    (
        "merge into orders_order o using (values (1, 'processing'), (4, null)) v (id, status) on o.id = v.id
             when matched and v.status is null then delete when matched then update set status = v.status",
        "update 1 1>1 pending>processing; delete 4 > pending>",
    ),
    (
        "with changed as (update orders_order set status = 'confirmed' where id = 1 returning id)
             update orders_order set status = 'returned' where id = 2",
        "update 1 1>1 pending>confirmed; update 2 1>1 shipped>returned",
    ),
    (
        "with gone as (delete from orders_order where id = 4 returning sales_rep_id)
             update orders_order set status = 'confirmed' from gone where id = 3",
        "update 3 2>2 pending>confirmed; delete 4 > pending>",
    ),
    ("delete from orders_order where id = 4", "delete 4 > pending>"),
    (
        "alter table orders_order drop constraint orders_order_sales_rep_id_fk, add foreign key (sales_rep_id)
             references accounts_user on delete cascade; delete from orders_orderitem; delete from accounts_user where id = 2",
        "items 1 1>1 > -1; items 2 1>1 > -1; items 3 2>2 > -1; delete 3 2> pending>",
    ),
    (
        "alter table orders_orderitem drop constraint orders_orderitem_order_id_fk, add foreign key (order_id)
             references orders_order on delete cascade; delete from orders_order where id = 1",
        "delete 1 1> pending>",
    ),
    ("begin; savepoint s; update orders_order set status = 'shipped'; rollback to s; commit", ""),
    ("begin; update orders_order set status = 'shipped'; rollback", ""),
    (
        "begin; savepoint s; update orders_order set status = 'confirmed' where id = 1; release s;
             update orders_order set status = 'processing' where id = 1; commit",
        "update 1 1>1 pending>confirmed; update 1 1>1 confirmed>processing",
    ),
    ("truncate orders_order cascade", "truncate  > >; truncate_items  > >"),
    ("truncate orders_orderitem", "truncate_items  > >"),
    (
        "insert into orders_orderitem (order_id, medicine_id, quantity, unit, unit_price, total_price, prescription_notes,
             created_at) select o, m, 1, 'boxes', 1, 1, '', now() from (values (1, 5), (1, 6), (4, 5)) v (o, m)",
        "items 1 1>1 > 2; items 4 > > 1",
    ),
    ("update orders_orderitem set quantity = 9", ""),
    ("update orders_orderitem set order_id = 4 where order_id = 1", "items 1 1>1 > -1; items 4 > > 1"),
    ("delete from orders_orderitem where order_id = 2", "items 2 1>1 > -1"),
    (
        "set session_replication_role = replica; update orders_order set status = 'shipped' where id = 1",
        "update 1 1>1 pending>shipped",
    ),
    ("update orders_order set total_amount = 'NaN' where id = 1", "update 1 1>1 pending>pending"),
    ("update orders_order set created_at = 'infinity' where id = 1", "update 1 1>1 pending>pending"),
];

const START: &str =
    "(1, 1::bigint, 'pending', 'pending', 10), (2, 1, 'shipped', 'paid', 20), (3, 2, 'pending', 'paid', 30),
    (4, null, 'pending', 'pending', 40)";

async fn start() -> Database {
    let database = Database::new().await;
    database.orders(START).await;
    database
        .sql(
            "insert into orders_orderitem (order_id, medicine_id, quantity, unit, unit_price, total_price,
        prescription_notes, created_at) select n, 1, 1, 'boxes', 1, 1, '', now() from generate_series(1, 3) n",
        )
        .await;
    database.store().fold().await.unwrap();
    database.sql("delete from live.order_event").await;
    database
}

#[tokio::test]
async fn every_statement_records_what_it_changed_and_the_statistics_follow() {
    for (statement, events) in STATEMENTS {
        let database = start().await;
        if statement.starts_with("merge ") && database.version().await < 15 {
            println!("left out, as PostgreSQL before 15 does not know it: {statement}");
            continue;
        }
        database.sql(statement).await;
        assert_eq!(&database.value(EVENTS).await, events, "{statement}");
        let store = database.store();
        let none: Vec<String> = Vec::new();
        assert_eq!(store.statistics_that_differ().await.unwrap(), none, "{statement}");
        store.fold().await.unwrap();
        assert_eq!(store.statistics_that_differ().await.unwrap(), none, "{statement}, folded");
    }
}

#[tokio::test]
async fn copy_is_recorded() {
    let database = start().await;
    let client = database.client().await;
    let copy =
        "copy orders_order (id, order_number, sales_rep_id, customer_name, customer_phone, customer_address, status,
        payment_status, subtotal, tax_amount, shipping_cost, discount_amount, total_amount, delivery_method,
        delivery_address, delivery_instructions, prescription_required, prescription_verified, created_at, updated_at,
        customer_notes, internal_notes) from stdin with (format csv)";
    let sink = client.copy_in::<_, bytes::Bytes>(copy).await.unwrap();
    let lines: String = (5..8)
        .map(|id| format!("{id},C-{id},1,n,p,a,pending,paid,0,0,0,0,1,pickup,a,i,f,f,2025-01-01,2025-01-01,n,n\n"))
        .collect();
    futures_util::pin_mut!(sink);
    futures_util::SinkExt::send(&mut sink, lines.into()).await.unwrap();
    sink.finish().await.unwrap();
    assert_eq!(database.value(EVENTS).await, "insert 5 >1 >pending; insert 6 >1 >pending; insert 7 >1 >pending");
}

#[tokio::test]
async fn who_wrote_a_change_is_recorded() {
    let database = start().await;
    database.sql("select set_config('app.user', 'rx', false); set application_name = 'admin'; update orders_order set status = 'confirmed' where id = 1").await;
    let who = database.value("select concat_ws('/', app_user, application) from live.order_event").await;
    assert_eq!(who, "rx/admin");
    assert_eq!(database.value("select xid <> '0' and at <= clock_timestamp() from live.order_event").await, "true");
}

#[tokio::test]
async fn a_writer_needs_no_right_on_our_schema() {
    let database = start().await;
    let role = format!("writer_{}", database.name);
    database
        .sql(&format!(
            "create role {role} login password 'w'; grant all on all tables in schema public to {role};
        grant all on all sequences in schema public to {role}"
        ))
        .await;
    let writer =
        crate::harness::database::connect(&database.url.replace("oncare:oncare@", &format!("{role}:w@"))).await;
    assert!(writer.batch_execute("select from live.order_event").await.is_err());
    // nor can it make the functions call its own
    writer
        .batch_execute("create temporary table order_event (x int); set search_path = pg_temp, public")
        .await
        .unwrap();
    for statement in [
        "update public.orders_order set status = 'confirmed' where id = 1",
        "delete from public.orders_orderitem where order_id = 1",
        "truncate public.orders_order cascade",
    ] {
        writer.batch_execute(statement).await.unwrap_or_else(|error| panic!("{statement}: {error:?}"));
    }
    assert_eq!(database.value("select count(*) from live.order_event").await, "4");
}

/// Every payload that the statements send to a listener that sleeps.
async fn payloads(database: &Database, statements: &str) -> Vec<String> {
    let (heard, mut payloads) = mpsc::unbounded_channel();
    let url = DatabaseUrl::parse(&database.url).unwrap();
    let link = Link::open(&url, "test", move |_, payload| heard.send(payload.to_owned()).unwrap()).await.unwrap();
    link.listen_for_orders().await.unwrap();
    // the one before may not have let go yet
    eventually("it sleeps", async || matches!(link.try_sleep().await.unwrap(), Sleeper::Ourselves(_)).then_some(()))
        .await;
    database.sql(statements).await;
    database.sql("notify live_orders, 'the end'").await;
    let mut all = Vec::new();
    while let Some(payload) = payloads.recv().await {
        if payload == "the end" {
            break;
        }
        all.push(payload);
    }
    all
}

#[tokio::test]
async fn a_transaction_notifies_once_and_names_itself_alone() {
    let database = start().await;
    for (statements, notifications) in [
        ("update orders_order set status = 'confirmed' where id = 1", 1),
        ("update orders_order set status = 'processing'", 1),
        ("update orders_order set updated_at = now()", 0),
        ("delete from orders_orderitem where order_id = 3", 1),
        ("delete from orders_order where id = 3", 1),
        (
            "delete from orders_orderitem; update orders_order set status = 'odd'; delete from orders_order where id < 3",
            1,
        ),
        ("truncate orders_order cascade", 1),
    ] {
        let last = "select max(id) from live.order_event";
        let before = database.value(last).await;
        let heard = payloads(&database, statements).await;
        let recorded = format!(
            "select string_agg(distinct xid::text, ' ') from live.order_event where id > coalesce({before}, 0)"
        );
        let transactions = database.value(&recorded).await;
        assert_eq!(heard, vec![transactions; notifications], "{statements}");
    }
}

/// So that a listener that sleeps learns that writers are in each other's way.
#[tokio::test]
async fn a_transaction_that_finds_another_notifying_says_so() {
    let database = start().await;
    let (heard, mut payloads) = mpsc::unbounded_channel();
    let url = DatabaseUrl::parse(&database.url).unwrap();
    let link = Link::open(&url, "test", move |_, payload| heard.send(payload.to_owned()).unwrap()).await.unwrap();
    link.listen_for_orders().await.unwrap();
    assert!(matches!(link.try_sleep().await.unwrap(), Sleeper::Ourselves(_)));
    let first = database.client().await;
    first.batch_execute("begin; update orders_order set status = 'shipped' where id = 1").await.unwrap();
    for (other, crowded) in [
        ("update orders_order set status = 'shipped' where id = 3", true),
        ("update orders_order set customer_phone = '1' where id = 3", false),
    ] {
        database.sql(other).await;
        database.sql("notify live_orders, 'the end'").await;
        let payload = payloads.recv().await.unwrap();
        assert_eq!(payload.ends_with(" crowded"), crowded, "{other}: {payload}");
    }
    first.batch_execute("commit").await.unwrap();
    assert!(!payloads.recv().await.unwrap().contains("crowded"), "it was the first");
    database.sql("update orders_order set status = 'shipped' where id = 3").await;
    assert!(!payloads.recv().await.unwrap().contains("crowded"), "it is alone again");
}

#[tokio::test]
async fn five_thousand_orders_over_three_hundred_reps_in_one_statement() {
    let database = Database::new().await;
    database.sql("insert into accounts_user (id, password, is_superuser, username, first_name, last_name, email, is_staff,
            is_active, date_joined, role, phone_number, address, city, state, country, zip_code, is_verified, created_at,
            updated_at)
        select 1000000000000000 + n, '', false, 'rep' || n, '', '', '', false, true, now(), 'sales_rep', '', '', '', '', '',
            '', true, now(), now() from generate_series(1, 300) n").await;
    let values: Vec<String> = (1..=5_000)
        .map(|id| format!("({id}, {}, 'pending', 'paid', 1)", 1_000_000_000_000_000_i64 + 1 + id % 300))
        .collect();
    let heard = payloads(&database, &order_sql(&values.join(", "))).await;
    assert_eq!(heard.len(), 1, "{heard:?}");
    assert_eq!(
        database.value("select count(distinct new_sales_rep_id) || '/' || count(*) from live.order_event").await,
        "300/5000"
    );
}

/// Writers with rollbacks, savepoints and slow transactions; a reader that moves its cursor all the time. It must see
/// every committed event once.
#[tokio::test]
async fn a_cursor_sees_every_committed_event_exactly_once() {
    let database = Database::new().await;
    let orders: Vec<String> = (1..=40).map(|id| format!("({id}, 1, 'pending', 'paid', 0)")).collect();
    database.orders(&orders.join(", ")).await;
    let mut cursor = database.value("select pg_current_snapshot()").await;
    let done = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..6)
        .map(|seed| {
            let url = database.url.clone();
            tokio::spawn(async move {
                let client = crate::harness::database::connect(&url).await;
                let mut random = StdRng::seed_from_u64(seed);
                for _ in 0..120 {
                    let id = random.random_range(1..=40);
                    let update = format!("update orders_order set total_amount = total_amount + 1 where id = {id}");
                    let statement = match random.random_range(0..5) {
                        0 => format!("begin; {update}; rollback"),
                        1 => format!("begin; savepoint s; {update}; rollback to s; {update}; commit"),
                        2 => format!("begin; {update}; select pg_sleep(0.02); commit"),
                        3 => format!("begin; savepoint s; {update}; release s; commit"),
                        _ => update,
                    };
                    // two transactions that wait for each other's row end one of them: a rollback more
                    if client.batch_execute(&statement).await.is_err() {
                        client.batch_execute("rollback").await.unwrap();
                    }
                }
            })
        })
        .collect();
    let finished = Arc::clone(&done);
    let waiting = tokio::spawn(async move {
        for writer in writers {
            writer.await.unwrap();
        }
        finished.store(true, Ordering::SeqCst);
    });
    let reader = database.client().await;
    let mut seen = BTreeSet::new();
    loop {
        let last = done.load(Ordering::SeqCst);
        // one statement is one snapshot
        let row = reader
            .query_one(
                "select pg_current_snapshot()::text, array(select id from live.events_since($1::text::pg_snapshot))",
                &[&cursor],
            )
            .await
            .unwrap();
        cursor = row.get(0);
        for id in row.get::<_, Vec<i64>>(1) {
            assert!(seen.insert(id), "event {id} was seen twice");
        }
        if last {
            break;
        }
    }
    waiting.await.unwrap();
    let recorded: i64 =
        database.value("select count(*) from live.order_event where operation = 'update'").await.parse().unwrap();
    assert_eq!(seen.len() as i64, recorded);
    assert!(recorded > 300);
}

/// A session that wrote before the host altered a column goes on writing, whatever its plans were made for.
#[tokio::test]
async fn a_session_that_is_open_while_the_host_widens_columns_goes_on_writing() {
    const STATEMENTS: [&str; 9] = [
        "update orders_order set status = 'confirmed' where id = 1",
        "update orders_order set payment_status = 'paid' where id = 1",
        "update orders_order set customer_name = 'New name' where id = 1",
        "update orders_order set sales_rep_id = null where id = 2",
        "update orders_order set customer_phone = '2' where id = 2",
        "insert into orders_orderitem (order_id, medicine_id, quantity, unit, unit_price, total_price, prescription_notes,
             created_at) values (3, 8, 1, 'boxes', 1, 1, '', now())",
        "delete from orders_orderitem where order_id = 3",
        "update orders_order set id = id + 100 where id = 4",
        "delete from orders_order where id = 104",
    ];
    for alteration in [
        "alter column status type text",
        "alter column payment_status type text, alter column order_number type text, alter column customer_name type text",
        "alter column total_amount type numeric(14,4)",
        "alter column total_amount type double precision",
        "alter column status type varchar(400), alter column created_at type timestamp",
        "add column extra text, drop column internal_notes",
    ] {
        let database = start().await;
        let service = crate::harness::service::Service::start(&database).await;
        let ana = service.signed_in("ana").await;
        let mut stream = ana.events().await;
        stream.wait_for("ping").await;
        let open = database.client().await;
        let insert = order_sql("(ID, 1::bigint, 'pending', 'pending', 10)");
        let warm = "begin; update orders_order set id = id + 100 where id = 4;
            update orders_order set sales_rep_id = null, customer_name = 'x' where id < 3;
            delete from orders_orderitem where order_id = 3; rollback;";
        open.batch_execute(warm).await.unwrap();
        open.batch_execute(&insert.replace("ID", "50")).await.unwrap();
        for statement in STATEMENTS.iter().take(2) {
            open.batch_execute(statement).await.unwrap();
        }
        database.sql(&format!("alter table orders_order {alteration}")).await;
        for statement in STATEMENTS {
            open.batch_execute(statement).await.unwrap_or_else(|error| panic!("{alteration}: {statement}: {error:?}"));
        }
        if !alteration.contains("internal_notes") {
            open.batch_execute(&insert.replace("ID", "51"))
                .await
                .unwrap_or_else(|error| panic!("{alteration}: insert: {error:?}"));
        }
        // what a plan for other types ran into would be noted, and fail nothing
        let unreadable = "select count(*) from live.order_event where operation = 'unreadable'";
        assert_eq!(database.value(unreadable).await, "0", "{alteration}");
        let store = database.store();
        assert_eq!(store.statistics_that_differ().await.unwrap(), Vec::<String>::new(), "{alteration}");
        // nor do the service's own statements, which were prepared before
        open.batch_execute("update orders_order set status = 'shipped', customer_name = 'Last' where id = 1")
            .await
            .unwrap();
        eventually("the dashboard has it", async || {
            let dashboard = ana.dashboard("").await;
            let row = dashboard["orders"].as_array()?.iter().find(|order| order["id"] == 1)?.clone();
            (row["status"] == "shipped").then_some(())
        })
        .await;
        stream.patch_of(1).await;
    }
}

/// Triggers of the host's, one of which changes the order once more; another fills a table that was emptied.
#[tokio::test]
async fn what_the_hosts_own_triggers_do_is_recorded_after_what_caused_it() {
    let database = start().await;
    database
        .sql(
            "create function take_on() returns trigger language plpgsql as $$ begin
                 update orders_order set status = case new.status when 'confirmed' then 'processing' else 'confirmed' end
                 where id = new.id and status in ('new', 'confirmed');
                 return null;
             end $$;
             create trigger a_host after insert or update on orders_order for each row execute function take_on();
             create function archive() returns trigger language plpgsql as $$ begin
                 update orders_order set status = 'archived'; return null;
             end $$;
             create trigger zz_archive before truncate on orders_order for each statement execute function archive();
             create table kept as select * from orders_order where id = 4;
             create function refill() returns trigger language plpgsql as $$ begin
                 insert into orders_order select * from kept; return null;
             end $$;
             create trigger a_refill after truncate on orders_order for each statement execute function refill();",
        )
        .await;
    let order = |id| {
        format!(
            "select string_agg(format('%s>%s', old_status, new_status), ' ' order by id) from live.order_event where order_id = {id}"
        )
    };
    database.sql("update orders_order set status = 'confirmed' where id = 1").await;
    assert_eq!(database.value(&order(1)).await, "pending>confirmed confirmed>processing");
    database.orders("(60, 1::bigint, 'new', 'paid', 5)").await;
    assert_eq!(database.value(&order(60)).await, ">new new>confirmed confirmed>processing");
    let store = database.store();
    database.sql("truncate orders_order cascade").await;
    assert_eq!(database.value("select count(*) from orders_order").await, "1");
    assert_eq!(store.statistics_that_differ().await.unwrap(), Vec::<String>::new());
    store.fold().await.unwrap();
    assert_eq!(store.statistics_that_differ().await.unwrap(), Vec::<String>::new());
}
