//! The configurations of `deploy` for nginx, Caddy and HAProxy, run by the real ones before two instances.

use std::net::SocketAddr;

use axum::Router;
use axum::http::StatusCode;
use futures_util::future::join_all;
use tokio::net::TcpListener;

use crate::harness::database::{Database, temporary_folder};
use crate::harness::eventually;
use crate::harness::front::{Front, Kind};
use crate::harness::http::{EVENTS, Events};
use crate::harness::over_tls::OverTls;
use crate::harness::service::Service;

/// Whoever sits before the browser.
const PERSON: [u8; 4] = [127, 0, 0, 9];

/// A port that is free at all addresses of this machine that are used here.
fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.2:0").unwrap().local_addr().unwrap().port()
}

/// An instance at an address, behind a proxy on this machine, which goes on for long after it was told to stop.
async fn instance(database: &Database, address: &str, [web, ops]: [u16; 2]) -> Service {
    let (web, ops) = (format!("{address}:{web}"), format!("{address}:{ops}"));
    let arguments = ["--listen", &web, "--ops-listen", &ops, "--trusted-proxy", "127.0.0.1", "--drain-notice", "10min"];
    Service::start_with(database, &arguments).await
}

/// An instance that is ready, and has none of the files that are asked of it.
async fn without_files(address: &str, [web, ops]: [u16; 2]) {
    for (port, status) in [(web, StatusCode::NOT_FOUND), (ops, StatusCode::OK)] {
        let listener = TcpListener::bind(format!("{address}:{port}")).await.unwrap();
        let router = Router::new().fallback(move || async move { status });
        tokio::spawn(async move { axum::serve(listener, router).await });
    }
}

/// The path of a script of the dashboard, which has a hash in it.
async fn script(client: &OverTls) -> String {
    let page = client.get("/orders/orders/").await.text().await.unwrap();
    let begins = page.find("/static/v-").unwrap();
    page[begins..].split('"').next().unwrap().to_owned()
}

async fn stream(client: &OverTls) -> Events {
    let answer = client.get(EVENTS).await;
    assert_eq!(answer.status(), 200);
    Events::of(answer)
}

#[tokio::test]
async fn each_passes_on_at_once_caches_by_hash_and_spares_who_drains() {
    let database = Database::new().await;
    let folder = temporary_folder("oncare-live-proxies");
    for (number, kind) in Kind::ALL.into_iter().enumerate() {
        if !kind.is_here().await {
            eprintln!("LEFT OUT: {kind:?}, which is not installed here; install it with scripts/install-tools.");
            continue;
        }
        let ports = [free_port(), free_port()];
        let mut one = instance(&database, "127.0.0.2", ports).await;
        let two = instance(&database, "127.0.0.3", ports).await;
        let front = Front::before(kind, [one.web, two.web], ports[1], &folder.join(format!("{kind:?}"))).await;
        let client = front.client(PERSON).await;

        // the service knows whose client it is, whatever that says
        client.sign_in("ana").await;
        let address = "select address from live.session order by created_at desc limit 1";
        assert_eq!(database.value(address).await, "127.0.0.9", "{kind:?}");

        // what is committed while a stream is silent comes at once: with the ping after it, it would come too late
        let mut events = stream(&client).await;
        events.wait_for("sync").await;
        events.wait_for("ping").await;
        database.orders(&format!("({}, 1, 'pending', 'paid', 1)", number + 1)).await;
        loop {
            let event = events.next().await.expect("the stream goes on");
            assert_ne!(event.name, "ping", "{kind:?} keeps what is said");
            if event.name == "patch" {
                break;
            }
        }

        // a script never changes, for the browser; and but for Caddy the proxy has it as well
        let script = script(&client).await;
        assert!(client.get(&script).await.headers()["cache-control"].to_str().unwrap().contains("immutable"));
        let again = client.get(&script).await;
        assert_eq!(again.status(), 200);
        let kept = match kind {
            Kind::Nginx => again.headers()["x-cache"] == "HIT",
            Kind::Haproxy => again.headers().contains_key("age"),
            Kind::Caddy => true,
        };
        assert!(kept, "{kind:?}: {:?}", again.headers());
        assert!(again.text().await.unwrap().len() > 100);

        // during an update one of them alone has it
        let others = [free_port(), ports[1]];
        without_files("127.0.0.5", others).await;
        let stranger = SocketAddr::from(([127, 0, 0, 5], others[0]));
        let updated =
            Front::before(kind, [stranger, two.web], ports[1], &folder.join(format!("{kind:?}-updated"))).await;
        let other = updated.client(PERSON).await;
        for time in 0..4 {
            assert_eq!(other.get(&format!("{script}?{time}")).await.status(), 200, "{kind:?}, {time}");
        }
        drop(updated);

        // one that drains gets no new stream
        // (each has one before, so that neither is given the next for having none)
        let mut second = stream(&client).await;
        second.wait_for("sync").await;
        one.begin_to_stop();
        eventually("it drains", async || one.get_ops("/readyz").await.0.eq(&503).then_some(())).await;
        let is_kept = async || {
            let answer = client.get(EVENTS).await;
            if answer.status() == 503 {
                return false;
            }
            assert_eq!(answer.status(), 200);
            let mut new = Events::of(answer);
            loop {
                match &*new.next().await.expect("it says why it ends").name {
                    "bye" => return false,
                    "ping" => return true,
                    _ => {}
                }
            }
        };
        // nginx asks nobody whether they drain, and the next one when it is told
        if kind == Kind::Nginx {
            let new = join_all((0..6).map(|_| is_kept())).await;
            assert_eq!(new, [true; 6]);
        } else {
            eventually("it gets no new stream", async || {
                let new = join_all((0..6).map(|_| is_kept())).await;
                new.iter().all(|is_kept| *is_kept).then_some(())
            })
            .await;
        }
    }
    let _ = std::fs::remove_dir_all(&folder);
}
