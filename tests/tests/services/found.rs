//! Planted problems in services as they are deployed, and the line that names each: the quick part of `docs/found-by.md`.

use std::fs;

use profiler_tests::{
    fleets::children,
    load::{self, Load},
    punchclock::{counter, run, worker, workers},
    record::{Record, Recorded, folded},
    servers::Server,
    wait_for, workloads,
};
use serde_json::Value;

/// What `report` shows of a recording: folded stacks and their values.
fn report(recorded: &Recorded, arguments: &[&str]) -> Vec<(Vec<String>, u64)> {
    let [from, to] = ["all.punch", "again.folded"].map(|name| recorded.path(name).display().to_string());
    let output = run(&[&["report", &from, "-o", &to], arguments].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    folded(&recorded.text("again.folded"))
}

/// Panics unless at least half of what is in stacks from a root on is in those that have these frames.
fn assert_names(stacks: &[(Vec<String>, u64)], root: &str, frames: &[&str]) {
    let sum = |is_in: &dyn Fn(&[String]) -> bool| -> u64 {
        stacks.iter().filter(|(stack, _)| is_in(stack)).map(|(_, value)| value).sum()
    };
    let is_of_root = |stack: &[String]| stack[0] == root;
    let has =
        |stack: &[String]| frames.iter().all(|wanted| stack.iter().any(|frame| frame.starts_with(wanted)));
    let (all, named) = (sum(&is_of_root), sum(&|stack| is_of_root(stack) && has(stack)));
    let heaviest = stacks.iter().filter(|(stack, _)| is_of_root(stack)).max_by_key(|(_, value)| value);
    assert!(named != 0 && named * 2 >= all, "{frames:?}: {named} of {all}; {heaviest:#?}");
}

/// Where a workload's file has some text, as frames tell it.
fn place(file: &str, text: &str) -> String {
    let source = fs::read_to_string(workloads().join(file)).expect("it is there");
    let line = source.lines().position(|line| line.contains(text)).expect("it has the text") + 1;
    format!("workloads/{file}:{line}")
}

/// How many lines above the tables begin and go on so.
fn found(recorded: &Recorded, part: &str, begin: &str) -> usize {
    let output = String::from_utf8_lossy(&recorded.output.stdout);
    let count = output.lines().filter(|line| line.starts_with(begin) && line.contains(part)).count();
    println!("{output}");
    count
}

/// The rows' PIDs with a role, sorted.
fn tgids(stat: &Value, role: &str) -> Vec<u32> {
    let rows = workers(stat).into_iter().filter(|row| row["role"] == role);
    let mut tgids: Vec<_> = rows.map(|row| counter(row, "tgid") as u32).collect();
    tgids.sort_unstable();
    tgids
}

#[test]
fn queries_in_a_loop_and_a_shared_lock_in_django_under_gunicorn() {
    let arguments = ["-b", "127.0.0.1:{port}", "-k", "gthread", "--threads", "4", "django_shop"];
    let gunicorn = Server::start("gunicorn", &arguments, ("Booting worker", 1));
    wait_for("Django", || load::get(gunicorn.port()).is_ok());
    let worker_tgid = children(gunicorn.master())[0];
    let load = Load::start(gunicorn.port(), 6);
    let recorded = Record::start(&[gunicorn.master()], &[]).end_after(&[worker_tgid], 500);
    drop(load);
    let root = format!("worker {worker_tgid}");
    let query = "ForwardManyToOneDescriptor.__get__ (";
    assert_names(&report(&recorded, &[]), &root, &["list_books (workloads/django_shop.py:", query]);
    let lock = format!("convert_currency ({})", place("django_shop.py", "with RATES:"));
    assert_names(&report(&recorded, &["--off-cpu"]), &root, &[&lock, "[lock]"]);
    assert_eq!(found(&recorded, &format!("in {lock}"), "* lock: "), 1);
    let stat = recorded.recording.stat();
    assert_eq!(tgids(stat, "master"), [gunicorn.master()]);
    assert_eq!(worker(stat, worker_tgid)["worker_class"], "gthread");
}

#[test]
fn stalls_of_an_event_loop_in_fastapi_under_uvicorn_and_granian() {
    let uvicorn = ["--port", "{port}", "stalled_api:application"];
    let uvicorn = Server::start("uvicorn", &uvicorn, ("Application startup complete", 1));
    let granian = ["--interface", "asgi", "--port", "{port}", "stalled_api:application"];
    let granian = Server::start("granian", &granian, ("Started worker-1", 1));
    let tgids = [uvicorn.master(), children(granian.master())[0]];
    let loads = [&uvicorn, &granian].map(|server| Load::start(server.port(), 1));
    let recorded = Record::start(&[uvicorn.master(), granian.master()], &[]).end_after(&tgids, 400);
    drop(loads);
    for (tgid, class) in tgids.into_iter().zip(["uvloop", "asgi"]) {
        let root = format!("worker {tgid}");
        assert_names(&report(&recorded, &[]), &root, &["render_pdf (workloads/stalled_api.py:"]);
        let sleep = format!("ask_old_client ({})", place("stalled_api.py", "time.sleep("));
        assert_names(&report(&recorded, &["--off-cpu"]), &root, &[&sleep, "[sleep]"]);
        let row = worker(recorded.recording.stat(), tgid);
        assert_eq!((&row["role"], &row["worker_class"]), (&"worker".into(), &class.into()));
    }
    let sleep = format!("by sleep in ask_old_client ({})", place("stalled_api.py", "time.sleep("));
    assert_eq!(found(&recorded, &sleep, "! event loop blocked "), 2, "one of each server");
}

#[test]
fn a_long_start_of_celerys_workers_that_serve_few_tasks() {
    let redis =
        "exec -a redis-server redis-check-rdb --bind 127.0.0.1 --port {port} --save '' --dir /tmp >&2";
    let redis = Server::start("/bin/bash", &["-c", redis], ("Ready to accept connections", 1));
    let broker = format!("redis://127.0.0.1:{}", redis.port());
    let environment = [("BROKER", broker.as_str())];
    let arguments = ["-A", "churning_tasks", "worker", "-l", "info", "-c", "2", "--max-tasks-per-child", "3"];
    let celery = Server::start_with("celery", &arguments, (" ready.", 1), &environment);
    let record = Record::start(&[celery.master()], &[]);
    let before = children(celery.master());
    let _asking = Server::start_with("python", &["-u", "churning_tasks.py"], ("", 0), &environment);
    let mut seen = before.clone();
    wait_for("successors", || {
        let fresh = children(celery.master()).into_iter().filter(|tgid| !seen.contains(tgid));
        seen.extend(fresh.collect::<Vec<_>>());
        seen.len() >= before.len() + 4
    });
    let recorded = record.end();
    let stat = recorded.recording.stat();
    assert_eq!(tgids(stat, "master"), [celery.master()]);
    for tgid in &seen {
        let row = worker(stat, *tgid);
        assert_eq!((&row["role"], &row["worker_class"]), (&"worker".into(), &"prefork".into()), "{row:#}");
    }
    let output = String::from_utf8_lossy(&recorded.output.stdout);
    let boots = output.lines().find(|line| line.starts_with("boots: ")).unwrap_or_else(|| panic!("{output}"));
    assert!(boots.ends_with(" ms of CPU each until it first waits for work"), "{boots}");
    assert!(output.contains(" with status 155"), "the status of one that has had its tasks: {output}");
    let first = format!("worker {}", seen[before.len()]);
    assert_names(&report(&recorded, &[]), &first, &["load_model (workloads/churning_tasks.py:"]);
}

#[test]
fn a_thread_that_polls_in_uwsgi() {
    let arguments = ["--http-socket", "127.0.0.1:{port}", "--master", "--processes", "2", "--mule"];
    let arguments = [&arguments[..], &["--enable-threads", "--wsgi-file", "polling_app.py"]].concat();
    let uwsgi = Server::start("pyuwsgi", &arguments, ("spawned uWSGI ", 4));
    let spawned = uwsgi.said_tgids("spawned uWSGI worker 1 (pid: ");
    let output = run(&["stat", "--idle", "-d", "3", "-p", &uwsgi.master().to_string()]);
    let text = String::from_utf8_lossy(&output.stdout);
    let verdict = format!("worker {}: ", spawned[0]);
    let line = text.lines().find(|line| line.starts_with(&verdict)).unwrap_or_else(|| panic!("{text}"));
    let poller = place("polling_app.py", "time.sleep(").replace("workloads/", "");
    assert!(line.ends_with(&format!("by design: poll_flags ({poller})")), "{line}");
    assert!(!text.contains(&format!("master {}: ", uwsgi.master())), "{text}");
}
