//! The newest changes, what of them is unread, what somebody wants to be told of, and what they have muted.

use serde_json::{Value, json};

use crate::harness::database::Database;
use crate::harness::http::Browserless;
use crate::harness::service::Service;

const CHANGES: &str = "/orders/api/sales-rep/changes/";
const READ: &str = "/orders/api/sales-rep/changes/read/";
const ALL_CHANGES: &str = "/orders/api/pharmacist/changes/";
const PREFERENCES: &str = "/accounts/preferences/";

/// Two orders of ana's and one of ben's.
async fn some_orders() -> (Database, Service) {
    let database = Database::new().await;
    database
        .orders("(1, 1, 'pending', 'pending', 1500), (2, 1, 'processing', 'paid', 20), (3, 2, 'pending', 'paid', 9)")
        .await;
    let service = Service::start(&database).await;
    (database, service)
}

async fn changes(client: &Browserless, path: &str) -> Value {
    let (status, answer) = client.json(path).await;
    assert_eq!(status, 200, "{answer}");
    answer
}

/// Each change as `order operation`, the newest first.
fn told(answer: &Value) -> Vec<String> {
    let each = answer["changes"].as_array().unwrap().iter();
    each.map(|change| format!("{} {}", change["order_id"], change["operation"].as_str().unwrap())).collect()
}

fn since(answer: &Value) -> String {
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("since", answer["cursor"].as_str().unwrap())
        .finish();
    format!("{CHANGES}?{query}")
}

async fn set(database: &Database, what: &str, id: i64) {
    database
        .sql(&format!("select set_config('app.user', 'rx', false); update orders_order set {what} where id = {id}"))
        .await;
}

#[tokio::test]
async fn everybody_finds_the_changes_of_their_own_orders() {
    let (database, service) = some_orders().await;
    let (ana, rx, odd) =
        (service.signed_in("ana").await, service.signed_in("rx").await, service.signed_in("odd").await);
    set(&database, "status = 'processing'", 1).await;
    set(&database, "status = 'shipped'", 3).await;
    let answer = changes(&ana, CHANGES).await;
    assert_eq!(told(&answer), ["1 update", "2 insert", "1 insert"]);
    let newest = &answer["changes"][0];
    assert_eq!((&newest["order_number"], &newest["by"]), (&json!("ORD-2025-00001"), &json!("rx")));
    assert_eq!(newest["changed"][0]["to_display"], "Processing");
    assert_eq!(
        (&newest["status"], &newest["unread"], &newest["new"]),
        (&json!("processing"), &json!(false), &Value::Null)
    );
    assert_eq!(answer["preferences"], json!({ "toasts": true, "sound": false, "desktop": false, "untold": [] }));
    let answer = changes(&rx, ALL_CHANGES).await;
    assert_eq!(told(&answer)[..2], ["3 update", "1 update"]);
    assert!(!answer["preferences"]["untold"].as_array().unwrap().contains(&json!("pending")));
    assert_eq!(answer["preferences"]["untold"].as_array().unwrap().len(), 7);

    for (client, path, expected) in [
        (&service.anonymous(), CHANGES, 401),
        (&service.anonymous(), ALL_CHANGES, 401),
        (&rx, CHANGES, 403),
        (&ana, ALL_CHANGES, 403),
        (&odd, CHANGES, 403),
        (&odd, ALL_CHANGES, 403),
        // a page of somebody else's that is still open
        (&ana, "/orders/api/sales-rep/changes/?rep=2", 401),
        (&rx, "/orders/api/pharmacist/changes/?rep=all&user=4", 401),
        (&ana, "/orders/api/sales-rep/changes/?rep=1&user=1&since=nonsense", 200),
    ] {
        assert_eq!(client.json(path).await.0, expected, "{path}");
    }
    let cursor = answer["cursor"].as_str().unwrap();
    let read = [("cursor", cursor), ("user", "4")];
    assert_eq!(rx.post("/orders/api/pharmacist/changes/read/", &read).await.status(), 401);
}

