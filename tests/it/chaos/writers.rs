//! Other clients that change orders in every way that SQL has, and must not notice what becomes of the service.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use tokio::sync::RwLock;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use super::ground::{Address, ORDERS, first_orders};
use super::history::History;

/// How long a commit may take. Only what breaks the server itself may take longer, and then the connection is lost.
const LONGEST_COMMIT: Duration = Duration::from_secs(5);

const STATUSES: [&str; 8] =
    ["pending", "confirmed", "processing", "ready_for_pickup", "shipped", "delivered", "cancelled", "returned"];

/// Whoever writes holds this shared, for the length of a transaction; whoever wants quiet, alone.
pub type Gate = Arc<RwLock<()>>;

pub struct Writers(Vec<JoinHandle<()>>);

impl Drop for Writers {
    fn drop(&mut self) {
        self.0.iter().for_each(JoinHandle::abort);
    }
}

impl Writers {
    pub fn all_write(&self) -> bool {
        !self.0.iter().any(JoinHandle::is_finished)
    }

    pub fn start(count: u64, seed: u64, address: &Address, gate: &Gate, history: &History) -> Self {
        let writer = |number| Writer {
            random: StdRng::seed_from_u64(seed ^ (number << 32)),
            address: address.clone(),
            gate: Arc::clone(gate),
            history: history.clone(),
            next_id: 10_000 + 1_000_000 * number as i64,
        };
        Self((1..=count).map(|number| tokio::spawn(writer(number).write())).collect())
    }
}

struct Writer {
    random: StdRng,
    address: Address,
    gate: Gate,
    history: History,
    next_id: i64,
}

impl Writer {
    async fn write(mut self) {
        let mut client: Option<Client> = None;
        loop {
            sleep(Duration::from_millis(self.random.random_range(2..30))).await;
            let gate = Arc::clone(&self.gate);
            let _writing = gate.read().await;
            if client.as_ref().is_none_or(Client::is_closed) {
                client = self.address.try_connect().await;
            }
            let Some(open) = &client else { continue };
            if let Err(error) = self.transaction(open).await {
                self.failed(open, &error).await;
            }
        }
    }

    async fn transaction(&mut self, client: &Client) -> Result<(), tokio_postgres::Error> {
        const ISOLATION: [&str; 4] = ["read committed", "read committed", "repeatable read", "serializable"];
        let isolation = ISOLATION.choose(&mut self.random).unwrap();
        client.batch_execute(&format!("begin isolation level {isolation}; set local lock_timeout = '1500ms'")).await?;
        for _ in 0..self.random.random_range(1..=3) {
            let statements = self.change();
            match self.random.random_range(0..8) {
                0 => {
                    let undone = self.change();
                    client.batch_execute(&format!("savepoint s; {undone}; rollback to s; {statements}")).await?;
                }
                1 => client.batch_execute(&format!("savepoint s; {statements}; release s")).await?,
                _ => client.batch_execute(&statements).await?,
            }
        }
        if self.random.random_bool(0.05) {
            let pause = self.random.random_range(200..3_000);
            sleep(Duration::from_millis(pause)).await;
        }
        if self.random.random_bool(0.1) {
            client.batch_execute("rollback").await?;
            self.history.count("transactions rolled back", 1);
            return Ok(());
        }
        let began = Instant::now();
        client.batch_execute("commit").await?;
        let took = began.elapsed();
        self.history.count("commits", 1);
        self.history.worst("commit of another client, ms", took.as_secs_f64() * 1_000.0);
        if took > LONGEST_COMMIT {
            self.history.violation(format!("a commit took {took:?}"));
        }
        Ok(())
    }

    /// Errors that clients of a database have to live with are none of ours.
    async fn failed(&self, client: &Client, error: &tokio_postgres::Error) {
        let (what, is_usual) = match error.code() {
            None => ("connections of writers lost", true),
            Some(code) if code.code().starts_with("57P") => ("connections of writers lost", true),
            Some(code) if *code == SqlState::T_R_SERIALIZATION_FAILURE => ("serialization failures", true),
            Some(code) if *code == SqlState::T_R_DEADLOCK_DETECTED => ("deadlocks of writers with each other", true),
            Some(code) if *code == SqlState::FOREIGN_KEY_VIOLATION => ("items of orders that another deleted", true),
            Some(code) if *code == SqlState::UNIQUE_VIOLATION => ("orders entered by two writers at once", true),
            Some(code) if *code == SqlState::LOCK_NOT_AVAILABLE => ("locks of writers not had in time", true),
            Some(_) => ("writers' errors", false),
        };
        self.history.count(what, 1);
        if !is_usual {
            self.history.violation(format!("a writer's transaction failed: {error:?}"));
        }
        // of a connection that is lost nothing is left to roll back
        let _ = client.batch_execute("rollback").await;
    }

    /// One thing that a client might do.
    fn change(&mut self) -> String {
        let id = self.random.random_range(1..=ORDERS);
        let status = *STATUSES.choose(&mut self.random).unwrap();
        let rep = *["1", "2", "1", "2", "null"].choose(&mut self.random).unwrap();
        match self.random.random_range(0..100) {
            0..40 => format!("update orders_order set status = '{status}', updated_at = now() where id = {id}"),
            40..50 => {
                let paid = if self.random.random_bool(0.5) { "paid" } else { "pending" };
                format!("update orders_order set payment_status = '{paid}' where id = {id}")
            }
            50..58 => {
                let total = self.random.random_range(0..100_000);
                format!("update orders_order set total_amount = {total}::numeric / 100 where id = {id}")
            }
            58..68 => format!("update orders_order set sales_rep_id = {rep} where id = {id}"),
            68..72 => format!("update orders_order set sales_rep_id = {rep}, status = '{status}' where id between {id} and {id} + 60"),
            72..76 => format!("update orders_order set status = status, internal_notes = 'n' where id = {id}"),
            76..80 => format!(
                "select set_config('app.user', 'rx', true); update orders_order set customer_name = 'C' || now(),
                 order_number = 'N' || nextval('orders_order_id_seq') where id = {id}"
            ),
            80..86 => {
                self.next_id += 3;
                format!("{}; {}", first_orders(self.next_id, 3), items(self.next_id))
            }
            86..90 => format!(
                "delete from orders_orderitem where order_id = {id}; delete from orders_order where id = {id}; {}",
                first_orders(id, 1)
            ),
            90..93 => format!("delete from orders_orderitem where order_id between {id} and {id} + 5"),
            93..96 => format!("insert into orders_orderitem (order_id, medicine_id, quantity, unit, unit_price, total_price,
                prescription_notes, created_at) select id, 1, 1, 'boxes', 1, 1, '', now() from orders_order where id between {id} and {id} + 3 on conflict do nothing"),
            96..99 => "delete from orders_order o where id > 10000 and not exists (
                select from orders_orderitem i where i.order_id = o.id)".to_owned(),
            _ if self.random.random_bool(0.15) => {
                format!("set constraints all immediate; truncate orders_order cascade; {}", first_orders(1, ORDERS))
            }
            _ => "update orders_order set status = 'pending' where status = 'returned'".to_owned(),
        }
    }
}

fn items(order: i64) -> String {
    format!(
        "insert into orders_orderitem (order_id, medicine_id, quantity, unit, unit_price, total_price, prescription_notes, created_at)
         values ({order}, 1, 1, 'boxes', 1, 1, '', now()), ({order}, 2, 1, 'boxes', 1, 1, '', now())"
    )
}
