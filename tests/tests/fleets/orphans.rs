//! Processes that are forked in unusual ways: by a thread that is not the first, and twice over to be nobody's child.

use profiler_tests::{
    interpreters::{Interpreter, supported},
    record::Record,
    recording::total,
};

/// The interpreters of this machine, which have its PIDs.
fn all() -> Vec<Interpreter> {
    supported().into_iter().filter(|python| python.root.is_none()).collect()
}

#[test]
fn a_child_of_a_thread_has_its_frames_and_its_own_threads() {
    for python in all() {
        let mut workload = python.start("orphans.py", &["by-thread"]);
        let child = workload.line().parse().expect("a PID");
        let recorded = Record::start(&[workload.tgid()], &["-r", "999"]).end_after(&[child], 100);
        let samples = recorded.recording.samples_of(child);
        let works = samples.iter().filter(|sample| sample.functions().contains(&"work"));
        let (works, all) = (works.map(|sample| sample.count).sum::<u64>(), total(&samples));
        assert!(all > 50 && works * 100 >= all * 99, "{works} of {all} of {python:?}");
        // The forking thread is its first, and has the kernel's name.
        let mut names = recorded.recording.thread_names(child);
        assert!(names.remove(&child).is_some(), "{names:?} of {python:?}");
        assert_eq!(names.into_values().collect::<Vec<_>>(), ["of the child"], "{python:?}");
    }
}

#[test]
fn a_daemon_is_recorded_to_its_end() {
    for python in all() {
        let mut workload = python.start("orphans.py", &["daemon", "300"]);
        let record = Record::start(&[workload.tgid()], &["-r", "999"]);
        workload.tell("");
        // Its death is collected, so it is the daemon that the window lasts for.
        workload.wait();
        let samples = record.wait().recording.samples();
        let works: Vec<_> =
            samples.into_iter().filter(|sample| sample.functions() == ["<module>", "work", "burn"]).collect();
        assert!(works.iter().all(|sample| sample.tgid == works[0].tgid), "{works:#?}");
        assert_ne!(works[0].tgid, workload.tgid());
        assert!(total(&works) > 200, "{} samples of {python:?}", total(&works));
    }
}
