//! Attached to a real shop: Django with gunicorn, behind a real nginx, with a role of the service's own.

use std::collections::BTreeSet;
use std::time::Instant;

use oncare_live::doctor;
use oncare_live::proxy::{Proxy, snippet};
use oncare_live::store::DatabaseUrl;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};

use crate::harness::browser::{AT_ONCE, Browser};
use crate::harness::database::PASSWORD;
use crate::harness::http::{API, Browserless, Events};
use crate::harness::nginx::{ALL_TO_SERVICE, Nginx, RULES, UPGRADED};
use crate::harness::service::Service;
use crate::harness::shop::{Customer, Shop};

const OF_ALL: &str = "/orders/api/pharmacist/dashboard/";

/// A shop with the service and nginx, and somebody who is signed in at both.
struct Scene {
    shop: Shop,
    service: Service,
    nginx: Nginx,
}

impl Scene {
    async fn of(shop: Shop) -> Self {
        let service = shop.attach(&[]).await;
        let nginx = Nginx::before(&shop, &service, RULES).await;
        Self { shop, service, nginx }
    }

    async fn somebody(&self, username: &str) -> Somebody {
        let old = Customer::signed_in(&format!("http://{}", self.nginx.shop), username).await.browser;
        Somebody { old, new: self.service.signed_in(username).await }
    }
}

/// At the shop as it was, and at the service.
struct Somebody {
    old: Browserless,
    new: Browserless,
}

impl Somebody {
    /// Whatever the old API says, the new one says as well.
    async fn hear_the_same(&self, path: &str, when: &str) -> Value {
        let (status, mut old) = self.old.json(path).await;
        assert_eq!(status, 200, "{when}: {path}");
        let (status, new) = self.new.json(path).await;
        assert_eq!(status, 200, "{when}: {path}: {new}");
        for list in ["orders", "recent_orders"] {
            let rows = old.get_mut(list).and_then(Value::as_array_mut);
            rows.into_iter().flatten().for_each(forget_names_of_unlisted);
        }
        assert_has(&new, &old, &format!("{when}: {path}"));
        new
    }
}

/// A code that is not listed has no name: the shop shows the code, and the service makes a name of it.
fn forget_names_of_unlisted(row: &mut Value) {
    for (code, listed) in [("status", &STATUSES[..8]), ("payment_status", &PAYMENTS[..5])] {
        if !listed.contains(&row[code].as_str().unwrap()) {
            row.as_object_mut().unwrap().remove(&format!("{code}_display"));
        }
    }
}

/// Every field of the old answer is in the new one, with the same value. New ones may have more.
pub fn assert_has(new: &Value, old: &Value, at: &str) {
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => {
            // what is null in JavaScript may as well be absent
            for (name, value) in old.iter().filter(|(name, value)| !value.is_null() || new.contains_key(*name)) {
                let has = new.get(name).unwrap_or_else(|| panic!("{at}: no {name}"));
                assert_has(has, value, &format!("{at}.{name}"));
            }
        }
        (Value::Array(old), Value::Array(new)) => {
            assert_eq!(new.len(), old.len(), "{at}");
            old.iter().zip(new).enumerate().for_each(|(i, (old, new))| assert_has(new, old, &format!("{at}[{i}]")));
        }
        (Value::Number(old), Value::Number(new)) => assert_eq!(new.as_f64(), old.as_f64(), "{at}"),
        _ => assert_eq!(new, old, "{at}"),
    }
}

/// The last is not listed.
const STATUSES: [&str; 9] = [
    "pending",
    "confirmed",
    "processing",
    "ready_for_pickup",
    "shipped",
    "delivered",
    "cancelled",
    "returned",
    "on_hold",
];
const PAYMENTS: [&str; 6] = ["pending", "paid", "failed", "refunded", "partially_refunded", "disputed"];

