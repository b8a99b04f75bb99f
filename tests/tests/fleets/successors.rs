//! Workers that are replaced while their fleet is watched: who comes is what he is by his server's rules, whatever his
//! command line says by then.

use std::process::Command;

use profiler_tests::{
    books::state,
    fleets::{children, command_line},
    gunicorn::{Gunicorn, venv},
    interpreters,
    punchclock::{counter, worker},
    record::Record,
    servers::Server,
    wait_for,
    watch::Watch,
    workload::signal,
    workloads,
};

const UNTITLED: [(&str, &str); 1] = [("PYTHONPATH", ".:untitled")];
const TITLED: [(&str, &str); 1] = [("PYTHONPATH", ".")];

/// Kills these children of a master, one after the other, and waits each time for another to come: the PIDs of those.
fn replace(master: u32, workers: &[u32]) -> Vec<u32> {
    let replace = |tgid: &u32| {
        let before = children(master);
        signal(*tgid, libc::SIGKILL);
        let fresh = || children(master).into_iter().find(|child| !before.contains(child));
        wait_for("a successor", || state(*tgid).is_none() && fresh().is_some());
        fresh().expect("it is there")
    };
    workers.iter().map(replace).collect()
}

/// Panics unless those that come in the places of these workers are workers of their class, as long as they live and
/// when they are dead.
fn assert_succeed(master: u32, workers: &[u32], class: Option<&str>) {
    let watch = Watch::start(&master.to_string());
    let fresh = replace(master, workers);
    let again = replace(master, &fresh[..1]);
    let document = watch.end();
    assert_eq!(worker(&document, master)["role"], "master");
    for (tgid, generation) in fresh.iter().map(|tgid| (*tgid, 1)).chain([(again[0], 2)]) {
        let row = worker(&document, tgid);
        assert_eq!(
            (&row["role"], row["worker_class"].as_str()),
            (&"worker".into(), class),
            "{tgid} of {master}: {}: {row:#}",
            command_line(tgid)
        );
        assert_eq!(counter(row, "generation"), generation, "{row:#}");
    }
    let fleet = &document["fleets"][0];
    assert_eq!(counter(fleet, "boots"), fresh.len() as u64 + 1, "{fleet:#}");
}

#[test]
fn of_gunicorn() {
    let untitled = Gunicorn::start(2, &[]);
    let titled = Gunicorn::titled(2, &[]);
    assert!(command_line(titled.workers()[0]).starts_with("gunicorn: worker"), "setproctitle is there");
    for gunicorn in [untitled, titled] {
        assert_succeed(gunicorn.master(), &gunicorn.workers(), Some("sync"));
    }
}

/// A worker a request or two: most live shorter than any look at `/proc` takes.
#[test]
fn of_gunicorn_that_serve_few_requests() {
    let gunicorn = Gunicorn::titled(1, &["--max-requests", "1"]);
    let record = Record::start(&[gunicorn.master()], &["--json"]);
    let mut seen = gunicorn.workers();
    while seen.len() < 8 {
        // A worker on its way out may drop a connection.
        let _ = profiler_tests::load::get(gunicorn.port);
        seen.extend(gunicorn.workers().into_iter().filter(|tgid| !seen.contains(tgid)).collect::<Vec<_>>());
    }
    let recorded = record.end();
    let stat = recorded.recording.stat();
    for tgid in &seen {
        assert_eq!(worker(stat, *tgid)["role"], "worker", "{tgid}");
    }
}

#[test]
fn of_celery() {
    for environment in [UNTITLED, TITLED] {
        let arguments = ["-A", "celery_app:hub", "worker", "-l", "info", "-c", "2"];
        let celery = Server::start_with("celery", &arguments, (" ready.", 1), &environment);
        assert_succeed(celery.master(), &children(celery.master()), Some("prefork"));
    }
}

#[test]
fn of_uwsgi() {
    let arguments = ["--http-socket", "127.0.0.1:{port}", "--master", "--processes", "2", "--wsgi-file"];
    let arguments = [&arguments[..], &["who_app.py"]].concat();
    let uwsgi = Server::start("pyuwsgi", &arguments, ("spawned uWSGI worker", 2));
    assert_succeed(uwsgi.master(), &children(uwsgi.master()), None);
}

