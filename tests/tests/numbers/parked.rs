//! Threads that have nothing to do are no part of what their process does: they drown nobody.

use profiler_tests::{
    gunicorn::Gunicorn,
    punchclock::{counter, json, punchclock, worker},
};
use serde_json::Value;

fn ns(of: &Value, reason: &str) -> u64 {
    of["blocked_by"][reason]["ns"].as_u64().unwrap_or(0)
}

/// Panics unless all that is not parked waits for work, and returns how many threads are parked.
fn assert_idle_but_for_the_parked(worker: &Value) -> usize {
    let works = counter(worker, "wall_ns") - ns(worker, "parked");
    assert!(ns(worker, "idle") * 100 >= works * 99, "{worker:#}");
    let threads = worker["threads"].as_array().expect("threads").iter();
    threads.filter(|thread| ns(thread, "parked") * 1000 >= counter(thread, "wall_ns") * 999).count()
}

#[test]
fn pools_and_timers_of_an_idle_worker() {
    let gunicorn = Gunicorn::serving("pooled_app", 1, &[]);
    let arguments = ["-d", "2", "-p", &gunicorn.master().to_string()];
    let document = json(&[&["stat", "--json"], &arguments[..]].concat());
    let of = worker(&document, gunicorn.workers()[0]);
    let parked = assert_idle_but_for_the_parked(of);
    // numpy's library has a thread for each CPU but one.
    let pool = std::thread::available_parallelism().expect("CPUs").get() - 1;
    assert_eq!(parked, pool, "{of:#}");
    assert_eq!(of["threads"].as_array().map(Vec::len), Some(1 + 3 + pool), "{of:#}");

    // The budget is of the others, and says so.
    let output = punchclock(&[&["stat"], &arguments[..]].concat()).output().expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && text.contains(&format!("{pool} other")), "{text}");
    let row = text.lines().rfind(|line| line.starts_with("worker ")).expect("a budget");
    let shares: Vec<f64> = row.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    assert!(shares.iter().any(|share| *share > 99.0), "{text}");
}
