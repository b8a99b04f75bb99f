//! Processes that have very many of something: lines in one function, mappings, threads.

use std::{collections::HashMap, fs};

use profiler_tests::{
    interpreters::{Interpreter, of_minor, supported},
    record::Record,
    recording::{Recording, Sample, total},
    workload::Workload,
};
use serde_json::Value;

/// Bytes that a long line table has at the least.
const TABLE: u64 = 200_000;
/// From 3.11 on, where each has five, 550 kB.
const LINES: &str = "110000";
/// Some thousands fewer than Linux lets a process have.
const MAPPINGS: &str = "60000";
const THREADS: &str = "2000";

/// The oldest interpreter, and the newest: what they have very many of is of the process, not of a version.
fn oldest_and_newest() -> Vec<Interpreter> {
    let all = supported();
    let newest = all.iter().max_by_key(|interpreter| interpreter.minor).cloned();
    let oldest = all.into_iter().min_by_key(|interpreter| interpreter.minor);
    oldest.into_iter().chain(newest).collect()
}

/// Until it is recorded a workload takes nobody's time.
fn start(interpreter: &Interpreter, arguments: &[&str]) -> (Workload, Value) {
    let mut workload = interpreter.start("vast.py", arguments);
    let told = workload.json();
    workload.stop();
    (workload, told)
}

/// Records them until each has used 500 ms of CPU time.
fn record(targets: &[&Workload]) -> Recording {
    let tgids: Vec<_> = targets.iter().map(|workload| workload.tgid()).collect();
    let record = Record::start(&tgids, &["-r", "999"]);
    for workload in targets {
        workload.signal(libc::SIGCONT);
    }
    record.end_after(&tgids, 500).recording
}

/// The main thread spins, in a function that it is always in.
fn assert_burns(samples: &[Sample]) {
    // Each of the others runs once, for it was stopped.
    let main: Vec<_> = samples.iter().filter(|sample| sample.tid == sample.tgid).cloned().collect();
    let burning = main.iter().filter(|sample| sample.functions().last() == Some(&"burn"));
    let (burning, all) = (burning.map(|sample| sample.count).sum::<u64>(), total(&main));
    assert!(all > 100 && burning * 100 >= all * 99, "{burning} of {all}");
}

#[test]
fn a_function_of_110_000_lines_has_its_lines() {
    // One of each form of the table.
    let pythons: Vec<_> = oldest_and_newest().into_iter().chain(of_minor(10)).collect();
    let targets: Vec<_> = pythons.iter().map(|python| start(python, &["lines", LINES])).collect();
    let recording = record(&targets.iter().map(|(workload, _)| workload).collect::<Vec<_>>());
    for (workload, told) in &targets {
        assert!(told["bytes"].as_u64() >= Some(TABLE), "{told}");
        let samples = recording.samples_of(workload.tgid());
        let mut on = HashMap::new();
        for sample in &samples {
            let frames = sample.of_kind("python");
            let call = frames.iter().zip(frames.iter().skip(1)).find(|(_, callee)| callee.name == "burn");
            if let Some((caller, _)) = call {
                assert_eq!((caller.name.as_str(), caller.file.as_str()), ("vast", "vast.py"));
                *on.entry(caller.line).or_insert(0) += sample.count;
            }
        }
        let mut lines: Vec<_> = on.keys().copied().collect();
        lines.sort_unstable();
        assert_eq!(told["lines"], serde_json::json!(lines), "{on:?}");
        assert!(on.values().all(|count| count * 10 > total(&samples)), "{on:?} of {}", total(&samples));
    }
}

#[test]
fn a_process_of_60_000_mappings_has_frames() {
    let targets: Vec<_> =
        oldest_and_newest().iter().map(|python| start(python, &["mappings", MAPPINGS]).0).collect();
    for workload in &targets {
        let maps = fs::read_to_string(format!("/proc/{}/maps", workload.tgid())).expect("it lives");
        assert!(maps.lines().count() > 60_000, "{}", maps.lines().count());
    }
    let recording = record(&targets.iter().collect::<Vec<_>>());
    for workload in &targets {
        assert_burns(&recording.samples_of(workload.tgid()));
    }
}

#[test]
fn two_thousand_threads_have_their_names() {
    let targets: Vec<_> =
        oldest_and_newest().iter().map(|python| start(python, &["threads", THREADS])).collect();
    let recording = record(&targets.iter().map(|(workload, _)| workload).collect::<Vec<_>>());
    for (workload, told) in &targets {
        assert_burns(&recording.samples_of(workload.tgid()));
        let names = recording.thread_names(workload.tgid());
        let told = told.as_object().expect("names");
        assert_eq!(told.len(), 2000);
        for (tid, name) in told {
            let seen = names.get(&tid.parse().expect("a TID"));
            assert_eq!(seen.map(String::as_str), name.as_str(), "thread {tid}");
        }
    }
}
