//! Names are bytes of somebody else's choice: none acts on a terminal, and none takes away what is said of others.

use std::{ffi::OsStr, fs, os::unix::ffi::OsStrExt as _, process::Output};

use profiler_tests::{
    fleets,
    interpreters::required,
    punchclock::{punchclock, refusal, run},
    record::Record,
    recording::{Recording, Sample},
    workload::Workload,
    workloads,
};

/// A name that is no UTF-8, and has a newline and a terminal's command in it.
const ODD: &[u8] = b"caf\xe9\n\x1b[31m";

#[track_caller]
fn assert_nothing_acts(output: &Output) {
    for text in [&output.stdout, &output.stderr] {
        let text = str::from_utf8(text).expect("what is said is UTF-8");
        assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
    }
}

#[test]
fn a_process_of_any_name_is_recorded() {
    let Some(python) = required(11) else { return };
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let workload = Workload::python(&python.path, "odd_names.py", &[&folder.path().display().to_string()]);
    let recorded = Record::start(&[workload.tgid()], &["-r", "499"]).end_after(&[workload.tgid()], 300);
    let samples = recorded.recording.samples_of(workload.tgid());
    let functions: Vec<_> = samples.iter().flat_map(Sample::functions).collect();
    assert!(functions.contains(&"spin"), "{functions:?}");
    let compared = recorded.recording.stat()["quality"]["threads_compared"].as_u64();
    assert!(compared.is_some_and(|threads| threads != 0), "with /proc: {compared:?}");
}

#[test]
fn the_path_of_a_socket_takes_no_other_away() {
    let Some(python) = required(11) else { return };
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let path = folder.path().display().to_string();
    let workload = Workload::python(&python.path, "odd_names.py", &[&path]);
    let fleet = fleets::of(workload.tgid());
    let names = ["a-caf\u{fffd}\nx", "plain", "z-caf\u{fffd}\nx"];
    let listening = names.map(|name| format!("unix:{path}/{name}"));
    assert_eq!(fleet["listening"], serde_json::json!(listening));
    assert_nothing_acts(&run(&["ps", "--verbose"]));
}

#[test]
fn words_and_files_need_not_be_utf_8() {
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let name = |end: &str| [OsStr::from_bytes(ODD), OsStr::new(end)].join(OsStr::new(""));
    let script = folder.path().join(name(".py"));
    fs::copy(workloads().join("brief.py"), &script).expect("there is room for a file");
    let mut command = punchclock(&["record", "-o"]);
    command.arg(name(".punch")).args(["--", "python3"]).arg(&script).arg("300");
    command.current_dir(folder.path()).env("PYTHONPATH", workloads());
    let output = command.output().expect("punchclock is built");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_nothing_acts(&output);
    assert!(String::from_utf8_lossy(&output.stderr).contains(r"wrote caf�\x0a\x1b[31m.punch"));
    let recording = Recording::read(&folder.path().join(name(".punch")));
    assert_eq!(recording.stat()["fleets"].as_array().map(Vec::len), Some(1));
}

#[test]
fn an_error_does_not_act() {
    let output = punchclock(&["report"]).arg(OsStr::from_bytes(ODD)).output().expect("punchclock is built");
    assert_nothing_acts(&output);
    let (sentence, _) = refusal(&output, 1);
    assert!(sentence.contains(r"caf�\x0a\x1b[31m"), "{sentence}");
}