/// So many orders of ana, ben and nobody, with their items, over days in which New York's clocks are put forward.
async fn enter_orders(shop: &Shop, orders: i64, random: &mut StdRng) {
    let mut order = |id: i64| {
        let rep = *["1", "1", "2", "null"].choose(random).unwrap();
        let (status, payment) = (STATUSES.choose(random).unwrap(), PAYMENTS.choose(random).unwrap());
        let cents = random.random_range(0..10_000_000);
        format!("({id}, {rep}, '{status}', '{payment}', {}.{:02})", cents / 100, cents % 100)
    };
    let list: Vec<String> = (1..=orders).map(&mut order).collect();
    shop.database.orders(&list.join(", ")).await;
    shop.database
        .sql(
            "update orders_order set created_at = timestamptz '2025-03-07 00:00Z' + make_interval(mins => (id * 37)::int);
             insert into orders_orderitem (order_id, medicine_id, quantity, unit, unit_price, total_price, prescription_notes, created_at)
                 select o.id, m.id, 1, 'boxes', 1, 1, '', now() from orders_order o join inventory_medicine m on m.id <= o.id % 5",
        )
        .await;
}

#[tokio::test]
async fn the_old_and_the_new_api_say_the_same() {
    let seed: u64 = rand::random();
    let random = &mut StdRng::seed_from_u64(seed);
    let scene = Scene::of(Shop::open().await).await;
    enter_orders(&scene.shop, 200, random).await;
    let reps = [scene.somebody("ana").await, scene.somebody("ben").await];
    let rx = scene.somebody("rx").await;
    for round in 1..=3 {
        let when = format!("seed {seed}, round {round}");
        for rep in &reps {
            let mut queries = vec![String::new()];
            queries.extend(STATUSES.map(|status| format!("status={status}")));
            // what the old script may send, and the shop takes for none, for the first, or for the last
            for odd in [
                "status=nonsense",
                "date_from=31.01.2025",
                "date_to=2025-02-30",
                "page=0",
                "page=-1",
                "page=last",
                "page=",
            ] {
                queries.push(odd.to_owned());
            }
            let day = |random: &mut StdRng| format!("2025-03-{:02}", random.random_range(6..13));
            for _ in 0..6 {
                let status = ["", "pending", "shipped"].choose(random).unwrap();
                queries.push(format!("status={status}&date_from={}&date_to={}", day(random), day(random)));
                queries.push(format!("date_from={}&date_to=", day(random)));
                queries.push(format!("date_to={}", day(random)));
            }
            for query in queries {
                let first = rep.hear_the_same(&format!("{API}?{query}"), &when).await;
                // one more than there are
                for page in 2..=first["pagination"]["total_pages"].as_u64().unwrap() + 1 {
                    rep.hear_the_same(&format!("{API}?{query}&page={page}"), &when).await;
                }
            }
        }
        rx.hear_the_same(OF_ALL, &when).await;
        change_at_random(&scene.shop, random).await;
    }
}

/// A dozen statements of every kind.
async fn change_at_random(shop: &Shop, random: &mut StdRng) {
    for _ in 0..4 {
        let (status, payment) = (STATUSES.choose(random).unwrap(), PAYMENTS.choose(random).unwrap());
        let [modulus, first, second] = [7, 50, 150].map(|most| random.random_range(2..most));
        shop.deed(&format!(
            "Order.objects.filter(id__gt={first}, id__lt={first} + {modulus}).update(status='{status}', payment_status='{payment}')
Order.objects.filter(id={second}).update(sales_rep=F('verified_by'), total_amount=F('total_amount') / 2)
Order.objects.filter(id={first}).delete()"
        ))
        .await;
    }
}

