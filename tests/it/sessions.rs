//! Signing in and out, what a session may see, and what ends it.

use futures_util::future::join_all;
use serde_json::json;

use crate::harness::database::{Database, PASSWORD};
use crate::harness::eventually;
use crate::harness::http::{API, EVENTS};
use crate::harness::service::Service;

#[tokio::test]
async fn the_cookie_is_as_it_should_be_and_the_database_has_a_hash_alone() {
    let database = Database::new().await;
    let service = Service::start(&database).await;
    let client = service.anonymous();
    let response = client.try_sign_in("ana", PASSWORD).await;
    let cookie = response.headers()["set-cookie"].to_str().unwrap().to_owned();
    for attribute in ["HttpOnly", "SameSite=Lax", "Path=/", "Max-Age="] {
        assert!(cookie.contains(attribute), "{cookie}");
    }
    assert!(!cookie.contains("Secure"));
    let token = cookie.split(['=', ';']).nth(1).unwrap();
    assert_eq!(token.len(), 64);
    assert_eq!(
        database.value(&format!("select count(*) from live.session s where s::text like '%{token}%'")).await,
        "0"
    );
    let hashed = format!("select count(*) from live.session where token_hash = sha256('{token}')");
    assert_eq!(database.value(&hashed).await, "1");

    let fields = [("username", "ana"), ("password", PASSWORD)];
    let https = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let response = https
        .post(format!("{}/accounts/login/", service.base()))
        .header("x-forwarded-proto", "https")
        .form(&fields)
        .send()
        .await
        .unwrap();
    assert!(response.headers()["set-cookie"].to_str().unwrap().contains("Secure"));
}

#[tokio::test]
async fn only_the_right_password_of_an_active_user_signs_in() {
    let database = Database::new().await;
    let service = Service::start(&database).await;
    for (username, password) in
        [("ana", "wrong"), ("gone", PASSWORD), ("nobody", PASSWORD), ("", ""), ("ana\0", PASSWORD)]
    {
        let client = service.anonymous();
        let response = client.try_sign_in(username, password).await;
        assert_eq!(response.status(), 401, "{username}");
        assert!(!response.headers().contains_key("set-cookie"));
        assert!(response.text().await.unwrap().contains("do not match an active account"));
        assert_eq!(client.json(API).await.0, 401);
    }
}

#[tokio::test]
async fn signing_in_leads_on_to_this_site_alone() {
    let database = Database::new().await;
    let service = Service::start(&database).await;
    for (next, location) in [
        ("/orders/orders/?page=2", "/orders/orders/?page=2"),
        ("", "/"),
        ("//evil.example", "/"),
        ("https://evil.example", "/"),
        ("/\\evil.example", "/"),
    ] {
        let fields = [("username", "ana"), ("password", PASSWORD), ("next", next)];
        let response = service.anonymous().post("/accounts/login/", &fields).await;
        assert_eq!(response.headers()["location"], location, "{next}");
    }
    let response = service.anonymous().get("/orders/orders/?status=pending").await;
    assert_eq!(response.status(), 303);
    assert_eq!(response.headers()["location"], "/accounts/login/?next=%2Forders%2Forders%2F%3Fstatus%3Dpending");

    // a form leads back to its page, not to where it went, and it is said that nothing came of it
    let status = "/orders/orders/5/status/";
    for (referer, next) in [
        (format!("{}/orders/orders/5/?a=b", service.base()), "%2Forders%2Forders%2F5%2F%3Fa%3Db"),
        ("https://evil.example/orders/orders/5/".to_owned(), "%2F"),
        (format!("{}//evil.example/", service.base()), "%2F"),
        ("?".to_owned(), "%2F"),
    ] {
        let response = service.anonymous().post_with(status, &[("referer", &referer)]).await;
        let login = response.headers()["location"].to_str().unwrap().to_owned();
        assert_eq!(login, format!("/accounts/login/?next={next}&unsaved=1"), "{referer}");
        let html = service.anonymous().get(&login).await.text().await.unwrap();
        assert!(html.contains("nothing was changed"), "{html}");
    }
}

