//! Targets that are no Python, or none that can be walked, or gone: their exact numbers come all the same.

use std::process::Command;

use profiler_tests::{
    books::{Books, state},
    interpreters::{pypy, unsupported},
    punchclock::{counter, worker},
    record::{Record, Recorded},
    recording::total,
    truth::busy,
    wait_for,
    watch::Watch,
    workload::Workload,
};
use serde_json::Value;

/// A program that is no Python and calls the kernel all the time.
fn yes() -> Workload {
    let mut command = Command::new("sh");
    command.args(["-c", "echo ready; exec yes >/dev/null"]);
    Workload::start(command)
}

/// A process's row has what the kernel's books say; the process stands still.
fn assert_exact(row: &Value, before: Books) {
    let tid = counter(row, "tgid").try_into().expect("a PID");
    let after = Books::of_thread(tid, tid).expect("it lives");
    assert_eq!(counter(row, "on_cpu_ns"), after.on_cpu_ns - before.on_cpu_ns);
    assert_eq!(counter(row, "run_queue_ns"), after.run_queue_ns - before.run_queue_ns);
    assert_eq!(counter(row, "voluntary_switches"), after.voluntary - before.voluntary);
    assert_eq!(counter(row, "preempted_switches"), after.preempted - before.preempted);
}

/// Records it from stop to stop; its numbers are exact, and why it has no Python frames is said once.
fn record_what_has_no_python_frames(workload: &Workload, reason: &str) -> Recorded {
    workload.stop();
    let before = Books::of_thread(workload.tgid(), workload.tgid()).expect("it lives");
    let watch = Watch::start(&workload.pid());
    let record = Record::start(&[workload.tgid()], &["-r", "999", "-o", "out.folded"]);
    workload.go_on_for(300);
    let recorded = record.end();
    assert_exact(worker(recorded.recording.stat(), workload.tgid()), before);
    assert_exact(worker(&watch.end(), workload.tgid()), before);

    let notes = recorded.recording.notes();
    // Beside others a window may begin late, which is noted too.
    let notes: Vec<_> = notes.into_iter().filter(|note| note.starts_with("process ")).collect();
    assert_eq!(notes.len(), 1, "{notes:?}");
    assert!(notes[0].contains(&workload.pid()) && notes[0].contains(reason), "{notes:?}");
    let said = String::from_utf8_lossy(&recorded.output.stdout).into_owned() + &recorded.stderr();
    assert_eq!(said.matches(notes[0]).count(), 1, "{said}");
    recorded
}

#[test]
fn what_is_no_python_has_exact_numbers_and_native_stacks() {
    let workload = yes();
    let recorded = record_what_has_no_python_frames(&workload, "it is not Python");
    let row = worker(recorded.recording.stat(), workload.tgid());
    assert_eq!(row["python"], Value::Null);
    let samples = recorded.recording.samples_of(workload.tgid());
    assert!(total(&samples) > 100, "{} samples", total(&samples));
    for kind in ["native", "kernel"] {
        let with = samples.iter().filter(|sample| !sample.of_kind(kind).is_empty());
        let with = with.map(|sample| sample.count).sum::<u64>();
        assert!(with * 10 > total(&samples), "{with} of {} with {kind} frames", total(&samples));
    }
    assert!(samples.iter().all(|sample| sample.functions().is_empty()));
    // All of it is in the picture, without being asked for.
    let folded = recorded.folded("out.folded");
    assert_eq!(folded.iter().map(|(_, ns)| ns).sum::<u64>(), counter(row, "on_cpu_ns"));
    assert!(folded.iter().any(|(stack, _)| stack.iter().any(|frame| frame.ends_with("_[k]"))));
    assert!(folded.iter().any(|(stack, _)| stack.iter().any(|frame| frame.contains("(libc"))));
}

#[test]
fn interpreters_that_are_not_supported_are_named_once() {
    let folder = tempfile::tempdir().expect("there is room for a folder");
    for (interpreter, reason) in [(pypy(), "it is PyPy"), (unsupported(folder.path()), "as a debug build")] {
        let Some(interpreter) = interpreter else { continue };
        let workload = interpreter.start("compress.py", &[]);
        let recorded = record_what_has_no_python_frames(&workload, reason);
        let row = worker(recorded.recording.stat(), workload.tgid());
        let samples = recorded.recording.samples_of(workload.tgid());
        assert!(samples.iter().any(|sample| !sample.of_kind("native").is_empty()));
        // All of it is in the picture, without being asked for.
        let folded = recorded.folded("out.folded");
        let native = folded.iter().filter(|(stack, _)| stack.iter().any(|frame| frame.contains("(libz")));
        let native = native.map(|(_, ns)| ns).sum::<u64>();
        assert!(native * 2 > counter(row, "on_cpu_ns"), "{native} ns in {folded:#?}");
    }
}

#[test]
fn a_process_that_ends_meanwhile_ends_the_window_and_keeps_its_row() {
    let (workload, truth) = busy();
    workload.stop();
    let before = Books::of_thread(workload.tgid(), workload.tgid()).expect("it lives");
    let record = Record::start(&[workload.tgid()], &["-r", "999"]);
    workload.go_on_for(300);
    workload.signal(libc::SIGKILL);
    wait_for_death(workload.tgid());
    // Nobody has collected it yet, so its last books can be read.
    let after = Books::of_thread(workload.tgid(), workload.tgid()).expect("it is a zombie");
    let recorded = record.wait();
    let row = worker(recorded.recording.stat(), workload.tgid());
    assert_eq!(row["exited"], true);
    assert_eq!(counter(row, "on_cpu_ns"), after.on_cpu_ns - before.on_cpu_ns);
    let samples = recorded.recording.samples_of(workload.tgid());
    assert!(total(&samples) > 100, "{} samples", total(&samples));
    let python: Vec<_> = samples.iter().filter(|sample| !sample.functions().is_empty()).collect();
    for sample in &python {
        truth.assert_explains(sample);
    }
    let python = python.iter().map(|sample| sample.count).sum::<u64>();
    assert!(
        python + 2 >= total(&samples),
        "{python} of {}: nothing but its death is no Python",
        total(&samples)
    );
}

#[test]
fn one_that_ends_does_not_end_the_window_of_another() {
    let [(mut one, _), (other, _)] = [busy(), busy()];
    let record = Record::start(&[one.tgid(), other.tgid()], &["-r", "999"]);
    one.signal(libc::SIGKILL);
    one.wait();
    let recorded = record.end_after(&[other.tgid()], 300);
    assert_eq!(worker(recorded.recording.stat(), one.tgid())["exited"], true);
    assert_eq!(worker(recorded.recording.stat(), other.tgid())["exited"], false);
    assert!(total(&recorded.recording.samples_of(other.tgid())) > 200);
}

fn wait_for_death(tgid: u32) {
    wait_for("its death", || state(tgid) == Some('Z'));
}
