//! What a page shows is what the database says, or the page says that it isn't: under every fault that one machine can
//! produce. `make chaos MINUTES=30` runs this for longer; `CHAOS_SEED` repeats a run as far as a machine can.
//!
//! Rounds of faults, while other clients write, alternate with quiet, in which everything that any page was told is held
//! against the [`audit`]'s truth: each told state must be one that the database had in that very snapshot, nothing that
//! changed may have been left out, and nothing of another rep's orders told. Windows of a real Chromium are looked at all the
//! time: one that says "live" must not show anything that has not been true for some seconds.

mod audit;
mod ground;
mod history;
mod nemesis;
mod reader;
mod scenarios;
mod window;
mod writers;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{Rng, SeedableRng};
use serde_json::Value;
use tokio::sync::RwLock;
use tokio::time::sleep;

use audit::{Audit, Figures, Seen, Shown, hundredths};
use history::{History, ToldOnPanic};
use nemesis::{Fault, Lost, World};
use reader::{Reader, Telling, Told};
use window::{Look, Window};
use writers::{Gate, Writers};

const ANA: (i64, &str) = (1, "ana");
const BEN: (i64, &str) = (2, "ben");

/// How long everything may take to be right again once nothing is broken any more.
const RECOVERY: Duration = Duration::from_secs(30);

/// For how long a window may say "live" over what is not true any more, in seconds: until a ping that does not come is
/// missed, after 10.3 s at the latest, or the listener's canary, after 9 s, and that was told; and how late a machine that is
/// busy may be.
const LONGEST_DECEIT: f64 = 14.0;

/// How long before they were told the states were true, in seconds, that a crash took back.
const TOLD_AFTER: f64 = 0.5;

const WRITERS: u64 = 5;

