//! The seconds of a recording: they add up to it, and each has what was done in it.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use profiler_tests::{
    books::{Books, state},
    gunicorn::Gunicorn,
    load::Load,
    punchclock::{counter, workers},
    record::Record,
    recording::Recording,
    wait_for,
    workload::signal,
};
use serde_json::Value;

fn now_ns() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64)
}

fn on_cpu_ns(tgid: u32) -> u64 {
    Books::of_process(tgid).values().map(|books| books.on_cpu_ns).sum()
}

/// Numbers of a process that are of the recording as a whole.
const OF_THE_WHOLE: [&str; 6] =
    ["tgid", "slot", "generation", "throttled_ns", "boot_cpu_ns", "empty_wakeups"];

/// Every number of a process that windows have, by its name.
fn numbers(of: &Value) -> BTreeMap<String, u64> {
    let mut numbers = BTreeMap::new();
    for (name, value) in of.as_object().expect("a process") {
        if let (Some(number), true) = (value.as_u64(), !OF_THE_WHOLE.contains(&name.as_str())) {
            numbers.insert(name.clone(), number);
        }
    }
    for (reason, blocked) in of["blocked_by"].as_object().expect("reasons") {
        numbers.insert(format!("{reason} ns"), counter(blocked, "ns"));
        numbers.insert(format!("{reason} count"), counter(blocked, "count"));
    }
    for (waker, count) in of["wakeups_by"].as_object().expect("wakers") {
        numbers.insert(format!("by {waker}"), count.as_u64().expect("a count"));
    }
    numbers
}

/// A number of a process, summed over the windows that ended by then.
fn until(recording: &Recording, end_ns: u64, tgid: u32, name: &str) -> u64 {
    let mut at = counter(recording.stat(), "started_unix_ns");
    let ended = recording.windows().iter().take_while(|window| {
        at += counter(window, "duration_ns");
        at <= end_ns
    });
    let of = |window: &Value| {
        let mut workers = window["workers"].as_array().expect("workers").iter();
        workers.find(|worker| worker["tgid"] == tgid).map_or(0, |worker| counter(worker, name))
    };
    ended.map(of).sum()
}

#[test]
fn they_add_up_to_the_recording_and_have_what_was_done_in_them() {
    let gunicorn = Gunicorn::start(2, &[]);
    let [first, second] = gunicorn.workers()[..] else { panic!("two workers") };
    let before = on_cpu_ns(second);
    let record = Record::start(&[gunicorn.master()], &["-r", "99"]);
    // What a worker has run at some instants, as the kernel says: at rest, and while it works.
    let mut known = vec![(now_ns(), on_cpu_ns(second), now_ns())];
    let load = Load::start(gunicorn.port, 4);
    for ms in [400, 800, 1200] {
        wait_for("the worker to work", || on_cpu_ns(second) > before + ms * 1_000_000);
        known.push((now_ns(), on_cpu_ns(second), now_ns()));
    }
    signal(first, libc::SIGKILL);
    wait_for("the master to collect it", || state(first).is_none());
    let busy = on_cpu_ns(second);
    wait_for("the worker to work", || on_cpu_ns(second) > busy + 400_000_000);
    drop(load);
    let recorded = record.end();
    let recording = &recorded.recording;

    let stat = recording.stat();
    let durations: Vec<_> = recording.windows().iter().map(|window| counter(window, "duration_ns")).collect();
    assert!(durations.len() >= 2, "{durations:?}");
    assert_eq!(durations.iter().sum::<u64>(), counter(stat, "duration_ns"));
    let shortest = Duration::from_millis(500).as_nanos() as u64;
    assert!(durations.iter().all(|duration| *duration >= shortest), "{durations:?}");
    let mut sums: BTreeMap<u64, BTreeMap<String, u64>> = BTreeMap::new();
    for worker in recording.windows().iter().flat_map(|window| window["workers"].as_array().expect("workers"))
    {
        let sum = sums.entry(counter(worker, "tgid")).or_default();
        for (name, number) in numbers(worker) {
            *sum.entry(name).or_default() += number;
        }
    }
    // The master, three workers, one of them dead.
    assert_eq!(workers(stat).len(), 4);
    for worker in workers(stat) {
        assert_eq!(sums.remove(&counter(worker, "tgid")), Some(numbers(worker)), "{worker:#}");
    }
    assert!(sums.is_empty(), "{sums:?}");

    // The kernel's files show a running thread's time up to its last tick.
    let lag_ns = 20_000_000;
    for (from_ns, on_cpu_ns, to_ns) in known {
        let on_cpu_ns = on_cpu_ns - before;
        let low = until(recording, from_ns, second, "on_cpu_ns");
        // The window that was under way ended later: with it the sum is at least what was known.
        let ends = recording.windows().iter().scan(counter(stat, "started_unix_ns"), |at, window| {
            *at += counter(window, "duration_ns");
            Some(*at)
        });
        let end_ns = ends.into_iter().find(|end| *end >= to_ns).expect("it was inside");
        let high = until(recording, end_ns, second, "on_cpu_ns");
        assert!(low <= on_cpu_ns + lag_ns && on_cpu_ns <= high + lag_ns, "{low} {on_cpu_ns} {high}");
    }
}