#[test]
fn of_uvicorn_which_spawns_them() {
    let arguments = ["--port", "{port}", "--workers", "2", "asgi_app:application"];
    let uvicorn = Server::start("uvicorn", &arguments, ("Application startup complete", 2));
    let workers = uvicorn.said_tgids("Started server process [");
    assert_succeed(uvicorn.master(), &workers, Some("uvloop"));
}

/// It titles them by itself.
#[test]
fn of_granian_which_respawns_them() {
    let arguments = ["--interface", "wsgi", "--port", "{port}", "--workers", "2"];
    let arguments = [&arguments[..], &["--respawn-failed-workers", "who_app:application"]].concat();
    let granian = Server::start("granian", &arguments, ("Started worker-", 2));
    assert_succeed(granian.master(), &granian.said_tgids(" with PID: "), Some("wsgi"));
}

/// Its workers end after their requests, and others are spawned.
#[test]
fn of_hypercorn_that_serve_few_requests() {
    let arguments = ["-b", "127.0.0.1:{port}", "-w", "2", "--max-requests", "2", "asgi_app:application"];
    let hypercorn = Server::start("hypercorn", &arguments, ("Running on", 2));
    let spawned = || -> Vec<u32> {
        let children = children(hypercorn.master()).into_iter();
        children.filter(|tgid| command_line(*tgid).contains("spawn_main")).collect()
    };
    let watch = Watch::start(&hypercorn.master().to_string());
    let mut seen = spawned();
    assert_eq!(seen.len(), 2, "{}", command_line(hypercorn.master()));
    wait_for("two successors", || {
        // A worker on its way out may drop a connection.
        let _ = profiler_tests::load::get(hypercorn.port());
        seen.extend(spawned().into_iter().filter(|tgid| !seen.contains(tgid)).collect::<Vec<_>>());
        seen.len() >= 4
    });
    let document = watch.end();
    for tgid in &seen {
        let row = worker(&document, *tgid);
        assert_eq!((&row["role"], row["slot"].is_u64()), (&"worker".into(), true), "{row:#}");
    }
}

/// The pool's own thread forks them.
#[test]
fn of_a_pool_of_processes() {
    let Some(python) = interpreters::required(11) else { return };
    let pool = python.start("pool.py", &[]);
    assert_succeed(pool.tgid(), &children(pool.tgid()), Some("pool"));
}

/// A process for each job.
#[test]
fn of_rqs_horses() {
    let redis =
        "exec -a redis-server redis-check-rdb --bind 127.0.0.1 --port {port} --save '' --dir /tmp >&2";
    let redis = Server::start("/bin/bash", &["-c", redis], ("Ready to accept connections", 1));
    let url = format!("redis://127.0.0.1:{}", redis.port());
    let rq = Server::start("rq", &["worker", "mail", "--url", &url], ("Listening on", 1));
    let watch = Watch::start(&rq.master().to_string());
    let put = || {
        let job = ["rest_job.py", &url, "mail", "/dev/null"];
        let job = Command::new(venv().join("bin/python")).current_dir(workloads()).args(job).status();
        assert!(job.expect("it runs").success());
    };
    let horses = [0, 1, 2].map(|_| {
        put();
        wait_for("a horse", || children(rq.master()).iter().any(|tgid| state(*tgid) == Some('S')));
        let horse = children(rq.master())[0];
        signal(horse, libc::SIGKILL);
        wait_for("its end", || state(horse).is_none());
        horse
    });
    let document = watch.end();
    for (tgid, generation) in horses.into_iter().zip(0..) {
        let row = worker(&document, tgid);
        assert_eq!((&row["role"], &row["worker_class"]), (&"worker".into(), &"horse".into()), "{row:#}");
        assert_eq!((counter(row, "slot"), counter(row, "generation")), (1, generation), "{row:#}");
    }
}
