//! Pages in a real Chromium, looked at again and again.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::audit::Figures;
use super::reader::now;
use crate::harness::browser::Browser;

const LOOK_EVERY: Duration = Duration::from_millis(400);

/// What is to be seen, read in one go.
const LOOK: &str = "(() => {
    const text = (id) => document.getElementById(id).textContent;
    const number = (id) => Number(text(id));
    const counts = {};
    for (const place of document.querySelectorAll('[id^=status-count-]')) {
        const count = Number(place.textContent);
        if (count !== 0) counts[place.id.replace('status-count-', '')] = count;
    }
    const cents = (amount) => Math.round(Number(amount.replace(/[^-0-9.]/g, '')) * 100);
    return {
        state: document.getElementById('live-badge').dataset.state,
        total: number('stat-total-orders'),
        revenue: cents(text('stat-total-revenue')),
        cards: ['pending', 'processing', 'delivered', 'cancelled'].map((name) => number(`stat-${name}-orders`)),
        counts,
        rows: [...document.querySelectorAll('tr[data-order-id]')].map((row) => ({
            id: Number(row.dataset.orderId),
            removed: row.hasAttribute('data-removed'),
            status: row.dataset.status,
            payment_status: row.dataset.paymentStatus,
            number: row.querySelector('[data-text=order_number]').textContent,
            items: Number(row.querySelector('[data-text=items_count]').textContent),
            total: cents(row.querySelector('[data-text=total_amount]').textContent),
        })),
    };
})()";

/// What was to be seen.
#[derive(Clone)]
pub struct Look {
    pub began: f64,
    pub ended: f64,
    pub is_live: bool,
    pub state: String,
    pub figures: Figures,
    pub rows: Vec<Value>,
}

pub struct Window {
    pub name: String,
    pub rep: i64,
    pub looks: Arc<Mutex<Vec<Look>>>,
    task: JoinHandle<()>,
}

impl Drop for Window {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Window {
    /// Whether it is still looked at: a look that panics ends that.
    pub fn is_watched(&self) -> bool {
        !self.task.is_finished()
    }

    pub async fn open(base: &str, (rep, name): (i64, &str), query: &str) -> Self {
        let browser = Browser::live_dashboard(base, name, query).await;
        let looks = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&looks);
        let task = tokio::spawn(async move {
            loop {
                let began = now();
                let seen = browser.script(LOOK).await;
                let look = look(began, &seen);
                noted.lock().unwrap().push(look);
                sleep(LOOK_EVERY).await;
            }
        });
        Self { name: format!("{name}'s window {query}"), rep, looks, task }
    }
}

fn look(began: f64, seen: &Value) -> Look {
    let counts = seen["counts"].as_object().unwrap().iter();
    let figures = Figures {
        total: seen["total"].as_i64().unwrap(),
        by_status: counts.map(|(status, count)| (status.clone(), count.as_i64().unwrap())).collect(),
        revenue: seen["revenue"].as_i64().unwrap(),
    };
    let state = seen["state"].as_str().unwrap().to_owned();
    Look {
        began,
        ended: now(),
        is_live: state == "live",
        state,
        figures,
        rows: seen["rows"].as_array().unwrap().clone(),
    }
}