#[tokio::test]
async fn a_rep_is_told_no_value_of_another_reps_time() {
    let (database, service) = some_orders().await;
    let (ana, ben) = (service.signed_in("ana").await, service.signed_in("ben").await);
    set(&database, "sales_rep_id = 2, status = 'shipped', total_amount = 7777.77", 1).await;
    set(&database, "total_amount = 8888.88, status = 'delivered'", 1).await;
    database
        .sql(
            "insert into orders_orderitem (order_id, medicine_id, quantity, unit, unit_price, total_price, prescription_notes,
                 created_at) values (1, 1, 1, 'boxes', 1, 1, '', now())",
        )
        .await;
    let answer = changes(&ana, CHANGES).await;
    assert_eq!(told(&answer), ["1 left", "2 insert", "1 insert"]);
    assert_eq!(answer["changes"][0]["status"], "pending", "what it was when she last had it");
    let text = answer.to_string();
    for value in ["7777.77", "8888.88", "shipped", "delivered"] {
        assert!(!text.contains(value), "{value} is in {text}");
    }
    let answer = changes(&ben, CHANGES).await;
    assert_eq!(told(&answer), ["1 items", "1 update", "1 arrived", "3 insert"]);
    assert_eq!(answer["changes"][0]["status"], "delivered", "an item's change goes by the order's present status");
    assert!(!answer["changes"][2].to_string().contains("pending"), "{answer}");
}

#[tokio::test]
async fn what_is_unread_is_what_came_after_the_mark_and_is_news() {
    let (database, service) = some_orders().await;
    let (ana, elsewhere) = (service.signed_in("ana").await, service.signed_in("ana").await);
    let first = changes(&ana, CHANGES).await;
    assert_eq!(first["unread"], 0, "who never read begins here");
    set(&database, "status = 'processing'", 1).await;
    set(&database, "total_amount = 5", 2).await;
    // her own change is none
    database
        .sql("select set_config('app.user', 'ana', false); update orders_order set total_amount = 6 where id = 2")
        .await;
    let second = changes(&ana, &since(&first)).await;
    assert_eq!(second["unread"], 2);
    let flags = |answer: &Value, flag: &str| -> Vec<Value> {
        answer["changes"].as_array().unwrap().iter().map(|change| change[flag].clone()).collect()
    };
    assert_eq!(flags(&second, "unread"), [false, true, true, false, false]);
    assert_eq!(flags(&second, "new"), [true, true, true, false, false]);
    assert_eq!(flags(&changes(&ana, &since(&second)).await, "new"), [false; 5]);

    // reading in one place reads in all, and only forward
    let mark = |answer: &Value| vec![("cursor", answer["cursor"].as_str().unwrap().to_owned())];
    let read = async |fields: Vec<(&str, String)>| {
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        ana.post(READ, &fields).await.status().as_u16()
    };
    assert_eq!(read(mark(&second)).await, 204);
    assert_eq!(changes(&elsewhere, CHANGES).await["unread"], 0);
    set(&database, "status = 'shipped'", 1).await;
    assert_eq!(read(mark(&first)).await, 204);
    assert_eq!(changes(&elsewhere, CHANGES).await["unread"], 1, "an older mark takes nothing back");
    let (epoch, _) = second["cursor"].as_str().unwrap().split_once('/').unwrap();
    assert_eq!(
        read(vec![("cursor", format!("{epoch}/9000000000:9000000000:"))]).await,
        400,
        "nobody has read the future"
    );
    assert_eq!(read(vec![("cursor", "nonsense".to_owned())]).await, 400);
    assert_eq!(read(vec![]).await, 400);
    assert_eq!(
        read(vec![("cursor", "00000000000000ff/5:5:".to_owned())]).await,
        204,
        "of another life it marks nothing"
    );
    assert_eq!(changes(&elsewhere, CHANGES).await["unread"], 1);

    // a transaction that began before the mark and ends after it is not read
    let mut slow = database.client().await;
    let transaction = slow.transaction().await.unwrap();
    transaction.batch_execute("update orders_order set total_amount = 70 where id = 2").await.unwrap();
    let before = changes(&ana, CHANGES).await;
    assert_eq!(read(mark(&before)).await, 204);
    set(&database, "total_amount = 71", 1).await;
    transaction.commit().await.unwrap();
    assert_eq!(changes(&ana, CHANGES).await["unread"], 2);

    // in another life of the server, the snapshot means nothing, and the time at which it was read does
    database.sql("update live.account set read_epoch = '00000000000000ff'").await;
    set(&database, "total_amount = 72", 1).await;
    let answer = changes(&ana, CHANGES).await;
    assert_eq!(answer["unread"], 2, "the slow transaction wrote its change before the mark");
    assert_eq!(flags(&answer, "unread")[..3], [true, true, false]);
    assert_eq!(read(mark(&answer)).await, 204);
    assert_eq!(changes(&ana, CHANGES).await["unread"], 0);
    set(&database, "total_amount = 73", 1).await;
    assert_eq!(changes(&ana, CHANGES).await["unread"], 1);
}

