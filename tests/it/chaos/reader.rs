//! Pages without a browser: each keeps a stream as a page does and notes everything that it was told.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::StreamExt;
use rand::Rng;
use reqwest::Client;
use serde_json::Value;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::audit::{Figures, Seen};
use super::history::History;
use crate::harness::database::PASSWORD;
use crate::harness::eventually;
use crate::harness::http::{EVENTS, Event, parse};

/// After this silence a page gives its stream up.
const LONGEST_SILENCE: Duration = Duration::from_secs(20);

/// Seconds since 1970.
pub fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
}

/// An event that tells a state.
pub struct Told {
    pub at: f64,
    pub page: usize,
    pub rep: i64,
    pub connection: u64,
    pub seen: Seen,
    pub is_sync: bool,
    pub data: Value,
}

/// What the page would show.
#[derive(Default)]
pub struct Model {
    pub seen: Option<Seen>,
    pub figures: Figures,
    /// What it was told of orders since it last knew nothing of them.
    pub rows: HashMap<i64, Value>,
    cursor: Option<String>,
    connection: u64,
}

/// One page. It lives until it is dropped.
pub struct Reader {
    pub page: usize,
    pub rep: i64,
    pub model: Arc<Mutex<Model>>,
    task: JoinHandle<()>,
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Whatever all pages were told.
pub type Telling = Arc<Mutex<Vec<Told>>>;

impl Reader {
    /// Whether the page is still open: an event that it can't read ends it.
    pub fn is_open(&self) -> bool {
        !self.task.is_finished()
    }

    pub async fn open(base: &str, page: usize, (rep, name): (i64, &str), telling: &Telling, history: &History) -> Self {
        let client = Client::builder().cookie_store(true).redirect(reqwest::redirect::Policy::none()).build().unwrap();
        eventually("the page signs in", async || {
            let login = client.post(format!("{base}/accounts/login/"));
            let answer = login.form(&[("username", name), ("password", PASSWORD)]).send().await.ok()?;
            (answer.status() == 303).then_some(())
        })
        .await;
        let model = Arc::new(Mutex::new(Model::default()));
        let keeping = Keeping {
            url: format!("{base}{EVENTS}"),
            client,
            page,
            rep,
            model: Arc::clone(&model),
            telling: Arc::clone(telling),
            history: history.clone(),
        };
        let task = tokio::spawn(async move {
            loop {
                keeping.one_stream().await;
                let pause = rand::rng().random_range(200..900);
                sleep(Duration::from_millis(pause)).await;
            }
        });
        Self { page, rep, model, task }
    }
}

struct Keeping {
    url: String,
    client: Client,
    page: usize,
    rep: i64,
    model: Arc<Mutex<Model>>,
    telling: Telling,
    history: History,
}

impl Keeping {
    async fn one_stream(&self) {
        let cursor = self.model.lock().unwrap().cursor.clone().unwrap_or_default();
        let request = self.client.get(&self.url).query(&[("cursor", cursor)]).send();
        let Ok(Ok(response)) = timeout(LONGEST_SILENCE, request).await else { return };
        match response.status().as_u16() {
            200 => {}
            503 => return,
            status => return self.history.violation(format!("page {}: the stream answers {status}", self.page)),
        }
        self.model.lock().unwrap().connection += 1;
        self.history.count("streams opened", 1);
        let (mut chunks, mut unread) = (response.bytes_stream(), Vec::new());
        while let Ok(Some(Ok(chunk))) = timeout(LONGEST_SILENCE, chunks.next()).await {
            unread.extend_from_slice(&chunk);
            while let Some(end) = unread.windows(2).position(|pair| pair == b"\n\n") {
                let block: Vec<u8> = unread.drain(..end + 2).collect();
                if let Some(event) = parse(std::str::from_utf8(&block).unwrap().trim_end()) {
                    self.take(event);
                }
            }
        }
    }

    fn take(&self, event: Event) {
        let Some(id) = event.id else { return };
        let (is_sync, seen, data) = (event.name == "sync", Seen::of(&id), event.data);
        let mut model = self.model.lock().unwrap();
        if let Some(known) = model.seen.as_ref().filter(|known| known.epoch == seen.epoch && seen.is_older_than(known))
        {
            self.history.violation(format!("page {}: told {seen:?} after {known:?}", self.page));
        }
        if is_sync && !data["missed"].as_array().is_some_and(Vec::is_empty) {
            model.rows.clear();
        }
        for row in data["orders"].as_array().into_iter().flatten() {
            model.rows.insert(row["id"].as_i64().unwrap(), row.clone());
        }
        model.figures = Figures::of_json(&data);
        model.seen = Some(seen.clone());
        model.cursor = Some(id);
        let (page, rep, connection) = (self.page, self.rep, model.connection);
        self.telling.lock().unwrap().push(Told { at: now(), page, rep, connection, seen, is_sync, data });
    }
}
