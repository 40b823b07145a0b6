//! What ops see: health, readiness with reasons, metrics that agree.

use std::collections::HashMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::process::{Pid, Signal, kill_process};
use tokio::net::UnixDatagram;
use tokio::process::Command;
use tokio::time::timeout;

use crate::harness::database::{Database, connect, temporary_folder};
use crate::harness::instance::program;
use crate::harness::service::Service;
use crate::harness::{PATIENCE, eventually};

#[tokio::test]
async fn readiness_says_what_is_missing() {
    let database = Database::empty().await;
    let service = Service::start_unready(&database.url, &[]).await;
    assert_eq!(service.get_ops("/healthz").await, (200, "ok\n".to_owned()));
    let (status, text) = service.get_ops("/readyz").await;
    assert_eq!(status, 503);
    assert!(
        text.contains(
            "oncare_tables, live_tables, leaner_events, order_timeline, positions, fold_database, unreadable, fold_recording, live_functions, triggers, viewing, saved_view, accounts, arrival, tidied, sign_in, list_index missing"
        ),
        "{text}"
    );
    assert!(text.contains("has none of the OnCare tables: public.accounts_user, "), "{text}");
    database.store().create_tables_and_migrate().await.unwrap();
    service.ready().await;
    assert_eq!(service.get_ops("/nothing").await.0, 404);
}

#[tokio::test]
async fn a_service_without_a_database_lives_says_so_and_recovers() {
    let database = Database::new().await;
    let service = Service::start(&database).await;
    let ana = service.signed_in("ana").await;
    let away = database.take_away().await;
    eventually("the service is not ready", async || (service.get_ops("/readyz").await.0 == 503).then_some(())).await;
    assert_eq!(service.get_ops("/healthz").await.0, 200);
    let (status, json) = ana.json(crate::harness::http::API).await;
    assert_eq!(status, 503, "{json}");
    assert_eq!(json["error"], "the database is unavailable; try again in a moment");
    assert_eq!(service.metric("oncare_live_listener_live").await, 0.0);
    away.give_back().await;
    service.ready().await;
    ana.dashboard("").await;
}

fn metrics(text: &str) -> HashMap<&str, f64> {
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.rsplit_once(' ').unwrap())
        .map(|(name, value)| (name, value.parse().unwrap()))
        .collect()
}

