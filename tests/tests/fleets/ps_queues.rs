//! Every task queue that `ps` knows, as it really runs: who is who by what the workers say themselves.

use std::{fs, process::Command};

use profiler_tests::{
    fleets::{
        Expected, UNTITLED, assert_alone, assert_becomes, assert_led, assert_selected, children, command_line,
    },
    gunicorn::venv,
    servers::Server,
    wait_for, workloads,
};

#[test]
fn celery_and_its_pools() {
    let start = |environment: &[(&str, &str)], arguments: &[&str]| {
        let arguments = [&["-A", "celery_app:polling", "worker", "-l", "info"], arguments].concat();
        Server::start_with("celery", &arguments, (" ready.", 1), environment)
    };
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let schedule = folder.path().join("schedule").display().to_string();
    let name = "celery_app:polling";
    let celery = start(&UNTITLED, &["-c", "2", "-B", "-s", &schedule]);
    // `[PID Beat] beat: Starting...`
    let beat = || {
        let said = celery.said();
        let pid = said.split_once(" Beat] beat: Starting").and_then(|(before, _)| before.rsplit('[').next());
        pid.and_then(|pid| pid.parse::<u32>().ok())
    };
    wait_for("the beat", || beat().is_some());
    let workers = children(celery.master()).into_iter().filter(|child| Some(*child) != beat()).collect();
    assert_led(&celery, "celery", name, Some("prefork"), workers);
    assert_eq!(children(celery.master()).len(), 2 + 1, "two workers and the beat");

    let titled = start(&[], &["-c", "2"]);
    let is_worker = |child: &u32| command_line(*child).contains("ForkPoolWorker");
    let workers: Vec<_> = children(titled.master()).into_iter().filter(is_worker).collect();
    assert_eq!(workers.len(), 2, "setproctitle is in the virtual environment: cargo xtask test");
    assert_led(&titled, "celery", name, Some("prefork"), workers);
    for pool in ["threads", "gevent", "solo"] {
        assert_alone(&start(&UNTITLED, &["-P", pool]), "celery", name, Some(pool));
    }
    assert_alone(&start(&[], &["-P", "solo"]), "celery", name, Some("solo"));
    assert_selected("celery", titled.master());
}

#[test]
fn celerys_scheduler_by_itself() {
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let schedule = folder.path().join("schedule").display().to_string();
    for environment in [&UNTITLED[..], &[]] {
        let arguments = ["-A", "celery_app:polling", "beat", "-l", "info", "-s", &schedule, "--pidfile="];
        let beat = Server::start_with("celery", &arguments, ("beat: Starting", 1), environment);
        assert_alone(&beat, "celery-beat", "celery_app:polling", None);
    }
}

#[test]
fn dramatiq_forks_and_spawns() {
    for method in [&[][..], &["--use-spawn"]] {
        let options = ["-p", "2", "-t", "1", "--fork-function", "dramatiq_app:aside"];
        let arguments = [&options, method, &["dramatiq_app"]].concat();
        let dramatiq = Server::start("dramatiq", &arguments, ("is ready for action", 2 + 1));
        // `[time] [PID 7] [MainThread] [dramatiq.WorkerProcess(0)] [INFO] Worker process is ready for action.`
        let said = dramatiq.said();
        let ready = said.lines().filter(|line| line.contains("Worker process is ready"));
        let pid = |line: &str| line.split_once("[PID ")?.1.split_once(']')?.0.parse().ok();
        assert_led(&dramatiq, "dramatiq", "dramatiq_app", None, ready.filter_map(pid).collect());
    }
}

