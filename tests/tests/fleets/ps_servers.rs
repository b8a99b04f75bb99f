//! Every server that `ps` knows, as it really runs: who is who by what the servers say themselves.

use std::{fs, net::TcpStream};

use profiler_tests::{
    apache,
    fleets::{
        self, Expected, UNTITLED, assert_alone, assert_becomes, assert_led, assert_selected, children,
        command_line,
    },
    gunicorn::venv,
    interpreters,
    servers::Server,
    wait_for,
    workload::Workload,
    workloads,
};

const ASGI: &str = "asgi_app:application";
const WSGI: &str = "who_app:application";

#[test]
fn gunicorn_with_classes_from_elsewhere() {
    for (class, app, known) in
        [("tornado", "wsgi_app:application", "tornado"), ("uvicorn_worker.UvicornWorker", ASGI, "uvicorn")]
    {
        let arguments = ["-b", "127.0.0.1:{port}", "--no-control-socket", "-w", "2", "-k", class, app];
        let gunicorn = Server::start_with("gunicorn", &arguments, ("Booting worker", 2), &UNTITLED);
        let workers = gunicorn.said_tgids("Booting worker with pid: ");
        assert_led(&gunicorn, "gunicorn", app, Some(known), workers);
    }
}

/// Its "dirty" arbiter and that one's workers serve no requests, though they hold the socket; and a control socket is
/// where the master obeys.
#[test]
fn gunicorn_with_a_dirty_arbiter_and_a_control_socket() {
    let folder = tempfile::tempdir().expect("there is room for a folder");
    fs::write(
        folder.path().join("dirty.py"),
        "from gunicorn.dirty import DirtyApp\n\n\nclass App(DirtyApp):\n    def close(self):\n        pass\n",
    )
    .expect("there is room for a file");
    let control = folder.path().join("gunicorn.ctl");
    let control = control.to_str().expect("a name of letters");
    let path = format!(".:untitled:{}", folder.path().display());
    let arguments = ["-b", "127.0.0.1:{port}", "--control-socket", control, "-w", "2", WSGI];
    let arguments = [&["--dirty-app", "dirty:App", "--dirty-workers", "1"][..], &arguments].concat();
    let ready = ("Control socket listening", 1);
    let gunicorn = Server::start_with("gunicorn", &arguments, ready, &[("PYTHONPATH", &path)]);
    let mut workers = Vec::new();
    wait_for("its workers", || {
        workers = gunicorn.said_tgids("[INFO] Booting worker with pid: ");
        workers.len() == 2
    });
    let mut others = children(gunicorn.master()).into_iter().filter(|child| !workers.contains(child));
    let arbiter = others.next().expect("a dirty arbiter");
    wait_for("the dirty worker", || children(arbiter).len() == 1);
    let helpers = [vec![arbiter], children(arbiter)].concat();
    let masters = vec![gunicorn.master()];
    let expected =
        Expected { server: "gunicorn", name: WSGI, class: Some("sync"), masters, workers, helpers };
    assert_becomes(gunicorn.master(), &expected);
    let evidence = fleets::of(gunicorn.master())["workers"][0]["evidence"].to_string();
    assert!(evidence.contains(&format!("it is controlled at unix:{control}")), "{evidence}");
}

#[test]
fn uvicorn_alone_and_with_workers() {
    for event_loop in ["asyncio", "uvloop"] {
        // Not named, but found.
        let arguments = ["--port", "{port}", "--loop", event_loop, ASGI];
        let uvicorn = Server::start("uvicorn", &arguments, ("Uvicorn running", 1));
        assert_alone(&uvicorn, "uvicorn", ASGI, Some(event_loop));
    }
    let arguments = ["--port", "{port}", "--workers", "2", ASGI];
    let uvicorn = Server::start("uvicorn", &arguments, ("Application startup complete", 2));
    let workers = uvicorn.said_tgids("Started server process [");
    assert_led(&uvicorn, "uvicorn", ASGI, Some("uvloop"), workers);
    assert_selected("uvicorn", uvicorn.master());
}

