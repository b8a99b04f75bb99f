//! Every server that `ps` knows, as it is shipped, with nothing to do: all its threads that work for requests wait for work.

use std::{fs, thread, time::Duration};

use profiler_tests::{
    apache, interpreters,
    punchclock::{counter, json},
    servers::{Server, is_idle, is_parked},
    workload::Workload,
    workloads,
};
use serde_json::Value;

const ASGI: &str = "asgi_app:application";
const WSGI: &str = "who_app:application";
const LISTEN: &str = "127.0.0.1:{port}";

/// How long servers are given to end what they do when they start: some look around for two seconds after they are ready.
const SETTLES: Duration = Duration::from_secs(3);

/// A server that says that it is ready.
fn server(program: &str, arguments: &[&str], ready: (&str, usize)) -> (String, Server) {
    let name = [&[program], arguments].concat().join(" ");
    (name, Server::start(program, arguments, ready))
}

/// Panics unless every thread of the fleets that have these processes waits for work, but for those of native pools that nobody
/// gives work.
fn assert_all_idle(names: &[(String, u32)]) {
    let tgids: Vec<_> = names.iter().map(|(_, tgid)| *tgid).collect();
    assert_all_idle_below(&tgids, names);
}

/// Looks for the fleets below some processes, and is as strict with their threads as [`assert_all_idle`].
fn assert_all_idle_below(above: &[u32], names: &[(String, u32)]) {
    thread::sleep(SETTLES);
    let tgids: Vec<_> = above.iter().map(u32::to_string).collect();
    let document = json(&["stat", "--json", "-d", "5", "-p", &tgids.join(",")]);
    let fleets = document["fleets"].as_array().expect("fleets");
    let mut busy = Vec::new();
    for (name, tgid) in names {
        let of = |fleet: &&Value| {
            let workers = fleet["workers"].as_array().expect("workers");
            workers.iter().any(|worker| worker["tgid"] == *tgid)
        };
        let fleet = fleets.iter().find(of).unwrap_or_else(|| panic!("{name}: no fleet has it"));
        for worker in fleet["workers"].as_array().expect("workers") {
            for thread in worker["threads"].as_array().expect("threads") {
                if !is_parked(thread) && !is_idle(thread) && !is_own(worker, thread) {
                    busy.push(busy_as(name, worker, thread));
                }
            }
        }
    }
    assert!(busy.is_empty(), "{}", busy.join("\n"));
}

/// True of what `started_pools.py` waits for by itself: its input, and a message to the process that is in no pool.
fn is_own(worker: &Value, thread: &Value) -> bool {
    let is_master = worker["role"] == "master" && thread["tid"] == worker["tgid"];
    worker["worker_class"] == "process"
        || is_master && thread["name"].as_str().is_some_and(|name| name.starts_with("python3."))
}

/// What a thread did instead, on a line.
fn busy_as(server: &str, worker: &Value, thread: &Value) -> String {
    let reasons = thread["blocked_by"].as_object().expect("reasons").iter();
    let reasons = reasons.map(|(reason, blocked)| (reason, counter(blocked, "ns") / 1_000_000));
    let waited: Vec<_> = reasons.filter(|(_, ms)| *ms > 0).collect();
    let on_cpu = counter(thread, "on_cpu_ns") / 1_000_000;
    format!(
        "{server}: {} {}, thread {} {}: {on_cpu} ms on a CPU, {waited:?} ms",
        worker["role"], worker["tgid"], thread["tid"], thread["name"]
    )
}

/// Asserts that servers which are started together are idle: idle ones do not disturb each other.
fn assert_idle_together(servers: &[(String, Server)]) {
    let names: Vec<_> = servers.iter().map(|(name, server)| (name.clone(), server.master())).collect();
    assert_all_idle(&names);
}

#[test]
fn gunicorns() {
    let base = ["-b", LISTEN, "--no-control-socket", "-w", "2"];
    let start = |more: &[&str]| server("gunicorn", &[&base, more].concat(), ("Booting worker", 2));
    assert_idle_together(&[
        start(&["-k", "sync", WSGI]),
        start(&["-k", "gthread", "--threads", "2", WSGI]),
        start(&["-k", "gevent", WSGI]),
        start(&["-k", "tornado", WSGI]),
        start(&["-k", "asgi", ASGI]),
        start(&["-k", "uvicorn_worker.UvicornWorker", ASGI]),
    ]);
}

#[test]
fn uvicorns_and_hypercorns() {
    let uvicorn = |more: &[&str], times| {
        server(
            "uvicorn",
            &[&["--port", "{port}"], more, &[ASGI]].concat(),
            ("Application startup complete", times),
        )
    };
    let hypercorn = |workers: &str, class: &str, times| {
        server("hypercorn", &["-b", LISTEN, "-w", workers, "-k", class, ASGI], ("Running on", times))
    };
    assert_idle_together(&[
        uvicorn(&["--loop", "asyncio"], 1),
        uvicorn(&["--loop", "uvloop"], 1),
        uvicorn(&["--workers", "2"], 2),
        uvicorn(&["--reload"], 1),
        hypercorn("0", "asyncio", 1),
        hypercorn("2", "asyncio", 2),
        hypercorn("2", "uvloop", 2),
        hypercorn("2", "trio", 2),
    ]);
}

