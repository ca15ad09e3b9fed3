//! Looking at processes, and sending them signals.

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};
use std::fs;

/// What can be done to a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// SIGKILL: it ends at once.
    Kill,
    /// SIGSTOP: it does nothing any more, and its connections stay open.
    Stop,
    /// SIGCONT: it goes on.
    Continue,
    /// SIGTERM: it is asked to end.
    Terminate,
    /// SIGINT: as Ctrl-C.
    Interrupt,
}

/// Does `fault` to the process `pid`.
///
/// # Errors
/// If there is no such process any more.
pub fn inflict(fault: Fault, pid: i32) -> Result<()> {
    let signal = match fault {
        Fault::Kill => Signal::KILL,
        Fault::Stop => Signal::STOP,
        Fault::Continue => Signal::CONT,
        Fault::Terminate => Signal::TERM,
        Fault::Interrupt => Signal::INT,
    };
    let target = Pid::from_raw(pid).context("process ids are positive")?;
    kill_process(target, signal).with_context(|| format!("signal process {pid}"))
}

/// Whether the process `pid` is there and not just waiting to be reaped.
pub fn is_running(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    runs(&stat)
}

/// The same by its stat line. A process whose first thread has ended looks as if it waited to be
/// reaped; but until its last one has, such as one that the disk keeps in a sync, it keeps its port
/// and the lock of its disk.
fn runs(stat: &str) -> bool {
    let Some((_, fields)) = stat.rsplit_once(") ") else {
        return false;
    };
    // The state is field 3 of the line, and the number of threads field 20.
    let mut fields = fields.split_whitespace();
    let state = fields.next();
    let threads = fields.nth(16).and_then(|count| count.parse::<u32>().ok());
    !matches!(state, None | Some("Z" | "X")) || threads.is_some_and(|threads| threads > 1)
}

/// The most memory that `pid` ever had resident, in bytes.
///
/// # Errors
/// If the process is gone.
pub fn peak_resident_bytes(pid: i32) -> Result<u64> {
    memory(pid, "VmHWM:")
}

/// The memory that `pid` has resident, in bytes.
///
/// # Errors
/// If the process is gone.
pub fn resident_bytes(pid: i32) -> Result<u64> {
    memory(pid, "VmRSS:")
}

fn memory(pid: i32, what: &str) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))
        .with_context(|| format!("read the status of process {pid}"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(what));
    let number = line
        .and_then(|line| line.split_whitespace().next())
        .with_context(|| format!("{what} is missing"))?;
    Ok(number.parse::<u64>()? * 1024)
}

/// Processor seconds that `pid` has used, in user and in kernel mode.
///
/// # Errors
/// If the process is gone.
pub fn processor_seconds(pid: i32) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))
        .with_context(|| format!("read the times of process {pid}"))?;
    let (_, fields) = stat
        .rsplit_once(") ")
        .context("a stat line without a name")?;
    // utime and stime are fields 14 and 15 of the line; the state, field 3, is the first here.
    let ticks = fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(str::parse::<u32>);
    let ticks = ticks.sum::<Result<u32, _>>()?;
    // USER_HZ is 100 on every Linux that Rust runs on.
    Ok(f64::from(ticks) / 100.0)
}

/// The processes, this one apart, whose environment has `variable` set to `value`: whatever was
/// started with it, and all that these started.
pub fn marked_with(variable: &str, value: &str) -> Vec<i32> {
    let wanted = format!("{variable}={value}");
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    let is_marked = |pid: &i32| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment
            .split(|byte| *byte == 0)
            .any(|entry| entry == wanted.as_bytes())
    };
    let own = i32::try_from(std::process::id()).unwrap_or_default();
    pids.filter(|pid| *pid != own).filter(is_marked).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_runs_until_its_last_thread_has_ended() {
        let stat = |state: &str, threads: u32| {
            format!("7 (a ) b) {state} 1 7 7 0 -1 4227084 1 0 1 0 2 0 0 0 20 0 {threads} 0 383 0 0")
        };
        assert!(runs(&stat("S", 1)) && runs(&stat("D", 9)) && runs(&stat("Z", 2)));
        assert!(!runs(&stat("Z", 1)) && !runs(&stat("X", 1)) && !runs(""));
        assert!(is_running(i32::try_from(std::process::id()).unwrap()));
    }
}