#[test]
fn uvicorn_called_by_a_program() {
    let code = "import uvicorn; uvicorn.run('asgi_app:application', port={port})";
    let uvicorn = Server::start("python", &["-c", code], ("Uvicorn running", 1));
    assert_alone(&uvicorn, "uvicorn", "-c", Some("uvloop"));
}

#[test]
fn hypercorn_alone_and_with_workers() {
    let started = |workers: &str, class: &str, running: usize| {
        let arguments = ["-b", "127.0.0.1:{port}", "-w", workers, "-k", class, ASGI];
        Server::start("hypercorn", &arguments, ("Running on", running))
    };
    assert_alone(&started("0", "asyncio", 1), "hypercorn", ASGI, Some("asyncio"));
    for class in ["asyncio", "uvloop"] {
        let hypercorn = started("2", class, 2);
        // `[time] [PID] [INFO] Running on …`
        let said = hypercorn.said();
        let lines = said.lines().filter(|line| line.contains("Running on"));
        let pid = |line: &str| line.split(['[', ']']).nth(3).and_then(|pid| pid.parse().ok());
        assert_led(&hypercorn, "hypercorn", ASGI, Some(class), lines.filter_map(pid).collect());
    }
}

#[test]
fn granian_with_titles_and_without() {
    for environment in [&UNTITLED[..], &[]] {
        for (interface, app) in [("asgi", ASGI), ("wsgi", WSGI)] {
            let arguments = ["--interface", interface, "--port", "{port}", "--workers", "2", app];
            let granian = Server::start_with("granian", &arguments, ("Started worker-", 2), environment);
            assert_eq!(granian.said_tgids("main PID: "), [granian.master()]);
            let workers = granian.said_tgids(" with PID: ");
            assert_led(&granian, "granian", app, Some(interface), workers);
        }
    }
    let arguments = ["--interface", "wsgi", "--port", "{port}", "--process-name", "the shop", WSGI];
    let granian = Server::start("granian", &arguments, ("Started worker-", 1));
    assert_led(&granian, "granian", "the shop", None, granian.said_tgids(" with PID: "));
}

#[test]
fn waitress_is_alone() {
    let arguments = ["--listen", "127.0.0.1:{port}", "--threads", "2", WSGI];
    let waitress = Server::start("waitress-serve", &arguments, ("Serving on", 1));
    assert_eq!(waitress.ask("/"), waitress.master().to_string());
    assert_alone(&waitress, "waitress", WSGI, None);
    let code = "import waitress, who_app, logging; logging.basicConfig(level='INFO'); \
                waitress.serve(who_app.application, listen='127.0.0.1:{port}')";
    let called = Server::start("python", &["-c", code], ("Serving on", 1));
    assert_alone(&called, "waitress", "-c", None);
}

#[test]
fn uwsgi_and_its_helpers() {
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let spooler = folder.path().display().to_string();
    let arguments = ["--http-socket", "127.0.0.1:{port}", "--master", "--processes", "3", "--cheaper", "1"];
    let helpers = ["--mule", "--mule", "--spooler", &spooler, "--wsgi-file", "who_app.py"];
    let uwsgi = Server::start("pyuwsgi", &[&arguments[..], &helpers].concat(), ("spawned uWSGI mule", 2));
    let workers = uwsgi.said_tgids("spawned uWSGI worker 1 (pid: ");
    assert_eq!(uwsgi.ask("/"), workers[0].to_string());
    assert_led(&uwsgi, "uwsgi", "who_app.py", None, workers);
    assert_eq!(children(uwsgi.master()).len(), 1 + 2 + 1, "a worker, two mules and a spooler");

    let arguments = ["--http", "127.0.0.1:{port}", "--master", "--processes", "1", "--module", WSGI];
    let routed = Server::start("uwsgi", &arguments, ("spawned uWSGI http", 1));
    let worker = routed.said_tgids("spawned uWSGI worker 1 (pid: ");
    wait_for("the application", || routed.ask("/") == worker[0].to_string());
    assert_led(&routed, "uwsgi", WSGI, None, worker);

    let arguments = ["--http-socket", "127.0.0.1:{port}", "--gevent", "10", "--module", WSGI];
    let alone = Server::start("uwsgi", &arguments, ("spawned uWSGI worker", 1));
    assert_alone(&alone, "uwsgi", WSGI, Some("gevent"));
}

