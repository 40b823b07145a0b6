//! A role of the service's own needs exactly what `doctor --grants` prints: with that everything works, and of each right that it lacks
//! the doctor says so. Beside another application that is nothing but reading its tables.

use std::time::Duration;

use oncare_live::doctor;
use oncare_live::store::{DatabaseUrl, Folded, Store, rights};

use crate::harness::database::Database;
use crate::harness::eventually;
use crate::harness::service::Service;

/// A database in which nobody has a right that was not granted, with orders, and a role with what `doctor --grants` prints.
async fn granted(own_forms: bool) -> (Database, String, DatabaseUrl) {
    let database = Database::new().await;
    database
        .orders("(1, 1, 'pending', 'pending', 5), (2, 1, 'pending', 'paid', 7), (3, 2, 'pending', 'paid', 9)")
        .await;
    let role = format!("exact_{}", database.name);
    database
        .sql(&format!(
            "create role {role} login password 'exact';
             revoke all on schema public from public;
             revoke execute on all functions in schema live from public"
        ))
        .await;
    database.grant(&role, own_forms).await;
    let url = DatabaseUrl::parse(&database.url.replace("oncare:oncare@", &format!("{role}:exact@"))).unwrap();
    (database, role, url)
}

async fn problems(url: &DatabaseUrl) -> Vec<String> {
    let findings = [doctor::examine(url).await, doctor::own_forms(url, false).await].concat();
    findings.iter().filter_map(|finding| Some(format!("{}: {}", finding.subject, finding.problem()?))).collect()
}

/// What a rep writes, in this order: path and form.
const WRITES: [(&str, &[(&str, &str)]); 10] = [
    (
        "/orders/orders/2/edit/",
        &[
            ("customer_name", "New Name"),
            ("customer_phone", "0917 555"),
            ("customer_address", "1 Rizal St"),
            ("delivery_method", "pickup"),
            ("customer_notes", "Call first"),
        ],
    ),
    ("/orders/orders/2/cancel/", &[("reason", "by ana")]),
    ("/orders/orders/views/", &[("name", "Mine"), ("query", "?status=pending")]),
    ("/orders/orders/views/", &[("name", "Mine"), ("query", "?status=shipped")]),
    ("/orders/orders/views/delete/", &[("name", "Mine")]),
    ("/accounts/preferences/", &[("toasts", "1"), ("status", "shipped")]),
    ("/orders/api/orders/1/mute/", &[("muted", "1")]),
    ("/orders/api/orders/1/mute/", &[("muted", "")]),
    ("/orders/api/orders/1/viewing/", &[("page", "p1")]),
    ("/orders/api/orders/1/viewing/", &[("page", "p1"), ("leaving", "1")]),
];

