//! The budget of a thread: what it must add up to, and what workloads know of their part of it.

use std::{fs, path::PathBuf, process};

use serde_json::Value;

use crate::{
    books::states,
    cannot_run,
    punchclock::{counter, workers},
    steal::Stolen,
    wait_for,
    watch::Watch,
    workload::Workload,
};

/// Losses after which a budget need not add up.
const LOSSES: [&str; 4] = ["waits_torn", "not_enlisted", "ring_full", "stacks_full"];

/// 0.1 % of a time, or 50 µs.
#[must_use]
pub fn tolerance(ns: u64) -> u64 {
    (ns / 1000).max(50_000)
}

/// Waits until all threads of a workload sleep.
pub fn rest(workload: &Workload) {
    wait_for("the workload to rest", || states(workload.tgid()).iter().all(|state| *state == 'S'));
}

/// Watches a workload do its work once, from rest to rest: the document, whose budgets add up, and what the workload
/// said.
#[must_use]
pub fn watch(workload: &mut Workload) -> (Value, Value) {
    adding_up(|| {
        rest(workload);
        let watch = Watch::start(&workload.pid());
        workload.tell("go");
        let said = workload.line();
        rest(workload);
        let said = said.strip_prefix("done ").expect("it is done");
        (watch.end(), serde_json::from_str(said).expect("it speaks JSON"))
    })
}

/// A window whose budgets add up. A hypervisor may steal the CPU from under a thread, which no kernel counts as its
/// time, so there are a few tries; what is not lost by chance is lost in each of them. Where one steals all the time, what
/// it may have stolen in the last of them may be missing.
pub fn adding_up<T>(mut window: impl FnMut() -> (Value, T)) -> (Value, T) {
    let first = Stolen::so_far();
    for _ in 0..4 {
        let seen = window();
        let Some(row) = rows(&seen.0).find(|row| missing(row) > may_be_missing(&seen.0, row)) else {
            assert_adds_up(&seen.0);
            return seen;
        };
        eprintln!("{} ns are missing, by chance or not: {row}", missing(row));
    }
    let last = Stolen::so_far();
    let seen = window();
    let stolen = if first.is_more() { last.at_most() } else { 0 };
    eprintln!("in the last try up to {stolen} ns may be stolen");
    assert_adds_up_but(&seen.0, stolen);
    seen
}

/// The part of a row's wall time that is in none of the three states.
fn missing(row: &Value) -> i64 {
    let states = ["on_cpu_ns", "run_queue_ns", "run_queue_uncounted_ns", "blocked_ns"]
        .map(|state| counter(row, state).cast_signed());
    counter(row, "wall_ns").cast_signed() - states.iter().sum::<i64>()
}

/// How much it may be. A thread that is born in the window is in none of the states while it is made; the others live
/// for all of it, but that they are looked at one after the other.
fn may_be_missing(document: &Value, row: &Value) -> i64 {
    let (wall, window) = (counter(row, "wall_ns"), counter(document, "duration_ns"));
    let was_born = if wall + 5_000_000 < window { 1_000_000 } else { 0 };
    (tolerance(wall) + was_born).cast_signed()
}

fn threads(worker: &Value) -> &[Value] {
    worker["threads"].as_array().expect("threads")
}

fn rows(document: &Value) -> impl Iterator<Item = &Value> {
    workers(document).into_iter().flat_map(threads)
}

/// Panics unless every row of a document of `stat --json` adds up.
pub fn assert_adds_up(document: &Value) {
    assert_adds_up_but(document, 0);
}

