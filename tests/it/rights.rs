//! A role of the service's own needs exactly what `grants` prints: with that everything works, and of each right that it lacks the
//! doctor says so.

use std::time::Duration;

use oncare_live::doctor;
use oncare_live::store::{DatabaseUrl, Folded, Store, grants, rights};

use crate::harness::database::Database;
use crate::harness::eventually;
use crate::harness::service::Service;

/// A database in which nobody has a right that was not granted, with orders, and a role with what `grants` prints.
async fn granted() -> (Database, String, DatabaseUrl) {
    let database = Database::new().await;
    database
        .orders("(1, 1, 'pending', 'pending', 5), (2, 1, 'pending', 'paid', 7), (3, 2, 'pending', 'paid', 9)")
        .await;
    let role = format!("exact_{}", database.name);
    database
        .sql(&format!(
            "create role {role} login password 'exact';
             revoke all on schema public from public;
             revoke execute on all functions in schema live from public;
             {}",
            grants(&role)
        ))
        .await;
    let url = DatabaseUrl::parse(&database.url.replace("oncare:oncare@", &format!("{role}:exact@"))).unwrap();
    (database, role, url)
}

async fn problems(url: &DatabaseUrl) -> Vec<String> {
    let findings = doctor::examine(url).await;
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
    let (database, role, url) = granted().await;
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
}

#[tokio::test]
async fn the_doctor_names_each_right_that_is_missing() {
    let (database, role, url) = granted().await;
    assert_eq!(rights().count(), 24, "two schemas, functions and tables");
    let each = rights().flat_map(|right| {
        // a statement grants several rights on one thing
        let (rights, on) = right.split_once(" on ").map(|(rights, on)| (rights.to_owned(), on.to_owned())).unwrap();
        rights.split(", ").map(|right| format!("{right} on {on}")).collect::<Vec<_>>()
    });
    for right in each {
        database.sql(&format!("revoke {right} from {role}")).await;
        let problems = problems(&url).await;
        let statement = format!("grant {right} to \"{role}\";");
        assert!(
            problems.iter().any(|problem| problem.starts_with("privileges: ") && problem.contains(&statement)),
            "{right}: {problems:?}"
        );
        // what it says is what mends it
        database.sql(&statement).await;
    }
    assert_eq!(self::problems(&url).await, Vec::<String>::new());
}
