//! Samples that hit a run of the interpreter's loop which has not told its frame yet (3.11, 3.12): where C calls Python all
//! the time, each has its frames nevertheless, and they are of one moment.

use profiler_tests::{
    interpreters::{Interpreter, supported},
    record::Record,
    recording::total,
};

/// The longest of the stacks that the workload can have: each other one begins as one of them does.
const NEAR: [&str; 3] = ["<module>", "near", "from_near"];
const FAR: [&str; 5] = ["<module>", "far", "farther", "farthest", "from_far"];

#[test]
fn calls_from_c_lose_no_frames() {
    let start = |interpreter: Interpreter| (interpreter.start("callbacks.py", &[]), interpreter);
    let targets: Vec<_> = supported().into_iter().map(start).collect();
    let tgids: Vec<_> = targets.iter().map(|(workload, _)| workload.tgid()).collect();
    let recorded = Record::start(&tgids, &["-r", "1999"]).end_after(&tgids, 2000);
    for (workload, interpreter) in &targets {
        let samples = recorded.recording.samples_of(workload.tgid());
        let mut whole = 0;
        for sample in &samples {
            let functions = sample.functions();
            let is_possible = NEAR.starts_with(&functions) || FAR.starts_with(&functions);
            assert!(is_possible, "{functions:?} of {interpreter:?}");
            let is_cut = functions.is_empty() || sample.frames.iter().any(|frame| frame.kind == "mark");
            whole += if is_cut { 0 } else { sample.count };
        }
        let all = total(&samples);
        assert!(all > 1000, "{all} samples of {interpreter:?}");
        assert!(whole * 1000 >= all * 999, "{whole} of {all} samples of {interpreter:?} are whole");
    }
}
