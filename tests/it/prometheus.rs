//! What is in `deploy/` for Prometheus and Grafana, held against the programs that read it and the running service.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::harness::database::Database;
use crate::harness::eventually;
use crate::harness::http::API;
use crate::harness::instance::free_address;
use crate::harness::service::Service;
use crate::harness::supervised::Supervised;

fn deploy(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(file)
}

async fn promtool(arguments: &[&str], input: &str) -> Output {
    let mut promtool = Command::new("promtool");
    promtool.args(arguments).current_dir(deploy("prometheus"));
    let mut running =
        promtool.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("promtool runs");
    running.stdin.take().unwrap().write_all(input.as_bytes()).await.unwrap();
    running.wait_with_output().await.unwrap()
}

/// Promtool has nothing to say.
async fn assert_flawless(scrape: &str) {
    let checked = promtool(&["check", "metrics"], scrape).await;
    let said = String::from_utf8([checked.stdout, checked.stderr].concat()).unwrap();
    assert!(checked.status.success() && said.is_empty(), "{said}");
}

/// Each series by its name and labels.
fn series(scrape: &str) -> Vec<&str> {
    let lines = scrape.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.rsplit_once(' ').unwrap().0).collect()
}

#[tokio::test]
async fn metrics_follow_the_conventions_are_always_the_same_and_name_nobody() {
    let database = Database::new().await;
    database.orders("(1, 1, 'pending', 'paid', 1)").await;
    let service = Service::start(&database).await;
    let (_, before) = service.get_ops("/metrics").await;
    assert_flawless(&before).await;
    let ana = service.signed_in("ana").await;
    let mut streams = [ana.events().await, ana.events().await];
    database.sql("update orders_order set status = 'shipped'").await;
    for stream in &mut streams {
        stream.patch_of(1).await;
    }
    for reason in ["no_stream", "no_stream", "made-up-by-somebody"] {
        ana.get_with(API, &[("oncare-reason", reason)]).await;
    }
    for path in ["/secret-path/1", "/orders/orders/77/", "/orders/orders/78/"] {
        assert_eq!(ana.get(path).await.status(), 404);
    }
    let (_, after) = service.get_ops("/metrics").await;
    assert_flawless(&after).await;
    assert_eq!(series(&before), series(&after));
    for secret in ["\"ana", "secret-path", "/77/", "made-up", "ORD-"] {
        assert!(!after.contains(secret), "{secret} is in\n{after}");
    }
    for (name, expected) in [
        ("streams_open{role=\"sales_rep\"}", 2.0),
        ("streams_per_user_bucket{le=\"1.0\"}", 1.0),
        ("streams_per_user_bucket{le=\"2.0\"}", 2.0),
        ("frames_sent_total", 2.0),
        ("event_age_seconds_count", 2.0),
        ("polls_total{reason=\"no_stream\"}", 2.0),
        ("polls_total{reason=\"unsaid\"}", 1.0),
        ("logins_total{outcome=\"signed_in\"}", 1.0),
        ("http_requests_total{route=\"/orders/api/sales-rep/events/\",code=\"2xx\"}", 2.0),
        ("http_requests_total{route=\"/orders/orders/{id}/\",code=\"4xx\"}", 2.0),
        ("http_requests_total{route=\"/orders/orders/{id}/\",code=\"503\"}", 0.0),
        ("http_requests_total{route=\"unmatched\",code=\"4xx\"}", 1.0),
        ("pages_live", 1.0),
        ("recording_faults", 0.0),
    ] {
        assert_eq!(service.metric(&format!("oncare_live_{name}")).await, expected, "{name}");
    }
    for name in [
        "oncare_live_stream_sent_bytes_total",
        "oncare_live_canary_round_trip_seconds_count",
        "oncare_live_listener_batch_duration_seconds_count",
        "oncare_live_pool_wait_seconds_count",
        "oncare_live_pool_connections_open",
        "oncare_live_epoch_start_timestamp_seconds",
        "process_resident_memory_bytes",
        "process_open_fds",
    ] {
        assert!(service.metric(name).await > 0.0, "{name}");
    }
}

#[tokio::test]
async fn statistics_that_differ_from_the_orders_are_counted() {
    let audited = ["--audit-every", "60s"];
    let database = Database::new().await;
    database.orders("(1, 1, 'pending', 'paid', 1)").await;
    database.store().fold().await.unwrap();
    let service = Service::start_with(&database, &audited).await;
    let audits = "oncare_live_statistics_audits_total";
    eventually("a rep is audited", async || (service.metric(audits).await == 1.0).then_some(())).await;
    assert_eq!(service.metric("oncare_live_statistics_differences_total").await, 0.0);
    service.stop().await;
    database.sql("update live.order_stats set orders = orders + 1 where sales_rep_id = 1").await;
    let service = Service::start_with(&database, &audited).await;
    let differences = "oncare_live_statistics_differences_total";
    eventually("it is found", async || (service.metric(differences).await == 1.0).then_some(())).await;
}