#[tokio::test]
async fn whatever_ends_a_session_ends_its_streams() {
    for (ending, statement) in [
        ("signing out", ""),
        ("deactivation", "update accounts_user set is_active = false where username = 'ana'"),
        ("another password", "update accounts_user set password = 'other' where username = 'ana'"),
        ("another role", "update accounts_user set role = 'auditor' where username = 'ana'"),
        ("expiry", "update live.session set expires_at = now()"),
        ("deletion", "delete from live.session"),
    ] {
        let database = Database::new().await;
        let service = Service::start(&database).await;
        let ana = service.signed_in("ana").await;
        let mut stream = ana.events().await;
        stream.wait_for("ping").await;
        if statement.is_empty() {
            let response = ana.post("/accounts/logout/", &[]).await;
            assert_eq!(response.headers()["location"], "/accounts/login/");
        } else {
            database.sql(statement).await;
        }
        assert_eq!(stream.wait_for("bye").await.data, json!({"reason": "signed_out"}), "{ending}");
        assert!(stream.next().await.is_none());
        assert!([401, 403].contains(&ana.json(API).await.0), "{ending}");
    }
}

#[tokio::test]
async fn another_sites_requests_change_nothing() {
    let database = Database::new().await;
    database.orders("(1, 1, 'pending', 'paid', 1)").await;
    let service = Service::start(&database).await;
    let ana = service.signed_in("ana").await;
    let host = service.web.to_string();
    let own = format!("http://{host}");
    for (headers, status) in [
        (vec![("sec-fetch-site", "cross-site")], 403),
        (vec![("sec-fetch-site", "same-site")], 403),
        (vec![("origin", "https://evil.example")], 403),
        (vec![("origin", "null")], 403),
        (vec![("origin", &*own)], 303),
        (vec![("sec-fetch-site", "same-origin"), ("origin", "http://proxied.example")], 303),
    ] {
        let response = ana.post_with("/orders/orders/1/cancel/", &headers).await;
        assert_eq!(response.status(), status, "{headers:?}");
        let expected = if status == 403 { "pending" } else { "cancelled" };
        assert_eq!(database.value("select status from orders_order").await, expected);
        database.sql("update orders_order set status = 'pending'").await;
    }
}

#[tokio::test]
async fn a_session_opens_so_many_streams_and_then_replaces_its_oldest() {
    let database = Database::new().await;
    let service = Service::start(&database).await;
    let ana = service.signed_in("ana").await;
    let mut first = ana.events().await;
    first.wait_for("sync").await;
    let mut others = Vec::new();
    for _ in 0..24 {
        others.push(ana.events().await);
    }
    assert_eq!(first.wait_for("bye").await.data, json!({"reason": "replaced"}));
    others[0].wait_for("sync").await;
    assert_eq!(service.metric("oncare_live_streams_closed_total{role=\"sales_rep\",reason=\"replaced\"}").await, 1.0);
}

#[tokio::test]
async fn no_more_streams_stay_where_many_come_at_once_over_one_connection() {
    const STAY: usize = 24;
    let database = Database::new().await;
    let service = Service::start(&database).await;
    let response = service.anonymous().try_sign_in("ana", PASSWORD).await;
    let cookie = response.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap();
    let client = reqwest::Client::builder().http2_prior_knowledge().build().unwrap();
    let open = || client.get(format!("{}{EVENTS}", service.base())).header("cookie", cookie).send();
    let streams = join_all((0..150).map(|_| open())).await;
    assert!(streams.iter().all(|stream| stream.as_ref().is_ok_and(|response| response.status() == 200)));
    eventually("the newest stay", async || {
        (service.metric("oncare_live_streams_open{role=\"sales_rep\"}").await == STAY as f64).then_some(())
    })
    .await;
}
