//! What a thread waited for, how long and who ended it, against workloads that know it.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use profiler_tests::{
    budget::{
        Quota, adding_up, assert_adds_up, assert_waited, blocked_count, blocked_ns, histogram, rest, row_of,
        tolerance, watch, woken_by,
    },
    interpreters,
    punchclock::{counter, json, worker, workers},
    wait_for,
    watch::Watch,
    workload::Workload,
};
use serde_json::Value;
use tempfile::TempDir;

/// How often `waits.py` waits.
const ROUNDS: u64 = 20;

fn python() -> PathBuf {
    interpreters::required(11).map_or_else(|| PathBuf::from("python3"), |interpreter| interpreter.path)
}

/// `waits.py` at rest, and its folder, which is on a disk.
fn waits(kind: &str) -> (Workload, TempDir) {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("there is room for a folder");
    let arguments = [kind, folder.path().to_str().expect("a path in UTF-8")];
    let workload = Workload::python(&python(), "waits.py", &arguments);
    rest(&workload);
    (workload, folder)
}

/// Has one thread wait in a way, and compares what it knows of that with its row, which is returned.
fn assert_waits_for(reason: &str, kind: &str) -> Value {
    eprintln!("{kind}");
    let (mut workload, _folder) = waits(kind);
    let (document, said) = watch(&mut workload);
    let thread = row_of(&said, worker(&document, workload.tgid()));
    assert_waited(thread, reason, &said);
    // Nearly all that it waited for is this, and the lock at which it rests.
    assert!(blocked_ns(thread, "gil") * 20 <= blocked_ns(thread, reason), "{thread:#}");
    thread.clone()
}

/// Asserts the budget of a workload each of whose waits is a nap of 12 ms or more, and ended by somebody.
fn assert_naps(reason: &str, kind: &str, who: &str) -> Value {
    let thread = assert_waits_for(reason, kind);
    let count = blocked_count(&thread, reason);
    assert!(count >= ROUNDS - 2, "{count} waits of {kind}");
    assert!(woken_by(&thread, who) >= ROUNDS - 2, "woken by {who}: {thread:#}");
    // 12 ms lie between 2^23 and 2^24 ns.
    let naps: u64 = histogram(&thread, reason).iter().skip(24).sum();
    assert!(naps >= ROUNDS * 3 / 4, "{kind}: {thread:#}");
    thread
}

#[test]
fn a_time() {
    for kind in ["sleep", "poll_nothing"] {
        let thread = assert_naps("sleep", kind, "timer");
        // A timer is not late, whatever the machine has to do besides.
        assert!(histogram(&thread, "sleep")[24] >= ROUNDS * 3 / 4, "{kind}: {thread:#}");
    }
}

#[test]
fn a_pipe() {
    assert_naps("pipe", "pipe", "itself");
    assert_naps("pipe", "poll_pipe", "itself");
    assert_naps("pipe", "full_pipe", "itself");
}

/// What comes through the network comes by a soft interrupt, even from the same process.
#[test]
fn a_socket() {
    assert_naps("socket", "receive_locally", "itself");
    for kind in ["receive", "receive_in_time", "poll", "epoll", "select_one"] {
        assert_naps("socket", kind, "interrupt");
    }
}

#[test]
fn a_client() {
    assert_naps("idle", "accept", "interrupt");
}

#[test]
fn a_child() {
    assert_naps("child", "child", "worker");
}

#[test]
fn a_signal() {
    assert_naps("signal", "paused", "itself");
    assert_naps("signal", "sigwait", "itself");
}

#[test]
fn a_disk() {
    for kind in ["sync", "read", "direct"] {
        let thread = assert_waits_for("disk", kind);
        assert!(blocked_count(&thread, "disk") >= ROUNDS, "{kind}: {thread:#}");
    }
}

/// Whoever touches a page that is on the disk only waits for it, if the disk does not answer at once.
#[test]
fn a_page() {
    let thread = assert_waits_for("page_fault", "page_faults");
    assert!(blocked_count(&thread, "page_fault") >= ROUNDS, "{thread:#}");
}

/// Two processes that hand a token to each other wait for a pipe and nothing else, and wake each other.
#[test]
fn ping_pong() {
    let workload = Workload::python(&python(), "ping_pong.py", &["10"]);
    let (document, ()) = adding_up(|| (json(&["stat", "--json", "-d", "1", "-p", &workload.pid()]), ()));
    assert_eq!(workers(&document).len(), 2);
    for worker in workers(&document) {
        let pipe = blocked_ns(worker, "pipe");
        assert!(pipe * 1000 >= counter(worker, "blocked_ns") * 999, "{worker:#}");
        let count = blocked_count(worker, "pipe");
        assert!(count > 1000 && count.abs_diff(counter(worker, "voluntary_switches")) <= 10, "{worker:#}");
        let peer = woken_by(worker, "worker") + woken_by(worker, "master");
        assert!(peer * 100 >= count * 99, "{worker:#}");
    }
}

