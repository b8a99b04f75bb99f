//! No stack is one that the program cannot have, however short its functions are and however they are called.

use std::collections::HashSet;

use profiler_tests::{
    interpreters::{Interpreter, supported},
    record::Record,
    recording::total,
    truth::calls,
};

#[test]
fn no_stack_is_impossible() {
    let start = |interpreter: Interpreter| {
        let mut workload = interpreter.start("possible.py", &[]);
        let possible: HashSet<Vec<String>> =
            serde_json::from_value(workload.json()).expect("it says its stacks");
        // Until it is recorded it takes nobody's time.
        workload.stop();
        (workload, interpreter, possible)
    };
    let targets: Vec<_> = supported().into_iter().map(start).collect();
    let tgids: Vec<_> = targets.iter().map(|(workload, ..)| workload.tgid()).collect();
    let record = Record::start(&tgids, &["-r", "1999"]);
    for (workload, ..) in &targets {
        workload.signal(libc::SIGCONT);
    }
    let recorded = record.end_after(&tgids, 500);
    for (workload, interpreter, possible) in &targets {
        let samples = recorded.recording.samples_of(workload.tgid());
        let mut seen = HashSet::new();
        let mut whole = 0;
        for sample in &samples {
            let is_cut = sample.frames.iter().any(|frame| frame.kind == "mark");
            if is_cut || sample.functions().is_empty() {
                continue;
            }
            let stack = calls(&sample.of_kind("python"));
            assert!(possible.contains(&stack), "{stack:?} of {interpreter:?}: {sample:#?}");
            seen.insert(stack);
            whole += sample.count;
        }
        let all = total(&samples);
        assert!(all >= 800, "{all} samples of {interpreter:?}");
        assert!(whole * 100 >= all * 99, "{whole} of {all} samples of {interpreter:?} are whole");
        assert!(
            seen.len() * 2 > possible.len(),
            "{} of {} stacks of {interpreter:?}",
            seen.len(),
            possible.len()
        );
    }
}
