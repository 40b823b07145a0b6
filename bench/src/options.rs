//! The command line.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};

use crate::plan::Plan;

const STREAMS: usize = 10_000;
const QUICK_STREAMS: usize = 1_000;

/// Measures OnCare Live, beside a bare server and servers as tutorials have them, on a PostgreSQL of its own.
#[derive(Debug, Parser)]
#[command(name = "oncare-bench", max_term_width = 110)]
pub struct Options {
    /// A short run that only shows that everything works.
    #[arg(long)]
    pub quick: bool,
    /// Only this scenario; may be given several times.
    #[arg(long, value_enum, value_name = "NAME")]
    pub only: Vec<Scenario>,
    /// The service's program; else the one beside this program.
    #[arg(long, value_name = "FILE")]
    pub service: Option<PathBuf>,
    /// Streams that are open [default: 10000, quick 1000].
    #[arg(long, value_name = "NUMBER")]
    streams: Option<usize>,
    /// Where the private PostgreSQL keeps its data, which is removed afterwards; else a temporary folder.
    #[arg(long, value_name = "FOLDER")]
    pub data_dir: Option<PathBuf>,
    /// Where `scripts/install-bench-peers` put what the Django and Node.js peers need; those that are not there are left out.
    #[arg(long, default_value = "target/bench-peers", value_name = "FOLDER")]
    pub peers: PathBuf,
    /// Where the figures go.
    #[arg(long, default_value = "target/bench/results.json", value_name = "FILE")]
    pub json: PathBuf,
    /// Also draw them, as SVG, into this folder.
    #[arg(long, value_name = "FOLDER")]
    pub plots: Option<PathBuf>,
}

impl Options {
    /// How much is measured.
    pub fn plan(&self) -> Plan {
        if self.quick {
            Plan::quick(self.streams.unwrap_or(QUICK_STREAMS))
        } else {
            Plan::full(self.streams.unwrap_or(STREAMS))
        }
    }

    /// Whether a scenario is wanted.
    pub fn wants(&self, scenario: Scenario) -> bool {
        self.only.is_empty() || self.only.contains(&scenario)
    }
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum)]
pub enum Scenario {
    /// Opening streams as fast as possible.
    Connect,
    /// Memory of idle streams.
    Memory,
    /// Processor time of idle streams.
    Idle,
    /// Updates of single orders at 1,000 commits a second.
    Events,
    /// The same at 4,000.
    FastEvents,
    /// One update for all streams.
    FanOut,
    /// What the triggers cost those who write.
    Writers,
    /// What those who write at a shop's rates notice.
    Shop,
    /// The same as writers, on disks of which a flush takes its time, with the service running and without.
    Disk,
    /// One statement that changes 10,000 orders.
    Bulk,
    /// What depends on the number of orders of a rep.
    Growth,
    /// Pages that poll.
    Polling,
    /// A shop's open dashboards, before and with the service.
    Dashboards,
}

impl Scenario {
    /// As on the command line.
    pub fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    /// What stands above its table.
    pub fn title(self) -> &'static str {
        match self {
            Self::Connect => "Opening streams, up to 512 connecting at a time, from connect() to the first event",
            Self::Memory => "Memory of the server (Pss) for idle streams",
            Self::Idle => "Processor time while all streams are idle",
            Self::Events => "Single-order updates, 1,000 commits/s, to streams of their reps",
            Self::FastEvents => "Single-order updates, 4,000 commits/s",
            Self::FanOut => "One update, all streams are of its rep: from sending it to the receivers",
            Self::Writers => "16 writers of single orders, each as fast as it can",
            Self::Shop => "Single-order updates at a shop's rates, from 8 connections",
            Self::Disk => {
                "Writers of single orders by flush time and clients, and the delay of what they tell at a shop's rates"
            }
            Self::Bulk => "One statement that changes 10,000 orders of 100 reps",
            Self::Growth => "Growth: by the number of orders of the rep",
            Self::Polling => "Polling the dashboard, 64 connections, each as fast as it can",
            Self::Dashboards => "Open dashboards, with one update a second: a request of each every 5 s, or a stream",
        }
    }
}
