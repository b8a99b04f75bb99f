//! Threads: whose stacks are whose, and what runs without the GIL.

use std::path::PathBuf;

use profiler_tests::{
    interpreters::{Interpreter, supported},
    record::Record,
    recording::{Sample, total},
    workload::Workload,
};

fn all(script: &str) -> Vec<(Workload, PathBuf)> {
    let start = |interpreter: Interpreter| (interpreter.start(script, &[]), interpreter.path);
    supported().into_iter().map(start).collect()
}

#[test]
fn threads_are_kept_apart() {
    let targets = all("named_threads.py");
    let tgids: Vec<_> = targets.iter().map(|(workload, _)| workload.tgid()).collect();
    let arguments = ["-r", "999", "-o", "out.folded", "--by", "thread", "--weight", "samples"];
    let recorded = Record::start(&tgids, &arguments).end_after(&tgids, 400);
    let folded = recorded.folded("out.folded");
    for (workload, path) in &targets {
        for name in ["east", "west"] {
            let root = format!("worker {} thread {name}/", workload.pid());
            let own: Vec<_> = folded.iter().filter(|(stack, _)| stack[0].starts_with(&root)).collect();
            assert!(own.iter().map(|(_, samples)| samples).sum::<u64>() > 50, "{root} of {}", path.display());
            let is_in = |stack: &[String], function: &str| {
                stack.iter().skip(1).any(|frame| frame.split(' ').next() == Some(function))
            };
            for (stack, _) in own {
                assert!(is_in(stack, name), "{stack:?}");
                assert!(!is_in(stack, if name == "east" { "west" } else { "east" }), "{stack:?}");
            }
        }
    }
}

#[test]
fn what_runs_without_the_gil_has_python_frames() {
    let targets = all("compress.py");
    let tgids: Vec<_> = targets.iter().map(|(workload, _)| workload.tgid()).collect();
    let recorded = Record::start(&tgids, &["-r", "999"]).end_after(&tgids, 400);
    for (workload, path) in &targets {
        let samples = recorded.recording.samples_of(workload.tgid());
        let compresses = |sample: &&Sample| sample.functions() == ["<module>", "compress"];
        let seen = samples.iter().filter(compresses).map(|sample| sample.count).sum::<u64>();
        assert!(total(&samples) > 200, "{} samples of {}", total(&samples), path.display());
        assert!(seen * 100 >= total(&samples) * 99, "{seen} of {} in {}", total(&samples), path.display());
        // And native frames below them: the compressor is no Python.
        let native = samples.iter().filter(|sample| !sample.of_kind("native").is_empty());
        let native = native.map(|sample| sample.count).sum::<u64>();
        assert!(native * 10 >= total(&samples) * 9, "{native} of {}", total(&samples));
    }
}
