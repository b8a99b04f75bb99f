//! Who is asked for by a PID is looked at, and nobody else: what runs besides costs no reads.

use std::{
    fs,
    process::{Command, Stdio},
};

use profiler_tests::{
    gunicorn::Gunicorn,
    interpreters::supported,
    punchclock::{parse, punchclock, workers},
    wait_for,
    workload::Workload,
};

/// How many others there are.
const OTHERS: usize = 60;

/// Runs a `stat` of one tree to its end: how often it reads, by the kernel's count, and how many processes it shows.
fn reads(pid: &str) -> (u64, usize) {
    let mut command = punchclock(&["stat", "--json", "-d", "0.2", "-p", pid]);
    let child = command.stdout(Stdio::piped()).spawn().expect("punchclock is built: cargo xtask test");
    let path = |file: &str| format!("/proc/{}/{file}", child.id());
    let is_over = || {
        let stat = fs::read_to_string(path("stat")).expect("nobody has asked for its end yet");
        stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('Z'))
    };
    wait_for("punchclock to end", is_over);
    let io = fs::read_to_string(path("io")).expect("these tests run as root");
    let reads = io.lines().find_map(|line| line.strip_prefix("syscr: ")).expect("reads").parse();
    let output = child.wait_with_output().expect("it is our child");
    (reads.expect("a number"), workers(&parse(&output)).len())
}

#[test]
fn others_cost_no_reads() {
    let gunicorn = Gunicorn::start(2, &[]);
    let targets = [gunicorn.master().to_string(), gunicorn.workers()[0].to_string()];
    let before = targets.each_ref().map(|pid| reads(pid));
    let python = supported().pop().expect("there is a Python").path;
    let other = |_| {
        let mut command = Command::new(&python);
        command.args(["-c", "print('ready', flush=True); input()"]);
        Workload::start(command)
    };
    let others: Vec<Workload> = (0..OTHERS).map(other).collect();
    let after = targets.each_ref().map(|pid| reads(pid));
    drop(others);
    for ((alone, found), (among, still_found)) in before.into_iter().zip(after) {
        assert_eq!(found, still_found);
        // Less than one more for each: reading the list of processes alone would take more.
        assert!(among < alone + OTHERS as u64 / 2, "{alone} reads alone, {among} among {OTHERS} others");
    }
}