#[tokio::test]
async fn however_many_changes_there_are_the_newest_fifty_are_listed() {
    let (database, service) = some_orders().await;
    let ana = service.signed_in("ana").await;
    let first = changes(&ana, CHANGES).await;
    let many: Vec<String> = (100..300).map(|id| format!("({id}, 1, 'pending', 'paid', 1)")).collect();
    database.orders(&many.join(", ")).await;
    let answer = changes(&ana, &since(&first)).await;
    assert_eq!(told(&answer).len(), 50);
    assert_eq!(told(&answer)[0], "299 insert");
    assert_eq!((&answer["unread"], &answer["more_unread"]), (&json!(99), &json!(true)));
    assert!(answer["changes"].as_array().unwrap().iter().all(|change| change["new"] == true));
    // others' changes in between do not push them out, and what is looked through is bounded
    let others: Vec<String> = (1_000..2_000).map(|id| format!("({id}, 2, 'pending', 'paid', 1)")).collect();
    database.orders(&others.join(", ")).await;
    assert_eq!(told(&changes(&ana, CHANGES).await)[0], "299 insert");
    for _ in 0..20 {
        database.sql("update orders_order set total_amount = total_amount + 1 where sales_rep_id = 2").await;
    }
    let answer = changes(&ana, CHANGES).await;
    assert_eq!((&told(&answer)[0][..], &answer["unread"]), ("299 insert", &json!(99)), "nor do 20,000 and more");
    database
        .sql(
            "insert into live.order_event (xid, operation, order_id, old_sales_rep_id, new_sales_rep_id, application)
             select pg_current_xact_id(), 'update', 1000, 2, 2, '' from generate_series(1, 200000)",
        )
        .await;
    assert_eq!(told(&changes(&ana, CHANGES).await), Vec::<String>::new());
    assert_eq!(told(&changes(&service.signed_in("rx").await, ALL_CHANGES).await).len(), 50);
}

#[tokio::test]
async fn nothing_new_is_said_in_one_word_until_something_or_the_account_changes() {
    let (database, service) = some_orders().await;
    let ana = service.signed_in("ana").await;
    changes(&ana, CHANGES).await;
    let tag = async || {
        let response = ana.get(CHANGES).await;
        response.headers()["etag"].to_str().unwrap().to_owned()
    };
    let status = async |tag: &str| ana.get_with(CHANGES, &[("if-none-match", tag)]).await.status().as_u16();
    // the listener may not have looked yet
    let known = crate::harness::eventually("nothing is new", async || {
        let known = tag().await;
        (status(&known).await == 304).then_some(known)
    })
    .await;
    set(&database, "status = 'shipped'", 3).await;
    assert_eq!(status(&known).await, 304, "of ben's orders she is told nothing");
    assert_eq!(ana.post_json("/orders/api/orders/2/mute/", &[("muted", "1")]).await.0, 200);
    assert_eq!(status(&known).await, 200);
    let known = tag().await;
    assert_eq!(status(&known).await, 304);
    set(&database, "status = 'shipped'", 1).await;
    assert_eq!(status(&known).await, 200);
}

