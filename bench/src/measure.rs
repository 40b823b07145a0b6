//! Processor time and memory, as the kernel accounts for them.

use std::fs::read_to_string;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;

/// The unit of the kernel's processor times, on every Linux.
const TICK: Duration = Duration::from_millis(10);

/// Processor time of a process with all its threads.
///
/// # Errors
/// If it has ended.
pub fn process_cpu(pid: u32) -> anyhow::Result<Duration> {
    let stat = stat(&pid.to_string()).with_context(|| format!("process {pid} is gone"))?;
    Ok(stat.own)
}

/// Processor time of a process's present threads, to the nanosecond. Of a thread that ended it knows nothing.
///
/// # Errors
/// If it has ended.
pub fn precise_cpu(pid: u32) -> anyhow::Result<Duration> {
    let mut total = 0;
    for task in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        // a thread may end while this is read
        let schedule = read_to_string(task?.path().join("schedstat")).unwrap_or_default();
        total += schedule.split(' ').next().and_then(|on_cpu| on_cpu.parse().ok()).unwrap_or(0);
    }
    Ok(Duration::from_nanos(total))
}

/// Processor time of a PostgreSQL server: the postmaster, its children, and the children that ended.
///
/// # Errors
/// If no server runs on the folder.
pub fn cluster_cpu(folder: &Path) -> anyhow::Result<Duration> {
    let pid_file = read_to_string(folder.join("postmaster.pid")).context("could not tell the postmaster's process")?;
    let postmaster = pid_file.lines().next().unwrap_or_default().trim();
    family(postmaster).context("could not read the postmaster's times")
}

/// Processor time of a process and of its children.
///
/// # Errors
/// If it has ended.
pub fn family_cpu(pid: u32) -> anyhow::Result<Duration> {
    family(&pid.to_string()).with_context(|| format!("process {pid} is gone"))
}

fn family(pid: &str) -> anyhow::Result<Duration> {
    let parent = stat(pid).context("the kernel does not tell")?;
    let mut total = parent.own + parent.ended_children;
    for entry in std::fs::read_dir("/proc")? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if let Some(child) = stat(&name).filter(|child| child.parent == pid) {
            total += child.own;
        }
    }
    Ok(total)
}

/// Processor time of this process, and of its children that ended, with theirs.
///
/// # Errors
/// If the kernel does not tell.
pub fn cpu_with_children() -> anyhow::Result<Duration> {
    let stat = stat("self").context("could not read this process's times")?;
    Ok(stat.own + stat.ended_children)
}

/// Time that the machine's processors were busy.
///
/// # Errors
/// If the kernel does not tell.
pub fn machine_cpu() -> anyhow::Result<Duration> {
    let stat = read_to_string("/proc/stat")?;
    let fields: Vec<u32> = stat.lines().next().unwrap_or_default().split_whitespace().flat_map(str::parse).collect();
    // user, nice, system, idle, iowait, irq, softirq
    let busy = [0, 1, 2, 5, 6].iter().filter_map(|place| fields.get(*place)).sum::<u32>();
    Ok(TICK * busy)
}

/// Proportional set size of a process, in kB: its own pages, and its share of those that it shares.
///
/// # Errors
/// If it has ended, or belongs to another user.
pub fn memory(pid: u32) -> anyhow::Result<f64> {
    let rollup = read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:")).context("the kernel tells no Pss")?;
    Ok(line.trim().trim_end_matches("kB").trim().parse()?)
}

struct Stat {
    parent: String,
    own: Duration,
    ended_children: Duration,
}

fn stat(process: &str) -> Option<Stat> {
    let text = read_to_string(format!("/proc/{process}/stat")).ok()?;
    // the name in parentheses may hold anything; after it come the state and the parent
    let fields: Vec<&str> = text.rsplit_once(") ")?.1.split(' ').collect();
    let ticks = |place: usize| fields.get(place)?.parse::<u32>().ok();
    let own = TICK * (ticks(11)? + ticks(12)?);
    let ended_children = TICK * (ticks(13)? + ticks(14)?);
    Some(Stat { parent: (*fields.get(1)?).to_owned(), own, ended_children })
}
