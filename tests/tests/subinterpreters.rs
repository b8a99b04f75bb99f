//! A thread that calls into a subinterpreter: its stack goes through both, running and blocked; and it may wait for that
//! one's own GIL.

use std::collections::HashSet;

use profiler_tests::{
    interpreters::{Interpreter, since, supported},
    record::Record,
    recording::{Frame, total},
};

/// What the caller and the callee of the workload run, in different interpreters.
const CALL: [&str; 4] = ["calls_into_another", "run", "<module>", "in_another"];

/// The functions from where the workload's own begin.
fn own(frames: &[Frame]) -> Vec<&str> {
    let names = frames.iter().filter(|frame| frame.kind == "python").map(|frame| frame.name.as_str());
    names.skip_while(|name| *name != CALL[0] && *name != CALL[2]).collect()
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
            assert_eq!(own(&sample.frames), expected("spins"), "{interpreter:?}");
        }
        let names = recording.thread_names(workload.tgid());
        let (&tid, name) = names.iter().find(|(tid, _)| **tid != workload.tgid()).expect("two threads");
        assert_eq!(name, "calls", "{interpreter:?}");
        let waits = recording.blocked_of(workload.tgid(), tid);
        // The one that was under way when it began may have ended before it was looked at: it has no stack, and says so.
        let (told, lost): (Vec<_>, Vec<_>) =
            waits.iter().filter(|wait| wait.reason == "sleep").partition(|wait| !wait.frames.is_empty());
        assert!(lost.len() <= 1, "{lost:#?} of {interpreter:?}");
        let asleep: HashSet<_> = told.iter().map(|wait| own(&wait.frames)).collect();
        assert_eq!(asleep, [expected("sleeps")].into(), "{interpreter:?}");
    }
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
            // One that was under way when it began has no stack: it was seen from outside, where this cannot be told.
            let seen = waits.iter().filter(|wait| !wait.frames.is_empty());
            let reasons: HashSet<_> = seen.map(|wait| wait.reason.as_str()).collect();
            assert_eq!(reasons, ["gil"].into(), "{interpreter:?}");
        }
    }
}
