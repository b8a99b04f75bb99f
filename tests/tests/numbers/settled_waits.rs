//! What waits are for, by the stacks of real servers and libraries: waits for work are `idle`, and those inside of a
//! request are what they are.

use std::time::Duration;

use profiler_tests::{
    interpreters,
    punchclock::{counter, json, worker, workers},
    record::Record,
    servers::{Server, assert_idle, slow},
    watch::Watch,
};
use serde_json::Value;

fn threads(worker: &Value) -> &Vec<Value> {
    worker["threads"].as_array().expect("threads")
}

/// The pools of the standard library: their processes, their threads, and the threads that hand out tasks. The main
/// thread, which waits for its standard input, is not theirs.
#[test]
fn pools_wait_for_work() {
    for interpreter in interpreters::since(8) {
        let pools = interpreter.start("idle_pools.py", &[]);
        let document = json(&["stat", "--json", "-d", "0.5", "-p", &pools.pid()]);
        assert_eq!(workers(&document).len(), 1 + 2 + 2, "a parent with four children");
        let who = |name: &str| format!("{name} under {interpreter:?}");
        for child in workers(&document).into_iter().filter(|child| child["tgid"] != pools.tgid()) {
            assert_idle(child, &who("a process of a pool"));
        }
        let parent = worker(&document, pools.tgid());
        let (main, others): (Vec<_>, Vec<_>) =
            threads(parent).iter().partition(|thread| thread["tid"] == pools.tgid());
        // Three of multiprocessing's pool, two of the executor, and two that work.
        assert_eq!(others.len(), 3 + 2 + 2, "{parent:#}");
        for thread in others {
            assert_idle(thread, &who("a thread of a pool"));
        }
        let main = main.first().expect("a main thread");
        let pipe = counter(&main["blocked_by"]["pipe"], "ns");
        assert!(pipe * 100 >= counter(main, "blocked_ns") * 99, "it reads a pipe: {main:#}");
    }
}

/// Celery: the processes of its pool, and the main process with the threads that serve them, for both kinds of
/// brokers.
#[test]
fn celery_waits_for_tasks() {
    for broker in ["polling", "hub"] {
        let application = format!("celery_app:{broker}");
        let arguments = ["-A", &application, "worker", "--concurrency", "2", "--loglevel", "info"];
        let celery = Server::start("celery", &arguments, (" ready.", 1));
        let document = json(&["stat", "--json", "-d", "3", "-p", &celery.master().to_string()]);
        assert_eq!(workers(&document).len(), 1 + 2, "{document:#}");
        for worker in workers(&document) {
            assert_idle(worker, broker);
        }
    }
}

/// uWSGI as a module: its first thread waits in C below the script that started it, its second one below nothing.
#[test]
fn uwsgi_waits_for_requests() {
    let arguments = ["--http-socket", "127.0.0.1:{port}", "--master", "--processes", "2", "--threads", "2"];
    let arguments = [&arguments[..], &["--wsgi-file", "wsgi_app.py"]].concat();
    let uwsgi = Server::start("pyuwsgi", &arguments, ("spawned uWSGI worker", 2));
    assert!(uwsgi.ask("/").starts_with("<h1>"), "it answers");
    let document = json(&["stat", "--json", "-d", "3", "-p", &uwsgi.master().to_string()]);
    assert_eq!(workers(&document).len(), 1 + 2, "{document:#}");
    for worker in workers(&document) {
        assert_idle(worker, "uWSGI");
        let expected = if worker["tgid"] == uwsgi.master() { 1 } else { 2 };
        assert_eq!(threads(worker).len(), expected, "{worker:#}");
    }
}

