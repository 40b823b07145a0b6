//! One statement that changes many orders.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use tokio_postgres::{AsyncMessage, Client, NoTls};

use crate::bench::Bench;
use crate::databases::Kind;
use crate::options::Scenario;
use crate::samples::{Samples, milliseconds};
use crate::system::System;

const UPDATE: &str = "update orders_order
    set status = case status when 'processing' then 'confirmed' else 'processing' end
    where sales_rep_id between $1 and $2";
const ORDERS: u64 = 10_000;

/// For the servers to read what a statement did, before the next one is timed.
const PAUSE: Duration = Duration::from_millis(300);

pub(super) async fn run(bench: &mut Bench) -> anyhow::Result<()> {
    let (service, floor) = (bench.start(System::Service).await?, bench.start(System::Floor).await?);
    let (first, last) = bench.databases.bulk_reps();
    let notifications = Notifications::count(&bench.databases.url(Kind::Service)).await?;
    let mut tables = Vec::new();
    for (row, kind) in [("bare", Kind::Bare), ("plain trigger", Kind::Peers), ("service", Kind::Service)] {
        tables.push((row, bench.databases.connect(kind).await?, Samples::default()));
    }
    // the first round is not counted: after a checkpoint each page is written whole once
    for round in 0..=bench.plan.bulks {
        bench.say(&format!("bulk update, round {round}"));
        for (_, client, times) in &mut tables {
            let began = Instant::now();
            let changed = client.execute(UPDATE, &[&first, &last]).await.context("the bulk update failed")?;
            if round > 0 {
                times.push(milliseconds(began.elapsed()));
            }
            ensure!(changed == ORDERS, "{changed} orders were changed");
            tokio::time::sleep(PAUSE).await;
        }
    }
    let bare = tables[0].2.median();
    for (row, _, times) in &tables {
        let median = times.median();
        bench.results.note(Scenario::Bulk, row, &[("ms", median), ("times bare", median / bare)]);
    }
    let sent = notifications.so_far() as f64 / (bench.plan.bulks + 1) as f64;
    bench.results.note(Scenario::Bulk, "service", &[("notifications", sent)]);
    service.stop().await?;
    floor.stop().await
}

/// Counts the notifications that reach a listener.
struct Notifications {
    count: Arc<AtomicU64>,
    /// The connection ends when it is dropped.
    _client: Client,
}

impl Notifications {
    async fn count(url: &str) -> anyhow::Result<Self> {
        let (client, mut connection) = tokio_postgres::connect(url, NoTls).await?;
        let count = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&count);
        tokio::spawn(async move {
            while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await {
                counted.fetch_add(u64::from(matches!(message, AsyncMessage::Notification(_))), Relaxed);
            }
        });
        client.batch_execute("listen live_orders").await?;
        Ok(Self { count, _client: client })
    }

    fn so_far(&self) -> u64 {
        self.count.load(Relaxed)
    }
}