/// A way to write, of which a deed is done, and the orders of ana's that it changes.
pub const WAYS: [(&str, &str, &[i64]); 18] = [
    ("save()", "o = Order.objects.get(id=1); o.status = 'confirmed'; o.save()", &[1]),
    (
        "save(update_fields)",
        "o = Order.objects.get(id=2); o.total_amount = 77; o.save(update_fields=['total_amount'])",
        &[2],
    ),
    ("update()", "Order.objects.filter(id__in=[2, 3]).update(status='processing')", &[2, 3]),
    (
        "bulk_update()",
        "orders = list(Order.objects.filter(id__in=[1, 2, 3]))
for o in orders: o.payment_status = 'paid'
Order.objects.bulk_update(orders, ['payment_status'])",
        &[1, 2, 3],
    ),
    (
        "bulk_create()",
        "Order.objects.bulk_create(
    Order(id=n, order_number=f'NEW-{n}', sales_rep_id=1, customer_name='New', total_amount=n) for n in (21, 22))",
        &[21, 22],
    ),
    (
        "bulk_create(ignore_conflicts)",
        "Order.objects.bulk_create(
    [Order(id=n, order_number=f'NEW-{n}', sales_rep_id=1, customer_name='Late', total_amount=1) for n in (22, 23)],
    ignore_conflicts=True)",
        &[23],
    ),
    (
        "bulk_create(update_conflicts)",
        "Order.objects.bulk_create(
    [Order(id=n, order_number=f'NEW-{n}', sales_rep_id=1, customer_name='New', total_amount=900 + n) for n in (23, 24)],
    update_conflicts=True, unique_fields=['id'], update_fields=['total_amount'])",
        &[23, 24],
    ),
    (
        "get_or_create()",
        "Order.objects.get_or_create(order_number='NEW-25', defaults=dict(id=25, sales_rep_id=1))",
        &[25],
    ),
    ("update_or_create()", "Order.objects.update_or_create(id=25, defaults=dict(status='returned'))", &[25]),
    ("F()", "Order.objects.filter(id=4).update(total_amount=F('total_amount') * 2 + 10)", &[4]),
    (
        "atomic() with savepoints",
        "with transaction.atomic():
    Order.objects.filter(id=1).update(status='processing')
    try:
        with transaction.atomic():
            Order.objects.filter(id=4).update(status='cancelled')
            raise RuntimeError
    except RuntimeError:
        pass
    with transaction.atomic():
        Order.objects.filter(id=3).update(status='shipped')",
        &[1, 3],
    ),
    ("raw SQL", "connection.cursor().execute(\"update orders_order set status = 'delivered' where id = 1\")", &[1]),
    (
        "several statements at once",
        "connection.cursor().execute(\"update orders_order set total_amount = 1 where id = 2; delete from orders_orderitem where order_id = 1\")",
        &[1, 2],
    ),
    ("reassignment to her", "Order.objects.filter(id=7).update(sales_rep=User.objects.get(username='ana'))", &[7]),
    ("reassignment from her", "o = Order.objects.get(id=6); o.sales_rep_id = 2; o.save()", &[6]),
    ("an item", "OrderItem.objects.create(order_id=4, medicine_id=2, quantity=1, unit_price=1, total_price=1)", &[4]),
    ("a cascade to items", "Medicine.objects.get(id=2).delete()", &[2, 4, 5]),
    ("a cascade from an order", "Order.objects.get(id=5).delete()", &[5]),
];

pub async fn enter_a_few(shop: &Shop) {
    let of_ana = (1..=6).map(|id| format!("({id}, 1, 'pending', 'pending', {id}00.50)")).collect::<Vec<_>>().join(", ");
    shop.database.orders(&format!("{of_ana}, (7, 2, 'pending', 'paid', 70)")).await;
    shop.deed(
        "OrderItem.objects.bulk_create(
    OrderItem(order_id=o, medicine_id=m, quantity=5, unit_price=10, total_price=50) for o in (1, 2, 5) for m in (1, 2))",
    )
    .await;
}

/// Reads patches until they have told of all these orders; each that they told of.
async fn told(stream: &mut Events, orders: &[i64]) -> BTreeSet<i64> {
    let mut told = BTreeSet::new();
    while !orders.iter().all(|order| told.contains(order)) {
        let patch = stream.wait_for("patch").await;
        told.extend(patch.data["orders"].as_array().unwrap().iter().map(|row| row["id"].as_i64().unwrap()));
    }
    told
}

