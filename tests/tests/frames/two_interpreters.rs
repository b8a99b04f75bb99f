//! Two interpreters at work in one process: one is walked, the other is named and what is of it is counted.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use profiler_tests::{
    cannot_run,
    interpreters::{Interpreter, of_minor},
    late, punchclock,
    record::Record,
    recording::{Recording, Sample, total},
    workload::Workload,
    workloads,
};
use tempfile::TempDir;

/// What stands for the frames of the one that is not walked.
const MARK: &str = "[frames of another interpreter missing]";
/// Minor versions of which two meet.
const PAIRS: [(u32, u32); 3] = [(8, 9), (11, 10), (13, 12)];

/// A process with two interpreters, of which the first has more threads.
struct Target {
    workload: Workload,
    /// The files of their libraries.
    walked: String,
    other: String,
}

impl Target {
    fn tgid(&self) -> u32 {
        self.workload.tgid()
    }

    /// True of a thread of the interpreter of a library, whose name it has as far as there is room.
    fn is_of(&self, tid: u32, library: &str) -> bool {
        let comm = fs::read_to_string(format!("/proc/{}/task/{tid}/comm", self.tgid())).expect("it lives");
        library.starts_with(comm.trim_end())
    }

    fn samples_of(&self, recording: &Recording, library: &str) -> Vec<Sample> {
        let samples = recording.samples_of(self.tgid()).into_iter();
        samples.filter(|sample| self.is_of(sample.tid, library)).collect()
    }

    /// What the threads of an interpreter waited for.
    fn reasons_of(&self, recording: &Recording, library: &str) -> BTreeSet<String> {
        let tids = recording.thread_names(self.tgid()).into_keys();
        let waits = tids
            .filter(|tid| self.is_of(*tid, library))
            .flat_map(|tid| recording.blocked_of(self.tgid(), tid));
        waits.map(|wait| wait.reason).collect()
    }
}

/// What a note says of the interpreter that is not walked, up to its patch version.
fn names(tgid: u32, interpreter: &Interpreter) -> String {
    format!("process {tgid} also runs Python 3.{}", interpreter.minor)
}

fn file_name(path: &Path) -> String {
    path.file_name().expect("a file").to_string_lossy().into_owned()
}

/// The interpreters of two minor versions, if both have libraries.
fn pair((walked, other): (u32, u32)) -> Option<[Interpreter; 2]> {
    let [walked, other] = [walked, other].map(of_minor);
    let pair = [walked?, other?];
    pair.iter().all(|python| late::prefix_and_library(python).is_some()).then_some(pair)
}

/// The host, compiled into a folder.
fn compile(folder: &TempDir) -> PathBuf {
    let program = folder.path().join("two_hosted");
    let mut compiler = Command::new("cc");
    compiler.arg("-o").arg(&program).arg(workloads().join("two_hosted.c")).args(["-ldl", "-lpthread"]);
    assert!(compiler.status().expect("there is a compiler").success(), "{compiler:?}");
    program
}

/// Starts the host with two interpreters, of which the first has two spinning threads, the other one. The one that is loaded
/// first is the first if `in_order`.
fn host(program: &Path, how: &str, [walked, other]: &[Interpreter; 2], in_order: bool) -> Option<Target> {
    let arguments = |python, threads: &str| {
        let (prefix, library) = late::prefix_and_library(python)?;
        Some([library.into_os_string(), prefix.into_os_string(), threads.into()])
    };
    let (first, second) = (arguments(walked, "2")?, arguments(other, "1")?);
    let [walked, other] = [&first, &second].map(|arguments| file_name(Path::new(&arguments[0])));
    let mut command = Command::new(program);
    command.arg(how).args(if in_order { [first, second].concat() } else { [second, first].concat() });
    Some(Target { workload: Workload::start(command), walked, other })
}

/// Starts a program of the first interpreter, of which one thread is going to call the other one.
fn caller([walked, other]: &[Interpreter; 2], how: &str) -> Workload {
    let (prefix, library) = late::prefix_and_library(other).expect("it has a library");
    walked.start("calls_other.py", &[&library.display().to_string(), &prefix.display().to_string(), how])
}

