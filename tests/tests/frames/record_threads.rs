//! Threads: whose stacks are whose, and what runs without the GIL.

use std::path::PathBuf;

use profiler_tests::{
    cannot_run,
    interpreters::{Interpreter, supported, unpacked},
    record::Record,
    recording::{Sample, total},
    workload::Workload,
};

fn all(script: &str) -> Vec<(Workload, PathBuf)> {
    let start = |interpreter: Interpreter| (interpreter.start(script, &[]), interpreter.path);
    supported().into_iter().map(start).collect()
}

/// Each is called what `threading` calls it, of which the kernel knows nothing before 3.14, and no more than a part then.
#[test]
fn threads_are_kept_apart() {
    let targets = all("named_threads.py");
    let tgids: Vec<_> = targets.iter().map(|(workload, _)| workload.tgid()).collect();
    let arguments = ["-r", "999", "-o", "out.folded", "--by", "thread", "--weight", "samples"];
    let recorded = Record::start(&tgids, &arguments).end_after(&tgids, 400);
    let folded = recorded.folded("out.folded");
    for (workload, path) in &targets {
        for (name, thread) in [("east", "east"), ("west", "west of the Kernel’s 15 bytes")] {
            let root = format!("worker {} thread {thread}/", workload.pid());
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

/// From 3.14 on each sample says which asyncio task ran.
#[test]
fn tasks_are_kept_apart() {
    let start = |minor| unpacked(minor).map(|interpreter| interpreter.start("tasks.py", &[]));
    let targets: Vec<_> = [14, 15].into_iter().filter_map(start).collect();
    if targets.len() < 2 {
        return cannot_run("there are no Pythons 3.14 and 3.15: cargo xtask pythons");
    }
    let tgids: Vec<_> = targets.iter().map(Workload::tgid).collect();
    let arguments = ["-r", "999", "-o", "out.folded", "--by", "task", "--weight", "samples"];
    let recorded = Record::start(&tgids, &arguments).end_after(&tgids, 500);
    let folded = recorded.folded("out.folded");
    for workload in &targets {
        let of = |stack: &[String]| stack[0].starts_with(&format!("worker {} ", workload.pid()));
        for (task, function) in
            [("task to the east", "east"), ("task to the west", "west"), ("task Task-", "nameless")]
        {
            let is_in =
                |stack: &[String]| stack.iter().any(|frame| frame.split(' ').next() == Some(function));
            let own: Vec<_> = folded.iter().filter(|(stack, _)| of(stack) && is_in(stack)).collect();
            let samples = own.iter().map(|(_, samples)| samples).sum::<u64>();
            assert!(samples > 50, "{samples} of {task}");
            for (stack, _) in own {
                assert!(stack[0].contains(task), "{stack:?}");
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