#[tokio::test]
async fn whatever_django_writes_shows_at_once_and_exactly() {
    let scene = Scene::of(Shop::open().await).await;
    enter_a_few(&scene.shop).await;
    let ana = scene.somebody("ana").await;
    let mut stream = ana.new.events().await;
    stream.wait_for("sync").await;
    for (way, python, orders) in WAYS {
        scene.shop.deed(python).await;
        let begun = Instant::now();
        let told = told(&mut stream, orders).await;
        assert!(begun.elapsed() < AT_ONCE, "{way}: after {:?}", begun.elapsed());
        assert_eq!(told, orders.iter().copied().collect(), "{way}");
        ana.hear_the_same(API, way).await;
    }

    // what is rolled back is not told: the next that is told is the next that is committed
    let nothing = "with transaction.atomic():
    Order.objects.filter(id=1).update(status='cancelled')
    Order.objects.create(id=26, order_number='NEW-26', sales_rep_id=1)
    transaction.set_rollback(True)";
    scene.shop.deed(nothing).await;
    let refused = scene.shop.try_deed("o = Order.objects.get(id=4); o.status = 'delivered'; o.save()").await;
    assert!(refused.unwrap_err().contains("must be paid"));
    scene.shop.deed("Order.objects.filter(id=2).update(total_amount=3)").await;
    assert_eq!(told(&mut stream, &[2]).await, BTreeSet::from([2]));
    ana.hear_the_same(API, "after what was rolled back").await;

    // with the rep her orders go
    let rx = scene.somebody("rx").await;
    let mut of_all = rx.new.events_of("/orders/api/pharmacist/events/", None).await;
    of_all.wait_for("sync").await;
    scene.shop.deed("User.objects.get(username='ben').delete()").await;
    assert_eq!(told(&mut of_all, &[6]).await, BTreeSet::from([6]));
    assert_eq!(scene.shop.database.store().statistics_that_differ().await.unwrap(), Vec::<String>::new());
}

/// What the shop's rules have made of it all, but for times.
async fn consequences(shop: &Shop) -> Value {
    shop.deed(
        "result = {
    'orders': list(Order.objects.order_by('id').values_list('id', 'status', 'payment_status', 'customer_name')),
    'stock': list(Medicine.objects.order_by('id').values_list('id', 'stock_quantity')),
    'movements': list(StockMovement.objects.order_by('id').values_list('medicine_id', 'order_number', 'change')),
    'alerts': list(ReorderAlert.objects.order_by('id').values_list('medicine_id', 'is_resolved')),
    'payments': list(PaymentTransaction.objects.order_by('id').values_list('order_id', 'kind', 'amount')),
    'notifications': list(Notification.objects.order_by('id').values_list('user_id', 'message')),
    'history': list(OrderStatusHistory.objects.order_by('id').values_list('order_id', 'old_status', 'new_status', 'changed_by_id')),
}",
    )
    .await
}

/// Something that somebody does to an order at the shop.
#[derive(Debug)]
enum Click {
    /// The rep cancels it, where the shop offers that.
    Cancel(i64),
    /// The pharmacist's form.
    Pharmacist(i64, &'static str, &'static str),
    /// The admin's form.
    Admin(i64, &'static str, &'static str),
    /// Code that goes by the model's rules.
    Saved(i64, &'static str),
    /// And code that does not.
    Updated(i64, &'static str),
}

impl Click {
    fn random(order: i64, random: &mut StdRng) -> Self {
        let (status, payment) = (STATUSES.choose(random).unwrap(), PAYMENTS.choose(random).unwrap());
        match random.random_range(0..10) {
            0 | 1 => Self::Cancel(order),
            2 | 3 => Self::Admin(order, status, payment),
            4 => Self::Saved(order, payment),
            5 => Self::Updated(order, status),
            _ => Self::Pharmacist(order, status, payment),
        }
    }
}

/// The people at a shop's pages.
struct People<'a> {
    shop: &'a Shop,
    ana: Customer,
    rx: Customer,
}

impl<'a> People<'a> {
    async fn at(shop: &'a Shop, base: &str) -> Self {
        let (ana, rx) = tokio::join!(Customer::signed_in(base, "ana"), Customer::signed_in(base, "rx"));
        Self { shop, ana, rx }
    }