#[tokio::test]
async fn everything_works_with_what_is_printed() {
    let (database, role, url) = granted(true).await;
    assert_eq!(problems(&url).await, Vec::<String>::new());

    // what runs in the background
    let store = Store::new(url.clone(), 2).unwrap();
    assert!(matches!(store.fold().await.unwrap(), Folded::Events(_) | Folded::Rebuilt | Folded::Nothing));
    database.sql("update orders_order set sales_rep_id = 2 where id = 2; update orders_order set sales_rep_id = 1 where id = 2").await;
    assert!(matches!(store.fold().await.unwrap(), Folded::Events(_)));
    database.sql("truncate orders_order cascade").await;
    database
        .orders("(1, 1, 'pending', 'pending', 5), (2, 1, 'pending', 'paid', 7), (3, 2, 'pending', 'paid', 9)")
        .await;
    store.fold().await.unwrap();
    store.tidy_statistics().await.unwrap();
    eventually("the timeline is extended", async || (store.extend_timeline().await.unwrap() > 0).then_some(())).await;
    eventually("old events are pruned", async || {
        store.prune(Duration::ZERO).await.unwrap();
        (database.value("select count(*) from live.order_event").await == "0").then_some(())
    })
    .await;
    assert_eq!(database.value("select count(*) from live.arrival").await, "1");
    // as after a restore elsewhere
    database.sql("update live.fold set system_identifier = 42").await;
    assert_eq!(store.fold().await.unwrap(), Folded::Rebuilt);
    database.sql("delete from live.incarnation").await;

    let service = Service::start_unready(&database.url.replace("oncare:oncare@", &format!("{role}:exact@")), &[]).await;
    service.ready().await;
    let (ana, rx) = (service.signed_in("ana").await, service.signed_in("rx").await);
    let mut of_rep = ana.events().await;
    let mut of_all = rx.events_of("/orders/api/pharmacist/events/", None).await;
    let since = of_rep.wait_for("sync").await.id.unwrap();
    of_all.wait_for("sync").await;

    // reading
    for page in [
        "/orders/orders/",
        "/orders/orders/?q=customer&sort=-created_at",
        "/orders/orders/?date_from=2025-01-01",
        "/orders/orders/1/",
        "/orders/orders/1/edit/",
        "/orders/orders/1/cancel/",
        "/orders/orders/export.csv",
        "/orders/api/sales-rep/dashboard/",
        "/orders/api/sales-rep/changes/",
        "/accounts/preferences/",
    ] {
        let status = ana.get(page).await.status();
        assert_eq!(status, 200, "{page}");
    }
    for page in [
        "/orders/pharmacist/dashboard/",
        "/orders/pharmacist/orders/",
        "/orders/pharmacist/orders/export.csv",
        "/orders/pharmacist/orders/1/",
        "/orders/api/pharmacist/dashboard/",
        "/orders/api/pharmacist/changes/",
    ] {
        let status = rx.get(page).await.status();
        assert_eq!(status, 200, "{page}");
    }

    // writing
    let confirmed = rx.post("/orders/orders/1/status/", &[("status", "confirmed"), ("note", "by rx")]).await;
    assert_eq!(confirmed.status(), 303);
    of_rep.patch_of(1).await;
    of_all.patch_of(1).await;
    drop(of_rep);
    let (_, changes) = ana.json("/orders/api/sales-rep/changes/").await;
    let read = [("cursor", changes["cursor"].as_str().unwrap()), ("user", "1")];
    let unread = ana.post("/orders/api/sales-rep/changes/read/", &read).await.status();
    assert!(unread.is_success(), "{unread}");
    ana.events_since(Some(&since)).await.wait_for("sync").await;
    for (path, fields) in WRITES {
        let status = ana.post(path, fields).await.status();
        assert!([200, 204, 303].contains(&status.as_u16()), "{path}: {status}");
    }
    assert_eq!(ana.post("/accounts/logout/", &[]).await.status(), 303);
    drop(of_all);
    assert_eq!(service.get_ops("/readyz").await.0, 200);
    database.sql(&format!("revoke select on orders_orderitem from {role}")).await;
    let (status, text) = service.get_ops("/readyz").await;
    assert_eq!(status, 503, "no list can be read: {text}");
    let said: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert!(said["tables"].as_str().unwrap().contains("grant select on public.orders_orderitem to "), "{text}");
}

#[tokio::test]
async fn the_doctor_names_each_right_that_is_missing() {
    let (database, role, url) = granted(true).await;
    assert_eq!(rights(true).count(), 30, "two schemas, functions and tables");
    let each = rights(true).flat_map(|right| {
        // a statement grants several rights on one thing, or one on several columns
        let (rights, on) = right.split_once(" on ").map(|(rights, on)| (rights.to_owned(), on.to_owned())).unwrap();
        // that each column is missed is shown with the three roles (owners.rs)
        if rights.ends_with(')') {
            return vec![right];
        }
        rights.split(", ").map(|right| format!("{right} on {on}")).collect::<Vec<_>>()
    });
    for right in each {
        database.sql(&format!("revoke {right} from {role}")).await;
        let problems = problems(&url).await;
        let statement = format!("grant {right} to \"{role}\";");
        assert!(
            problems.iter().any(|problem| {
                ["privileges: ", "own forms: "].iter().any(|subject| problem.starts_with(subject))
                    && problem.contains(&statement)
            }),
            "{right}: {problems:?}"
        );
        // what it says is what mends it
        database.sql(&statement).await;
    }
    assert_eq!(self::problems(&url).await, Vec::<String>::new());
}