#[tokio::test]
async fn what_fails_in_the_background_hinders_nothing_else_and_is_counted() {
    let database = Database::new().await;
    database.orders("(1, 1, 'pending', 'paid', 5), (2, 1, 'pending', 'paid', 5)").await;
    database.sql("update live.order_event set at = now() - interval '1 year' where order_id = 1").await;
    database.store().fold().await.unwrap();
    database.sql("alter function live.deltas_since(pg_snapshot) rename to away").await;
    database.sql("update orders_order set status = 'shipped'").await;
    let service = Service::start_with(&database, &["--retention", "1h"]).await;
    eventually("the other steps go on", async || {
        let left = "select count(*) || ' ' || (select count(*) from live.order_timeline) from live.order_event";
        (database.value(left).await == "3 3").then_some(())
    })
    .await;
    let failures = |step: &str| format!("oncare_live_background_failures_total{{step=\"{step}\"}}");
    eventually("each failure is counted", async || (service.metric(&failures("fold")).await >= 2.0).then_some(()))
        .await;
    for step in ["timeline", "tidy", "prune", "progress"] {
        assert_eq!(service.metric(&failures(step)).await, 0.0, "{step}");
    }
    eventually("it is told how far behind that is", async || {
        (service.metric("oncare_live_background_behind_seconds{step=\"fold\"}").await > 0.0).then_some(())
    })
    .await;
    let folded = "select pg_snapshot_xmax(snapshot) from live.fold_position";
    let before = database.value(folded).await;
    database.sql("alter function live.away(pg_snapshot) rename to deltas_since").await;
    eventually("what failed goes on", async || (database.value(folded).await != before).then_some(())).await;
    assert_eq!(database.store().statistics_that_differ().await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn streams_opened_and_closed_always_agree_with_the_open_ones() {
    let database = Database::new().await;
    database.orders("(1, 1, 'pending', 'paid', 1)").await;
    let service = Service::start(&database).await;
    let (ana, ben) = (service.signed_in("ana").await, service.signed_in("ben").await);
    let mut streams = Vec::new();
    for _ in 0..5 {
        let mut stream = ana.events().await;
        stream.wait_for("ping").await;
        streams.push(stream);
    }
    let _bens = ben.events().await;
    streams.truncate(3);
    ben.post("/accounts/logout/", &[]).await;
    let open = "oncare_live_streams_open{role=\"sales_rep\"}";
    eventually("three streams are left", async || {
        let (_, text) = service.get_ops("/metrics").await;
        let metrics = metrics(&text);
        let closed: f64 = metrics
            .iter()
            .filter(|(name, _)| name.starts_with("oncare_live_streams_closed_total"))
            .map(|(_, n)| n)
            .sum();
        assert_eq!(metrics["oncare_live_streams_opened_total{role=\"sales_rep\"}"] - closed, metrics[open], "{text}");
        (metrics[open] == 3.0).then_some(())
    })
    .await;
    let (_, text) = service.get_ops("/metrics").await;
    assert!(text.contains("# TYPE oncare_live_streams_opened_total counter"), "{text}");
    for (reason, count) in [("client_gone", 2.0), ("signed_out", 1.0)] {
        let name = format!("oncare_live_streams_closed_total{{role=\"sales_rep\",reason=\"{reason}\"}}");
        assert_eq!(service.metric(&name).await, count);
    }
    database.sql("update orders_order set status = 'confirmed'").await;
    for stream in &mut streams {
        stream.patch_of(1).await;
    }
    assert_eq!(service.metric("oncare_live_frames_sent_total").await, 3.0);
    assert_eq!(service.metric("oncare_live_event_age_seconds_count").await, 3.0);
    assert_eq!(service.metric("oncare_live_event_age_seconds_bucket{le=\"+Inf\"}").await, 3.0);
}

/// The service as systemd starts it, and what it says there.
#[tokio::test]
async fn a_service_manager_is_told_that_it_serves_lives_and_stops() {
    let database = Database::new().await;
    let folder = temporary_folder("oncare-live-manager");
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("notify");
    let told = UnixDatagram::bind(&path).unwrap();
    let mut service = Command::new(program())
        .args(["serve", "--own-forms", "--log", "error", "--database-url", &database.url])
        .args(["--listen", "127.0.0.1:0", "--ops-listen", "127.0.0.1:0"])
        .env("NOTIFY_SOCKET", &path)
        .env("WATCHDOG_USEC", "300000")
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let until = async |what: &str| {
        let heard = async {
            let mut datagram = [0; 4_096];
            loop {
                let length = told.recv(&mut datagram).await.unwrap();
                if std::str::from_utf8(&datagram[..length]).unwrap().contains(what) {
                    return;
                }
            }
        };
        timeout(PATIENCE, heard).await.unwrap_or_else(|_| panic!("it never said {what}"));
    };
    until("READY=1").await;
    until("STATUS=live, 0 streams\nWATCHDOG=1").await;
    until("WATCHDOG=1").await;
    let pid = Pid::from_raw(service.id().unwrap() as i32).unwrap();
    kill_process(pid, Signal::TERM).unwrap();
    until("STOPPING=1").await;
    assert!(service.wait().await.unwrap().success());
    std::fs::remove_file(path).unwrap();
}

/// A disk of some megabytes, which goes with this.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Of the owner of a folder of the server's.
    fn new(server: &Path) -> Self {
        let folder = temporary_folder("oncare-live-disk");
        std::fs::create_dir_all(&folder).unwrap();
        let owner = std::fs::metadata(server).unwrap().uid();
        let options = format!("size=64m,mode=700,uid={owner}");
        let mut mount = std::process::Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &options, "none"]).arg(&folder);
        assert!(mount.status().unwrap().success(), "a small disk is mounted");
        Self(folder)
    }

    /// Fills it to the last byte.
    fn fill(&self) {
        let mut file = std::fs::File::create(self.0.join("filler")).unwrap();
        while std::io::Write::write(&mut file, &[0; 65_536]).is_ok() {}
    }

    fn clear(&self) {
        std::fs::remove_file(self.0.join("filler")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[tokio::test]
#[ignore = "mounts a disk, which only root can"]
async fn a_service_whose_database_has_no_room_left_is_not_ready() {
    let database = Database::alone().await;
    let disk = SmallDisk::new(Path::new(&database.value("current_setting('data_directory')").await));
    let small = disk.0.display();
    let admin = connect(&database.url.replace(&database.name, "postgres")).await;
    admin.batch_execute(&format!("create tablespace small location '{small}'")).await.unwrap();
    eventually("the database is moved there", async || {
        admin.batch_execute(&format!("alter database {} set tablespace small", database.name)).await.ok()
    })
    .await;
    let service = Service::start(&database).await;
    disk.fill();
    let (_, said) = eventually("it is not ready", async || {
        Some(service.get_ops("/readyz").await).filter(|(status, _)| *status == 503)
    })
    .await;
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert!(said["disk"].as_str().unwrap().contains("No space left on device"), "{said}");
    assert_eq!((&said["database"], &said["listener"]), (&"ok".into(), &"ok".into()), "{said}");
    disk.clear();
    service.ready().await;
}
