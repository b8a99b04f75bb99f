//! Where and for what threads wait, against what the workload does.

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::{
    bounded::Punchclock,
    checks::{document::threads, frames::CALLS, recorded::Recorded},
    report::Numbers,
    tree::Tree,
};

/// Who waits for ever: the function, and for what.
const WAITING: [(&str, &str); 2] = [("reads", "pipe"), ("waits", "lock")];

/// The sleeps of busy processes are on the stack that slept, and are told as sleeps.
pub fn are_on_their_stacks(punchclock: &Punchclock, tree: &Tree, numbers: &mut Numbers) -> Result<()> {
    let recorded = Recorded::watch(punchclock, tree, &["--off-cpu", "--min-block", "0"])?;
    let (mut slept, mut there) = (0, 0);
    for stack in &recorded.stacks {
        // The reason is the leaf.
        if let [functions @ .., "[sleep]"] = stack.functions().as_slice() {
            slept += stack.weight;
            there += if functions == &CALLS[..3] { stack.weight } else { 0 };
        }
    }
    numbers.set("slept", slept);
    numbers.set("on_its_stack", there);
    ensure!(there > 0 && there * 100 >= slept * 99, "{there} of {slept} sleeps are on the stack that slept");
    Ok(())
}

/// `dump` shows each waiting thread, blocked for its reason, in its function.
pub fn are_dumped(punchclock: &Punchclock, tree: &Tree, numbers: &mut Numbers) -> Result<()> {
    let dump = punchclock.json(&["dump", "--json", "-p", &tree.pid()])?;
    let threads = threads(&dump)?;
    numbers.set("threads", threads.len());
    ensure!(threads.len() == Tree::THREADS, "{} threads", threads.len());
    for (function, reason) in WAITING {
        let is_there = |thread: &&&Value| {
            let mut frames = thread["frames"].as_array().into_iter().flatten();
            frames.any(|frame| frame["name"] == function)
        };
        let thread = threads.iter().find(is_there).with_context(|| format!("no thread is in {function}"))?;
        ensure!(
            thread["state"] == "blocked" && thread["reason"] == reason,
            "{function} is dumped as {thread}"
        );
    }
    Ok(())
}

/// `stat --idle` shows that those who wait cost nothing, and where they wait.
pub fn are_idle(punchclock: &Punchclock, tree: &Tree, numbers: &mut Numbers) -> Result<()> {
    let [reader, locker] = tree.waiting().map(|tgid| tgid.to_string());
    let audit = punchclock.json(&["stat", "--idle", "--json", "-d", "1", "-p", &reader, "-p", &locker])?;
    let processes = audit["idle"].as_array().context("failed to find the idle processes")?;
    numbers.set("processes", processes.len());
    ensure!(processes.len() == 2, "{} processes", processes.len());
    for (tgid, (function, reason)) in tree.waiting().into_iter().zip(WAITING) {
        let process = processes.iter().find(|process| process["tgid"] == tgid);
        let process = process.with_context(|| format!("no process {tgid} in {audit}"))?;
        let mut places = process["sleeps_on"].as_array().into_iter().flatten();
        ensure!(process["wakeups_per_second"].as_f64() == Some(0.0), "{function} wakes up: {process}");
        ensure!(
            places.any(|place| place["reason"] == reason && place["function"] == function),
            "nobody waits for {reason} in {function}: {process}"
        );
    }
    Ok(())
}