#[test]
fn vassals_of_an_emperor_are_fleets() {
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let options = "[uwsgi]\nmaster = 1\nprocesses = 2\nmodule = who_app:application\nsocket = 127.0.0.1:0\n";
    let chdir = format!("chdir = {}\n", workloads().display());
    fs::write(folder.path().join("shop.ini"), options.to_owned() + &chdir).expect("there is room for a file");
    let vassals = folder.path().display().to_string();
    // As a module of Python it does not know its own program.
    let wrapper = venv().join("bin/uwsgi").display().to_string();
    let arguments = ["--emperor", &vassals, "--emperor-wrapper", &wrapper];
    let emperor = Server::start("uwsgi", &arguments, ("is ready to accept requests", 1));
    let master = emperor.said_tgids("spawned uWSGI master process (pid: ")[0];
    assert_eq!(children(emperor.master()), [master]);
    let workers = children(master);
    assert_eq!(workers.len(), 2);
    let masters = vec![master];
    let expected = Expected { server: "uwsgi", name: "shop", class: None, masters, workers, helpers: vec![] };
    assert_becomes(master, &expected);
    assert_eq!(fleets::find(emperor.master()), None);
}

/// Apache with two groups, one of which has a title. Its own processes, which have Python mapped, are in no group.
#[test]
fn daemon_groups_of_mod_wsgi() {
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let path = folder.path().display();
    fs::copy(workloads().join("who_app.py"), folder.path().join("who_app.py"))
        .expect("there is room for a file");
    let group = |name: &str, processes: u32, options: &str| {
        let processes = format!("WSGIDaemonProcess {name} processes={processes} threads=2 {options}\n");
        processes
            + &format!(
                "WSGIScriptAlias /{name} {path}/who_app.py process-group={name} application-group=%{{GLOBAL}}\n"
            )
    };
    let groups = group("shop", 2, "display-name=%{GROUP}") + &group("blog", 1, "");
    apache::configure(folder.path(), &format!("{groups}<Directory />\nRequire all granted\n</Directory>\n"));
    let configuration = folder.path().join("apache.conf").display().to_string();
    let arguments = ["-DFOREGROUND", "-f", &configuration, "-C", "Listen 127.0.0.1:{port}"];
    let apache = Server::start(apache::PROGRAM, &arguments, ("resuming normal operations", 1));

    let blog: u32 = apache.ask("/blog").parse().expect("a PID");
    let shop: u32 = apache.ask("/shop").parse().expect("a PID");
    let titled = |child: &u32| command_line(*child).starts_with("(wsgi:shop)");
    let shops: Vec<_> = children(apache.master()).into_iter().filter(titled).collect();
    assert!(shops.len() == 2 && shops.contains(&shop) && !shops.contains(&blog));
    let group = |name, workers| {
        let (masters, helpers) = (vec![], vec![]);
        Expected { server: "mod_wsgi", name, class: None, masters, workers, helpers }
    };
    assert_becomes(shop, &group("shop", shops));
    let socket = format!("wsgi.{}.0.2.sock", apache.master());
    assert_becomes(blog, &group(&socket, vec![blog]));
    assert_eq!(fleets::of(blog)["listening"], serde_json::json!([format!("unix:{path}/{socket}")]));
    assert_eq!(fleets::find(apache.master()), None);
    assert_selected("mod_wsgi", shop);
}

