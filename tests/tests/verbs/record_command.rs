//! `record -- CMD`: a command that is started and recorded, and lives as long as it likes.

use std::path::PathBuf;

use profiler_tests::{
    books::state,
    interpreters,
    punchclock::{counter, punchclock, worker, workers},
    record::{Record, Recorded},
    recording::total,
    wait_for, workloads,
};

fn python() -> PathBuf {
    interpreters::required(11).map_or_else(|| PathBuf::from("python3"), |interpreter| interpreter.path)
}

/// A shell that becomes the workload, which then holds no pipe of ours.
fn quietly(script: &str, argument: &str) -> Vec<String> {
    let (python, script) = (python(), workloads().join(script));
    let line = format!("exec {} {} {argument} >told 2>&1", python.display(), script.display());
    ["--", "sh", "-c", &line].map(str::to_owned).to_vec()
}

fn record(arguments: &[&str], command: &[String]) -> Record {
    Record::with(&arguments.iter().copied().chain(command.iter().map(String::as_str)).collect::<Vec<_>>())
}

/// The command's process.
fn command(recorded: &Recorded) -> u32 {
    let workers = workers(recorded.recording.stat());
    assert_eq!(workers.len(), 1);
    counter(workers[0], "tgid").try_into().expect("a PID")
}

fn assert_survived(recorded: &Recorded) {
    let tgid = command(recorded);
    assert!(matches!(state(tgid), Some('R' | 'S')), "{:?}", state(tgid));
    assert_eq!(worker(recorded.recording.stat(), tgid)["exited"], false);
    assert!(recorded.stderr().contains(&tgid.to_string()), "who still runs is told: {}", recorded.stderr());
}

#[test]
fn a_command_survives_the_end_of_the_window() {
    assert_survived(&record(&["-d", "2"], &quietly("calls.py", "")).wait());
}

#[test]
fn a_command_survives_an_interruption() {
    let mut record = record(&["-r", "999", "-o", "out.svg"], &quietly("calls.py", ""));
    record.wait_until_it_samples();
    wait_for("its truth to be told", || record.path("told").metadata().is_ok_and(|about| about.len() > 100));
    let recorded = record.end();
    assert!(recorded.text("out.svg").contains("</svg>"));
    assert_survived(&recorded);
}

#[test]
fn the_window_ends_with_the_command() {
    let recorded = record(&["-r", "999"], &quietly("brief.py", "500")).wait();
    let tgid = command(&recorded);
    let row = worker(recorded.recording.stat(), tgid);
    assert_eq!(row["exited"], true);
    // Its own clock said so, which started with its first instruction.
    assert!(counter(row, "on_cpu_ns") >= 500_000_000, "{row:#}");
    assert!(row["python"].as_str().is_some_and(|version| version.starts_with("3.11.")), "{row:#}");
    let samples = recorded.recording.samples_of(tgid);
    let works = samples.iter().filter(|sample| sample.functions().contains(&"work"));
    let works = works.map(|sample| sample.count).sum::<u64>();
    assert!(works * 2 > total(&samples), "{works} of {}", total(&samples));
}

#[test]
fn what_cannot_be_started_is_told() {
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let mut command = punchclock(&["record", "-o", "out.svg", "--", "/no/such", "command"]);
    let output = command.current_dir(folder.path()).output().expect("punchclock is built");
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.starts_with("punchclock: ") && stderr.contains("`/no/such`"), "{stderr}");
    assert_eq!(folder.path().read_dir().expect("it is a folder").count(), 0, "nothing is left");
}

/// An interpreter that clears its objects at its end runs none of its functions any more: nothing is missing there.
#[test]
fn the_end_of_an_interpreter_is_outside_of_its_functions() {
    let recorded = record(&["-r", "499"], &quietly("long_end.py", "")).wait();
    let recording = &recorded.recording;
    let told: u64 = recorded.text("told").trim().parse().expect("ms");
    let all = counter(worker(recording.stat(), command(&recorded)), "on_cpu_ns") / 1_000_000;
    let [outside, total] = ["python_outside", "total"].map(|name| recording.counted(name));
    let (part, expected) = (outside * 100 / total, (all - told) * 100 / all);
    assert!(expected >= 10, "it ends slowly: {told} of {all} ms before its end");
    assert!(part.abs_diff(expected) <= 15, "{part} %, not {expected} %");
    let said = String::from_utf8_lossy(&recorded.output.stdout);
    assert!(said.contains(" % outside of any Python function (as an interpreter starts or ends)"), "{said}");
}