fn seed() -> u64 {
    std::env::var("CHAOS_SEED").map_or_else(|_| rand::random(), |seed| seed.parse().expect("CHAOS_SEED is a number"))
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "has the machine before all others: `make test` runs it in its turn"]
async fn every_fault_once() {
    let mut rounds: Option<Vec<Vec<Fault>>> = None;
    let faults = move |random: &mut StdRng, _: Duration| {
        let rounds = rounds.get_or_insert_with(|| {
            let mut all = Fault::ALL;
            all.shuffle(random);
            all.chunks(4).map(<[Fault]>::to_vec).collect()
        });
        rounds.pop()
    };
    run(seed(), faults).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes as long as it is told to: `make chaos MINUTES=30`"]
async fn for_a_while() {
    let minutes: f64 = std::env::var("MINUTES").ok().and_then(|text| text.parse().ok()).unwrap_or(5.0);
    let faults = move |random: &mut StdRng, since: Duration| {
        let is_over = since.as_secs_f64() > minutes * 60.0;
        let faults = (0..random.random_range(2..=5)).map(|_| *Fault::ALL.choose(random).unwrap()).collect();
        (!is_over).then_some(faults)
    };
    run(seed(), faults).await;
}

/// Rounds of the faults that are given, for the time since the beginning, until none are.
async fn run(seed: u64, mut faults: impl FnMut(&mut StdRng, Duration) -> Option<Vec<Fault>>) {
    let (history, began) = (History::begin(), Instant::now());
    println!("chaos: seed {seed}");
    let _told = ToldOnPanic(history.clone());
    let mut random = StdRng::seed_from_u64(seed);
    let mut world = World::begin(&history).await;
    let base = format!("http://{}", world.browsers_wire.address);
    let telling = Telling::default();
    let mut readers = Vec::new();
    for (page, person) in [ANA, BEN, ANA, BEN, ANA, BEN].into_iter().enumerate() {
        readers.push(Reader::open(&base, page, person, &telling, &history).await);
    }
    let mut windows = Vec::new();
    for (person, query) in [(ANA, ""), (BEN, "?status=pending")] {
        windows.push(Window::open(&base, person, query).await);
    }
    let gate: Gate = Arc::new(RwLock::new(()));
    let writers = Writers::start(WRITERS, seed, &world.ground.address(), &gate, &history);
    let mut oracle = Oracle { audit: Audit::default(), history: history.clone(), last: HashMap::new() };
    while let Some(faults) = faults(&mut random, began.elapsed()) {
        for fault in faults {
            let lost = world.lost.len();
            world.suffer(fault, &mut random).await;
            if world.lost.len() > lost {
                // what was recorded may be gone, and transaction ids come a second time
                oracle.audit = Audit::default();
            }
            sleep(Duration::from_millis(random.random_range(100..1_200))).await;
        }
        let _quiet = gate.write().await;
        world.wait_until_ready().await;
        oracle.judge(&world, &readers, &windows, &telling).await;
        // what panics in a task of its own must not pass for silence
        assert!(windows.iter().all(Window::is_watched), "a window is no longer looked at");
        assert!(readers.iter().all(Reader::is_open), "a page is no longer open");
        assert!(writers.all_write(), "a writer no longer writes");
        if !history.violations().is_empty() {
            break;
        }
    }
    assert_eq!(history.all_left_out(), BTreeMap::new(), "every fault is had");
    assert!(history.violations().is_empty(), "violated with seed {seed}: {:#?}", history.violations());
    assert!(history.counted("states compared") > 0 && history.counted("pages compared") > 0, "nothing was compared");
    println!("{history}");
}

struct Oracle {
    audit: Audit,
    history: History,
    /// Where each page stood when it was last held against the truth, and over which connection.
    last: HashMap<usize, (u64, Seen)>,
}

impl Oracle {
    /// Nobody writes and nothing is broken: everything must become right, and must have been.
    async fn judge(&mut self, world: &World, readers: &[Reader], windows: &[Window], telling: &Telling) {
        let client = world.ground.address().connect().await;
        self.audit.read(&client).await;
        let row = client.query_one("select pg_current_snapshot()::text", &[]).await.unwrap();
        let present = Seen::of(&format!("present/{}", row.get::<_, &str>(0)));
        let deadline = Instant::now() + RECOVERY;
        for reader in readers {
            let what = format!("page {} of rep {}", reader.page, reader.rep);
            self.until(&what, deadline, || self.differs(reader, &present)).await;
        }
        for window in windows {
            self.until(&window.name, deadline, || self.window_differs(window, &present)).await;
        }
        let lost = &world.lost;
        for told in telling.lock().unwrap().drain(..) {
            self.told(&told, lost);
        }
        for window in windows {
            let looks = std::mem::take(&mut *window.looks.lock().unwrap());
            self.looked(window, &looks, lost);
        }
        for instance in &world.instances {
            let late = instance.metric("oncare_live_listener_events_found_late_total").await;
            if late > 0.0 {
                self.history.violation(format!("{late} events were found by a safety read alone"));
            }
        }
        self.history.count("rounds", 1);
    }

    async fn until(&self, what: &str, deadline: Instant, mut differs: impl FnMut() -> Option<String>) {
        while let Some(difference) = differs() {
            if Instant::now() > deadline {
                return self.history.violation(format!("{what} did not become right: {difference}"));
            }
            sleep(Duration::from_millis(50)).await;
        }
        self.history.count("pages compared", 1);
    }

    /// How what the page was told differs from what is true now.
    fn differs(&self, reader: &Reader, present: &Seen) -> Option<String> {
        let model = reader.model.lock().unwrap();
        let figures = self.audit.figures(reader.rep, present);
        if model.figures != figures {
            return Some(format!("it has {:?} of {:?}, the truth is {figures:?}", model.figures, model.seen));
        }
        model.rows.values().find_map(|row| {
            let id = row["id"].as_i64().unwrap();
            let truth = self.audit.shown(id, reader.rep, present);
            (told_row(row) != truth).then(|| format!("it has {row}, the truth is {truth:?}"))
        })
    }

    fn window_differs(&self, window: &Window, present: &Seen) -> Option<String> {
        let looks = window.looks.lock().unwrap();
        let Some(look) = looks.last() else { return Some("it was not looked at yet".to_owned()) };
        if !look.is_live {
            return Some(format!("it is {}", look.state));
        }
        let figures = self.audit.figures(window.rep, present);
        if look.figures != figures {
            return Some(format!("it shows {:?}, the truth is {figures:?}", look.figures));
        }
        look.rows.iter().find_map(|row| {
            let id = row["id"].as_i64().unwrap();
            let truth = self.audit.shown(id, window.rep, present);
            (window_row(row) != truth).then(|| format!("it shows {row}, the truth is {truth:?}"))
        })
    }

    /// Every told state must be the one that the database had in that snapshot, with all that changed since the page's last.
    fn told(&mut self, told: &Told, lost: &[Lost]) {
        let Told { page, rep, seen, data, .. } = told;
        let last =
            self.last.insert(*page, (told.connection, seen.clone())).filter(|(_, last)| last.epoch == seen.epoch);
        if lost.iter().any(|lost| (lost.from..lost.until + TOLD_AFTER).contains(&told.at)) {
            self.history.count("states told shortly before commits were lost, not compared", 1);
            self.last.remove(page);
            return;
        }
        self.history.count("states compared", 1);
        let wrong =
            |what: String| self.history.violation(format!("page {page} of rep {rep}, told {data} at {seen:?}: {what}"));
        let figures = self.audit.figures(*rep, seen);
        if Figures::of_json(data) != figures {
            return wrong(format!("the figures were {figures:?}"));
        }
        for row in data["orders"].as_array().into_iter().flatten() {
            let truth = self.audit.shown(row["id"].as_i64().unwrap(), *rep, seen);
            if told_row(row) != truth {
                return wrong(format!("the row {row} was {truth:?}"));
            }
        }
        let changes = if told.is_sync { &data["missed"] } else { &data["changes"] };
        let ids = |list: &Value, key: &str| -> Vec<i64> {
            list.as_array().into_iter().flatten().filter_map(|entry| entry[key].as_i64()).collect()
        };
        let mentioned = ids(changes, "order_id");
        if let Some(id) = mentioned.iter().find(|id| !self.audit.was_ever_of(**id, *rep)) {
            return wrong(format!("order {id} was never of rep {rep}"));
        }
        // a stream's patches follow from one another; a sync follows from the cursor that the page brought, if it says so
        let follows =
            |connection: u64| told.is_sync && changes.is_array() || !told.is_sync && connection == told.connection;
        if let Some((_, from)) = last.filter(|(connection, _)| follows(*connection)) {
            let mentioned = if told.is_sync { mentioned } else { ids(&data["orders"], "id") };
            let left_out = self.audit.changed(*rep, &from, seen).into_iter().find(|id| !mentioned.contains(id));
            if let Some(id) = left_out {
                wrong(format!("order {id} changed since {from:?} and was left out"));
            }
        }
    }

    /// A window that says "live" must not show what has not been true for long.
    fn looked(&self, window: &Window, looks: &[Look], lost: &[Lost]) {
        let timeline = self.audit.timeline(window.rep);
        for look in looks {
            self.history.count("looks at windows", 1);
            if !look.is_live || lost.iter().any(|lost| (lost.from..lost.until + LONGEST_DECEIT).contains(&look.began)) {
                continue;
            }
            self.history.count("looks at windows that said live", 1);
            // the figures were true in one of the states of the time before
            let of_late = |index: &usize| {
                let until = timeline.get(index + 1).map_or(f64::INFINITY, |(at, _)| *at);
                timeline[*index].0 <= look.ended + 1.0 && until >= look.began - LONGEST_DECEIT
            };
            let newest = (0..timeline.len()).filter(of_late).filter(|index| timeline[*index].1 == look.figures).max();
            match newest {
                Some(index) => {
                    let true_until = timeline.get(index + 1).map_or(look.began, |(at, _)| *at);
                    self.history.worst("age of what a window called live, s", look.began - true_until);
                }
                None => self.history.violation(format!(
                    "{} said live at {} over {:?}, which was not true for {LONGEST_DECEIT} s",
                    window.name, look.began, look.figures
                )),
            }
        }
    }
}

/// A row of the service's JSON; nothing for one that left.
fn told_row(row: &Value) -> Option<Shown> {
    let text = |name: &str| row[name].as_str().map(str::to_owned);
    (row["removed"] != true).then(|| Shown {
        number: text("order_number").unwrap(),
        status: text("status").unwrap(),
        payment_status: text("payment_status").unwrap(),
        total: hundredths(&row["total_amount"]),
        items: row["items_count"].as_i64().unwrap(),
    })
}

/// A row of a window; nothing for one that is struck out.
fn window_row(row: &Value) -> Option<Shown> {
    let text = |name: &str| row[name].as_str().unwrap().to_owned();
    (row["removed"] != true).then(|| Shown {
        number: text("number"),
        status: text("status"),
        payment_status: text("payment_status"),
        total: row["total"].as_i64().unwrap(),
        items: row["items"].as_i64().unwrap(),
    })
}
