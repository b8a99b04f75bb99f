//! Books and stacks are of one window: each wait is before an edge in both, or after it in both, however long it takes to
//! read an edge.

use std::{collections::HashMap, thread::sleep, time::Duration};

use profiler_tests::{
    interpreters::supported,
    punchclock::{counter, run, worker, workers},
    record::{Record, Recorded},
    workload::Workload,
};
use serde_json::Value;

/// Time and number of waits by thread and reason.
type Waits = HashMap<(u64, String), (u64, u64)>;

fn by_books(recorded: &Recorded, tgid: u32) -> Waits {
    let mut waits = Waits::new();
    for thread in worker(recorded.recording.stat(), tgid)["threads"].as_array().expect("threads") {
        for (reason, blocked) in thread["blocked_by"].as_object().expect("reasons") {
            let of = (counter(blocked, "ns"), counter(blocked, "count"));
            waits.insert((counter(thread, "tid"), reason.clone()), of);
        }
    }
    waits.retain(|_, of| *of != (0, 0));
    waits
}

/// By the rows of the profile, with those that have a stack, or all of them.
fn by_stacks(rows: &[Value], tgid: u32, with_stack: bool) -> Waits {
    let mut waits = Waits::new();
    let is_meant = |row: &&Value| row["tgid"] == tgid && (!with_stack || !row["stack"].is_null());
    for row in rows.iter().filter(is_meant) {
        let reason = row["reason"].as_str().expect("a reason").to_owned();
        let sum = waits.entry((counter(row, "tid"), reason)).or_default();
        *sum = (sum.0 + counter(row, "ns"), sum.1 + counter(row, "count"));
    }
    waits
}

/// A process that waits on two hundred stacks, beside one whose threads take their time to be read.
#[test]
fn stacks_have_what_books_have_however_long_an_edge_takes() {
    let interpreter = supported().pop().expect("there is a Python");
    let busy = interpreter.start("many_waits.py", &["200", "1"]);
    let slow = interpreter.start("many_waits.py", &["1", "64"]);
    let targets = [busy.tgid(), slow.tgid()];
    let record = Record::start(&targets, &["--min-block", "0"]);
    busy.wait_until_used(1000);
    let recorded = record.end();
    let lost = &recorded.recording.stat()["quality"]["lost"];
    for cause in ["ring_full", "stacks_full", "kept_lost", "waits_torn"] {
        assert_eq!(lost.get(cause), None, "{lost}");
    }
    let rows = recorded.recording.blocked();
    for tgid in targets {
        let books = by_books(&recorded, tgid);
        assert!(books.values().map(|(_, count)| count).sum::<u64>() > 1000, "{books:?}");
        assert_eq!(by_stacks(rows, tgid, false), books, "all of it is accounted for");
        let with_stacks = by_stacks(rows, tgid, true);
        for (of, (ns, count)) in &books {
            let (stacked_ns, stacked) = with_stacks.get(of).copied().unwrap_or_default();
            // A stack whose description could not be sent, or one wait more where its length was estimated.
            assert!(count - stacked <= 1, "{of:?}: {count} waits, {stacked} with stacks; lost {lost}");
            assert!(
                (ns - stacked_ns) * 1000 <= *ns,
                "{of:?}: {ns} ns, {stacked_ns} with stacks; lost {lost}"
            );
        }
    }
}

/// Time by the leaf, of stacks that `report` draws of a recording.
fn drawn(recorded: &Recorded, words: &[&str]) -> HashMap<String, u64> {
    let (punch, out) = (recorded.path("all.punch"), recorded.path("again.folded"));
    let [punch, out] = [&punch, &out].map(|path| path.display().to_string());
    let output = run(&[&["report", &punch, "-o", &out, "--idle"], words].concat());
    assert!(output.status.success(), "{output:?}");
    let mut by_leaf = HashMap::new();
    for (stack, ns) in recorded.folded("again.folded") {
        *by_leaf.entry(stack.last().expect("a leaf").clone()).or_default() += ns;
    }
    by_leaf
}

/// The workloads that need nothing but an interpreter, and their arguments: they wait often, for ever, run, fork, fight, poll,
/// run deep, and end.
const WORKLOADS: [(&str, &[&str]); 27] = [
    ("blocked_threads.py", &[]),
    ("borrowed_interpreter.py", &["thread"]),
    ("callback.py", &[]),
    ("callbacks.py", &[]),
    ("calls.py", &[]),
    ("churn.py", &[]),
    ("clocked.py", &[]),
    ("compress.py", &[]),
    ("deep.py", &["30"]),
    ("first_thread.py", &["exits"]),
    ("fleet.py", &["2"]),
    ("frozen.py", &[]),
    ("generator.py", &[]),
    ("held.py", &[]),
    ("idle_pools.py", &[]),
    ("many_waits.py", &["20", "3"]),
    ("named_threads.py", &[]),
    ("names.py", &[]),
    ("natives.py", &[]),
    ("ping_pong.py", &["10"]),
    ("polled.py", &[]),
    ("pool.py", &[]),
    ("possible.py", &[]),
    ("prefork.py", &["2"]),
    ("short_lives.py", &[]),
    ("subinterpreters.py", &[]),
    ("tasks.py", &[]),
];

#[test]
fn every_output_of_a_recording_has_the_same_sums() {
    let interpreter = supported().pop().expect("there is a Python");
    let running = WORKLOADS.map(|(script, arguments)| interpreter.start(script, arguments));
    let tgids = running.each_ref().map(Workload::tgid);
    let record = Record::start(&tgids, &["--min-block", "0"]);
    sleep(Duration::from_secs(3));
    let recorded = record.end();
    let stat = recorded.recording.stat();
    for tgid in tgids {
        assert!(workers(stat).iter().any(|worker| worker["tgid"] == tgid), "{tgid} has no row");
    }
    let sum = |name: &str| workers(stat).iter().map(|worker| counter(worker, name)).sum::<u64>();
    let mut budget: HashMap<String, u64> = HashMap::new();
    for worker in workers(stat) {
        for (reason, blocked) in worker["blocked_by"].as_object().expect("reasons") {
            *budget.entry(format!("[{}]", reason.replace('_', " "))).or_default() += counter(blocked, "ns");
        }
    }
    budget.retain(|_, ns| *ns != 0);
    assert_eq!(drawn(&recorded, &["--off-cpu"]), budget);
    assert_eq!(budget.values().sum::<u64>(), sum("blocked_ns"));
    let rows = recorded.recording.blocked().iter().map(|row| counter(row, "ns")).sum::<u64>();
    assert_eq!(rows, sum("blocked_ns"));
    assert_eq!(drawn(&recorded, &[]).values().sum::<u64>(), sum("on_cpu_ns"));
    let states = ["on_cpu_ns", "run_queue_ns", "run_queue_uncounted_ns", "blocked_ns"].map(sum);
    assert_eq!(drawn(&recorded, &["--wall"]).values().sum::<u64>(), states.iter().sum::<u64>());
    let windows = recorded.recording.windows().iter().filter_map(|window| window["workers"].as_array());
    let on_cpu = windows.flatten().map(|worker| counter(worker, "on_cpu_ns")).sum::<u64>();
    assert_eq!(on_cpu, sum("on_cpu_ns"), "the seconds");
}
