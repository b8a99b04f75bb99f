//! Servers that are started while others are watched.

use std::time::{Duration, Instant};

use profiler_tests::{
    books::Books,
    budget::assert_adds_up_but,
    gunicorn::Gunicorn,
    load,
    punchclock::{counter, workers},
    steal::Stolen,
    watch::Watch,
};
use serde_json::Value;

/// How long a server may run unseen, and an interval and a look at its processes more.
const UNSEEN: Duration = Duration::from_secs(3);

/// Watches Gunicorns, of which a second one is started once the first is watched; returns that, and what happened in all the time.
fn watch(arguments: &[&str]) -> (Gunicorn, Value) {
    let first = Gunicorn::start(1, &[]);
    let watch = Watch::at_intervals("0.2", arguments);
    let began = Instant::now();
    let second = Gunicorn::start(2, &[]);
    watch.wait_for("the second one", |interval| {
        let seen = |tgid: &u32| workers(interval).into_iter().any(|row| row["tgid"] == *tgid);
        second.workers().iter().all(seen)
    });
    assert!(began.elapsed() < UNSEEN, "it was unseen for {:?}", began.elapsed());
    for _ in 0..20 {
        assert!(load::get(second.port).is_ok_and(|answer| answer.contains(" 200 ")));
    }
    let document = watch.end();
    assert!(workers(&document).into_iter().any(|row| row["tgid"] == first.master()));
    (second, document)
}

#[test]
fn a_server_that_is_started_later_is_followed() {
    for arguments in [&["gunicorn"][..], &["--all"], &["wsgi_app*"]] {
        let stolen = Stolen::so_far();
        let (second, document) = watch(arguments);
        assert_adds_up_but(&document, if stolen.is_more() { stolen.at_most() } else { 0 });
        for tgid in [second.workers(), vec![second.master()]].concat() {
            let row = workers(&document).into_iter().find(|row| row["tgid"] == tgid).expect("it is followed");
            let books: u64 = Books::of_process(tgid).values().map(|books| books.on_cpu_ns).sum();
            let on_cpu = counter(row, "on_cpu_ns");
            assert!(on_cpu < books, "what it did before counts: {on_cpu} of {books} ns");
            assert!(counter(row, "wall_ns") < counter(&document, "duration_ns"), "{row:#}");
            assert_eq!((&row["born"], &row["exited"]), (&false.into(), &false.into()), "{row:#}");
        }
        let fleet = document["fleets"].as_array().expect("fleets").last().expect("the second one");
        assert_eq!(fleet["server"], "gunicorn");
        let served: u64 =
            fleet["workers"].as_array().expect("workers").iter().map(|row| counter(row, "on_cpu_ns")).sum();
        assert!(served > 1_000_000, "it answered twenty requests: {fleet:#}");
    }
}

/// Whoever asks for a process does not want others.
#[test]
fn a_process_that_is_asked_for_stays_alone() {
    let first = Gunicorn::start(1, &[]);
    let watch = Watch::at_intervals("0.2", &["-p", &first.master().to_string()]);
    let second = Gunicorn::start(1, &[]);
    let until = Instant::now() + UNSEEN;
    while Instant::now() < until {
        assert!(workers(&watch.next()).into_iter().all(|row| row["tgid"] != second.master()));
    }
}
