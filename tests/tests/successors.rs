//! Workers that are replaced while their fleet is watched: who comes is what he is by his server's rules, whatever his
//! command line says by then.

use profiler_tests::{
    books::state,
    fleets::{children, command_line},
    gunicorn::Gunicorn,
    punchclock::{counter, worker},
    record::Record,
    servers::Server,
    wait_for,
    watch::Watch,
    workload::signal,
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