#[tokio::test]
async fn beside_another_application_reading_its_tables_is_enough_and_they_are_not_written() {
    let (database, role, url) = granted(false).await;
    let findings = doctor::examine(&url).await;
    assert!(findings.iter().all(|finding| finding.problem().is_none()), "{findings:?}");
    let beyond_reading = format!(
        "select count(*) from pg_class c, unnest('{{insert,update,delete,truncate,references,trigger}}'::text[]) p
         where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v') and has_table_privilege('{role}', c.oid, p)"
    );
    assert_eq!(database.value(&beyond_reading).await, "0");
    let service =
        Service::start_beside_host(&database.url.replace("oncare:oncare@", &format!("{role}:exact@")), &[]).await;
    let (ana, rx) = (service.signed_in("ana").await, service.signed_in("rx").await);
    let mut stream = ana.events().await;
    stream.wait_for("sync").await;
    stream.wait_for("ping").await;

    let of_host = "select md5(string_agg(row, ',' order by row)) from (
        select o::text as row from orders_order o union all select h::text from orders_orderstatushistory h
        union all select i::text from orders_orderitem i union all select u::text from accounts_user u) rows";
    let before = database.value(of_host).await;
    for (path, fields) in WRITES {
        let status = ana.post(path, fields).await.status().as_u16();
        let is_of_host = path.ends_with("/edit/") || path.ends_with("/cancel/");
        assert!(if is_of_host { status == 409 } else { [200, 204, 303].contains(&status) }, "{path}: {status}");
    }
    for (path, fields) in [
        ("/orders/orders/1/status/", &[("status", "confirmed")][..]),
        ("/orders/orders/status/", &[("status", "confirmed"), ("order", "1")][..]),
    ] {
        let (status, answer) = rx.post_json(path, fields).await;
        assert_eq!(status, 409, "{path}: {answer}");
        assert_eq!(answer["error"], "orders are changed in the application that manages them, and not here", "{path}");
    }
    for page in ["/orders/orders/", "/orders/orders/1/", "/orders/orders/export.csv", "/accounts/preferences/"] {
        assert_eq!(ana.get(page).await.status(), 200, "{page}");
    }
    for page in ["/orders/pharmacist/dashboard/", "/orders/pharmacist/orders/", "/orders/pharmacist/orders/1/"] {
        assert_eq!(rx.get(page).await.status(), 200, "{page}");
    }
    assert_eq!(database.value(of_host).await, before);
    // and it is as live as ever
    database.sql("update orders_order set status = 'shipped' where id = 1").await;
    stream.patch_of(1).await;
}