#[tokio::test]
async fn a_muted_order_is_listed_and_never_unread() {
    let (database, service) = some_orders().await;
    let (ana, rx) = (service.signed_in("ana").await, service.signed_in("rx").await);
    changes(&ana, CHANGES).await;
    let mute = "/orders/api/orders/1/mute/";
    assert_eq!(ana.post_json(mute, &[("muted", "1")]).await, (200, json!({ "order_id": 1, "muted": true })));
    assert_eq!(ana.post_json(mute, &[("muted", "1")]).await.0, 200, "it may be said twice");
    set(&database, "status = 'processing'", 1).await;
    let answer = changes(&ana, CHANGES).await;
    assert_eq!((&answer["unread"], &answer["muted"]), (&json!(0), &json!([1])));
    assert_eq!((&answer["changes"][0]["muted"], &answer["changes"][0]["unread"]), (&json!(true), &json!(false)));
    assert_eq!(changes(&rx, ALL_CHANGES).await["muted"], json!([]), "it is muted for her alone");

    // as a browser's form, from the order's page and from the preferences
    let page = ana.get("/orders/orders/1/").await.text().await.unwrap();
    assert!(page.contains(">Unmute</button>"), "{page}");
    let page = ana.get(PREFERENCES).await.text().await.unwrap();
    assert!(page.contains("ORD-2025-00001"), "{page}");
    let led = ana.post(mute, &[("muted", ""), ("next", PREFERENCES)]).await;
    assert_eq!((led.status().as_u16(), led.headers()["location"].to_str().unwrap()), (303, PREFERENCES));
    assert_eq!(changes(&ana, CHANGES).await["unread"], 1);
    let led = ana.post(mute, &[("muted", "1"), ("next", "//elsewhere")]).await;
    assert_eq!(led.headers()["location"].to_str().unwrap(), "/orders/orders/1/");

    for (client, path, fields, expected) in [
        (&ana, "/orders/api/orders/3/mute/", &[("muted", "1")][..], 404),
        (&ana, "/orders/api/orders/99/mute/", &[("muted", "1")], 404),
        (&ana, "/orders/api/orders/x/mute/", &[("muted", "1")], 404),
        (&ana, mute, &[("muted", "yes")], 400),
        (&ana, mute, &[], 400),
        (&service.anonymous(), mute, &[("muted", "1")], 401),
        (&service.signed_in("odd").await, mute, &[("muted", "1")], 403),
        (&rx, "/orders/api/orders/3/mute/", &[("muted", "1")], 200),
    ] {
        assert_eq!(client.post_json(path, fields).await.0, expected, "{path} {fields:?}");
    }
    // of an order that went away she can be told again, and is told no number of it
    set(&database, "sales_rep_id = 2, order_number = 'SECRET'", 1).await;
    let page = ana.get(PREFERENCES).await.text().await.unwrap();
    assert!(page.contains("Order 1 ") && !page.contains("SECRET"), "{page}");
    assert_eq!(ana.post_json(mute, &[("muted", "")]).await.0, 200);
    assert_eq!(changes(&ana, CHANGES).await["muted"], json!([]));

    database
        .sql("insert into live.muted_order (user_id, order_id) select 1, 1000 + n from generate_series(1, 500) n")
        .await;
    let (status, answer) = ana.post_json("/orders/api/orders/2/mute/", &[("muted", "1")]).await;
    assert_eq!((status, &answer["error"]), (409, &json!("there are 500 muted orders already; unmute some first")));
}