#[tokio::test]
async fn alerts_come_when_they_should_and_not_when_all_is_well() {
    for arguments in
        [["check", "config", "prometheus.yml"], ["check", "rules", "alerts.yml"], ["test", "rules", "alerts_test.yml"]]
    {
        let said = promtool(&arguments, "").await;
        assert!(said.status.success(), "{arguments:?}: {said:?}");
    }
}

/// A real Prometheus that reads a service five times a second.
struct Prometheus {
    address: String,
    folder: PathBuf,
    _server: Supervised,
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        // what it still writes is of no use to anybody
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl Prometheus {
    async fn of(service: &Service) -> Self {
        let address = free_address().to_string();
        let folder = std::env::temp_dir().join(format!("oncare-live-prometheus-{}", address.replace(':', "-")));
        std::fs::create_dir_all(&folder).unwrap();
        let sample = std::fs::read_to_string(deploy("prometheus/prometheus.yml")).unwrap();
        let ours = sample
            .replace("15s", "200ms")
            .replace("127.0.0.1:9464", &service.ops.to_string())
            .replace("alerts.yml", deploy("prometheus/alerts.yml").to_str().unwrap());
        std::fs::write(folder.join("prometheus.yml"), ours).unwrap();
        let mut server = Command::new("prometheus");
        server.arg(format!("--web.listen-address={address}"));
        server.arg(format!("--config.file={}", folder.join("prometheus.yml").display()));
        server.arg(format!("--storage.tsdb.path={}", folder.join("data").display()));
        let server = Supervised::start(&server, &folder.join("said"));
        let prometheus = Self { address, folder, _server: server };
        eventually("Prometheus has read the service some times", async || {
            let reads = prometheus.ask("count_over_time(oncare_live_build_info[1m])").await?;
            (reads.first()?["value"][1].as_str()?.parse::<f64>().ok()? >= 3.0).then_some(())
        })
        .await;
        prometheus
    }

    /// The answer to an expression; none where Prometheus can't read it.
    async fn ask(&self, expression: &str) -> Option<Vec<Value>> {
        let mut url = url::Url::parse(&format!("http://{}/api/v1/query", self.address)).unwrap();
        url.query_pairs_mut().append_pair("query", expression);
        let answer: Value = reqwest::get(url).await.ok()?.json().await.ok()?;
        answer["data"]["result"].as_array().cloned()
    }
}

/// What an alert measures: its expression without the comparison at its end.
fn measured(expression: &str) -> &str {
    let mut words = expression.rsplitn(3, ' ');
    let (threshold, comparison, measured) = (words.next().unwrap(), words.next().unwrap(), words.next().unwrap());
    assert!(threshold.parse::<f64>().is_ok() && [">", "=="].contains(&comparison), "{expression}");
    measured
}

#[tokio::test]
async fn every_expression_of_dashboard_and_alerts_has_an_answer_in_a_real_prometheus() {
    let database = Database::new().await;
    let service = Service::start(&database).await;
    let ana = service.signed_in("ana").await;
    ana.dashboard("").await;
    let prometheus = Prometheus::of(&service).await;
    let dashboard: Value = serde_json::from_slice(&std::fs::read(deploy("grafana/oncare-live.json")).unwrap()).unwrap();
    let targets =
        dashboard["panels"].as_array().unwrap().iter().flat_map(|panel| panel["targets"].as_array()).flatten();
    let shown = targets
        .map(|target| target["expr"].as_str().unwrap().replace("$__rate_interval", "1m").replace("$instance", ".*"));
    let alerts = std::fs::read_to_string(deploy("prometheus/alerts.yml")).unwrap();
    let alerts =
        alerts.lines().filter_map(|line| line.trim().strip_prefix("expr: ")).map(|all| measured(all).to_owned());
    let expressions: Vec<String> = shown.chain(alerts).collect();
    assert!(expressions.len() > 80, "{} were found", expressions.len());
    for expression in expressions {
        let answer = prometheus.ask(&expression).await;
        assert!(answer.as_ref().is_some_and(|series| !series.is_empty()), "{expression}: {answer:?}");
    }
}
