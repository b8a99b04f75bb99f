//! Processes whose first thread is not the last: it exits and others work on, or another one calls `exec` and is the first from
//! then on. A process lives as long as one thread of it does.

use std::{fs, path::PathBuf};

use profiler_tests::{
    books::{Books, state},
    interpreters::supported,
    punchclock::{counter, json, refusal, run, worker, workers},
    record::{Record, Recorded},
    recording::total,
    wait_for,
    watch::Watch,
    workload::Workload,
    workloads,
};
use serde_json::{Value, json};

fn python() -> PathBuf {
    supported().pop().expect("there is a Python").path
}

fn start(how: &str) -> Workload {
    Workload::python(&python(), "first_thread.py", &[how])
}

/// The TID of the oldest thread after the first.
fn second(tgid: u32) -> u32 {
    let tids = Books::of_process(tgid).into_keys().filter(|tid| *tid != tgid);
    let started = |tid: &u32| {
        let stat = fs::read_to_string(format!("/proc/{tgid}/task/{tid}/stat")).expect("it lives");
        stat.rsplit(") ").next().and_then(|rest| rest.split(' ').nth(19)?.parse::<u64>().ok())
    };
    tids.min_by_key(|tid| (started(tid), *tid)).expect("it has threads")
}

/// What a process's threads ran between two readings of the kernel's books.
fn ran(before: &Books, after: &Books) -> u64 {
    after.on_cpu_ns - before.on_cpu_ns
}

fn threads(row: &Value) -> &[Value] {
    row["threads"].as_array().expect("threads")
}

/// How many samples of a process are in a function, and how many there are.
fn samples_in(recorded: &Recorded, tgid: u32, function: &str) -> (u64, u64) {
    let samples = recorded.recording.samples_of(tgid);
    let within = samples.iter().filter(|sample| sample.functions().contains(&function));
    (within.map(|sample| sample.count).sum(), total(&samples))
}

#[test]
fn one_that_has_exited_leaves_a_process_that_is_seen() {
    let mut workload = start("exits");
    let (tgid, survivor) = (workload.tgid(), second(workload.tgid()));
    workload.tell("leave");
    wait_for("the first thread to exit", || state(tgid) == Some('Z'));

    workload.stop();
    let before = Books::of_thread(tgid, survivor).expect("it lives");
    let watch = Watch::start(&workload.pid());
    let record = Record::start(&[tgid], &["-r", "999"]);
    workload.go_on_for(300);
    let (recorded, document) = (record.end(), watch.end());
    let after = Books::of_thread(tgid, survivor).expect("it lives");
    for row in [worker(&document, tgid), worker(recorded.recording.stat(), tgid)] {
        assert_eq!((&row["exited"], &row["death"]), (&json!(false), &Value::Null));
        assert_eq!(threads(row).len(), 2, "{row:#}");
        let survivor = threads(row).iter().find(|thread| thread["tid"] == survivor).expect("its row");
        assert_eq!(counter(survivor, "on_cpu_ns"), ran(&before, &after));
        assert_eq!(survivor["name"], "survivor");
    }
    let (within, all) = samples_in(&recorded, tgid, "survive");
    assert!(all > 200 && within * 100 >= all * 99, "{within} of {all}");
    let notes = recorded.recording.notes();
    assert!(!notes.iter().any(|note| note.contains("no Python frames")), "{notes:?}");

    let dump = json(&["dump", "--json", "-p", &workload.pid()]);
    assert!(dump.to_string().contains("survive"), "{dump:#}");
    // What it runs is known by a thread that has it.
    assert_eq!(dump["fleets"][0]["name"], "first_thread.py");
    // A TID is not a PID.
    let (sentence, _) = refusal(&run(&["stat", "-d", "0.1", "-p", &survivor.to_string()]), 3);
    assert_eq!(sentence, format!("no process has the PID {survivor}"));
}