/// Panics unless every row adds up, where so much of each thread's time may be stolen, ns.
pub fn assert_adds_up_but(document: &Value, stolen_ns: u64) {
    for loss in LOSSES {
        assert_eq!(document["quality"]["lost"].get(loss), None, "{}", document["quality"]);
    }
    for worker in workers(document) {
        let threads = threads(worker);
        for thread in threads {
            let most = may_be_missing(document, thread) + stolen_ns.cast_signed();
            let within = -tolerance(counter(thread, "wall_ns")).cast_signed()..=most;
            let lacks = missing(thread);
            assert!(within.contains(&lacks), "{lacks} ns are missing, of {within:?}: {thread:#}");
            assert_row_adds_up(thread, 1);
        }
        assert_row_adds_up(worker, threads.len() as u64);
        let sum = |name: &str| threads.iter().map(|thread| counter(thread, name)).sum::<u64>();
        for name in
            ["wall_ns", "on_cpu_ns", "run_queue_ns", "run_queue_uncounted_ns", "blocked_ns", "wakeups"]
        {
            assert_eq!(counter(worker, name), sum(name), "{name} of {worker:#}");
        }
        for reason in reasons(worker) {
            let sum = threads.iter().map(|thread| blocked_ns(thread, reason)).sum::<u64>();
            assert_eq!(blocked_ns(worker, reason), sum, "{reason} of {worker:#}");
        }
    }
}

/// Asserts that the waits in one row, of so many threads, add up: at an edge each thread may be in a wait that is counted on
/// one side only.
fn assert_row_adds_up(row: &Value, threads: u64) {
    let sum: u64 = reasons(row).into_iter().map(|reason| blocked_ns(row, reason)).sum();
    assert_eq!(counter(row, "blocked_ns"), sum, "{row:#}");

    let wakeups = counter(row, "wakeups");
    let counts: u64 = reasons(row).into_iter().map(|reason| blocked_count(row, reason)).sum();
    let wakers: u64 = numbers(row["wakeups_by"].as_object().expect("wakers").values()).sum();
    assert!(counts.abs_diff(wakeups) <= threads, "{counts} waits, {wakeups} wake-ups: {row:#}");
    assert!(wakers.abs_diff(wakeups) <= threads, "{wakers} wakers, {wakeups} wake-ups: {row:#}");
    for reason in reasons(row) {
        let lengths: u64 = histogram(row, reason).iter().sum();
        assert!(lengths.abs_diff(blocked_count(row, reason)) <= threads, "lengths by {reason}: {row:#}");
    }
}

/// Panics unless a thread's waits for a reason, or several with a `+` between them, are what it knows of them
/// (`workloads/timed.py`). What it timed may have ended with waits for the GIL, of which there may be some before, too; a
/// page that was not there may have come between; and what is in none of its states ([`adding_up`]) may be of this time.
pub fn assert_waited(thread: &Value, reasons: &str, said: &Value) {
    let sum = |of: fn(&Value, &str) -> u64| reasons.split('+').map(|reason| of(thread, reason)).sum::<u64>();
    let is_gil = reasons.contains("gil");
    let beside = |of: fn(&Value, &str) -> u64| {
        let others = ["gil", "page_fault"].into_iter().filter(|other| !reasons.contains(other));
        others.map(|other| of(thread, other)).sum::<u64>()
    };
    let (ns, count) = (sum(blocked_ns), sum(blocked_count));
    let [least, most] = ["at_least_ns", "at_most_ns"].map(|name| said[name].as_i64().expect("ns"));
    let within = tolerance(counter(thread, "wall_ns")) + missing(thread).max(0).cast_unsigned();
    let knows = format!("{ns} ns and {count} times {reasons}, by its own clock {said} in {thread:#}");
    assert!(ns.cast_signed() <= most + within.cast_signed(), "too much: {knows}");
    assert!((ns + beside(blocked_ns) + within).cast_signed() >= least, "too little: {knows}");
    let switches = counter(said, "switches");
    assert!(
        count <= switches + 5 * u64::from(is_gil) && count + beside(blocked_count) >= switches,
        "{knows}"
    );
}

/// The row of the thread that said something.
#[must_use]
pub fn row_of<'a>(said: &Value, worker: &'a Value) -> &'a Value {
    threads(worker).iter().find(|thread| thread["tid"] == said["tid"]).expect("the thread has a row")
}