/// The development servers: a process that serves, and a parent that starts it again.
#[test]
fn django_and_flask_with_their_reloaders() {
    let unbuffered = [("PYTHONUNBUFFERED", "1")];
    let django = |more: &[&str]| {
        let arguments = [&["who_site/manage.py", "runserver", "127.0.0.1:{port}"], more].concat();
        let django =
            Server::start_with("python", &arguments, ("Starting development server", 1), &unbuffered);
        wait_for("its socket", || TcpStream::connect(("127.0.0.1", django.port())).is_ok());
        django
    };
    let reloaded = django(&[]);
    let worker = reloaded.ask("/").parse().expect("a PID");
    assert_led(&reloaded, "django", "who_site", None, vec![worker]);
    assert_alone(&django(&["--noreload"]), "django", "who_site", None);

    let flask = ["--app", "flask_app", "run", "-p", "{port}"];
    let reloaded = Server::start("flask", &[&flask[..], &["--debug"]].concat(), ("Debugger PIN", 1));
    let worker = reloaded.ask("/").parse().expect("a PID");
    assert_led(&reloaded, "flask", "flask_app", None, vec![worker]);
    assert_alone(&Server::start("flask", &flask, ("Running on", 1)), "flask", "flask_app", None);
    let called = Server::start("python", &["flask_app.py", "{port}"], ("Running on", 1));
    assert_alone(&called, "flask", "flask_app.py", None);
}

/// Pools of the standard library by each way of starting them.
#[test]
fn pools_of_processes() {
    for interpreter in [8, 11, 13].into_iter().filter_map(interpreters::required) {
        for method in ["fork", "spawn", "forkserver"] {
            let mut pools = interpreter.start("started_pools.py", &[method]);
            let told = pools.json();
            let fleet = fleets::of(pools.tgid());
            assert_eq!(
                (&fleet["server"], &fleet["name"]),
                (&"multiprocessing".into(), &"started_pools.py".into())
            );
            assert_eq!(fleets::tgids(&fleet, "master"), [u64::from(pools.tgid())]);
            for (class, tgids) in told.as_object().expect("classes") {
                for tgid in tgids.as_array().expect("PIDs") {
                    let row =
                        workers_of(&fleet).iter().find(|row| row["tgid"] == *tgid).expect("it is there");
                    assert_eq!(
                        (&row["role"], &row["worker_class"]),
                        (&"worker".into(), &class.clone().into())
                    );
                    let version = row["python"].as_str().expect("a version");
                    assert!(version.starts_with(&format!("3.{}.", interpreter.minor)), "{version}");
                }
            }
            assert_eq!(fleets::tgids(&fleet, "worker").len(), 2 + 2 + 1, "{method}: {fleet:#}");
            let helpers = match method {
                "fork" => 0,
                "spawn" => 1,
                _ => 2,
            };
            assert_eq!(fleets::tgids(&fleet, "helper").len(), helpers, "{method}: {fleet:#}");
        }
    }
}

fn workers_of(fleet: &serde_json::Value) -> &Vec<serde_json::Value> {
    fleet["workers"].as_array().expect("workers")
}

/// What nobody knows by name: a server that forks, whose workers may have titles.
#[test]
fn a_server_that_forks_by_hand() {
    let python = venv().join("bin/python");
    for title in [None, Some("shop:")] {
        let arguments: Vec<_> = ["2"].into_iter().chain(title).collect();
        let mut server = Workload::python(&python, "prefork.py", &arguments);
        let told = server.json();
        let workers: Vec<_> = told
            .as_array()
            .expect("PIDs")
            .iter()
            .filter_map(|pid| u32::try_from(pid.as_u64()?).ok())
            .collect();
        assert_eq!(command_line(workers[0]).starts_with("shop:"), title.is_some());
        let masters = vec![server.tgid()];
        let expected =
            Expected { server: "python", name: "prefork.py", class: None, masters, workers, helpers: vec![] };
        assert_becomes(server.tgid(), &expected);
    }
}
