//! Programs that trace themselves: a debugger, a profiler, or a coverage tool is at work in them.

use profiler_tests::{
    interpreters::{Interpreter, supported},
    record::Record,
    recording::total,
    truth::calls,
    workload::Workload,
};
/// What tracers call.
const CALLBACKS: [&str; 2] = ["follow", "ignore"];

/// `traced.py` under an interpreter, and what it said.
struct Target {
    interpreter: Interpreter,
    workload: Workload,
    /// Each function with the line of its call, and the last without.
    stacks: Vec<Vec<String>>,
    loop_lines: Vec<u64>,
}

impl Target {
    fn start(interpreter: Interpreter) -> Self {
        let mut workload = interpreter.start("traced.py", &[]);
        let told = workload.json();
        // Until it is recorded it takes nobody's time.
        workload.stop();
        let stacks = serde_json::from_value(told["stacks"].clone()).expect("stacks");
        let loop_lines = serde_json::from_value(told["loop"].clone()).expect("lines");
        Self { interpreter, workload, stacks, loop_lines }
    }

    /// True if these calls are how one of the stacks begins.
    fn is_possible(&self, calls: &[String]) -> bool {
        let (last, callers) = calls.split_last().expect("a call");
        self.stacks.iter().any(|stack| {
            let called = stack.get(callers.len()).and_then(|call| call.split(':').next());
            stack.starts_with(callers) && called == Some(last)
        })
    }
}

#[test]
fn frames_are_true_while_the_program_is_traced() {
    let targets: Vec<_> = supported().into_iter().map(Target::start).collect();
    let tgids: Vec<_> = targets.iter().map(|target| target.workload.tgid()).collect();
    let record = Record::start(&tgids, &["-r", "999"]);
    for target in &targets {
        target.workload.signal(libc::SIGCONT);
    }
    let recorded = record.end_after(&tgids, 300);
    for target in &targets {
        let interpreter = &target.interpreter;
        let ways = if interpreter.minor < 12 { 4 } else { 5 };
        // Two places in `spin` call it.
        assert_eq!(target.stacks.len(), 2 * ways, "{:?} of {interpreter:?}", target.stacks);
        let samples = recorded.recording.samples_of(target.workload.tgid());
        let mut whole = 0;
        // Of each stack: samples in the loop, and all in the function that has it.
        let mut burning = vec![(0, 0); target.stacks.len()];
        for sample in &samples {
            let mut frames = sample.of_kind("python");
            if frames.is_empty() || sample.frames[0].kind == "mark" {
                continue;
            }
            whole += sample.count;
            while frames.last().is_some_and(|frame| CALLBACKS.contains(&frame.name.as_str())) {
                frames.pop();
            }
            let calls = calls(&frames);
            assert!(target.is_possible(&calls), "{calls:?} of {interpreter:?}");
            let line = frames.last().expect("a frame").line;
            if let Some(at) = target.stacks.iter().position(|stack| *stack == calls) {
                burning[at].0 += if target.loop_lines.contains(&line) { sample.count } else { 0 };
                burning[at].1 += sample.count;
            }
        }
        let all = total(&samples);
        assert!(whole * 100 >= all * 99, "{whole} of {all} samples of {interpreter:?} are whole");
        for (stack, (looping, inside)) in target.stacks.iter().zip(burning) {
            assert!(inside * 50 >= all, "{inside} of {all} on {stack:?} of {interpreter:?}");
            assert!(looping * 10 >= inside * 8, "{looping} of {inside} on {stack:?} of {interpreter:?}");
        }
    }
}
