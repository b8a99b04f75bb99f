//! A session that lasts, of a fleet that changes all the time: what it holds does not grow, and its numbers stay exact.
//!
//! It takes three minutes, or `PUNCHCLOCK_SOAK_MINUTES`; `cargo xtask soak` runs it.

use std::{
    collections::BTreeMap,
    env, fs,
    path::Path,
    time::{Duration, Instant},
};

use profiler_tests::{
    attached::Attached,
    books::Books,
    budget::{assert_adds_up_but, rest},
    punchclock::{counter, worker, workers},
    steal::Stolen,
    wait_for,
    watch::Watch,
    workload::Workload,
};
use serde_json::Value;

const MINUTES: u64 = 3;
/// Edges at which tables and caches fill for the first time, and all servers have started.
const WARM_UP: usize = 90;
/// What is held in the second half of the others may be so much more than in the first.
const GROWTH: f64 = 1.05;
/// Sums that are told at every edge.
const SUMS: [&str; 5] =
    ["on_cpu_ns", "run_queue_ns", "blocked_ns", "voluntary_switches", "preempted_switches"];

fn minutes() -> u64 {
    let asked = env::var("PUNCHCLOCK_SOAK_MINUTES").ok();
    asked.map_or(MINUTES, |minutes| minutes.parse().expect("a number of minutes"))
}

/// What a session holds at an edge.
#[derive(Clone, Copy, Debug)]
struct Held {
    rss_kb: u64,
    entries: u64,
}

impl Held {
    fn by(tgid: u32) -> Self {
        let status = fs::read_to_string(format!("/proc/{tgid}/status")).expect("it lives");
        let rss = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it is resident");
        let rss_kb = rss.trim().trim_end_matches(" kB").parse().expect("a number");
        Self { rss_kb, entries: Attached::to(tgid).entries() }
    }
}

/// Panics if more is held at any edge of the second half than at any of the first, once all is warm. Tables fill and are emptied,
/// so that a mean would say when rather than how much.
fn assert_flat(what: &str, held: &[Held], of: fn(&Held) -> u64) {
    let warm = held.get(WARM_UP..).expect("it takes longer than to warm up");
    let [first, second] = <[_; 2]>::from(warm.split_at(warm.len() / 2))
        .map(|half| half.iter().map(of).max().expect("there are edges"));
    eprintln!("{what}, at most in both halves: {first}, {second}");
    assert!(second as f64 <= first as f64 * GROWTH, "{what} grows: {warm:?}");
}

/// The processes of a group that live.
fn group(leader: u32) -> Vec<(u32, char)> {
    let entries = fs::read_dir("/proc").expect("/proc is there").flatten();
    let tgids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let of_group = |tgid: u32| {
        let stat = fs::read_to_string(format!("/proc/{tgid}/stat")).ok()?;
        let mut words = stat.rsplit(") ").next()?.split(' ');
        let (state, group) = (words.next()?.chars().next()?, words.nth(1)?);
        (group == leader.to_string() && state != 'Z').then_some((tgid, state))
    };
    tgids.filter_map(of_group).collect()
}

/// Sums of documents, over all their rows.
#[derive(Default)]
struct Sums([u64; SUMS.len()]);

impl Sums {
    fn add(&mut self, document: &Value) {
        for (sum, name) in self.0.iter_mut().zip(SUMS) {
            *sum += workers(document).into_iter().map(|worker| counter(worker, name)).sum::<u64>();
        }
    }
}

#[test]
fn a_session_does_not_grow_and_stays_exact() {
    let mut workload = Workload::python(Path::new("python3"), "soak.py", &[]);
    rest(&workload);
    let before = Books::of_process(workload.tgid());
    let watch = Watch::at_intervals("1", &["-p", &workload.pid()]);
    workload.tell("go");

    let (mut held, mut all) = (Vec::new(), Sums::default());
    let end = Instant::now() + Duration::from_secs(60 * minutes());
    let first = Stolen::so_far();
    let (mut before_last, mut last) = (first, first);
    let mut unequal = 0;
    while Instant::now() < end {
        let document = watch.next();
        if document["quality"]["lost"].get("not_enlisted").is_some() {
            unequal += 1;
        } else {
            // Where a hypervisor steals all the time, what it may have stolen in this interval may be missing. We hear of an
            // interval a while after its end.
            assert_adds_up_but(&document, if first.is_more() { before_last.at_most() } else { 0 });
        }
        (before_last, last) = (last, Stolen::so_far());
        all.add(&document);
        held.push(Held::by(watch.tgid()));
    }

    workload.signal(libc::SIGSTOP);
    wait_for("all to stop", || group(workload.tgid()).iter().all(|(_, state)| *state == 'T'));
    let living = group(workload.tgid());
    let document = watch.end_with(|interval| all.add(interval));
    assert_of_those_who_live(&document, &living, &before);
    let mut whole = Sums::default();
    whole.add(&document);
    for (name, (sum, told)) in SUMS.into_iter().zip(whole.0.into_iter().zip(all.0)) {
        assert!(sum.abs_diff(told) <= sum / 1000, "{name}: {sum}, and {told} in all intervals");
    }
    let ended: u64 = workers(&document).iter().filter_map(|row| row["ended"]["processes"].as_u64()).sum();
    eprintln!("{} rows, {ended} processes that ended have rows together", workers(&document).len());
    eprintln!("{unequal} of {} intervals have a thread for which there was no storage at once", held.len());
    assert!(unequal * 20 <= held.len());
    assert_flat("map entries", &held, |held| held.entries);
    assert_flat("resident kB", &held, |held| held.rss_kb);
}

/// Panics unless the sums of the threads that live are the kernel's, to the digit: they stand still.
fn assert_of_those_who_live(document: &Value, living: &[(u32, char)], before: &BTreeMap<u32, Books>) {
    let mut compared = 0;
    for (tgid, _) in living {
        let threads = worker(document, *tgid)["threads"].as_array().expect("threads");
        for (tid, books) in Books::of_process(*tgid) {
            let row = threads.iter().find(|row| row["tid"] == tid).expect("each thread has a row");
            let before = before.get(&tid).copied().unwrap_or_default();
            let told = ["on_cpu_ns", "run_queue_ns", "voluntary_switches", "preempted_switches"]
                .map(|name| counter(row, name));
            let truth = [
                books.on_cpu_ns - before.on_cpu_ns,
                books.run_queue_ns - before.run_queue_ns,
                books.voluntary - before.voluntary,
                books.preempted - before.preempted,
            ];
            assert_eq!(told, truth, "{row:#}");
            compared += 1;
        }
    }
    assert!(compared >= 10, "{compared} threads live");
    eprintln!("{compared} threads live and are equal to the digit");
}