#[tokio::test]
async fn a_form_is_offered_only_where_everything_that_it_needs_is_there() {
    let (database, role, url) = granted(true).await;
    // as older Djangos make keys
    database
        .sql(
            "alter table orders_orderstatushistory alter id drop identity;
             create sequence \"History ids\"; alter table orders_orderstatushistory alter id set default nextval('\"History ids\"')",
        )
        .await;
    let service = Service::start_unready(&database.url.replace("oncare:oncare@", &format!("{role}:exact@")), &[]).await;
    service.ready().await;
    let (ana, rx) = (service.signed_in("ana").await, service.signed_in("rx").await);
    let sequence = format!("grant usage on sequence public.\"History ids\" to \"{role}\"");
    for (breakage, mend, told) in [
        (String::new(), sequence.clone(), sequence.as_str()),
        (
            format!("revoke update on orders_order from {role}"),
            format!("grant update on orders_order to {role}"),
            "grant update (customer_name, ",
        ),
        (
            format!("revoke insert on orders_orderstatushistory from {role}"),
            format!("grant insert on orders_orderstatushistory to {role}"),
            "grant insert (order_id, ",
        ),
        (
            "alter table orders_orderstatushistory add reason text not null default ''; alter table orders_orderstatushistory alter reason drop default".to_owned(),
            "alter table orders_orderstatushistory drop reason".to_owned(),
            "public.orders_orderstatushistory needs a value in reason",
        ),
        (
            "alter table orders_orderstatushistory rename notes to remarks".to_owned(),
            "alter table orders_orderstatushistory rename remarks to notes".to_owned(),
            "public.orders_orderstatushistory lacks the column notes",
        ),
        (
            format!("alter table orders_orderstatushistory enable row level security; create policy own on orders_orderstatushistory for select to {role} using (true)"),
            "drop policy own on orders_orderstatushistory; alter table orders_orderstatushistory disable row level security".to_owned(),
            "row-level security may refuse what forms write to public.orders_orderstatushistory",
        ),
        (
            "create table django_migrations (id bigint)".to_owned(),
            "drop table django_migrations".to_owned(),
            "Django manages this database",
        ),
    ] {
        database.sql(&breakage).await;
        let problems = problems(&url).await;
        assert!(problems.iter().any(|problem| problem.contains(told)), "{told}: {problems:?}");
        for (who, path, fields) in [
            (&rx, "/orders/orders/1/status/", &[("status", "confirmed")][..]),
            (&rx, "/orders/orders/status/", &[("status", "confirmed"), ("order", "1")]),
            (&ana, "/orders/orders/1/cancel/", &[("reason", "none")]),
            (&ana, "/orders/orders/1/edit/", &[("customer_notes", "x")]),
        ] {
            let (status, answer) = who.post_json(path, fields).await;
            let error = answer["error"].as_str().unwrap_or_default();
            assert!(status == 409 && error.contains("can't be changed here right now"), "{told}: {path}: {status} {answer}");
        }
        for path in ["/orders/orders/1/edit/", "/orders/orders/1/cancel/"] {
            let answer = ana.get(path).await;
            assert_eq!(answer.status(), 409, "{told}: {path}");
            assert!(answer.text().await.unwrap().contains("oncare-live doctor"), "{told}: {path}");
        }
        database.sql(&mend).await;
    }
    assert_eq!(problems(&url).await, Vec::<String>::new());
    assert_eq!(rx.post("/orders/orders/1/status/", &[("status", "confirmed")]).await.status(), 303);
    assert_eq!(database.value("select count(*) from orders_orderstatushistory").await, "1");

    // pages offer what there is, at most some seconds later
    let of_forms = [
        (&ana, "/orders/orders/", "/orders/orders/2/edit/"),
        (&ana, "/orders/orders/2/", "/orders/orders/2/cancel/"),
        (&rx, "/orders/pharmacist/orders/", "id=\"selection\""),
        (&rx, "/orders/pharmacist/orders/2/", "id=\"change\""),
    ];
    for (statement, is_offered) in [
        (format!("revoke update on orders_order from {role}"), false),
        (format!("grant update on orders_order to {role}"), true),
    ] {
        database.sql(&statement).await;
        for (who, page, form) in of_forms {
            eventually("the page offers what there is", async || {
                let answer = who.get(page).await;
                assert_eq!(answer.status(), 200, "{page}");
                let html = answer.text().await.unwrap();
                let says_why =
                    html.contains("id=\"unavailable\"") && html.contains("Orders can&#39;t be changed here right now");
                (html.contains(form) == is_offered && says_why != is_offered).then_some(())
            })
            .await;
        }
    }
}
