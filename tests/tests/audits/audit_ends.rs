//! Whatever a server does, its audit ends and leaves nothing of it.

use std::{
    fs,
    process::{Command, Output, Stdio},
};

use profiler_tests::{
    books::state, cannot_run, gunicorn::venv, punchclock::punchclock, wait_for, workload, workload::Workload,
    workloads,
};
use serde_json::Value;

/// Runs an audit to its end, which must be one: what it reports, and how it ended.
fn audit(arguments: &[&str]) -> (Value, Output) {
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let mut command = punchclock(&["audit", "--json", "-o", "report.json"]);
    command.args(arguments).current_dir(folder.path()).stdout(Stdio::null()).stderr(Stdio::piped());
    let child = workload::bound_to_us(&mut command).spawn().expect("punchclock is built");
    let tgid = child.id();
    let ended = || fs::read_to_string(format!("/proc/{tgid}/stat")).is_ok_and(|stat| stat.contains(") Z "));
    wait_for("the audit to end", ended);
    let output = child.wait_with_output().expect("it is our child");
    let report = fs::read_to_string(folder.path().join("report.json")).unwrap_or_default();
    let stderr = String::from_utf8_lossy(&output.stderr);
    (serde_json::from_str(&report).unwrap_or_else(|error| panic!("{error}: {stderr}")), output)
}

#[test]
fn a_window_of_requests_ends_though_they_are_not_answered() {
    let mut server = Workload::python(&venv().join("bin/python"), "errors.py", &[]);
    let url = format!("http://127.0.0.1:{}/", server.line());
    let pid = server.pid();
    let arguments = ["-p", &pid, "--url", &url, "--requests", "50", "--concurrency", "2", "--rounds", "1"];
    let (reports, _) =
        audit(&[&arguments[..], &["--warm-up", "0.2", "--idle", "0.5", "--limit", "1"]].concat());
    let problem = reports[0]["problems"][0]["what"].as_str().expect("a problem");
    assert!(problem.contains("answered 0 of 50 requests"), "{problem}");
}

#[test]
fn a_daemon_is_stopped_too() {
    let groups = Command::new("grep").args(["-q", "^0::/", "/proc/self/cgroup"]).status();
    if !groups.is_ok_and(|status| status.success()) {
        return cannot_run("there are no control groups of version 2");
    }
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let file = folder.path().join("pid");
    let (python, script) = (venv().join("bin/python"), workloads().join("daemon.py"));
    let template = format!("{} {} {} {{port}}", python.display(), script.display(), file.display());
    let (reports, output) = audit(&["--serve", &template, "--concurrency", "1", "--rounds", "1"]);
    assert_eq!(output.status.code(), Some(5), "{}", String::from_utf8_lossy(&output.stderr));
    let problem = reports[0]["problems"][0]["what"].as_str().expect("a problem");
    assert!(problem.contains("did not come up"), "{problem}");
    let daemon = fs::read_to_string(&file).expect("it daemonised").parse().expect("a PID");
    // Init's to collect.
    let is_over = matches!(state(daemon), None | Some('Z'));
    workload::signal(daemon, libc::SIGKILL);
    assert!(is_over, "the daemon {daemon} outlived its audit");
}