/// Asleep since before the window and through all of it: exactly the window, and no wait that ended.
#[test]
fn a_wait_longer_than_the_window() {
    let (workload, _folder) = waits("sleep");
    let document = json(&["stat", "--json", "-d", "0.5", "-p", &workload.pid()]);
    assert_adds_up(&document);
    let worker = worker(&document, workload.tgid());
    let threads = worker["threads"].as_array().expect("threads");
    assert_eq!(threads.len(), 2);
    for (thread, reason) in threads.iter().zip(["pipe", "lock"]) {
        let blocked = blocked_ns(thread, reason);
        let [wall, window] = [counter(thread, "wall_ns"), counter(&document, "duration_ns")];
        // It is found a bit later than the first at both edges. How the scheduler's clock runs is known to 100 ns, or to some
        // µs if the host takes the CPU from under the two readings that are compared.
        assert!(
            blocked.abs_diff(wall) <= 10_000 && blocked.abs_diff(window) <= 1_000_000,
            "{window}: {thread:#}"
        );
        assert_eq!(blocked_count(thread, reason), 0);
        assert_eq!(counter(thread, "wakeups"), 0);
    }
}

/// A wait that began before the window counts from its beginning on, and one that ends after it up to its end.
#[test]
fn waits_across_the_edges() {
    let (mut workload, _folder) = waits("sleep");
    let (document, said) = watch(&mut workload);
    let thread = row_of(&said, worker(&document, workload.tgid()));
    let start = counter(&document, "started_unix_ns");
    let end = start + counter(&document, "duration_ns");
    let rest = counter(&said, "began_ns") - start + end - counter(&said, "ended_ns");
    let lock = blocked_ns(thread, "lock");
    // Its own clock begins when it runs again, and ends before it is at rest.
    let ran = counter(thread, "on_cpu_ns") + counter(thread, "run_queue_ns") + blocked_ns(thread, "gil");
    assert!(
        lock <= rest + tolerance(rest) && lock + ran + tolerance(rest) >= rest,
        "{lock} of {rest}: {thread:#}"
    );
    assert!(rest > 100_000_000, "the window began in its rest");
    assert_eq!(blocked_count(thread, "lock"), 1);
}

/// A process that is stopped waits for the signal to go on, whatever it waited for before.
#[test]
fn a_stop() {
    let (workload, _folder) = waits("sleep");
    let watch = Watch::start(&workload.pid());
    let before = Instant::now();
    workload.stop();
    let stopped = Instant::now();
    wait_for("a while to pass", || stopped.elapsed() > Duration::from_millis(300));
    let least = stopped.elapsed();
    workload.signal(libc::SIGCONT);
    rest(&workload);
    let most = before.elapsed();
    let document = watch.end();
    assert_adds_up(&document);
    for thread in worker(&document, workload.tgid())["threads"].as_array().expect("threads") {
        let signal = Duration::from_nanos(blocked_ns(thread, "signal"));
        assert!(least <= signal && signal <= most, "{least:?} to {most:?}: {thread:#}");
        assert_eq!(blocked_count(thread, "signal"), 1);
    }
}

/// We are another process.
#[test]
fn who_speaks_to_it_wakes_it() {
    let (mut workload, _folder) = waits("sleep");
    let watch = Watch::start(&workload.pid());
    for _ in 0..5 {
        rest(&workload);
        workload.tell("go");
        assert!(workload.line().starts_with("done"));
    }
    rest(&workload);
    let document = watch.end();
    let worker = worker(&document, workload.tgid());
    let first = row_of(&serde_json::json!({ "tid": workload.tgid() }), worker);
    // A line comes in two parts, and it may wait for each.
    let lines = blocked_count(first, "pipe");
    assert!((5..=10).contains(&lines) && woken_by(first, "process") == lines, "{first:#}");
    assert!(woken_by(first, "itself") >= 5, "{first:#}");
}

/// What a quota keeps a process from is run-queue time that is not for want of a CPU: as much as the group's own books
/// say, which stand still at both edges, for so does the process.
#[test]
fn a_quota() {
    let Some(quota) = Quota::of_a_fifth() else { return };
    let workload = Workload::python(&python(), "deep.py", &["5"]);
    quota.admit(workload.tgid());
    workload.stop();
    // The period in which it was stopped must be over.
    let still = || {
        let now = (quota.throttled_ns(), Instant::now());
        wait_for("two periods to pass", || now.1.elapsed() > Duration::from_millis(200));
        quota.throttled_ns() == now.0
    };
    wait_for("the quota to rest", still);
    let before = quota.throttled_ns();
    let watch = Watch::start(&workload.pid());
    workload.signal(libc::SIGCONT);
    wait_for("it to be throttled", || quota.throttled_ns() - before > 1_000_000_000);
    workload.stop();
    wait_for("the quota to rest", still);
    let document = watch.end();
    let throttled = quota.throttled_ns() - before;
    let worker = worker(&document, workload.tgid());
    assert_eq!(counter(worker, "throttled_ns"), throttled, "{worker:#}");
    let run_queue = counter(worker, "run_queue_ns");
    assert!(throttled <= run_queue + run_queue / 20, "{throttled} ns: {worker:#}");
    assert!(run_queue <= throttled + throttled / 5, "{throttled} ns: {worker:#}");
    // It ran for a fifth of the time that it wanted to run.
    assert!(counter(worker, "on_cpu_ns") * 3 <= run_queue, "{worker:#}");
}