#[test]
fn granians_waitress_and_development_servers() {
    let granian = |interface: &str, app: &str, more: &[&str]| {
        let arguments = ["--interface", interface, "--port", "{port}", "--workers", "2"];
        server("granian", &[&arguments, more, &[app]].concat(), ("Started worker-", 2))
    };
    assert_idle_together(&[
        granian("asgi", ASGI, &[]),
        granian("wsgi", WSGI, &[]),
        granian("wsgi", WSGI, &["--runtime-mode", "mt", "--blocking-threads", "2"]),
        server("waitress-serve", &["--listen", LISTEN, "--threads", "2", WSGI], ("Serving on", 1)),
        server("flask", &["--app", "flask_app", "run", "-p", "{port}"], ("Running on", 1)),
        server(
            "python",
            &["-u", "who_site/manage.py", "runserver", "--noreload", LISTEN],
            ("Starting development server", 1),
        ),
    ]);
}

#[test]
fn uwsgis() {
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let spooler = folder.path().display().to_string();
    let helpers = ["--master", "--processes", "2", "--mule", "--mule", "--spooler", &spooler];
    let start = |program: &str, more: &[&str]| {
        let arguments = ["--http-socket", LISTEN, "--module", WSGI];
        server(program, &[&arguments, more].concat(), ("spawned uWSGI worker 1", 1))
    };
    assert_idle_together(&[
        start("uwsgi", &helpers),
        start("pyuwsgi", &helpers),
        start("uwsgi", &["--master", "--processes", "2", "--threads", "2"]),
        start("pyuwsgi", &["--master", "--processes", "2", "--threads", "2"]),
        start("uwsgi", &["--gevent", "10"]),
        start("pyuwsgi", &["--master", "--cheaper", "1", "--processes", "2"]),
    ]);
}

#[test]
fn celeries() {
    let start = |more: &[&str]| {
        server(
            "celery",
            &[&["-A", "celery_app:polling", "worker", "-l", "info"], more].concat(),
            (" ready.", 1),
        )
    };
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let schedule = folder.path().join("schedule").display().to_string();
    let own = folder.path().join("own").display().to_string();
    let beat = ["-A", "celery_app:polling", "beat", "-l", "info", "-s", &own, "--pidfile="];
    assert_idle_together(&[
        server("celery", &beat, ("beat: Starting", 1)),
        start(&["-c", "2"]),
        start(&["-c", "2", "-B", "-s", &schedule]),
        start(&["-P", "threads"]),
        start(&["-P", "gevent"]),
        start(&["-P", "solo"]),
    ]);
}

#[test]
fn rqs_dramatiq_and_huey() {
    let redis =
        "exec -a redis-server redis-check-rdb --bind 127.0.0.1 --port {port} --save '' --dir /tmp >&2";
    let redis = Server::start("/bin/bash", &["-c", redis], ("Ready to accept connections", 1));
    let url = format!("redis://127.0.0.1:{}", redis.port());
    let start = |arguments: &[&str], times| {
        server("rq", &[arguments, &["--url", &url]].concat(), ("Listening on", times))
    };
    let told = |program: &str, arguments: &[&str], ready: (&str, usize)| {
        let broker = [("BROKER", &*url)];
        (program.to_owned(), Server::start_with(program, arguments, ready, &broker))
    };
    assert_idle_together(&[
        start(&["worker", "mail"], 1),
        start(&["worker", "--with-scheduler", "low"], 1),
        start(&["worker", "-w", "rq.SimpleWorker", "simple"], 1),
        start(&["worker-pool", "-n", "2", "pooled"], 2),
        told("dramatiq", &["-p", "2", "-t", "2", "dramatiq_app"], ("process is ready for action", 2)),
        told("huey_consumer", &["huey_app.tasks", "-w", "2"], ("Huey consumer started", 1)),
    ]);
}

#[test]
fn mod_wsgi() {
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let path = folder.path().display();
    fs::copy(workloads().join("who_app.py"), folder.path().join("who_app.py"))
        .expect("there is room for a file");
    let group = format!(
        "WSGIDaemonProcess shop processes=2 threads=2\n\
         WSGIScriptAlias / {path}/who_app.py process-group=shop application-group=%{{GLOBAL}}\n\
         <Directory />\nRequire all granted\n</Directory>\n"
    );
    apache::configure(folder.path(), &group);
    let configuration = folder.path().join("apache.conf").display().to_string();
    let arguments = ["-DFOREGROUND", "-f", &configuration, "-C", "Listen 127.0.0.1:{port}"];
    let apache = Server::start(apache::PROGRAM, &arguments, ("resuming normal operations", 1));
    let shop: u32 = apache.ask("/").parse().expect("a PID");
    // One of its processes waits for a connection, and the other for the lock that lets it.
    assert_all_idle_below(&[apache.master()], &[("mod_wsgi".to_owned(), shop)]);
}

#[test]
fn the_standard_librarys() {
    let pools: Vec<_> = [8, 11, 13]
        .into_iter()
        .filter_map(interpreters::required)
        .flat_map(|python| {
            ["fork", "spawn", "forkserver"].map(|method| python.start("started_pools.py", &[method]))
        })
        .collect();
    let mut names: Vec<_> = pools.iter().map(|pool: &Workload| ("pools".to_owned(), pool.tgid())).collect();
    let http = Server::start(
        "python",
        &["-u", "-m", "http.server", "--bind", "127.0.0.1", "{port}"],
        ("Serving HTTP", 1),
    );
    names.push(("http.server".to_owned(), http.master()));
    assert_all_idle(&names);
}
