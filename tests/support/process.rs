//! What `/proc` says of a process: its children, memory, threads and descriptors.

use std::fs;

use rustix::process::{Pid, Signal, kill_process};

/// What a process holds now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holdings {
    pub threads: usize,
    pub descriptors: usize,
    /// Memory that is the process's own (Rss anonymous), in kB.
    pub memory_kb: u64,
}

/// Sends the signal; false where the process has gone.
pub fn signal(pid: u32, signal: Signal) -> bool {
    Pid::from_raw(pid.cast_signed()).is_some_and(|pid| kill_process(pid, signal).is_ok())
}

/// Whether the process runs, a zombie left out.
pub fn lives(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|s| !s.contains(") Z"))
}

/// Children of the process whose program has this name.
pub fn children(parent: u32, name: &str) -> Vec<u32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .filter(|pid| {
            let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { return false };
            let Some((head, tail)) = stat.rsplit_once(") ") else { return false };
            let mut fields = tail.split(' ');
            // The kernel cuts a name after 15 bytes.
            head.ends_with(&name[..name.len().min(15)])
                && fields.next() != Some("Z")
                && fields.next().and_then(|p| p.parse().ok()) == Some(parent)
        })
        .collect()
}

pub fn holdings(pid: u32) -> Holdings {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let field = |name: &str| {
        let line = status.lines().find(|l| l.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap()
    };
    Holdings {
        threads: field("Threads:") as usize,
        descriptors: fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count(),
        memory_kb: field("RssAnon:"),
    }
}