/// How long a worker or a thread was blocked for a reason; not at all if the reason is not told.
#[must_use]
pub fn blocked_ns(row: &Value, reason: &str) -> u64 {
    row["blocked_by"].get(reason).map_or(0, |blocked| counter(blocked, "ns"))
}

/// How often.
#[must_use]
pub fn blocked_count(row: &Value, reason: &str) -> u64 {
    row["blocked_by"].get(reason).map_or(0, |blocked| counter(blocked, "count"))
}

/// How long each time: entry `n` counts those of 2^(n−1) to 2^n − 1 ns.
#[must_use]
pub fn histogram(row: &Value, reason: &str) -> Vec<u64> {
    numbers(row["blocked_by"][reason]["histogram"].as_array().into_iter().flatten()).collect()
}

/// How many of its wake-ups were somebody's.
#[must_use]
pub fn woken_by(row: &Value, who: &str) -> u64 {
    counter(&row["wakeups_by"], who)
}

fn reasons(row: &Value) -> Vec<&str> {
    row["blocked_by"].as_object().expect("reasons").keys().map(String::as_str).collect()
}

fn numbers<'a>(values: impl Iterator<Item = &'a Value>) -> impl Iterator<Item = u64> {
    values.map(|value| value.as_u64().expect("a number"))
}

/// A control group that gives its processes a fifth of a CPU; they are out of it and it is gone when dropped.
#[derive(Debug)]
pub struct Quota {
    folder: PathBuf,
}

impl Quota {
    /// Makes one, where it may be made.
    #[must_use]
    pub fn of_a_fifth() -> Option<Self> {
        let folders =
            ["/sys/fs/cgroup/cpu", "/sys/fs/cgroup/cpu,cpuacct", "/sys/fs/cgroup"].map(PathBuf::from);
        let controls = |folder: &&PathBuf| {
            let words = fs::read_to_string(folder.join("cgroup.subtree_control")).unwrap_or_default();
            folder.join("cpu.cfs_quota_us").exists() || words.split_whitespace().any(|word| word == "cpu")
        };
        let Some(above) = folders.iter().find(controls) else {
            cannot_run("there is no control group for the CPU");
            return None;
        };
        let quota = Self { folder: above.join(format!("punchclock-test-{}", process::id())) };
        fs::create_dir(&quota.folder).expect("these tests run as root");
        // Who else runs on this machine must not keep it waiting: its share is the largest that there is.
        if quota.folder.join("cpu.max").exists() {
            quota.set("cpu.max", "20000 100000");
            quota.set("cpu.weight", "10000");
        } else {
            quota.set("cpu.cfs_period_us", "100000");
            quota.set("cpu.cfs_quota_us", "20000");
            quota.set("cpu.shares", "262144");
        }
        Some(quota)
    }

    /// Lets a process in.
    pub fn admit(&self, tgid: u32) {
        self.set("cgroup.procs", &tgid.to_string());
    }

    /// How long it throttled, by its own books.
    #[must_use]
    pub fn throttled_ns(&self) -> u64 {
        let stat = fs::read_to_string(self.folder.join("cpu.stat")).expect("it has books");
        let number = |key| {
            let line = stat.lines().find_map(|line| line.strip_prefix(key))?;
            line.trim().parse::<u64>().ok()
        };
        number("throttled_time ").or_else(|| Some(number("throttled_usec ")? * 1000)).expect("it has a quota")
    }

    fn set(&self, file: &str, value: &str) {
        fs::write(self.folder.join(file), value).unwrap_or_else(|error| panic!("cannot set {file}: {error}"));
    }
}

impl Drop for Quota {
    fn drop(&mut self) {
        let inside = fs::read_to_string(self.folder.join("cgroup.procs")).unwrap_or_default();
        for tgid in inside.lines() {
            // It may have ended.
            let _ = fs::write(self.folder.join("../cgroup.procs"), tgid);
        }
        // What remains is an empty folder.
        let _ = fs::remove_dir(&self.folder);
    }
}
