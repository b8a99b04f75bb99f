//! What idle servers do: they wake up as often as their sources say, woken by timers, and wait for nothing but work.
//! The numbers are from Gunicorn 27.0.1, uvicorn 0.54.0, uWSGI 2.0.30, Django 6.1.3, Flask 3.1.3 and Dramatiq 2.2.1.

use std::{ops::RangeInclusive, sync::LazyLock};

use profiler_tests::{
    gunicorn::Gunicorn,
    punchclock::{counter, json, worker},
    servers::{Server, assert_idle},
};
use serde_json::Value;

/// Length of the window, s. All servers are watched in one window: idle ones do not disturb each other.
const SECONDS: u32 = 10;

/// What they did, and the PIDs of their masters.
struct Seen {
    document: Value,
    sync: u32,
    gthread: u32,
    gevent: u32,
    asgi: [u32; 2],
    uvicorn: [u32; 2],
    uvicorn_workers: u32,
    uwsgi: u32,
    development: [u32; 2],
    dramatiq: u32,
}

static SEEN: LazyLock<Seen> = LazyLock::new(|| {
    let asgi = |event_loop: &str| {
        let arguments = ["--no-control-socket", "-b", "127.0.0.1:{port}", "-w", "2", "-k", "asgi"];
        let arguments = [&arguments[..], &["--asgi-loop", event_loop, "asgi_app:application"]].concat();
        Server::start("gunicorn", &arguments, ("ASGI server listening", 2))
    };
    let uvicorn = |event_loop: &str, workers: usize| {
        let count = workers.to_string();
        let arguments = ["--port", "{port}", "--loop", event_loop, "--workers", &count];
        let arguments = [&arguments[..], &["asgi_app:application"]].concat();
        Server::start("uvicorn", &arguments, ("Application startup complete", workers))
    };
    let gunicorns: [&[&str]; 3] = [&["--timeout", "4"], &["--threads", "4"], &["--worker-class", "gevent"]];
    let gunicorns = gunicorns.map(|arguments| Gunicorn::start(2, arguments));
    let uwsgi = ["--http-socket", "127.0.0.1:{port}", "--master", "--processes", "2", "--wsgi-file"];
    let uwsgi = [&uwsgi[..], &["who_app.py"]].concat();
    let uwsgi = Server::start("pyuwsgi", &uwsgi, ("spawned uWSGI worker", 2));
    let django = ["-u", "who_site/manage.py", "runserver", "127.0.0.1:{port}"];
    let development = [
        Server::start("python", &[&django[..], &["--noreload"]].concat(), ("Starting development server", 1)),
        Server::start("flask", &["--app", "flask_app", "run", "-p", "{port}"], ("Running on", 1)),
    ];
    let dramatiq = ["-p", "2", "-t", "1", "dramatiq_app"];
    let dramatiq = Server::start("dramatiq", &dramatiq, ("is ready for action", 2));
    let servers =
        [asgi("asyncio"), asgi("uvloop"), uvicorn("asyncio", 1), uvicorn("uvloop", 1), uvicorn("asyncio", 2)];
    let [sync, gthread, gevent] = [0, 1, 2].map(|index| gunicorns[index].master());
    let [asgi, asgi_uvloop, uvicorn, uvicorn_uvloop, uvicorn_workers] =
        [0, 1, 2, 3, 4].map(|index| servers[index].master());
    let (asgi, uvicorn) = ([asgi, asgi_uvloop], [uvicorn, uvicorn_uvloop]);
    let masters = [&[sync, gthread, gevent, uvicorn_workers, uwsgi.master()][..], &asgi, &uvicorn].concat();
    let watched = development.each_ref().map(Server::master);
    let masters = [&masters[..], &watched, &[dramatiq.master()]].concat();
    let masters: Vec<_> = masters.iter().map(ToString::to_string).collect();
    let document = json(&["stat", "--json", "-d", &SECONDS.to_string(), "-p", &masters.join(",")]);
    Seen {
        document,
        sync,
        gthread,
        gevent,
        asgi,
        uvicorn,
        uvicorn_workers,
        uwsgi: uwsgi.master(),
        development: watched,
        dramatiq: dramatiq.master(),
    }
});

