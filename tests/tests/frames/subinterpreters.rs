//! A thread that calls into a subinterpreter: its stack goes through both, running and blocked; and it may wait for that
//! one's own GIL. Or one that runs a subinterpreter which another made.

use std::collections::HashSet;

use profiler_tests::{
    interpreters::{Interpreter, since, supported},
    record::Record,
    recording::{Frame, total},
};

/// What the caller and the callee of the workload run, in different interpreters.
const CALL: [&str; 4] = ["calls_into_another", "run", "<module>", "in_another"];

/// The functions from where a thread's own begin.
fn from<'a>(frames: &'a [Frame], names: &[&str]) -> Vec<&'a str> {
    let functions = frames.iter().filter(|frame| frame.kind == "python").map(|frame| frame.name.as_str());
    functions.skip_while(|name| !names.contains(name)).collect()
}

#[test]
fn a_stack_goes_through_both_interpreters() {
    let start =
        |interpreter: &Interpreter| (interpreter.start("subinterpreters.py", &[]), interpreter.clone());
    let targets: Vec<_> = supported().iter().map(start).collect();
    let tgids: Vec<_> = targets.iter().map(|(workload, _)| workload.tgid()).collect();
    let recorded = Record::start(&tgids, &["-r", "999", "--min-block", "0"]).end_after(&tgids, 1000);
    let recording = &recorded.recording;
    for (workload, interpreter) in &targets {
        let expected = |leaf| [&CALL[..], &[leaf]].concat();
        let samples = recording.samples_of(workload.tgid());
        let spins: Vec<_> =
            samples.iter().filter(|sample| sample.functions().last() == Some(&"spins")).cloned().collect();
        assert!(total(&spins) > 20, "{} samples of {interpreter:?}", total(&spins));
        for sample in &spins {
            assert_eq!(from(&sample.frames, &[CALL[0], CALL[2]]), expected("spins"), "{interpreter:?}");
        }
        let names = recording.thread_names(workload.tgid());
        let (&tid, name) = names.iter().find(|(tid, _)| **tid != workload.tgid()).expect("two threads");
        assert_eq!(name, "calls", "{interpreter:?}");
        let waits = recording.blocked_of(workload.tgid(), tid);
        // The one that was under way when it began may have ended before it was looked at: it has no stack, and says so.
        let (told, lost): (Vec<_>, Vec<_>) =
            waits.iter().filter(|wait| wait.reason == "sleep").partition(|wait| !wait.frames.is_empty());
        assert!(lost.len() <= 1, "{lost:#?} of {interpreter:?}");
        let asleep: HashSet<_> = told.iter().map(|wait| from(&wait.frames, &[CALL[0], CALL[2]])).collect();
        assert_eq!(asleep, [expected("sleeps")].into(), "{interpreter:?}");
    }
}

/// What the borrower of the workload runs, in different interpreters.
const BORROWED: [&str; 4] = ["borrows", "run", "<module>", "in_another"];

/// Records a thread that runs a subinterpreter and the one that made it: each has its own frames alone, and all of them.
fn each_has_its_own_frames(borrower: &str) {
    let start = |interpreter: &Interpreter| {
        (interpreter.start("borrowed_interpreter.py", &[borrower]), interpreter.clone())
    };
    let targets: Vec<_> = supported().iter().map(start).collect();
    let tgids: Vec<_> = targets.iter().map(|(workload, _)| workload.tgid()).collect();
    let recorded = Record::start(&tgids, &["-r", "999", "--min-block", "0"]).end_after(&tgids, 1000);
    let recording = &recorded.recording;
    for (workload, interpreter) in &targets {
        let tgid = workload.tgid();
        let (mut borrowed, mut made) = (0, 0);
        for sample in recording.samples_of(tgid) {
            let own = from(&sample.frames, &["borrows", "maker"]);
            match own.first() {
                Some(&"borrows") if own.last() == Some(&"spins") => {
                    assert_eq!(own, [&BORROWED[..], &["spins"]].concat(), "{interpreter:?}");
                    borrowed += sample.count;
                }
                Some(&"borrows") => assert!(own.starts_with(&BORROWED), "{own:?} of {interpreter:?}"),
                Some(_) => {
                    assert!(
                        own[1..].iter().all(|name| name.starts_with("makes_")),
                        "{own:?} of {interpreter:?}"
                    );
                    made += sample.count;
                }
                None => {}
            }
        }
        assert!(borrowed > 10 && made > 10, "{borrowed} and {made} samples of {interpreter:?}");
        for (tid, name) in recording.thread_names(tgid) {
            let waits = recording.blocked_of(tgid, tid);
            let asleep = waits.iter().filter(|wait| wait.reason == "sleep" && !wait.frames.is_empty());
            let asleep: HashSet<_> = asleep.map(|wait| from(&wait.frames, &["borrows", "maker"])).collect();
            let expected = match name.as_str() {
                "maker" => vec!["maker", "makes_and_sleeps"],
                _ if borrower == "main" || name == "borrower" => [&BORROWED[..], &["sleeps"]].concat(),
                _ => continue,
            };
            assert_eq!(asleep, [expected].into(), "{name} of {interpreter:?}");
        }
    }
    assert_eq!(recording.lost("may_be_elsewhere"), 0);
}

#[test]
fn a_thread_that_runs_what_another_made_has_its_frames() {
    each_has_its_own_frames("thread");
}

#[test]
fn a_first_thread_that_runs_what_another_made_has_its_frames() {
    each_has_its_own_frames("main");
}

#[test]
fn a_wait_for_the_gil_of_a_subinterpreter_is_for_the_gil() {
    let has_gil = since(12).into_iter().filter(Interpreter::has_gil);
    let targets: Vec<_> =
        has_gil.map(|interpreter| (interpreter.start("own_gil.py", &[]), interpreter)).collect();
    let tgids: Vec<_> = targets.iter().map(|(workload, _)| workload.tgid()).collect();
    let recorded = Record::start(&tgids, &["--min-block", "0"]).end_after(&tgids, 300);
    for (workload, interpreter) in &targets {
        let tids = recorded.recording.thread_names(workload.tgid()).into_keys();
        let fighters: Vec<_> = tids.filter(|tid| *tid != workload.tgid()).collect();
        assert_eq!(fighters.len(), 2, "{interpreter:?}");
        for tid in fighters {
            let waits = recorded.recording.blocked_of(workload.tgid(), tid);
            // One that was under way when it began, and over before it was looked at, has no stack.
            let seen = waits.iter().filter(|wait| !wait.frames.is_empty());
            let reasons: HashSet<_> = seen.map(|wait| wait.reason.as_str()).collect();
            assert_eq!(reasons, ["gil"].into(), "{interpreter:?}");
        }
    }
}
