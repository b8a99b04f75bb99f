//! Processes that become Python after they were first looked at: born of one that was not known yet, or late in a window.

use std::{collections::BTreeMap, process::Command, thread, time::Duration};

use profiler_tests::{
    cannot_run, interpreters, late,
    record::{Record, Recorded},
    workload::Workload,
    workloads,
};
use tempfile::TempDir;

/// How long a process is young to punchclock, and a little longer.
const YOUTH: Duration = Duration::from_secs(11);
/// CPU time that a late interpreter spins, in ms: a good deal longer than the 1.4 s from one look to the next at that age.
const SPIN: &str = "4000";

/// Each process's samples: all, and those with Python frames.
fn samples(recorded: &Recorded) -> BTreeMap<u32, (u64, u64)> {
    let mut samples: BTreeMap<u32, (u64, u64)> = BTreeMap::new();
    for sample in recorded.recording.samples() {
        let (all, python) = samples.entry(sample.tgid).or_default();
        *all += sample.count;
        *python += if sample.functions().is_empty() { 0 } else { sample.count };
    }
    samples
}

/// A program that is ready to load an interpreter which spins for a while, and the folder that it is in.
fn late_program() -> Option<(Workload, TempDir)> {
    let python = interpreters::required(11)?;
    let Some((prefix, library)) = late::prefix_and_library(&python) else {
        cannot_run("its Python 3.11 has no library");
        return None;
    };
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let mut command = Command::new(late::compile(folder.path()));
    command.env("PYTHONHOME", prefix).arg("-w").arg(library).arg(workloads().join("brief.py")).arg(SPIN);
    Some((Workload::start(command), folder))
}

#[test]
fn children_of_one_that_forks_at_once_have_frames() {
    let python = interpreters::required(11).map_or_else(|| "python3".into(), |python| python.path);
    let (python, script) = (python.display().to_string(), workloads().join("forks_at_once.py"));
    for _ in 0..6 {
        let command = ["--", &python, &script.display().to_string(), "3", "700"];
        let recorded = Record::with(&[&["-r", "499"], &command[..]].concat()).wait();
        let samples = samples(&recorded);
        let children: Vec<_> = samples.values().filter(|(all, _)| *all > 100).collect();
        assert_eq!(children.len(), 3, "{samples:?}");
        assert!(children.iter().all(|(all, python)| python * 3 > *all), "{samples:?}");
    }
}

#[test]
fn a_child_that_becomes_python_has_frames_whatever_its_parent_is() {
    let Some((mut program, _folder)) = late_program() else { return };
    let record = Record::start(&[program.tgid()], &["-r", "499"]);
    program.tell("fork");
    program.wait();
    assert_frames_but_of(program.tgid(), &record.wait());
}

#[test]
fn one_that_becomes_python_late_in_a_window_has_frames() {
    let Some((mut program, _folder)) = late_program() else { return };
    let record = Record::start(&[program.tgid()], &["-r", "499"]);
    thread::sleep(YOUTH);
    program.tell("load");
    program.wait();
    assert_frames_but_of(0, &record.wait());
}

/// All processes but one have frames in a good part of their samples.
fn assert_frames_but_of(tgid: u32, recorded: &Recorded) {
    let mut samples = samples(recorded);
    samples.remove(&tgid);
    assert_eq!(samples.len(), 1, "{samples:?}");
    assert!(samples.values().all(|(all, python)| python * 3 > *all), "{samples:?}");
}