/// How often something happens in the window that happens every so many ms: never early, and up to a tenth late.
fn times_every(period_ms: u32) -> RangeInclusive<u64> {
    let window_ms = SECONDS * 1000;
    u64::from(window_ms * 10 / (period_ms * 11))..=u64::from(window_ms / period_ms + 1)
}

/// Panics unless a worker or a thread waits for work alone, and for so many ms each time, by a timer.
fn assert_wakes_every(period_ms: u32, of: &Value, who: &str) {
    assert_idle(of, who);
    let times = times_every(period_ms);
    // Threads that wake at once take turns with the GIL, which is no part of the design.
    let wakeups = counter(of, "wakeups") - counter(&of["blocked_by"]["gil"], "count");
    assert!(times.contains(&wakeups), "{who} wakes up {wakeups} times, not {times:?}: {of:#}");
    let by_timers = counter(&of["wakeups_by"], "timer");
    assert!(by_timers * 10 >= wakeups * 9, "{who}: {by_timers} of {wakeups} by timers: {of:#}");
}

/// The children of a master, of which there must be so many.
fn children(master: u32, expected: usize) -> Vec<&'static Value> {
    let fleets = SEEN.document["fleets"].as_array().expect("fleets").iter();
    let has = |fleet: &&Value| {
        fleet["workers"].as_array().expect("workers").iter().any(|worker| worker["tgid"] == master)
    };
    let fleet = fleets.filter(has).flat_map(|fleet| fleet["workers"].as_array().expect("workers"));
    let children: Vec<_> = fleet.filter(|worker| worker["tgid"] != master).collect();
    assert_eq!(children.len(), expected, "{children:#?}");
    children
}

fn threads(worker: &Value) -> (&Value, Vec<&Value>) {
    let all = worker["threads"].as_array().expect("threads").iter();
    let (main, others): (Vec<_>, Vec<_>) = all.partition(|thread| thread["tid"] == worker["tgid"]);
    (main.first().expect("a main thread"), others)
}

/// `gunicorn/arbiter.py`: `wait_for_signals(timeout=1.0)`.
#[test]
fn gunicorn_masters_look_for_signals_every_second() {
    for master in [SEEN.sync, SEEN.gthread, SEEN.gevent, SEEN.asgi[0], SEEN.asgi[1]] {
        assert_wakes_every(1000, worker(&SEEN.document, master), "the master");
    }
}

/// `gunicorn/arbiter.py` gives its workers half the timeout, and `workers/sync.py` selects so long.
#[test]
fn gunicorn_sync_wakes_twice_in_its_timeout() {
    for worker in children(SEEN.sync, 2) {
        assert_wakes_every(4000 / 2, worker, "a sync worker");
    }
}

/// `workers/gthread.py`: `wait_for_and_dispatch_events(timeout=1.0)`; the threads of its pool are not woken.
#[test]
fn gunicorn_gthread_wakes_every_second() {
    let mut pooled = 0;
    for worker in children(SEEN.gthread, 2) {
        let (main, others) = threads(worker);
        assert_wakes_every(1000, main, "a gthread worker's main thread");
        for thread in others {
            assert_idle(thread, "a thread of the pool");
            assert_eq!(counter(thread, "wakeups"), 0, "{thread:#}");
            pooled += 1;
        }
    }
    assert!(pooled >= 1, "one of them has answered a request");
}

/// `workers/ggevent.py`: `gevent.sleep(1.0)`.
#[test]
fn gunicorn_gevent_wakes_every_second() {
    for worker in children(SEEN.gevent, 2) {
        assert_wakes_every(1000, worker, "a gevent worker");
    }
}

