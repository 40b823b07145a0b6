//! The figures: collected, shown and written.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context;
use serde_json::{Map, Value, json};

use crate::options::Scenario;

/// One scenario's figures, by row (a system, a table, a request) and column (what was measured, with its unit).
#[derive(Debug, Default)]
pub struct Table {
    columns: Vec<String>,
    rows: Vec<(String, BTreeMap<String, f64>)>,
}

/// All figures of a run.
#[derive(Debug, Default)]
pub struct Results {
    tables: BTreeMap<Scenario, Table>,
    failures: Vec<(Scenario, String)>,
}

impl Results {
    /// Notes figures of a row. A figure that was there already is replaced.
    pub fn note(&mut self, scenario: Scenario, row: &str, figures: &[(&str, f64)]) {
        let table = self.tables.entry(scenario).or_default();
        if !table.rows.iter().any(|(name, _)| name == row) {
            table.rows.push((row.to_owned(), BTreeMap::new()));
        }
        for (column, value) in figures {
            if !table.columns.iter().any(|known| known == column) {
                table.columns.push((*column).to_owned());
            }
            if let Some((_, cells)) = table.rows.iter_mut().find(|(name, _)| name == row) {
                cells.insert((*column).to_owned(), *value);
            }
        }
    }

    /// Notes that a scenario did not come to its end.
    pub fn fail(&mut self, scenario: Scenario, error: &anyhow::Error) {
        eprintln!("   FAILED: {error:#}");
        self.failures.push((scenario, format!("{error:#}")));
    }

    /// Whether anything failed.
    pub fn has_failures(&self) -> bool {
        !self.failures.is_empty()
    }

    /// One figure, if it was measured.
    pub fn figure(&self, scenario: Scenario, row: &str, column: &str) -> Option<f64> {
        let (_, cells) = self.tables.get(&scenario)?.rows.iter().find(|(name, _)| name == row)?;
        cells.get(column).copied().filter(|value| value.is_finite())
    }

    /// Prints every table, and what failed.
    pub fn print(&self) {
        for (scenario, table) in &self.tables {
            println!("\n{} ({})", scenario.title(), scenario.name());
            table.print();
        }
        for (scenario, error) in &self.failures {
            println!("\n{} FAILED: {error}", scenario.name());
        }
    }

    /// Writes everything, with what else is given, as JSON.
    ///
    /// # Errors
    /// If the file can't be written.
    pub fn write(&self, path: &Path, about: Value, targets: Value) -> anyhow::Result<()> {
        let scenarios: Map<String, Value> =
            self.tables.iter().map(|(scenario, table)| (scenario.name(), table.json())).collect();
        let failures: Map<String, Value> =
            self.failures.iter().map(|(scenario, error)| (scenario.name(), json!(error))).collect();
        let all = json!({ "about": about, "scenarios": scenarios, "targets": targets, "failures": failures });
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).with_context(|| format!("could not create {}", folder.display()))?;
        }
        let text = serde_json::to_string_pretty(&all)? + "\n";
        std::fs::write(path, text).with_context(|| format!("could not write {}", path.display()))
    }
}

impl Table {
    fn print(&self) {
        let cell =
            |cells: &BTreeMap<String, f64>, column: &String| cells.get(column).map_or("".to_owned(), |v| shown(*v));
        let first = self.rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = self
            .columns
            .iter()
            .map(|column| {
                let cells = self.rows.iter().map(|(_, cells)| cell(cells, column).len());
                cells.chain([column.chars().count()]).max().unwrap_or(0)
            })
            .collect();
        let header: String =
            self.columns.iter().zip(&widths).map(|(name, width)| format!("  {name:>width$}")).collect();
        println!("  {:first$}{header}", "");
        for (name, cells) in &self.rows {
            let line: String = self
                .columns
                .iter()
                .zip(&widths)
                .map(|(name, width)| format!("  {:>width$}", cell(cells, name)))
                .collect();
            println!("  {name:first$}{line}");
        }
        for (peer, times) in self.times_peers() {
            let times: Vec<String> =
                times.into_iter().map(|(column, times)| format!("{column} {}", shown(times))).collect();
            println!("  service, times {peer}: {}", times.join("; "));
        }
    }

    /// The service's figures as ratios to those of each peer that was measured as well.
    fn times_peers(&self) -> Vec<(&str, Vec<(&str, f64)>)> {
        let row = |wanted: &str| self.rows.iter().find(|(name, _)| name == wanted).map(|(_, cells)| cells);
        let Some(service) = row("service") else { return Vec::new() };
        let peers = ["floor", "tutorial", "node"].into_iter().filter_map(|peer| Some((peer, row(peer)?)));
        let ratio = |column, of: &BTreeMap<String, f64>| Some(service.get(column)? / of.get(column)?);
        peers
            .map(|(peer, of)| {
                let ratios = self.columns.iter().filter_map(|column| Some((column.as_str(), ratio(column, of)?)));
                (peer, ratios.filter(|(_, ratio)| ratio.is_finite()).collect())
            })
            .collect()
    }

    fn json(&self) -> Value {
        let rows = self.rows.iter().map(|(name, cells)| {
            let cells: Map<String, Value> =
                self.columns.iter().filter_map(|column| Some((column.clone(), json!(*cells.get(column)?)))).collect();
            (name.clone(), Value::Object(cells))
        });
        Value::Object(rows.collect())
    }
}

/// With as many places as mean something.
pub fn shown(value: f64) -> String {
    let places = match value.abs() {
        size if size.is_nan() => return "-".to_owned(),
        size if size == 0.0 || size >= 100.0 || size.fract() == 0.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 0.1 => 2,
        _ => 4,
    };
    let text = format!("{value:.places$}");
    let (whole, places) = text.split_once('.').map_or((text.as_str(), ""), |(whole, places)| (whole, places));
    let mut grouped = String::new();
    for (place, digit) in whole.chars().enumerate() {
        if place > 0 && (whole.len() - place) % 3 == 0 && !grouped.ends_with('-') {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    if places.is_empty() { grouped } else { format!("{grouped}.{places}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_shown_with_the_places_that_mean_something() {
        for (value, expected) in [
            (0.0, "0"),
            (1_234_567.8, "1,234,568"),
            (12.345, "12.3"),
            (1.234, "1.23"),
            (0.01234, "0.0123"),
            (-1e3, "-1,000"),
        ] {
            assert_eq!(shown(value), expected);
        }
    }
}
