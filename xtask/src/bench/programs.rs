//! The BPF programs that one process holds, and what the kernel counted of them.

use std::{
    collections::BTreeMap,
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use super::interrupt::pause;
use crate::exec::{as_root, read};

/// A loaded program. Its counters stand still unless BPF statistics are enabled.
#[derive(Clone, Debug)]
pub struct Program {
    pub name: String,
    pub runs: u64,
    pub ns: u64,
}

/// The name of the one that does nothing. Its process holds punchclock's too, which do not count then.
const EMPTY: &str = "empty";

impl Program {
    /// Whether it is a tool's program on `sched_switch`, by whose runs switches are counted.
    pub fn is_on_switch(&self) -> bool {
        [EMPTY, "sched_switch"].contains(&&*self.name) || self.name.starts_with("sched_switch_")
    }
}

/// What switches cost between two readings of one tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Switches {
    /// Time in all its programs.
    pub ns: u64,
    /// How often any of its programs ran: each run has the statistics' own cost in `ns`.
    pub runs: u64,
    /// How often it saw a switch.
    pub count: u64,
}

/// What switches cost between two readings of one tool.
pub fn switches(before: &[Program], after: &[Program]) -> Result<Switches> {
    ensure!(names(before) == names(after), "failed to see the same programs before and after");
    let mut pairs = before.iter().zip(after).collect::<Vec<_>>();
    if after.iter().any(|program| program.name == EMPTY) {
        pairs.retain(|(_, program)| program.name == EMPTY);
    }
    let on_switch = pairs.iter().filter(|(_, program)| program.is_on_switch()).collect::<Vec<_>>();
    let [&(first, last)] = on_switch[..] else {
        bail!("failed to find one program on `sched_switch` among {:?}", names(after));
    };
    Ok(Switches {
        ns: pairs.iter().map(|(before, after)| after.ns - before.ns).sum(),
        runs: pairs.iter().map(|(before, after)| after.runs - before.runs).sum(),
        count: last.runs - first.runs,
    })
}

fn names(programs: &[Program]) -> Vec<&str> {
    programs.iter().map(|program| &*program.name).collect()
}

/// The programs that the process `pid` holds.
pub fn held_by(pid: u32) -> Result<Vec<Program>> {
    // Others may have programs of the same names: the kernel knows whose a descriptor is.
    let ids = held(pid, "prog_id:")?;
    let shown = read(as_root("bpftool").args(["prog", "show", "--json"]))?;
    let shown: Vec<Value> = serde_json::from_str(&shown).context("failed to parse bpftool's output")?;
    let ours = shown.iter().filter(|program| program["id"].as_u64().is_some_and(|id| ids.contains_key(&id)));
    let number = |value: &Value| value.as_u64().unwrap_or(0);
    Ok(ours
        .map(|program| Program {
            name: program["name"].as_str().unwrap_or_default().to_owned(),
            runs: number(&program["run_cnt"]),
            ns: number(&program["run_time_ns"]),
        })
        .collect())
}

/// Waits until the process `pid` holds a program that is `ready`.
pub fn wait_for(pid: u32, ready: impl Fn(&Program) -> bool) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !held_by(pid)?.iter().any(&ready) {
        if Instant::now() > deadline {
            bail!("failed to see process {pid} attach its programs: its output is in target/bench");
        }
        pause(Duration::from_millis(30))?;
    }
    Ok(())
}

/// Waits until the process `pid` has held the same programs for so long: some are attached after the one that was waited
/// for.
pub fn settle(pid: u32, unchanged: Duration) -> Result<()> {
    let mut before = held_by(pid)?;
    loop {
        pause(unchanged)?;
        let now = held_by(pid)?;
        if names(&now) == names(&before) {
            return Ok(());
        }
        before = now;
    }
}

/// Bytes of kernel memory in the maps that the process `pid` holds.
pub fn map_bytes(pid: u32) -> Result<u64> {
    Ok(held(pid, "map_id:")?.into_values().sum())
}

/// The BPF objects behind the descriptors of `pid`: ids, with the kernel memory of each.
fn held(pid: u32, kind: &str) -> Result<BTreeMap<u64, u64>> {
    // A descriptor may be closed before it is read, which is no failure: cat goes on with the next one.
    let mut cat = as_root("sh");
    cat.args(["-c", "cat /proc/$0/fdinfo/*", &pid.to_string()]).stderr(Stdio::null());
    let output = cat.output().context("failed to start cat")?;
    Ok(parse(&String::from_utf8_lossy(&output.stdout), kind))
}

fn parse(descriptors: &str, kind: &str) -> BTreeMap<u64, u64> {
    let field = |text: &str, name| {
        let value = text.lines().find_map(|line| line.strip_prefix(name))?;
        value.trim().parse().ok()
    };
    descriptors
        .split("pos:")
        .filter_map(|descriptor| Some((field(descriptor, kind)?, field(descriptor, "memlock:").unwrap_or(0))))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(name: &str, runs: u64, ns: u64) -> Program {
        Program { name: name.to_owned(), runs, ns }
    }

    #[test]
    fn switches_are_counted_once_and_all_programs_cost() {
        let before = [program("sched_waking", 5, 50), program("sched_switch_btf", 10, 100)];
        let after = [program("sched_waking", 9, 60), program("sched_switch_btf", 12, 130)];
        assert_eq!(switches(&before, &after).unwrap(), Switches { ns: 40, runs: 6, count: 2 });
        assert!(switches(&before, &after[1..]).is_err());
        let twice = [program("sched_switch", 1, 1), program("sched_switch_tp", 1, 1)];
        assert!(switches(&twice, &twice).is_err());
    }

    #[test]
    fn beside_the_one_that_does_nothing_none_counts() {
        let [before, after] = [1, 3].map(|n| [program("sched_switch", n, 100 * n), program(EMPTY, 2 * n, n)]);
        assert_eq!(switches(&before, &after).unwrap(), Switches { ns: 2, runs: 4, count: 4 });
    }

    #[test]
    fn a_descriptor_names_its_object_and_its_memory() {
        let text = "pos:\t0\nflags:\t02\nmap_type:\t1\nmemlock:\t4096\nmap_id:\t7\npos:\t0\nflags:\t02\n\
                    pos:\t0\nprog_type:\t26\nmemlock:\t8192\nprog_id:\t12\npos:\t0\nlink_id:\t3\nprog_id:\t13\n";
        assert_eq!(parse(text, "map_id:"), BTreeMap::from([(7, 4096)]));
        assert_eq!(parse(text, "prog_id:"), BTreeMap::from([(12, 8192), (13, 0)]));
    }
}
