//! Python frames of every supported interpreter, against what the programs themselves say of their stacks.

use std::{fs, process::Command};

use profiler_tests::{
    interpreters::{Interpreter, supported},
    punchclock::{counter, workers},
    record::{Record, Recorded},
    recording::{Recording, Sample, total},
    truth::Truth,
    workload::Workload,
    workloads,
};
use serde_json::Value;

/// A workload under one of the interpreters.
struct Target {
    interpreter: Interpreter,
    workload: Workload,
    truth: Truth,
}

impl Target {
    fn samples(&self, recording: &Recording) -> Vec<Sample> {
        let samples = recording.samples_of(self.workload.tgid());
        assert!(total(&samples) > 100, "{} samples of {:?}", total(&samples), self.interpreter);
        samples
    }
}

/// A workload under every supported interpreter.
fn all(script: &str, arguments: &[&str]) -> Vec<Target> {
    let start = |interpreter: Interpreter| {
        let mut workload = interpreter.start(script, arguments);
        let truth = Truth::told_by(&mut workload);
        Target { interpreter, workload, truth }
    };
    supported().into_iter().map(start).collect()
}

/// Records them together until each has used so much CPU time.
fn record(targets: &[Target], milliseconds: u64, arguments: &[&str]) -> Recorded {
    let tgids: Vec<_> = targets.iter().map(|target| target.workload.tgid()).collect();
    Record::start(&tgids, &[&["-r", "999"], arguments].concat()).end_after(&tgids, milliseconds)
}

/// Every sample has all its Python frames, and nothing was lost.
fn assert_whole(recording: &Recording) {
    let quality = &recording.stat()["quality"];
    assert_eq!(recording.counted("python_complete"), recording.counted("total"), "{quality:#}");
    let lost = quality["lost"].as_object().expect("losses");
    // Native stacks end where code keeps no frame pointers; that is no Python frame lost.
    let lost: Vec<_> = lost.iter().filter(|(cause, _)| *cause != "unmapped").collect();
    assert!(lost.is_empty(), "{lost:?}");
    assert_eq!(recording.counted("total"), total(&recording.samples()));
}

/// The part of some samples, in per cent, for which something holds.
fn percent(samples: &[Sample], holds: impl Fn(&Sample) -> bool) -> u64 {
    let held = samples.iter().filter(|sample| holds(sample)).map(|sample| sample.count).sum::<u64>();
    100 * held / total(samples)
}

/// What always has the truth's stack, as far as the leaf's last call.
fn assert_explained(targets: &[Target], recording: &Recording) {
    for target in targets {
        let samples = target.samples(recording);
        for sample in &samples {
            target.truth.assert_explains(sample);
        }
        let whole = percent(&samples, |sample| sample.functions().len() == target.truth.depth());
        assert!(whole >= 80, "{whole} % at the leaf in {:?}", target.interpreter);
    }
}

#[test]
fn every_sample_of_a_busy_loop_is_whole_and_true() {
    let mut targets = all("calls.py", &[]);
    // Where its statements stand, by the parser: the line tables have no part in it.
    let statements: Vec<Value> = targets.iter_mut().map(|target| target.workload.json()).collect();
    let recorded = record(&targets, 2_300, &[]);
    assert_whole(&recorded.recording);
    assert_explained(&targets, &recorded.recording);
    for (target, statements) in targets.iter().zip(statements) {
        let samples = target.samples(&recorded.recording);
        assert!(total(&samples) >= 2000, "{} samples of {:?}", total(&samples), target.interpreter);
        for statement in statements.as_array().expect("statements") {
            let (first, last) = (statement[0].as_u64(), statement[1].as_u64());
            let here = percent(&samples, |sample| {
                let line = sample.of_kind("python").last().map(|frame| frame.line);
                sample.functions().last() == Some(&"burn") && first <= line && line <= last
            });
            assert!(here >= 10, "{here} % on {statement} in {:?}", target.interpreter);
        }
    }
}

#[test]
fn a_deep_recursion_is_whole() {
    let targets = all("recursion.py", &["300"]);
    let recorded = record(&targets, 300, &[]);
    assert_whole(&recorded.recording);
    assert_explained(&targets, &recorded.recording);
}