    /// Does it, and says what the shop answered.
    async fn click(&self, click: &Click) -> String {
        match *click {
            Click::Cancel(order) => {
                let path = format!("/orders/orders/{order}/cancel/");
                match self.ana.browser.get(&path).await.status().as_u16() {
                    200 => self.ana.send(&path, &[]).await.status().to_string(),
                    refused => refused.to_string(),
                }
            }
            Click::Pharmacist(order, status, payment) => {
                let fields = [("status", status), ("payment_status", payment)];
                let path = format!("/orders/pharmacist/orders/{order}/");
                self.rx.send(&path, &fields).await.status().to_string()
            }
            Click::Admin(order, status, payment) => {
                let form = IN_THE_ADMIN.replace("ORDER", &order.to_string());
                let form = form.replace("PAYMENT", payment).replace("STATUS", status);
                self.shop.deed(&form).await.to_string()
            }
            Click::Saved(order, payment) => {
                let save = format!("o = Order.objects.get(id={order}); o.payment_status = '{payment}'; o.save()");
                format!("{:?}", self.shop.try_deed(&save).await.is_ok())
            }
            Click::Updated(order, status) => {
                self.shop.deed(&format!("Order.objects.filter(id={order}).update(status='{status}')")).await.to_string()
            }
        }
    }
}

/// Sends the admin's form of an order as a browser does that shows it: with all that is in it, and two fields changed.
const IN_THE_ADMIN: &str = "
from django.test import Client, utils
if not hasattr(utils._TestState, 'saved_data'):
    utils.setup_test_environment()
boss = Client(SERVER_NAME='localhost')
boss.force_login(User.objects.get(username='boss'))
path = '/admin/orders/order/ORDER/change/'
context = boss.get(path).context
formsets = [shown.formset for shown in context['inline_admin_formsets']]
forms = [context['adminform'].form] + [form for formset in formsets for form in [formset.management_form] + formset.forms]
sent = {}
for form in forms:
    for field in form:
        value = field.value()
        if hasattr(field.field.widget, 'decompress'):
            parts = enumerate(field.field.widget.decompress(value))
            sent.update({f'{field.html_name}_{n}': part for n, part in parts if part is not None})
        elif value or value == 0 and value is not False:
            sent[field.html_name] = value
sent.update(status='STATUS', payment_status='PAYMENT')
result = boss.post(path, sent).status_code
";

#[tokio::test]
async fn stock_payments_and_notifications_are_those_of_the_shop_alone() {
    let seed: u64 = rand::random();
    let (alone, attached) = tokio::join!(Shop::open(), Shop::open());
    let scene = Scene::of(attached).await;
    // nginx leads to a shop alone as well, which needs no service for that
    let beside = Nginx::before(&alone, &scene.service, "").await;
    let watching = scene.somebody("ana").await;
    let mut stream = watching.new.events().await;
    stream.wait_for("sync").await;
    let mut made = Vec::new();
    for (shop, base) in [(&alone, beside.base()), (&scene.shop, scene.nginx.base())] {
        enter_a_few(shop).await;
        let people = People::at(shop, &base).await;
        // the rules are there: stock goes and comes back, delivery is paid before, and what was shipped may be processed again
        let stock = async || shop.deed("result = Medicine.objects.get(id=1).stock_quantity").await;
        for (click, answer, left) in [
            (Click::Pharmacist(1, "confirmed", "pending"), "302 Found", 95),
            (Click::Cancel(1), "302 Found", 100),
            // the form again, with the reason
            (Click::Pharmacist(2, "delivered", "paid"), "200 OK", 100),
            (Click::Admin(2, "delivered", "paid"), "200", 100),
            (Click::Admin(2, "shipped", "paid"), "302", 95),
            (Click::Pharmacist(2, "processing", "paid"), "302 Found", 95),
        ] {
            assert_eq!(people.click(&click).await, answer, "{click:?}");
            assert_eq!(stock().await, left, "{click:?}");
        }

        let random = &mut StdRng::seed_from_u64(seed);
        let mut answers = Vec::new();
        for _ in 0..30 {
            let click = Click::random(random.random_range(1..=7), random);
            let answer = people.click(&click).await;
            answers.push(format!("{click:?}: {answer}"));
        }
        let one_by_one = consequences(shop).await;

        // all at once, each at an order of their own: what comes of it does not depend on who is first
        for _ in 0..4 {
            let clicks: Vec<Click> = (1..=7).map(|order| Click::random(order, random)).collect();
            let at_once = futures_util::future::join_all(clicks.iter().map(|click| people.click(click))).await;
            answers.extend(clicks.iter().zip(at_once).map(|(click, answer)| format!("{click:?} at once: {answer}")));
        }
        let mut at_once = consequences(shop).await;
        for list in at_once.as_object_mut().unwrap().values_mut().filter_map(Value::as_array_mut) {
            list.sort_by_key(ToString::to_string);
        }
        made.push((answers, one_by_one, at_once));
    }
    assert_eq!(made[0], made[1], "seed {seed}");
    watching.hear_the_same(API, &format!("seed {seed}")).await;
    assert_eq!(
        scene.shop.database.store().statistics_that_differ().await.unwrap(),
        Vec::<String>::new(),
        "seed {seed}"
    );
}

#[tokio::test]
async fn the_oldest_and_the_newest_django_are_attached_to_alike() {
    for version in ["3.2", "6.0"] {
        let Some(shop) = Shop::open_on(version).await else {
            eprintln!("LEFT OUT: Django {version}, which is not installed here.");
            continue;
        };
        let scene = Scene::of(shop).await;
        enter_a_few(&scene.shop).await;
        let ana = scene.somebody("ana").await;
        let mut stream = ana.new.events().await;
        stream.wait_for("sync").await;
        // what both versions have
        for (way, python, orders) in WAYS.iter().filter(|(way, _, _)| !way.contains("update_conflicts")) {
            scene.shop.deed(python).await;
            told(&mut stream, orders).await;
            ana.hear_the_same(API, &format!("Django {version}: {way}")).await;
        }
        let as_role = DatabaseUrl::parse(&scene.shop.url_of_service()).unwrap();
        for url in [scene.shop.database.parsed_url(), as_role] {
            let findings = doctor::examine(&url).await;
            assert!(findings.iter().all(|finding| finding.problem().is_none()), "Django {version}: {findings:?}");
        }
    }
}

/// What the pages of the shop's administrator lead to.
pub async fn sign_in_at_admin(browser: &Browser) {
    browser.goto("/admin/login/?next=/admin/orders/order/").await;
    browser.fill_in("[name=username]", "boss").await;
    browser.fill_in("[name=password]", PASSWORD).await;
    browser.follow("[type=submit]").await;
}

#[tokio::test]
async fn what_is_saved_in_the_admin_in_a_browser_shows_at_once() {
    let scene = Scene::of(Shop::open().await).await;
    enter_a_few(&scene.shop).await;
    let ana = scene.somebody("ana").await;
    let mut stream = ana.new.events().await;
    stream.wait_for("sync").await;
    let browser = Browser::open(&scene.nginx.base()).await;
    sign_in_at_admin(&browser).await;

    // an order's form
    browser.goto("/admin/orders/order/1/change/").await;
    browser.choose("[name=status]", "confirmed").await;
    browser.click("[name=_save]").await;
    assert_eq!(told(&mut stream, &[1]).await, BTreeSet::from([1]));
    // since the order was written, as the admin takes its time before
    let age = "select extract(epoch from clock_timestamp() - max(at)) from live.order_event where order_id = 1";
    let age: f64 = scene.shop.database.value(age).await.parse().unwrap();
    assert!(age < AT_ONCE.as_secs_f64(), "after {age} s");
    browser.until("location.pathname === '/admin/orders/order/'").await;
    assert_eq!(scene.shop.deed("result = Medicine.objects.get(id=1).stock_quantity").await, 95);

    // the list, in which several are changed at once
    for row in ["0", "2"] {
        browser.choose(&format!("[name=form-{row}-payment_status]"), "paid").await;
    }
    browser.click("[name=_save]").await;
    let changed = "result = list(Order.objects.filter(payment_status='paid', sales_rep_id=1).order_by('id').values_list('id', flat=True))";
    let paid = crate::harness::eventually("the list is saved", async || {
        let changed = scene.shop.deed(changed).await;
        (changed != json!([])).then_some(changed)
    });
    let paid: Vec<i64> = serde_json::from_value(paid.await).unwrap();
    told(&mut stream, &paid).await;
    ana.hear_the_same(API, "after the admin's list").await;
    browser.close().await;
}

#[tokio::test]
async fn behind_nginx_in_a_browser_the_page_shows_at_once() {
    let shop = Shop::open().await;
    let service = shop.attach(&[]).await;
    enter_a_few(&shop).await;
    for (rules, has_tls) in [(ALL_TO_SERVICE, false), (UPGRADED, false), (ALL_TO_SERVICE, true)] {
        let nginx = Nginx::before(&shop, &service, rules).await;
        let browser = match has_tls {
            true => Browser::trusting(&format!("https://{}", nginx.tls)).await,
            false => Browser::open(&nginx.base()).await,
        };
        browser.sign_in_on_page("ana").await;
        browser.goto("/orders/orders/").await;
        browser.state("live").await;
        let protocol = browser.script("performance.getEntriesByType('navigation')[0].nextHopProtocol").await;
        assert_eq!(protocol, if has_tls { "h2" } else { "http/1.1" });
        browser.note_changes().await;
        for status in ["confirmed", "shipped", "pending"] {
            shop.deed(&format!("Order.objects.filter(id=1).update(status='{status}')")).await;
            let shown = format!(
                "document.querySelector('#orders-table-tbody [data-order-id=\"1\"]').dataset.status === '{status}'"
            );
            browser.until(&shown).await;
            browser.assert_at_once(&shop.database, rules).await;
        }
        assert_eq!(browser.script("document.getElementById('live-badge').dataset.state").await, "live");
        browser.close().await;
    }
}

#[tokio::test]
async fn the_middleware_of_the_guide_names_who_changed_an_order() {
    let middleware = include_str!("../shop/shop/says_who.py");
    assert!(include_str!("../../docs/DJANGO.md").contains(middleware), "the guide has what is tested");
    let scene = Scene::of(Shop::open_with(&[("SHOP_SAYS_WHO", "1")]).await).await;
    enter_a_few(&scene.shop).await;
    let base = scene.nginx.base();
    let (rx, boss) = tokio::join!(Customer::signed_in(&base, "rx"), Customer::signed_in(&base, "boss"));
    // more of them than connections, which are kept from request to request
    let mut said = Vec::new();
    for round in 0..12 {
        let (who, status) = if round % 2 == 0 { (&rx, "processing") } else { (&boss, "shipped") };
        let fields = [("status", status), ("payment_status", "pending")];
        assert_eq!(who.send("/orders/pharmacist/orders/3/", &fields).await.status(), 302);
        said.push(if round % 2 == 0 { "rx" } else { "boss" });
    }
    let by = "select string_agg(coalesce(app_user, '-'), ' ' order by id) from live.order_event where order_id = 3 and operation = 'update'";
    assert_eq!(scene.shop.database.value(by).await, said.join(" "));
    // what is refused leaves nothing, and whoever is not named stays so
    let refused = [("status", "delivered"), ("payment_status", "paid")];
    assert_eq!(rx.send("/orders/pharmacist/orders/4/", &refused).await.status(), 200);
    scene.shop.deed("Order.objects.filter(id=3).update(status='pending')").await;
    assert_eq!(scene.shop.database.value(by).await, format!("{} -", said.join(" ")));
}

#[tokio::test]
async fn toast_and_bell_name_who_clicked_in_the_shop_and_an_order_is_one_piece_of_news() {
    let shop = Shop::open().await;
    enter_a_few(&shop).await;
    let key = shop.folder.join("key");
    std::fs::write(&key, Shop::SECRET_KEY).unwrap();
    let service = shop.attach(&["--django-secret-key-file", key.to_str().unwrap()]).await;
    let nginx = Nginx::before(&shop, &service, &snippet(Proxy::Nginx, service.web, "/live/")).await;
    let (rx, ana) = (Customer::signed_in(&nginx.base(), "rx").await, Customer::signed_in(&nginx.base(), "ana").await);
    let browser = Browser::open(&nginx.base()).await;
    browser.goto("/accounts/login/").await;
    browser.fill_in("[name=username]", "ana").await;
    browser.fill_in("[name=password]", PASSWORD).await;
    browser.follow("#login button").await;
    // on the shop's own page and on one of the service's
    for (page, toasts) in [("/orders/orders/", ".oncare-live-toast a"), ("/live/orders/orders/", ".toast a")] {
        browser.goto(page).await;
        browser.state("live").await;
        let is_ours = toasts == ".toast a";
        if is_ours {
            browser.until("performance.getEntriesByType('resource').some((e) => e.name.includes('/changes/') && e.responseEnd > 0)").await;
        }
        let shown = |text: &str| {
            format!("[...document.querySelectorAll('{toasts}')].map((a) => a.textContent).includes('{text}')")
        };
        let none = |part: &str| {
            format!("![...document.querySelectorAll('{toasts}')].some((a) => a.textContent.includes('{part}'))")
        };
        let status = if is_ours {
            ["confirmed", "processing", "Confirmed → Processing"]
        } else {
            ["pending", "confirmed", "Pending → Confirmed"]
        };
        let fields = [("status", status[1]), ("payment_status", "pending")];
        assert_eq!(rx.send("/orders/pharmacist/orders/1/", &fields).await.status(), 302);
        browser.until(&shown(&format!("ORD-2025-00001: {}, by rx", status[2]))).await;
        // what she does herself is no news, and the shop enters an order and its items one by one
        let own = if is_ours { 3 } else { 4 };
        assert_eq!(ana.send(&format!("/orders/orders/{own}/cancel/"), &[]).await.status(), 302);
        let (id, number) = (50 + own, format!("ORD-NEW-{own}"));
        shop.deed(&format!(
            "order = Order.objects.create(id={id}, order_number='{number}', sales_rep_id=1, customer_name='New')
for medicine in (1, 2, 3):
    OrderItem.objects.create(order=order, medicine_id=medicine, quantity=5, unit_price=10, total_price=50)
order.total_amount = 150
order.save()"
        ))
        .await;
        browser.until(&shown(&format!("{number}: new"))).await;
        assert_eq!(rx.send("/orders/pharmacist/orders/2/", &fields).await.status(), 302);
        browser.until(&format!("[...document.querySelectorAll('{toasts}')].some((a) => a.textContent.startsWith('ORD-2025-00002') && a.textContent.endsWith(', by rx'))")).await;
        for part in ["Cancelled", "items", "total", "oncare"] {
            assert_eq!(browser.script(&none(part)).await, true, "{page}: {part}");
        }
    }
    browser.click(".ring").await;
    let listed =
        "[...document.querySelectorAll('.bell-panel li [data-text=what]')].map(({ textContent }) => textContent)";
    browser.until(&format!("{listed}.length > 5")).await;
    let listed = browser.script(listed).await;
    let expected = [
        "Confirmed → Processing, by rx",
        "order entered",
        "Pending → Cancelled, by ana",
        "Confirmed → Processing, by rx",
        "Pending → Confirmed, by rx",
        "order entered",
        "Pending → Cancelled, by ana",
        "Pending → Confirmed, by rx",
    ];
    assert_eq!(json!(listed.as_array().unwrap()[..8]), json!(expected));
    browser.close().await;
}
