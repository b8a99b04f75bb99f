//! Many workers of many threads, most of which wait on the same lines: a stack is described once, and is each thread's own.

use profiler_tests::{books::Books, fleets::children, interpreters, record::Record, wait_for};

const WORKERS: usize = 40;
const THREADS: usize = 10;

#[test]
fn threads_of_equal_stacks_keep_their_own() {
    let Some(python) = interpreters::debian() else { return };
    let crowd = python.start("crowd.py", &[&WORKERS.to_string(), &THREADS.to_string()]);
    let record = Record::start(&[crowd.tgid()], &["--min-block", "0"]);
    let first = children(crowd.tgid())[0];
    let wakeups = || Books::of_thread(first, first).expect("it lives").voluntary;
    let before = wakeups();
    wait_for("each thread to wake", || wakeups() >= before + 3);
    let recorded = record.end();
    let workers = recorded.recording.workers();
    assert_eq!(workers.len(), WORKERS);
    for tgid in workers {
        let names = recorded.recording.thread_names(tgid);
        assert_eq!(names.len(), THREADS);
        for (tid, name) in names {
            // Python names a thread after its function; a process's first one goes by the process's name.
            let function = if tid == tgid || name.contains("(nap)") { "nap" } else { "listen" };
            let waits = recorded.recording.blocked_of(tgid, tid);
            let functions: Vec<_> = waits
                .iter()
                .filter(|wait| !wait.frames.is_empty())
                .map(|wait| ["nap", "listen"].map(|name| wait.frames.iter().any(|frame| frame.name == name)))
                .collect();
            assert!(!functions.is_empty(), "thread {tid} of {tgid} has stacks: {waits:#?}");
            let is_own = |has: &[bool; 2]| *has == [function == "nap", function == "listen"];
            assert!(functions.iter().all(is_own), "{name} of {tgid}: {waits:#?}");
        }
    }
    for cause in ["ring_full", "stack_not_kept", "stacks_full"] {
        assert_eq!(recorded.recording.lost(cause), 0, "{cause}");
    }
    // A thread that slept before us, and woke before it was looked at, has one wait without a stack.
    assert!(recorded.recording.lost("undescribed") <= (WORKERS * THREADS) as u64);
}