#[test]
fn one_is_walked_and_the_other_is_named_and_counted() {
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let program = compile(&folder);
    let mut targets = Vec::new();
    for (number, pair) in PAIRS.into_iter().filter_map(pair).enumerate() {
        targets.extend(host(&program, "local", &pair, number % 2 == 0).map(|target| (target, pair.clone())));
        if number == 0 {
            let [walked, other] = pair;
            let pair = [other, walked];
            targets.extend(host(&program, "local", &pair, true).map(|target| (target, pair.clone())));
            targets.extend(host(&program, "namespace", &pair, false).map(|target| (target, pair)));
        }
    }
    if targets.is_empty() {
        return cannot_run("there are no two interpreters with libraries");
    }
    let tgids: Vec<_> = targets.iter().map(|(target, _)| target.tgid()).collect();
    let record = Record::start(&tgids, &["-r", "499", "--min-block", "0"]);
    let recording = record.end_after(&tgids, 600).recording;
    let (mut counted, mut complete) = (0, 0);
    for (target, [_, other]) in &targets {
        let walked_samples = target.samples_of(&recording, &target.walked);
        let other_samples = target.samples_of(&recording, &target.other);
        let all = total(&recording.samples_of(target.tgid()));
        let of_each = [total(&walked_samples), total(&other_samples)];
        assert!(of_each.iter().all(|samples| *samples > 20), "{of_each:?} of {}", target.other);
        assert_eq!(of_each.iter().sum::<u64>(), all);
        for sample in &walked_samples {
            assert!(sample.frames.iter().all(|frame| frame.name != MARK), "{sample:?}");
            assert!(!sample.functions().is_empty(), "{sample:?} of {}", target.walked);
        }
        for sample in &other_samples {
            assert_eq!(sample.frames[0].name, MARK, "{sample:?} of {}", target.other);
            assert!(sample.functions().is_empty(), "{sample:?} of {}", target.other);
        }
        let notes = recording.notes();
        let note = notes.iter().find(|note| note.starts_with(&names(target.tgid(), other)));
        let note = note.unwrap_or_else(|| panic!("{} in {notes:?}", names(target.tgid(), other)));
        let says = format!("({}), which is not walked: {} sample", target.other, of_each[1]);
        assert!(note.contains(&says) && note.ends_with(" ms of waits"), "{note}, {says}");
        // A thread of the other one works: it is not parked.
        for library in [&target.walked, &target.other] {
            let reasons = target.reasons_of(&recording, library);
            let expected = ["gil", "sleep"].map(str::to_owned);
            assert!(reasons.is_superset(&expected.into()), "{reasons:?} of {library}");
            let wrong = ["lock", "parked", "idle"].map(str::to_owned);
            assert!(reasons.is_disjoint(&wrong.into()), "{reasons:?} of {library}");
        }
        counted += of_each[1];
        complete += of_each[0];
    }
    assert_eq!(recording.counted("total"), total(&recording.samples()));
    assert_eq!(recording.counted("python_complete") + recording.counted("python_partial"), complete);
    assert!(recording.lost("other_interpreter") >= counted);
    assert_eq!(recording.lost("no_thread_state"), 0);
}

#[test]
fn frames_of_one_that_calls_the_other_are_not_the_whole_stack() {
    let Some(pair) = pair((11, 9)) else { return cannot_run("there are no Pythons 3.9 and 3.11") };
    let mut workload = caller(&pair, "in company");
    let tgids = [workload.tgid()];
    // It loads the other one while it is looked at.
    let record = Record::start(&tgids, &["-r", "499"]);
    workload.tell("go");
    assert_eq!(workload.line(), "calls");
    let recording = record.end_after(&tgids, 3000).recording;
    let samples = recording.samples();
    let (calling, own): (Vec<_>, Vec<_>) =
        samples.into_iter().partition(|sample| sample.functions().contains(&"calls_other"));
    let (marked, before): (Vec<_>, Vec<_>) =
        calling.iter().cloned().partition(|sample| sample.frames[0].name == MARK);
    assert!(total(&own) > 100, "{}", total(&own));
    assert!(total(&marked) > total(&before), "{} after {}", total(&marked), total(&before));
    assert!(own.iter().all(|sample| sample.frames.iter().all(|frame| frame.name != MARK)), "{own:?}");
    assert_eq!(recording.counted("python_partial"), total(&marked));
    let notes = recording.notes();
    let named = names(workload.tgid(), &pair[1]);
    let note = notes.iter().find(|note| note.starts_with(&named));
    let note = note.unwrap_or_else(|| panic!("{named} in {notes:?}"));
    assert!(note.contains(&format!("which is not walked: {} samples", total(&marked))), "{note}");
}

#[test]
fn stat_and_dump_name_it_too() {
    let Some(pair) = pair((11, 9)) else { return cannot_run("there are no Pythons 3.9 and 3.11") };
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let Some(target) = host(&compile(&folder), "local", &pair, true) else { return };
    // With as many threads of each the program's own is walked.
    let mut alone = caller(&pair, "alone");
    alone.tell("go");
    assert_eq!(alone.line(), "calls");
    for (arguments, workload) in
        [(&["stat", "-d", "0.5"][..], &target.workload), (&["dump"], &target.workload), (&["dump"], &alone)]
    {
        let (pid, sentence) = (workload.pid(), names(workload.tgid(), &pair[1]));
        let document = punchclock::json(&[arguments, &["--json", "-p", &pid]].concat());
        let notes = document["quality"]["notes"].as_array().expect("notes");
        let named = notes.iter().filter_map(|note| note.as_str()).find(|note| note.starts_with(&sentence));
        let note = named.unwrap_or_else(|| panic!("{arguments:?}: {notes:?}"));
        assert!(note.contains("which is not walked: "), "{note}");
        let lost = document["quality"]["lost"].as_object().expect("losses");
        assert!(lost["other_interpreter"].as_u64() > Some(0), "{lost:?}");
    }
}