#[tokio::test]
async fn preferences_are_kept_and_a_wrong_form_changes_none() {
    let (database, service) = some_orders().await;
    let (ana, elsewhere) = (service.signed_in("ana").await, service.signed_in("ana").await);
    changes(&ana, CHANGES).await;
    let page = ana.get(PREFERENCES).await.text().await.unwrap();
    assert_eq!(page.matches(" checked").count(), 9, "toasts and every status: {page}");
    let saved = ana.post(PREFERENCES, &[("sound", "1"), ("status", "shipped"), ("status", "pending")]).await;
    assert_eq!(saved.headers()["location"].to_str().unwrap(), "/accounts/preferences/?saved");
    let untold = json!(["confirmed", "processing", "ready_for_pickup", "delivered", "cancelled", "returned"]);
    let expected = json!({ "toasts": false, "sound": true, "desktop": false, "untold": untold });
    assert_eq!(changes(&elsewhere, CHANGES).await["preferences"], expected);

    // what one is not told of is not unread; a code that nobody has heard of is
    set(&database, "status = 'confirmed'", 1).await;
    set(&database, "total_amount = 3", 2).await;
    assert_eq!(changes(&ana, CHANGES).await["unread"], 0);
    set(&database, "status = 'shipped'", 1).await;
    set(&database, "status = 'on_hold'", 2).await;
    database
        .sql(
            "insert into orders_orderitem (order_id, medicine_id, quantity, unit, unit_price, total_price, prescription_notes,
                 created_at) values (1, 1, 1, 'boxes', 1, 1, '', now())",
        )
        .await;
    let answer = changes(&ana, CHANGES).await;
    assert_eq!(answer["unread"], 3);
    let marked = answer["changes"].as_array().unwrap().iter().filter(|change| change["unread"] == true).count();
    assert_eq!(marked, 3, "the count is of what is marked");

    for fields in [&[("toasts", "1"), ("status", "lost")][..], &[("sound", "loud"), ("status", "shipped")]] {
        let refused = ana.post(PREFERENCES, fields).await;
        assert_eq!(refused.status(), 422, "{fields:?}");
        let page = refused.text().await.unwrap();
        assert!(page.contains("Nothing is saved.") && page.contains(": expected"), "{page}");
        assert_eq!(changes(&ana, CHANGES).await["preferences"], expected, "{fields:?}");
    }
    let refused = ana.post(PREFERENCES, &[("desktop", "1"), ("status", "shipped"), ("status", "lost")]).await;
    let page = refused.text().await.unwrap();
    assert_eq!(page.matches(" checked").count(), 2, "what was right in it is still there: {page}");
    assert_eq!(service.anonymous().get(PREFERENCES).await.status(), 303);
    assert_eq!(service.signed_in("odd").await.get(PREFERENCES).await.status(), 403);
}

#[tokio::test]
async fn what_a_page_was_made_for_somebody_else_sends_is_refused() {
    let (database, service) = some_orders().await;
    let ana = service.signed_in("ana").await;
    let mute = "/orders/api/orders/1/mute/";
    let views = "/orders/orders/views/";
    ana.post(views, &[("name", "Mine"), ("query", "?status=pending")]).await;
    let kept =
        "select (select count(*) from live.muted_order) || ' ' || (select string_agg(name, ',') from live.saved_view)
        || ' ' || (select count(*) from live.account where sound)";
    let before = database.value(kept).await;
    for (path, fields) in [
        (mute, &[("muted", "1")][..]),
        (PREFERENCES, &[("sound", "1")]),
        (views, &[("name", "Theirs"), ("query", "?status=shipped")]),
        ("/orders/orders/views/delete/", &[("name", "Mine"), ("query", "")]),
    ] {
        let of_ben = [fields, &[("user", "2")]].concat();
        let (status, answer) = ana.post_json(path, &of_ben).await;
        let reason = "this page was made for somebody else, and ana is signed in by now: nothing is written";
        assert_eq!((status, &answer["error"]), (409, &json!(reason)), "{path}");
        assert_eq!(database.value(kept).await, before, "{path}");
    }
    let viewing = "/orders/api/orders/1/viewing/";
    for (user, status) in [("2", 401), ("1", 200)] {
        assert_eq!(ana.post_json(viewing, &[("page", "a"), ("user", user)]).await.0, status);
    }
    // every form of every page says for whom it was made
    ana.post(mute, &[("muted", "1"), ("user", "1")]).await;
    for path in
        ["/orders/orders/", "/orders/orders/1/", PREFERENCES, "/orders/orders/1/edit/", "/orders/orders/1/cancel/"]
    {
        let page = ana.get(path).await.text().await.unwrap();
        let forms: Vec<&str> = page.split("method=\"post\"").skip(1).collect();
        assert!(forms.len() > 1, "{path}");
        for form in forms.iter().filter(|form| !form.starts_with(" action=\"/accounts/logout/")) {
            let form = form.split("</form>").next().unwrap();
            assert!(form.contains("name=\"user\" value=\"1\""), "{path}: {form}");
        }
    }
}
