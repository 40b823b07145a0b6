//! What the operating system says of this process, by the names that all services have for it.

use std::fmt;
use std::time::SystemTime;

use procfs::process::{LimitValue, Process};
use procfs::{ProcResult, WithCurrentSystemInfo};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

/// Reads all of it whenever somebody looks.
#[derive(Debug)]
pub(super) struct Us {
    /// In seconds since 1970.
    started_at: f64,
}

impl Us {
    pub(super) fn new() -> Self {
        Self { started_at: SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_secs_f64() }
    }
}

struct Read {
    cpu_seconds: f64,
    resident_bytes: u64,
    virtual_bytes: u64,
    threads: i64,
    open_files: usize,
    most_files: u64,
}

fn read() -> ProcResult<Read> {
    let us = Process::myself()?;
    let stat = us.stat()?;
    let most_files = match us.limits()?.max_open_files.soft_limit {
        LimitValue::Value(most) => most,
        LimitValue::Unlimited => u64::MAX,
    };
    Ok(Read {
        cpu_seconds: (stat.utime + stat.stime) as f64 / procfs::ticks_per_second() as f64,
        resident_bytes: stat.rss_bytes().get(),
        virtual_bytes: stat.vsize,
        threads: stat.num_threads,
        open_files: us.fd_count()?,
        most_files,
    })
}

impl Collector for Us {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let Ok(read) = read() else { return Ok(()) };
        let help = "Time that this process has computed.";
        let cpu = encoder.encode_descriptor("process_cpu_seconds", help, None, MetricType::Counter)?;
        ConstCounter::new(read.cpu_seconds).encode(cpu)?;
        for (name, help, value) in [
            ("process_resident_memory_bytes", "Memory that is in use.", read.resident_bytes as f64),
            ("process_virtual_memory_bytes", "Addresses that are in use.", read.virtual_bytes as f64),
            ("process_threads", "Threads.", read.threads as f64),
            ("process_open_fds", "Open files and sockets.", read.open_files as f64),
            ("process_max_fds", "Files and sockets that may be open.", read.most_files as f64),
            ("process_start_time_seconds", "When this process began to serve.", self.started_at),
        ] {
            ConstGauge::new(value).encode(encoder.encode_descriptor(name, help, None, MetricType::Gauge)?)?;
        }
        Ok(())
    }
}
