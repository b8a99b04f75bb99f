//! Greenlets: the root says so of their stacks, and of no others.

use std::process::Command;

use profiler_tests::{
    gunicorn::venv,
    record::{Record, Recorded},
    recording::{Frame, total},
    workload::Workload,
    workloads,
};

fn start() -> Workload {
    let mut command = Command::new(venv().join("bin/python"));
    command.arg(workloads().join("greenlets.py"));
    Workload::start(command)
}

fn load(workload: &mut Workload) {
    workload.tell("");
    assert_eq!(workload.line().trim_end(), "loaded");
}

fn root(frames: &[Frame]) -> &str {
    &frames.first().expect("a stack has frames").name
}

/// Samples of the functions that spin: of each as many as it must have, and how many have this root.
fn with_root(recorded: &Recorded, workload: &Workload, function: &str, name: &str) -> (u64, u64) {
    let samples = recorded.recording.samples_of(workload.tgid());
    let of_it: Vec<_> = samples.into_iter().filter(|sample| sample.functions().contains(&function)).collect();
    assert!(total(&of_it) > 50, "{} samples of {function}", total(&of_it));
    let marked: Vec<_> = of_it.iter().filter(|sample| root(&sample.frames) == name).cloned().collect();
    (total(&marked), total(&of_it))
}

#[test]
fn the_root_tells_greenlets_and_the_hub() {
    let mut workload = start();
    load(&mut workload);
    let tgid = workload.tgid();
    let recorded = Record::start(&[tgid], &["-r", "999"]).end_after(&[tgid], 1000);
    for (function, name) in
        [("in_greenlet", "[greenlet]"), ("in_main", "<module>"), ("in_thread", "Thread._bootstrap")]
    {
        let (marked, all) = with_root(&recorded, &workload, function, name);
        assert_eq!(marked, all, "{function} has the root {name}");
    }
    let waits = recorded.recording.blocked_of(tgid, tgid);
    let in_hub: Vec<_> =
        waits.iter().filter(|wait| wait.frames.iter().any(|frame| frame.name == "Hub.run")).collect();
    assert!(!in_hub.is_empty(), "the hub waits for its timer: {waits:#?}");
    for wait in in_hub {
        assert_eq!(root(&wait.frames), "[gevent hub]", "{wait:#?}");
    }
}

/// A process that loads greenlet while it is watched is looked at again when its hub shows.
#[test]
fn greenlets_that_come_later_are_told_too() {
    let mut workload = start();
    let tgid = workload.tgid();
    let record = Record::start(&[tgid], &["-r", "999"]);
    load(&mut workload);
    let recorded = record.end_after(&[tgid], 2000);
    let (marked, all) = with_root(&recorded, &workload, "in_greenlet", "[greenlet]");
    assert!(marked * 10 >= all * 9, "{marked} of {all}");
}
