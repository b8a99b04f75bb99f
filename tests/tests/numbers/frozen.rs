//! Processes that their control group's freezer holds: stopped, whatever they were at.

use std::time::Duration;

use profiler_tests::{
    freezer::Freezer,
    interpreters::supported,
    punchclock::{counter, json, worker},
    watch::Watch,
    workload::Workload,
};
use serde_json::Value;

fn held() -> Workload {
    let python = supported().pop().expect("there is a Python").path;
    Workload::python(&python, "held.py", &[])
}

fn threads(row: &Value) -> &[Value] {
    let threads = row["threads"].as_array().expect("threads");
    assert_eq!(threads.len(), 3, "{row:#}");
    threads
}

fn blocked(of: &Value, reason: &str) -> u64 {
    of["blocked_by"].get(reason).map_or(0, |waits| counter(waits, "ns"))
}

#[test]
fn what_is_frozen_meanwhile_is_stopped_for_so_long() {
    let workload = held();
    let Some(freezer) = Freezer::of(workload.tgid()) else { return };
    let watch = Watch::start(&workload.pid());
    let held = freezer.freeze_for(Duration::from_millis(700));
    workload.wait_until_used(20);
    let document = watch.end();
    let row = worker(&document, workload.tgid());
    for thread in threads(row) {
        let signal = blocked(thread, "signal");
        assert!(u128::from(signal) >= held.as_nanos(), "{signal} of {held:?}: {thread:#}");
    }
    assert!(blocked(row, "sleep") > 0 && blocked(row, "socket") + blocked(row, "pipe") > 0, "{row:#}");
    assert_eq!(blocked(row, "page_fault") / 1_000_000, 0, "{row:#}");
}

#[test]
fn what_was_frozen_before_is_stopped() {
    let workload = held();
    let Some(freezer) = Freezer::of(workload.tgid()) else { return };
    freezer.freeze();
    let document = json(&["stat", "--json", "-d", "0.3", "-p", &workload.pid()]);
    for thread in threads(worker(&document, workload.tgid())) {
        assert_eq!(blocked(thread, "signal"), counter(thread, "blocked_ns"), "{thread:#}");
        assert!(blocked(thread, "signal") * 100 >= counter(thread, "wall_ns") * 99, "{thread:#}");
    }
}
