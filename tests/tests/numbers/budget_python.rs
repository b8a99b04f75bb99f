//! The budget of Python's threads, by interpreter: what waits for the GIL, for other locks and for a time are.

use std::process::Command;

use profiler_tests::{
    budget::{assert_adds_up, assert_waited, blocked_count, blocked_ns, rest, row_of, watch},
    interpreters::{Interpreter, required, since},
    punchclock::{counter, json, worker},
    workload::Workload,
};
use serde_json::Value;

/// `fights.py` at rest.
fn fight(python: &Interpreter, kind: &str) -> Workload {
    eprintln!("{}", python.path.display());
    let workload = python.start("fights.py", &[kind]);
    rest(&workload);
    workload
}

/// What threads said, by reason.
fn by_reason<'a>(said: &'a Value, reason: &'a str) -> impl Iterator<Item = &'a Value> {
    said.as_array().expect("threads").iter().filter_map(move |thread| thread.get(reason))
}

/// Compares what threads said with their rows.
fn assert_all_waited(said: &Value, worker: &Value) {
    for thread in said.as_array().expect("threads") {
        for (reason, said) in thread.as_object().expect("reasons") {
            assert_waited(row_of(said, worker), reason, said);
        }
    }
}

/// Two threads of pure Python share the GIL, and so about one core; a third one sleeps.
#[test]
fn threads_that_share_a_gil() {
    for python in since(8).into_iter().filter(Interpreter::has_gil) {
        let mut workload = fight(&python, "gil");
        let (document, said) = watch(&mut workload);
        let worker = worker(&document, workload.tgid());
        assert_all_waited(&said, worker);
        let busy: Vec<_> = by_reason(&said, "sleep+gil").map(|said| row_of(said, worker)).collect();
        assert_eq!(busy.len(), 2);
        let sum = |of: &dyn Fn(&Value) -> u64| busy.iter().map(|thread| of(thread)).sum::<u64>();
        // Both spin for the same second, whose end is a bit later for the one that began later.
        let on_cpu = sum(&|thread| counter(thread, "on_cpu_ns"));
        assert!(on_cpu <= 1_050_000_000, "two threads on {on_cpu} ns of one GIL: {worker:#}");
        // Whoever has the GIL is on a CPU or waits for one; the rest of each one's second is a wait for the GIL.
        let gil = sum(&|thread| blocked_ns(thread, "gil"));
        let run_queue = sum(&|thread| counter(thread, "run_queue_ns"));
        let seconds = on_cpu + run_queue + gil;
        assert!(seconds.abs_diff(2_000_000_000) <= 60_000_000, "{seconds} of 2 s: {worker:#}");
        assert!(on_cpu + run_queue >= 950_000_000, "somebody has the GIL: {worker:#}");
        assert!(gil >= 100_000_000, "somebody waits: {worker:#}");

        let sleeper = by_reason(&said, "sleep").next().expect("a sleeper");
        let sleeper = row_of(sleeper, worker);
        // A nap has an end, to which it may have to wait for a CPU first.
        assert!(blocked_ns(sleeper, "sleep") >= 900_000_000, "ten naps of 0.1 s: {sleeper:#}");
        assert_eq!(blocked_ns(sleeper, "lock"), 0, "{sleeper:#}");
    }
}

/// Threads that hold a lock in turns: the time that each waits for it is what it measures.
#[test]
fn threads_that_share_a_lock() {
    for python in since(8) {
        assert_take_turns(&python, "lock");
    }
}

/// Checks threads that wait for the lock of a file.
#[test]
fn threads_that_share_a_file() {
    let Some(python) = required(11) else { return };
    assert_take_turns(&python, "file");
}

fn assert_take_turns(python: &Interpreter, kind: &str) {
    let mut workload = fight(python, kind);
    let (document, said) = watch(&mut workload);
    let worker = worker(&document, workload.tgid());
    assert_all_waited(&said, worker);
    let threads = by_reason(&said, "lock").map(|said| row_of(said, worker));
    let [mut locked, mut gil] = [0, 0];
    for thread in threads {
        locked += blocked_ns(thread, "lock");
        gil += blocked_ns(thread, "gil");
        assert!(blocked_ns(thread, "sleep") >= 40_000_000, "ten naps of 5 ms: {thread:#}");
    }
    // Whoever has to wait for a turn waits for 5 ms or more; that all always come in time for theirs is not likely.
    assert!(locked >= 100_000_000 && gil * 20 <= locked, "{locked} ns, and {gil} for the GIL: {worker:#}");
}

/// Two hundred threads: each row adds up, and says what its thread knows.
#[test]
fn a_crowd() {
    let Some(python) = required(11) else { return };
    let mut workload = fight(&python, "crowd");
    let (document, said) = watch(&mut workload);
    let worker = worker(&document, workload.tgid());
    assert_all_waited(&said, worker);
    assert_eq!(by_reason(&said, "sleep").count(), 200);
    let window = counter(&document, "duration_ns");
    let threads = worker["threads"].as_array().expect("threads");
    assert_eq!(threads.len(), 201);
    for thread in threads {
        // They are looked at one after the other.
        assert!(counter(thread, "wall_ns").abs_diff(window) <= 5_000_000, "{window}: {thread:#}");
    }
    assert!(blocked_count(worker, "sleep") >= 595, "three naps of each: {worker:#}");
}

/// Where there is no interpreter there is no GIL, rather than one that nobody waits for.
#[test]
fn what_is_no_python_has_no_gil() {
    let mut command = Command::new("sh");
    command.args(["-c", "echo ready; exec sleep 60"]);
    let workload = Workload::start(command);
    rest(&workload);
    let document = json(&["stat", "--json", "-d", "0.2", "-p", &workload.pid()]);
    assert_adds_up(&document);
    let worker = worker(&document, workload.tgid());
    assert_eq!(worker["blocked_by"].get("gil"), None);
    assert_eq!(blocked_ns(worker, "sleep"), counter(worker, "blocked_ns"));
    assert!(counter(worker, "blocked_ns") > 0);
}
