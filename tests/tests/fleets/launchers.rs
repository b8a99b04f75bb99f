//! What programs that only start others start: several processes of one program of Python are the workers of one fleet.

use std::{path::PathBuf, process::Command};

use profiler_tests::{
    fleets::children,
    interpreters::supported,
    punchclock::{counter, json, run, workers},
    record::Record,
    wait_for,
    workload::Workload,
    workloads,
};
use serde_json::Value;

fn python() -> PathBuf {
    supported().pop().expect("there is a Python").path
}

fn rank() -> String {
    format!("{} {}", python().display(), workloads().join("rank.py").display())
}

/// Panics unless a launcher's fleet has so many workers, all of Python.
fn assert_workers(document: &Value, count: usize) {
    let fleets = document["fleets"].as_array().expect("fleets");
    assert_eq!(fleets.len(), 1, "{document:#}");
    let rows = workers(document);
    let of = |role: &str| rows.iter().filter(|row| row["role"] == role).copied().collect::<Vec<_>>();
    assert_eq!((of("master").len(), of("worker").len()), (1, count), "{document:#}");
    assert!(of("worker").iter().all(|worker| worker["python"].is_string()), "{document:#}");
}

#[test]
fn a_shells_children_under_record() {
    let rank = rank();
    let line = format!("{rank} 700 & {rank} 800 & sleep 0.1; wait");
    let recorded = Record::with(&["--", "sh", "-c", &line]).wait();
    assert_workers(recorded.recording.stat(), 2);
    // All that they did is what their program was told to do, and what it took to start.
    let rows = workers(recorded.recording.stat());
    let ran = rows.iter().filter(|row| row["role"] == "worker").map(|row| counter(row, "on_cpu_ns"));
    let on_cpu_ms = ran.sum::<u64>() / 1_000_000;
    assert!((1500..2500).contains(&on_cpu_ms), "{on_cpu_ms} ms");
}

#[test]
fn a_launchers_grandchildren_by_its_pid() {
    let line =
        format!("echo ready; for _ in 1 2 3; do (exec nice -n 0 sh -c '{} & wait') & done; wait", rank());
    let mut command = Command::new("sh");
    command.args(["-c", &line]);
    let launcher = Workload::start(command);
    let grandchildren = || children(launcher.tgid()).into_iter().flat_map(children);
    let is_python = |tgid: u32| {
        std::fs::read_to_string(format!("/proc/{tgid}/comm")).is_ok_and(|comm| comm.starts_with("python"))
    };
    wait_for("three of them", || grandchildren().filter(|tgid| is_python(*tgid)).count() == 3);
    assert_workers(&json(&["stat", "--json", "-d", "0.5", "-p", &launcher.pid()]), 3);
}

/// A program of Python with a child that is none, which nobody wants to be Python.
#[test]
fn doctor_asks_no_helper_to_be_python() {
    let code = "import os, subprocess, sys
child = os.fork()
if child: subprocess.Popen(['sleep', '1000']); print('ready', flush=True)
sys.stdin.readline()";
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let script = folder.path().join("helped.py");
    std::fs::write(&script, code).expect("the folder is ours");
    let mut command = Command::new(python());
    command.arg(&script);
    let workload = Workload::start(command);
    wait_for("its child", || children(workload.tgid()).len() == 2);
    let output = run(&["doctor", "--json"]);
    let checks: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let checks = checks.as_array().expect("a list");
    let ours = checks.iter().find(|check| check["name"] == "python helped.py").expect("its check");
    assert_eq!(ours["status"], "ok", "{ours:#}");
}