#[test]
fn a_deeper_recursion_keeps_its_leaf_and_says_that_it_was_cut() {
    let targets = all("recursion.py", &["600"]);
    let recorded = record(&targets, 300, &["-o", "all.folded", "--weight", "samples"]);
    let recording = &recorded.recording;
    assert_eq!(recording.counted("python_partial"), recording.counted("total"));
    // A stack may be taken at a switch, too, and one at each edge of the window.
    let switches = |row: &&Value| counter(row, "preempted_switches") + counter(row, "voluntary_switches");
    let switches: u64 = workers(recording.stat()).iter().map(switches).sum();
    let (lost, samples) = (recording.lost("frames_truncated"), recording.counted("total"));
    let most = samples + switches + targets.len() as u64;
    assert!((samples..=most).contains(&lost), "{lost} are cut of {samples} samples and {switches} switches");
    for target in &targets {
        let samples = target.samples(recording);
        let at_the_leaf = percent(&samples, |sample| sample.functions().last() == Some(&"burn"));
        assert!(at_the_leaf >= 80, "{at_the_leaf} % at the leaf in {:?}", target.interpreter);
        for sample in samples {
            let frames = sample.functions().len();
            assert!(frames >= 256, "{frames} frames of {:?}", target.interpreter);
            assert!(frames < target.truth.depth());
            assert_eq!(sample.frames[0].kind, "mark");
            // Between calls of the leaf there is one frame more below the cut.
            let missing =
                target.truth.depth() - frames - usize::from(sample.functions().last() != Some(&"burn"));
            target.truth.assert_explains_from(missing, &sample);
        }
    }
    for (stack, _) in recorded.folded("all.folded") {
        assert_eq!(stack[1], "[outer frames missing]");
    }
}

#[test]
fn generators_stand_below_who_draws_from_them() {
    let targets = all("generator.py", &[]);
    let recorded = record(&targets, 300, &[]);
    assert_whole(&recorded.recording);
    assert_explained(&targets, &recorded.recording);
}

#[test]
fn functions_that_c_calls_stand_below_who_called_c() {
    let targets = all("callback.py", &[]);
    let recorded = record(&targets, 300, &[]);
    assert_whole(&recorded.recording);
    assert_explained(&targets, &recorded.recording);
}

#[test]
fn a_file_may_be_called_anything() {
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let script = folder.path().join("größe 価格 😀;\n.py");
    fs::copy(workloads().join("calls.py"), &script).expect("it can be copied");
    let start = |interpreter: Interpreter| {
        let mut command = Command::new(&interpreter.path);
        command.arg(&script).env("PYTHONPATH", workloads());
        let mut workload = Workload::start(command);
        let truth = Truth::told_by(&mut workload);
        Target { interpreter, workload, truth }
    };
    // One with a root of its own does not see the file.
    let with_ours = supported().into_iter().filter(|interpreter| interpreter.root.is_none());
    let targets: Vec<_> = with_ours.map(start).collect();
    let recorded = record(&targets, 300, &[]);
    assert_whole(&recorded.recording);
    assert_explained(&targets, &recorded.recording);
}

#[test]
fn names_made_to_do_harm_are_told_and_do_none() {
    let targets = all("names.py", &[]);
    let recorded = record(&targets, 300, &["-o", "all.folded", "-o", "all.svg"]);
    assert_whole(&recorded.recording);
    assert_explained(&targets, &recorded.recording);

    let folded = recorded.text("all.folded");
    assert!(!folded.contains(|c: char| c.is_control() && c != '\n'), "{folded}");
    let depths: Vec<_> = targets.iter().map(|target| target.truth.depth() + 1).collect();
    for (stack, _) in recorded.folded("all.folded") {
        assert!(
            stack[0].starts_with("worker ") && depths.iter().all(|depth| stack.len() <= *depth),
            "{stack:?}"
        );
    }
    let svg = recorded.path("all.svg");
    let output =
        Command::new("python3").arg(workloads().join("read_svg.py")).arg(svg).output().expect("python3 runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let read: Value = serde_json::from_slice(&output.stdout).expect("it speaks JSON");
    assert_eq!(read["scripts"], 1, "only the flame graph's own");
    let titles = read["titles"].as_array().expect("titles").iter().filter_map(Value::as_str);
    // What acts is shown as an escape; what is markup is text.
    assert!(titles.clone().any(|title| title.starts_with(r"a\x3bb\x0a<script>\x1b[31m (")));
    assert!(titles.clone().any(|title| title.starts_with(r#""&amp\x3b</title>]]>' ("#)));
    assert!(titles.clone().any(|title| title.starts_with("価格 (")));
    assert!(titles.clone().any(|title| title.starts_with("😀 (")));
}
