//! Clients that update orders, each update with an amount of its own by which it is recognised.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use anyhow::Context;
use rand::Rng;
use tokio::task::{AbortHandle, JoinSet};
use tokio_postgres::{Client, NoTls, Statement};

const UPDATE: &str = "update orders_order
    set total_amount = $2::bigint::numeric / 100,
        status = case status when 'processing' then 'confirmed' else 'processing' end
    where id = $1";

/// The amounts of all updates of a run: increasing, never twice.
#[derive(Debug, Clone, Default)]
pub struct Sequence(Arc<AtomicU64>);

impl Sequence {
    fn next(&self) -> u64 {
        self.0.fetch_add(1, Relaxed) + 1
    }
}

/// Orders whose ids follow each other.
#[derive(Debug, Clone, Copy)]
pub struct Orders {
    /// The first id.
    pub first: i64,
    /// How many.
    pub count: i64,
}

impl Orders {
    /// A random one of those that belong to a writer. No two writers have one in common, so that the amounts of an order
    /// increase in the order of their commits, and no writer waits for another's row.
    fn pick(self, writer: usize, writers: usize) -> i64 {
        let (writer, writers) = (writer as i64, writers as i64);
        self.first + writer + writers * rand::rng().random_range(0..self.count / writers)
    }
}

/// A committed update.
#[derive(Debug, Clone, Copy)]
pub struct Update {
    /// Its amount in hundredths.
    pub amount: u64,
    /// Its order.
    pub order: i64,
    /// When the statement was sent.
    pub sent: Instant,
    /// When its commit was acknowledged.
    pub acknowledged: Instant,
}

/// How fast writers write.
#[derive(Debug, Clone, Copy)]
pub enum Pace {
    /// So many commits a second in all, whatever the answers take.
    Rate(u32),
    /// Each as fast as it is answered.
    Fastest,
}

/// A connection that writes.
pub struct Writer {
    client: Client,
    update: Statement,
    sequence: Sequence,
    connection: AbortHandle,
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

impl Writer {
    /// Connects.
    ///
    /// # Errors
    /// If the database can't be reached.
    pub async fn connect(url: &str, sequence: &Sequence) -> anyhow::Result<Self> {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await.context("could not connect a writer")?;
        let connection = tokio::spawn(connection).abort_handle();
        let update = client.prepare(UPDATE).await.context("could not prepare the update")?;
        Ok(Self { client, update, sequence: sequence.clone(), connection })
    }

    /// Updates one order.
    ///
    /// # Errors
    /// If the database refuses, or there is no such order.
    pub async fn update(&self, order: i64) -> anyhow::Result<Update> {
        let amount = self.sequence.next();
        let sent = Instant::now();
        let changed = self.client.execute(&self.update, &[&order, &(amount as i64)]).await;
        let acknowledged = Instant::now();
        anyhow::ensure!(changed.context("an update failed")? == 1, "there is no order {order}");
        Ok(Update { amount, order, sent, acknowledged })
    }

    async fn write(
        &self,
        orders: Orders,
        place: Place,
        pace: Pace,
        from: Instant,
        until: Instant,
    ) -> anyhow::Result<Vec<Update>> {
        let mut updates = Vec::new();
        let mut due = from;
        let interval = match pace {
            Pace::Rate(rate) => Duration::from_secs(place.writers as u64) / rate,
            Pace::Fastest => Duration::ZERO,
        };
        due += interval.mul_f64(place.writer as f64 / place.writers as f64);
        while due.max(Instant::now()) < until {
            // one that is late does not wait
            if due > Instant::now() {
                tokio::time::sleep_until(due.into()).await;
            }
            due += interval;
            updates.push(self.update(orders.pick(place.writer, place.writers)).await?);
        }
        Ok(updates)
    }
}

#[derive(Debug, Clone, Copy)]
struct Place {
    writer: usize,
    writers: usize,
}

/// Several of them.
pub struct Writers(Vec<Arc<Writer>>);

impl Writers {
    /// Connects that many.
    ///
    /// # Errors
    /// If the database can't be reached.
    pub async fn connect(url: &str, count: usize, sequence: &Sequence) -> anyhow::Result<Self> {
        let mut writers = Vec::with_capacity(count);
        for _ in 0..count {
            writers.push(Arc::new(Writer::connect(url, sequence).await?));
        }
        Ok(Self(writers))
    }

    /// Updates random ones of the orders for that long.
    ///
    /// # Errors
    /// If one of them fails.
    pub async fn write(&self, orders: Orders, pace: Pace, time: Duration) -> anyhow::Result<Vec<Update>> {
        let from = Instant::now();
        let mut writing = JoinSet::new();
        for (number, writer) in self.0.iter().enumerate() {
            let (writer, place) = (Arc::clone(writer), Place { writer: number, writers: self.0.len() });
            writing.spawn(async move { writer.write(orders, place, pace, from, from + time).await });
        }
        let mut updates = Vec::new();
        while let Some(written) = writing.join_next().await {
            updates.extend(written.context("a writer panicked")??);
        }
        Ok(updates)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_writers_have_an_order_in_common() {
        let orders = Orders { first: 101, count: 35 };
        for writer in 0..4 {
            for _ in 0..100 {
                let order = orders.pick(writer, 4);
                assert!((101..136).contains(&order));
                assert_eq!((order - 101) % 4, writer as i64);
            }
        }
    }
}