/// `workers/gasgi.py`: `asyncio.sleep(1.0)`.
#[test]
fn gunicorn_asgi_wakes_every_second() {
    for master in SEEN.asgi {
        for worker in children(master, 2) {
            assert_wakes_every(1000, worker, "an asgi worker");
        }
    }
}

/// Checks uWSGI: a turn of the master's loop takes a second at most; a worker waits in `epoll_wait` without an end.
#[test]
fn uwsgis_master_wakes_every_second_and_its_workers_never() {
    assert_wakes_every(1000, worker(&SEEN.document, SEEN.uwsgi), "the master");
    for worker in children(SEEN.uwsgi, 2) {
        assert_idle(worker, "a worker");
        assert_eq!(counter(worker, "wakeups"), 0, "{worker:#}");
    }
}

/// `uvicorn/server.py`: `asyncio.sleep(0.1)`. uvloop's own threads, which are not Python's, wait to look names up.
#[test]
fn uvicorn_wakes_ten_times_a_second() {
    for master in SEEN.uvicorn {
        let (main, _) = threads(worker(&SEEN.document, master));
        assert_wakes_every(100, main, "uvicorn");
    }
}

/// `uvicorn/supervisors/multiprocess.py`: the parent pings each child over a socket every 0.5 s, and a thread of the
/// child answers. The ping wakes that thread, and so does the parent when it takes the answer: the kernel tells all
/// who wait at a socket that there is room to write again (`unix_write_space`), and it goes back to sleep.
#[test]
fn uvicorn_workers_answer_pings_besides() {
    let family = children(SEEN.uvicorn_workers, 3);
    let (workers, trackers): (Vec<_>, Vec<_>) = family.into_iter().partition(|row| row["role"] == "worker");
    assert_eq!((workers.len(), trackers.len()), (2, 1), "multiprocessing tracks what its children share");
    for worker in workers {
        let (main, others) = threads(worker);
        assert_wakes_every(100, main, "a worker's main thread");
        let [answering] = others[..] else { panic!("one thread answers: {worker:#}") };
        assert_idle(answering, "the answering thread");
        let pings = times_every(500);
        let wakeups = counter(answering, "wakeups");
        assert!((*pings.start()..=2 * pings.end()).contains(&wakeups), "{wakeups} of {pings:?} pings");
        let by_parent = counter(&answering["wakeups_by"], "master");
        assert!(by_parent * 10 >= wakeups * 9, "{by_parent} of {wakeups} by the parent: {answering:#}");
    }
    for tracker in trackers {
        assert_idle(tracker, "the resource tracker");
        assert_eq!(counter(tracker, "wakeups"), 0);
    }
}

/// The parent's own tick is a timer; of the answers it waits for those that are not there yet when it looks.
#[test]
fn uvicorns_supervisor_wakes_twice_a_second_and_for_answers() {
    let parent = worker(&SEEN.document, SEEN.uvicorn_workers);
    assert_idle(parent, "the supervisor");
    let ticks = times_every(500);
    let by = &parent["wakeups_by"];
    let (timers, answers) = (counter(by, "timer"), counter(by, "worker"));
    assert!(ticks.contains(&timers), "{timers} ticks, not {ticks:?}: {parent:#}");
    assert!(answers <= 2 * ticks.end(), "{answers} answers of two children to {ticks:?} pings: {parent:#}");
    assert!(counter(parent, "wakeups").abs_diff(timers + answers) <= 1, "nobody else wakes it: {parent:#}");
}

/// `socketserver.py`: `serve_forever(poll_interval=0.5)`.
#[test]
fn development_servers_wake_twice_a_second() {
    for alone in SEEN.development {
        assert_wakes_every(500, worker(&SEEN.document, alone), "a development server");
    }
}

/// `dramatiq/cli.py`: `join(timeout=1)`, and in a thread `wait(pipes, timeout=1)`.
#[test]
fn dramatiqs_master_wakes_twice_a_second() {
    assert_wakes_every(1000 / 2, worker(&SEEN.document, SEEN.dramatiq), "the master");
}
