//! What happened in a run: told when it fails, and counted at its end.

use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::sync::{Arc, Mutex};
use std::time::Instant;

/// How much of the history is told.
const TOLD: usize = 400;

/// Shared by everything that happens.
#[derive(Clone)]
pub struct History(Arc<Mutex<Told>>);

struct Told {
    began: Instant,
    lines: Vec<String>,
    counts: BTreeMap<&'static str, u64>,
    faults: BTreeMap<&'static str, u64>,
    left_out: BTreeMap<&'static str, String>,
    worst: BTreeMap<&'static str, f64>,
    violations: Vec<String>,
}

impl History {
    pub fn begin() -> Self {
        Self(Arc::new(Mutex::new(Told {
            began: Instant::now(),
            lines: Vec::new(),
            counts: BTreeMap::new(),
            faults: BTreeMap::new(),
            left_out: BTreeMap::new(),
            worst: BTreeMap::new(),
            violations: Vec::new(),
        })))
    }

    pub fn tell(&self, what: impl Display) {
        let mut told = self.0.lock().unwrap();
        let line = format!("{:8.3} s  {what}", told.began.elapsed().as_secs_f64());
        told.lines.push(line);
    }

    pub fn fault(&self, kind: &'static str) {
        *self.0.lock().unwrap().faults.entry(kind).or_default() += 1;
    }

    /// A fault that this machine can't have.
    pub fn left_out(&self, kind: &'static str, why: &str) {
        self.tell(format!("LEFT OUT: {kind}: {why}"));
        self.0.lock().unwrap().left_out.insert(kind, why.to_owned());
    }

    pub fn all_left_out(&self) -> BTreeMap<&'static str, String> {
        self.0.lock().unwrap().left_out.clone()
    }

    pub fn count(&self, what: &'static str, more: u64) {
        *self.0.lock().unwrap().counts.entry(what).or_default() += more;
    }

    pub fn counted(&self, what: &'static str) -> u64 {
        self.0.lock().unwrap().counts.get(what).copied().unwrap_or_default()
    }

    /// Keeps the largest.
    pub fn worst(&self, what: &'static str, value: f64) {
        let mut told = self.0.lock().unwrap();
        let worst = told.worst.entry(what).or_default();
        *worst = worst.max(value);
    }

    pub fn violation(&self, what: impl Display) {
        let what = what.to_string();
        self.tell(format!("VIOLATION: {what}"));
        self.0.lock().unwrap().violations.push(what);
    }

    pub fn violations(&self) -> Vec<String> {
        self.0.lock().unwrap().violations.clone()
    }

    /// The newest lines.
    pub fn lines(&self) -> String {
        let told = self.0.lock().unwrap();
        told.lines[told.lines.len().saturating_sub(TOLD)..].join("\n")
    }
}

/// Tells the history if the run panics.
pub struct ToldOnPanic(pub History);

impl Drop for ToldOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}\n{}", self.0.lines(), self.0);
        }
    }
}

impl Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let told = self.0.lock().unwrap();
        writeln!(f, "after {:.0} s", told.began.elapsed().as_secs_f64())?;
        writeln!(f, "  faults injected: {}", told.faults.values().sum::<u64>())?;
        for (kind, count) in &told.faults {
            writeln!(f, "    {count:>7}  {kind}")?;
        }
        for (what, count) in &told.counts {
            writeln!(f, "  {what}: {count}")?;
        }
        for (what, worst) in &told.worst {
            writeln!(f, "  worst {what}: {worst:.1}")?;
        }
        write!(f, "  violations: {}", told.violations.len())
    }
}