/// Panics unless a worker waited for what its answer says, for as long as it says, and otherwise for work.
fn assert_waited(worker: &Value, answer: &str) {
    let words: Vec<_> = answer.split(' ').collect();
    let [told, least, most] = words[..] else { panic!("a reason, ns at least and at most: {answer}") };
    let number = |word: &str| word.parse::<u64>().expect("a number");
    let waited = |reason: &str| counter(&worker["blocked_by"][reason], "ns");
    // A timeout runs on while its thread waits for a CPU. Besides what the view knows of there is the reading of the
    // request, and an odd lock of the server's own.
    let least = number(least).saturating_sub(counter(worker, "run_queue_ns"));
    let besides = 30_000_000;
    assert!(["sleep", "socket", "lock"].contains(&told) && least > besides, "{answer}: {worker:#}");
    for reason in ["sleep", "socket", "lock"] {
        let range = if reason == told { least..=number(most) + besides } else { 0..=besides };
        let ns = waited(reason);
        assert!(range.contains(&ns), "{ns} ns of {reason}, not {range:?}: {worker:#}");
    }
    let explained: u64 = ["idle", "sleep", "socket", "lock"].into_iter().map(waited).sum();
    let blocked = counter(worker, "blocked_ns");
    assert!(explained * 100 >= blocked * 99, "{explained} ns of {blocked} ns: {worker:#}");
}

/// Views on Gunicorn's threads: each wait is for what the view waits for, and the rest is waiting for requests.
#[test]
fn waits_inside_of_requests_stay_what_they_are() {
    let seconds = 0.4;
    let url = slow(Duration::from_secs_f64(seconds));
    let environment = [("SLOW_URL", url.as_str()), ("SLOW_SECONDS", &seconds.to_string())];
    let arguments = ["--no-control-socket", "-b", "127.0.0.1:{port}", "--threads", "2"];
    let arguments = [&arguments[..], &["waiting_views:application"]].concat();
    let gunicorn = Server::start_with("gunicorn", &arguments, ("Booting worker", 1), &environment);
    assert_eq!(gunicorn.ask("/"), "idle 0 0");
    for view in ["/sleep", "/poll", "/http", "/queue", "/lock", "/thread"] {
        let watch = Watch::start(&gunicorn.master().to_string());
        let answer = gunicorn.ask(view);
        let document = watch.end();
        let found = workers(&document).into_iter().find(|worker| worker["tgid"] != gunicorn.master());
        assert_waited(found.expect("a worker"), &answer);
        assert_idle(worker(&document, gunicorn.master()), "the master");
    }
}

/// A coroutine that blocks its event loop does not wait for work, though the loop does before and after.
#[test]
fn a_coroutine_that_blocks_its_loop_is_not_idle() {
    let arguments = ["--port", "{port}", "--loop", "asyncio", "asgi_app:application"];
    let uvicorn = Server::start("uvicorn", &arguments, ("Uvicorn running", 1));
    let watch = Watch::start(&uvicorn.master().to_string());
    let answer = uvicorn.ask("/sleep");
    let document = watch.end();
    assert_waited(worker(&document, uvicorn.master()), &answer);
}

fn thread<'a>(worker: &'a Value, name: &str) -> &'a Value {
    threads(worker).iter().find(|thread| thread["name"] == name).unwrap_or_else(|| panic!("{worker:#}"))
}

/// A `poll` that began before the window: the kernel side sees it from another thread.
#[test]
fn a_poll_from_before_the_window_is_for_what_it_polls() {
    let Some(python) = interpreters::required(11) else { return };
    let workload = python.start("polled.py", &[]);
    let document = json(&["stat", "--json", "-d", "0.5", "-p", &workload.pid()]);
    for reason in ["pipe", "socket"] {
        let thread = thread(worker(&document, workload.tgid()), reason);
        let waited = counter(&thread["blocked_by"][reason], "ns");
        assert!(waited != 0 && waited == counter(thread, "blocked_ns"), "{thread:#}");
    }
    let recorded = Record::start(&[workload.tgid()], &[]).end();
    let row = worker(recorded.recording.stat(), workload.tgid());
    let tid = thread(row, "pipe")["tid"].as_u64().and_then(|tid| tid.try_into().ok()).expect("a TID");
    let waits = recorded.recording.blocked_of(workload.tgid(), tid);
    assert!(!waits.is_empty() && waits.iter().all(|wait| wait.reason == "pipe"), "{waits:?}");
}

/// In a frozen application the library's files have no folder.
#[test]
fn a_frozen_pool_waits_for_work() {
    let Some(python) = interpreters::required(11) else { return };
    let workload = python.start("frozen.py", &[]);
    let document = json(&["stat", "--json", "-d", "0.5", "-p", &workload.pid()]);
    assert_idle(thread(worker(&document, workload.tgid()), "pool"), "a frozen pool");
}
