//! What a workload says of its own stack (`workloads/reveal.py`), and whether what was sampled can be true.

use serde_json::Value;

use crate::{
    interpreters::supported,
    recording::{Frame, Sample},
    workload::Workload,
};

/// A program that spins for ever in a generator, and what it says of its stack.
#[must_use]
pub fn busy() -> (Workload, Truth) {
    let interpreter = supported().pop().expect("there is a Python");
    let mut workload = interpreter.start("generator.py", &[]);
    let truth = Truth::told_by(&mut workload);
    (workload, truth)
}

/// Frames as some workloads tell theirs: each function with the line of its call, and the last without.
#[must_use]
pub fn calls(frames: &[&Frame]) -> Vec<String> {
    let (last, callers) = frames.split_last().expect("a frame");
    let callers = callers.iter().map(|frame| format!("{}:{}", frame.name, frame.line));
    callers.chain([last.name.clone()]).collect()
}

/// The stack that a workload has almost all the time.
#[derive(Debug)]
pub struct Truth {
    /// From the outermost.
    callers: Vec<Possible>,
    leaf: Possible,
}

/// A frame: the line of its call, and all lines that it may be on.
#[derive(Debug)]
struct Possible {
    name: String,
    file: String,
    first_line: u64,
    line: u64,
    lines: Vec<u64>,
}

impl Truth {
    /// Hears it from a workload that has just said that it is ready, and waits until it is done with saying it.
    #[must_use]
    pub fn told_by(workload: &mut Workload) -> Self {
        let told = workload.json();
        workload.wait_until_used(20);
        Self::heard(&told)
    }

    /// What `reveal.py` said.
    #[must_use]
    pub fn heard(told: &Value) -> Self {
        let callers = told["callers"].as_array().expect("callers").iter().map(Possible::new);
        Self { callers: callers.collect(), leaf: Possible::new(&told["leaf"]) }
    }

    /// Frames of the stack, the leaf's included.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.callers.len() + 1
    }

    /// Function names, from the outermost to the leaf.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        self.callers.iter().chain([&self.leaf]).map(|frame| frame.name.as_str()).collect()
    }

    /// First lines of the functions, from the outermost to the leaf.
    #[must_use]
    pub fn first_lines(&self) -> Vec<u64> {
        self.callers.iter().chain([&self.leaf]).map(|frame| frame.first_line).collect()
    }

    /// Panics unless a sample's Python frames are this stack, or what it is while its leaf is not called: each
    /// frame but the last on the line of its call, the last on one of its lines.
    pub fn assert_explains(&self, sample: &Sample) {
        self.assert_explains_from(0, sample);
    }

    /// Asserts that the truth explains a sample that lacks so many of the outermost frames.
    pub fn assert_explains_from(&self, missing: usize, sample: &Sample) {
        let frames = sample.of_kind("python");
        let (last, callers) = frames.split_last().expect("a Python frame");
        let possible: Vec<_> = self.callers.iter().chain([&self.leaf]).skip(missing).collect();
        assert!(
            frames.len() <= possible.len(),
            "{} frames, not {}: {sample:#?}",
            frames.len(),
            possible.len()
        );
        for (frame, truth) in callers.iter().zip(&possible) {
            assert!(
                truth.is(frame) && frame.line == truth.line,
                "{frame:?} should be {truth:?} in {sample:#?}"
            );
        }
        let truth = possible[callers.len()];
        assert!(truth.is(last) && truth.lines.contains(&last.line), "{last:?} should be {truth:?}");
    }
}

impl Possible {
    fn new(told: &Value) -> Self {
        let text = |key: &str| told[key].as_str().expect("text").to_owned();
        let lines = told["lines"].as_array().expect("lines").iter().filter_map(Value::as_u64);
        let line = |key: &str| told[key].as_u64().expect("a line");
        Self {
            name: text("name"),
            file: text("file"),
            first_line: line("first_line"),
            line: line("line"),
            lines: lines.collect(),
        }
    }

    fn is(&self, frame: &Frame) -> bool {
        (&frame.name, &frame.file) == (&self.name, &self.file)
    }
}