#[test]
fn one_that_exits_meanwhile_ends_no_process() {
    let mut workload = start("exits");
    let tgid = workload.tgid();
    let record = Record::start(&[tgid], &["-r", "999"]);
    workload.tell("leave");
    wait_for("the first thread to exit", || state(tgid) == Some('Z'));
    workload.wait_until_used(300);
    workload.tell("end");
    let recorded = record.wait();
    let row = worker(recorded.recording.stat(), tgid);
    assert_eq!((&row["exited"], &row["death"]), (&json!(true), &json!({"exit_status": 3})));
    assert!(counter(row, "on_cpu_ns") >= 300_000_000, "{row:#}");
    let (within, all) = samples_in(&recorded, tgid, "survive");
    assert!(all > 200 && within * 100 >= all * 95, "{within} of {all}");
}

#[test]
fn a_thread_that_calls_exec_goes_on() {
    let mut workload = start("execs");
    let (tgid, launcher) = (workload.tgid(), second(workload.tgid()));
    workload.stop();
    let before = Books::of_thread(tgid, launcher).expect("it lives");
    let watch = Watch::start(&workload.pid());
    let record = Record::start(&[tgid], &["-r", "999"]);
    workload.tell("exec");
    workload.signal(libc::SIGCONT);
    assert_eq!(workload.line(), "again");
    workload.wait_until_used(300);
    workload.stop();
    let (recorded, document) = (record.end(), watch.end());
    let after = Books::of_thread(tgid, tgid).expect("it lives");
    assert!(
        !fs::exists(format!("/proc/{tgid}/task/{launcher}")).expect("/proc is there"),
        "it has another TID"
    );
    for row in [worker(&document, tgid), worker(recorded.recording.stat(), tgid)] {
        assert_eq!((&row["exited"], &row["death"]), (&json!(false), &Value::Null));
        assert_eq!(row["born"], false);
        let (gone, living): (Vec<_>, Vec<_>) =
            threads(row).iter().partition(|thread| thread["exited"] == true);
        assert_eq!((gone.len(), living.len()), (1, 1), "{row:#}");
        assert_eq!(living[0]["tid"], tgid);
        assert_eq!(counter(living[0], "on_cpu_ns"), ran(&before, &after));
        assert!(counter(living[0], "on_cpu_ns") >= 800_000_000);
    }
    // What it did by its old TID is its own.
    let samples = recorded.recording.samples_of(tgid);
    assert!(samples.iter().all(|sample| sample.tid == tgid));
    for function in ["before_exec", "after_exec"] {
        let (within, all) = samples_in(&recorded, tgid, function);
        assert!(within > 20, "{within} of {all} in {function}");
    }
}

/// Started by a shell that waits for it, under `record --` and below a PID.
#[test]
fn a_launcher_that_execs_from_a_thread_is_followed() {
    let script = workloads().join("first_thread.py");
    let line = format!("{} {} soon; :", python().display(), script.display());
    let recorded = Record::with(&["-r", "999", "--", "sh", "-c", &line]).wait();
    assert_launched(&recorded);

    let mut command = std::process::Command::new("sh");
    command.args(["-c", &format!("echo ready; read go; {line}")]);
    let mut shell = Workload::start(command);
    let record = Record::start(&[shell.tgid()], &["-r", "999"]);
    shell.tell("go");
    assert_launched(&record.wait());
}

fn assert_launched(recorded: &Recorded) {
    let rows = workers(recorded.recording.stat());
    let python = rows.iter().find(|row| !row["python"].is_null());
    let row = python.unwrap_or_else(|| panic!("no Python in {rows:#?}"));
    assert_eq!((&row["exited"], &row["death"]), (&json!(true), &json!({"exit_status": 3})));
    assert!(counter(row, "on_cpu_ns") >= 1_500_000_000, "{row:#}");
    let tgid = counter(row, "tgid").try_into().expect("a PID");
    for function in ["before_exec", "after_exec"] {
        let (within, all) = samples_in(recorded, tgid, function);
        assert!(within > 20, "{within} of {all} in {function}");
    }
}