#[test]
fn huey_with_threads_and_with_processes() {
    let start = |class: &str, ready: (&str, usize)| {
        Server::start("huey_consumer", &["huey_app.tasks", "-w", "2", "-v", "-k", class], ready)
    };
    let threads = start("thread", ("Huey consumer started", 1));
    assert_alone(&threads, "huey", "huey_app.tasks", Some("thread"));
    // `[time] DEBUG:huey.consumer.Scheduler:7:Checking periodic tasks`
    let said = "huey.consumer.Scheduler:";
    let huey = start("process", (said, 1));
    let scheduler = huey.said_tgids(said)[0];
    wait_for("its workers", || children(huey.master()).len() == 2 + 1);
    let workers = children(huey.master()).into_iter().filter(|child| *child != scheduler).collect();
    assert_led(&huey, "huey", "huey_app.tasks", Some("process"), workers);
}

/// Workers of each kind, each with a job that tells where it runs.
#[test]
fn rq_and_its_horses() {
    // Debian's program is one with several names, which its package for services gives it.
    let redis =
        "exec -a redis-server redis-check-rdb --bind 127.0.0.1 --port {port} --save '' --dir /tmp >&2";
    let redis = Server::start("/bin/bash", &["-c", redis], ("Ready to accept connections", 1));
    let url = format!("redis://127.0.0.1:{}", redis.port());
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let horse_of = |queue: &str| -> u32 {
        let file = folder.path().join(queue);
        let mut put = Command::new(venv().join("bin/python"));
        put.current_dir(workloads()).arg("rest_job.py").args([&url, queue]).arg(&file);
        assert!(put.status().expect("it runs").success());
        let mut horse = None;
        wait_for("the job", || {
            let told = fs::read_to_string(&file).unwrap_or_default();
            horse = told.strip_suffix('\n').and_then(|pid| pid.parse().ok());
            horse.is_some()
        });
        horse.expect("a PID")
    };
    let start = |environment: &[(&str, &str)], arguments: &[&str]| {
        let workers = if arguments.contains(&"worker-pool") { 2 } else { 1 };
        let arguments = [arguments, &["--url", &url]].concat();
        Server::start_with("rq", &arguments, ("Listening on", workers), environment)
    };
    let scheduler_of = |server: &Server, queue: &str| {
        let words = format!("Scheduler for {queue} started with PID ");
        wait_for("the scheduler", || server.said_tgids(&words).len() == 1);
        server.said_tgids(&words)
    };
    let fleet = |name, class, masters, workers, helpers| Expected {
        server: "rq",
        name,
        class: Some(class),
        masters,
        workers,
        helpers,
    };

    let titled = start(&[], &["worker", "mail", "print"]);
    assert_becomes(titled.master(), &fleet("mail,print", "horse", vec![titled.master()], vec![], vec![]));
    let horse = horse_of("mail");
    assert_becomes(horse, &fleet("mail", "horse", vec![titled.master()], vec![horse], vec![]));

    let scheduling = start(&UNTITLED, &["worker", "--with-scheduler", "low"]);
    let horse = horse_of("low");
    let scheduler = scheduler_of(&scheduling, "low");
    assert_becomes(horse, &fleet("low", "horse", vec![scheduling.master()], vec![horse], scheduler));

    let spawning = start(&UNTITLED, &["worker", "-w", "rq.SpawnWorker", "spawned"]);
    let horse = horse_of("spawned");
    assert_becomes(horse, &fleet("spawned", "horse", vec![spawning.master()], vec![horse], vec![]));

    let simple = start(&UNTITLED, &["worker", "-w", "rq.SimpleWorker", "simple"]);
    assert_eq!(horse_of("simple"), simple.master(), "it does the work itself");
    assert_becomes(simple.master(), &fleet("simple", "simple", vec![], vec![simple.master()], vec![]));

    for (queue, environment) in [("pooled", &UNTITLED[..]), ("pool", &[])] {
        let pool = start(environment, &["worker-pool", "-n", "2", queue]);
        let horse = horse_of(queue);
        let masters = [vec![pool.master()], pool.said_tgids("Starting worker started with PID ")].concat();
        assert_eq!(masters.len(), 3);
        // The first worker has a scheduler for all of them.
        let scheduler = scheduler_of(&pool, queue);
        assert_becomes(horse, &fleet(queue, "horse", masters, vec![horse], scheduler));
    }
}
