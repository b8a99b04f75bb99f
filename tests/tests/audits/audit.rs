//! Audits of real servers, each with a known answer.

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Output, Stdio},
    thread::available_parallelism,
};

use profiler_tests::{
    gunicorn::{Gunicorn, venv},
    punchclock::{parse, punchclock, refusal},
    wait_for, workload, workloads,
};
use serde_json::Value;

/// Gunicorn as people start it; the rest of its words are the test's.
const GUNICORN: &str = "gunicorn --no-control-socket -b 127.0.0.1:{port} -k {class} -w {workers}";

/// `punchclock audit`, where the applications are and with the virtual environment's programs first.
fn audit(arguments: &[&str]) -> Command {
    let mut command = punchclock(&["audit", "--json"]);
    let path = std::env::var("PATH").unwrap_or_default();
    command
        .args(arguments)
        .current_dir(workloads())
        .env("PATH", format!("{}:{path}", venv().join("bin").display()))
        .env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

/// Runs it to its end; its reports. What it writes goes to a folder that is gone afterwards.
fn reports(arguments: &[&str]) -> Value {
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let page = folder.path().join("report.html");
    let output = audit(arguments).arg("-o").arg(&page).output().expect("punchclock is built");
    let reports = parse(&output);
    assert!(fs::read_to_string(&page).expect("it is written").contains("</html>"));
    reports
}

/// The PIDs of processes whose command line has this in it, but not ours.
fn running(word: &str) -> BTreeSet<u32> {
    let processes = fs::read_dir("/proc").expect("there is /proc").flatten();
    let tgids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let has_word = |tgid: &u32| {
        let line = fs::read(format!("/proc/{tgid}/cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        line.contains(word) && line.contains("gunicorn") && !line.contains("punchclock")
    };
    tgids.filter(has_word).collect()
}

/// A backend that takes 50 ms for an answer, and where it is.
struct Backend(Child, String);

impl Backend {
    fn start() -> Self {
        let mut command = Command::new(venv().join("bin/python"));
        command.arg(workloads().join("slow_backend.py")).arg("0.05");
        let child = workload::bound_to_us(&mut command).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = child.expect("there is a Python in the virtual environment");
        let mut line = String::new();
        let said = BufReader::new(child.stdout.take().expect("it is piped")).read_line(&mut line);
        said.expect("it speaks");
        let port = line.trim().strip_prefix("ready ").expect("it is ready");
        let address = format!("127.0.0.1:{port}");
        Self(child, address)
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        workload::kill(self.0.id(), libc::SIGKILL);
        // It is dead by now; collecting it cannot fail in a way that matters.
        let _ = self.0.wait();
    }
}

fn number(value: &Value, path: &str) -> f64 {
    value.pointer(path).and_then(Value::as_f64).unwrap_or_else(|| panic!("no number {path} in {value:#}"))
}

fn claims(report: &Value) -> Vec<&str> {
    let findings = report["findings"].as_array().expect("findings").iter();
    findings.map(|finding| finding["claim"].as_str().expect("a claim")).collect()
}

#[test]
fn each_route_has_its_winner_and_the_switches_tell_why() {
    let backend = Backend::start();
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let json = folder.path().join("report.json");
    let template = format!("{GUNICORN} -c audit_conf.py two_routes:application");
    let arguments = ["--serve", &template, "--classes", "sync,gthread,gevent", "--workers", "2"];
    let loads = ["--concurrency", "16", "-d", "2", "--warm-up", "0.5", "--idle", "1", "--limit", "60"];
    let routes = ["--url", "/cpu", "--url", "/io"];
    let output = audit(&[&arguments[..], &loads, &routes].concat())
        .env("BACKEND", &backend.1)
        .arg("-o")
        .arg(&json)
        .output()
        .expect("punchclock is built");
    let reports = parse(&output);
    assert_eq!(
        serde_json::from_slice::<Value>(&fs::read(&json).expect("it is written")).expect("JSON"),
        reports
    );
    let [cpu, io] = reports.as_array().expect("reports").as_slice() else { panic!("two: {reports:#}") };

    // Two sync workers answer 2 / 50 ms, 16 threads 320, and gevent is bound by the 16 clients alone.
    let io_series = |class: &str| {
        let series = io["series"].as_array().expect("series").iter();
        series.clone().find(|series| series["setup"]["worker_class"] == class).expect("the class").clone()
    };
    let throughput = |class: &str| number(&io_series(class), "/points/0/throughput/value");
    let sync = throughput("sync");
    assert!(sync < 42.0 && sync > 20.0, "{sync}");
    for class in ["gthread", "gevent"] {
        // Kept connections may stick to one of the two workers.
        assert!(throughput(class) > 2.0 * sync, "{class}: {} and {sync}", throughput(class));
    }
    assert_ne!(io["recommendation"]["best"]["worker_class"], "sync");
    assert!(number(&io_series("sync"), "/points/0/budget/socket") > 0.8, "{:#}", io_series("sync"));

    // Threads that take turns with the GIL switch for each turn.
    let of = |class: &str, path: &str| {
        let mut series = cpu["series"].as_array().expect("series").iter();
        number(series.find(|series| series["setup"]["worker_class"] == class).expect("the class"), path)
    };
    let switches = |class| of(class, "/points/0/voluntary_switches_per_request/value");
    assert!(switches("gthread") > 2.0 * switches("sync"), "{} and {}", switches("gthread"), switches("sync"));
    // Where neighbours take a CPU away, its threads have nobody to fight with.
    let busy = of("sync", "/points/0/cpus_busy/value");
    if busy > 0.7 * 2_f64.min(available_parallelism().expect("it is known").get() as f64) {
        assert_ne!(cpu["recommendation"]["best"]["worker_class"], "gthread", "{:#}", cpu["recommendation"]);
    } else {
        eprintln!("two workers got {busy} CPUs only: who is the fastest of them says nothing");
    }
}

#[test]
fn an_idle_spinner_is_found_and_named() {
    let template = format!("{GUNICORN} spinner_app:application");
    let arguments = ["--serve", &template, "--classes", "sync", "--workers", "1", "--concurrency", "1"];
    let reports = reports(&[&arguments[..], &["-d", "1", "--idle", "2", "--limit", "1"]].concat());
    let claims = claims(&reports[0]);
    let named = claims
        .iter()
        .any(|claim| claim.contains("busy while there is nothing") && claim.contains("look_for_work"));
    assert!(named, "{claims:#?}");
    // The limit of a second was over after the first of two rounds.
    let rounds = serde_json::json!({"made": 1, "asked": 2, "limit_ns": 1_000_000_000});
    assert_eq!(reports[0]["rounds"], rounds);
}

#[test]
fn a_server_that_does_nothing_idle_is_not_called_a_spinner() {
    let template = format!("{GUNICORN} wsgi_app:application");
    let arguments = ["--serve", &template, "--classes", "gthread", "--workers", "1", "--concurrency", "1"];
    let reports = reports(&[&arguments[..], &["-d", "1", "--idle", "3", "--limit", "1"]].concat());
    let claims = claims(&reports[0]);
    assert!(!claims.iter().any(|claim| claim.contains("busy")), "{claims:#?}");
}

#[test]
fn a_program_bound_by_cpus_gets_as_many_workers_as_there_are() {
    let cpus = available_parallelism().expect("it is known").get();
    let template = format!("{GUNICORN} wsgi_app:application");
    let workers = format!("1..{}", cpus + 2);
    let arguments = ["--serve", &template, "--classes", "sync", "--workers", &workers, "--concurrency", "16"];
    let reports = reports(&[&arguments[..], &["-d", "3", "--idle", "1", "--limit", "45"]].concat());
    // On a noisy host it may be undecided, which is then said.
    let recommendation = &reports[0]["recommendation"];
    let mut named = vec![&recommendation["best"]];
    if recommendation["is_real"] == false {
        eprintln!("undecided: {}", recommendation["reason"]);
        named.extend(recommendation["equals"].as_array().expect("equals"));
    }
    assert!(named.iter().any(|setup| setup["workers"] == cpus), "{recommendation:#}");
    // All of them were one server, which was told to have more and fewer.
    let commands = reports[0]["commands"].as_array().expect("commands").len();
    assert!(commands <= cpus + 2, "{:#}", reports[0]["commands"]);
}

#[test]
fn a_fleet_that_runs_is_audited_and_left_as_it_is() {
    let gunicorn = Gunicorn::start(2, &["--worker-class", "gthread", "--threads", "2"]);
    let before = (gunicorn.master(), gunicorn.workers());
    let (pid, url) = (before.0.to_string(), format!("http://127.0.0.1:{}/", gunicorn.port));
    let arguments = ["-p", &pid, "--url", &url, "--rate", "20,40", "-d", "2", "--idle", "3", "--limit", "1"];
    let reports = reports(&arguments);
    assert_eq!((gunicorn.master(), gunicorn.workers()), before);
    let series = &reports[0]["series"][0];
    assert_eq!(series["setup"], serde_json::json!({"worker_class": "gthread", "workers": 2}));
    for (place, rate) in [(0, 20.0), (1, 40.0)] {
        let point = &series["points"][place];
        assert_eq!(point["level"], rate);
        // An open loop sends what is due, however fast the server is.
        let throughput = number(point, "/throughput/value");
        assert!((throughput / rate - 1.0).abs() < 0.15, "{throughput} of {rate}");
        assert!(number(point, "/cpu_ms_per_request/value") > 1.0, "{point:#}");
    }
    let latency = &reports[0]["runs"][0]["load"]["latency"];
    assert_eq!(latency["from_due_time"], true);
    let wakeups = number(series, "/idle/master_wakeups_per_second");
    assert!((0.5..=1.5).contains(&wakeups), "the arbiter looks after its workers each second: {wakeups}");
}

#[test]
fn a_server_that_does_not_come_up_is_reported_with_its_last_words() {
    let template = format!("{GUNICORN} no_such_module:application");
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let page = folder.path().join("report.md");
    let output = audit(&["--serve", &template, "--classes", "sync", "--workers", "1", "-o"])
        .arg(&page)
        .output()
        .expect("punchclock is built");
    assert_eq!(output.status.code(), Some(5), "{}", String::from_utf8_lossy(&output.stderr));
    let text = fs::read_to_string(&page).expect("it is written");
    let said = [
        "# Nothing was measured\n\nURL: /\n",
        "\n**1 of 2 rounds: nothing was measured in it**\n",
        "\n**sync × 1: it did not come up: it ended with exit status: 3**\n",
        "\nModuleNotFoundError: No module named 'no\\_such\\_module'\n\n<details>",
        "\n    ModuleNotFoundError: No module named 'no_such_module'\n",
    ];
    for words in said {
        assert!(text.contains(words), "{words} in {text}");
    }
    assert_eq!(running("no_such_module"), BTreeSet::new());
}

#[test]
fn one_that_works_does_not_suffer_from_one_that_does_not() {
    let template = format!("{GUNICORN} wsgi_app:application");
    let arguments = ["--serve", &template, "--classes", "no_such_class,sync", "--workers", "1"];
    let load = ["--concurrency", "2", "-d", "1", "--idle", "1", "--tight", "100", "--limit", "20"];
    let reports = reports(&[&arguments[..], &load].concat());
    assert_eq!(reports[0]["recommendation"]["best"]["worker_class"], "sync");
    // Once in each round, and told once.
    let [problem] = reports[0]["problems"].as_array().expect("problems").as_slice() else {
        panic!("one: {:#}", reports[0]["problems"])
    };
    assert_eq!(problem["setup"]["worker_class"], "no_such_class");
    assert_eq!(problem["times"], reports[0]["rounds"]["made"], "{problem:#}");
    let cause = problem["cause"].as_str().expect("a cause");
    assert!(cause.contains("no_such_class"), "{cause}");
}

#[test]
fn the_user_s_word_ends_it_with_a_report_and_stops_the_server() {
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let page = folder.path().join("report.html");
    let template = format!("{GUNICORN} wsgi_app:application");
    let mut child =
        audit(&["--serve", &template, "--classes", "sync", "--workers", "2", "--concurrency", "2"])
            .args(["-d", "2", "--idle", "1", "--rounds", "50", "-o"])
            .arg(&page)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("punchclock is built");
    let (mut seen, mut connected) = (false, 0);
    wait_for("the first round to end", || {
        let now = running("wsgi_app");
        // Each round has a server of its own.
        if now.is_empty() && seen {
            connected += 1;
            seen = false;
        }
        seen |= !now.is_empty();
        connected >= 1 && seen
    });
    workload::signal(child.id(), libc::SIGINT);
    let output = wait(&mut child);
    let reports = parse(&output);
    assert_eq!(reports[0]["interrupted"], true);
    assert!(!reports[0]["runs"].as_array().expect("runs").is_empty());
    assert!(fs::read_to_string(&page).expect("it is written").contains("ended early"));
    assert_eq!(running("wsgi_app"), BTreeSet::new());
}

#[test]
fn whatever_happens_the_server_is_stopped() {
    let template = format!("{GUNICORN} wsgi_app:application");
    let mut child =
        audit(&["--serve", &template, "--classes", "sync", "--workers", "2", "-o", "/tmp/never.html"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("punchclock is built");
    wait_for("the server", || running("wsgi_app").len() >= 3);
    child.kill().expect("it is our child");
    child.wait().expect("it is our child");
    wait_for("the server to end", || running("wsgi_app").is_empty());
    assert!(!Path::new("/tmp/never.html").exists());
}

#[test]
fn what_the_command_line_lacks_is_said() {
    let refused = |arguments: &[&str]| {
        let mut command = punchclock(&["audit"]);
        refusal(&command.args(arguments).output().expect("punchclock is built"), 2).0
    };
    assert!(refused(&["--serve", "gunicorn -b :{port} -k {class}"]).contains("--classes"));
    assert!(refused(&["--serve", "gunicorn -b :8000"]).contains("{port}"));
    assert!(refused(&["--serve", "gunicorn -b :{port}", "--workers", "2"]).contains("{workers}"));
    assert!(refused(&["--serve", "gunicorn -b :{port}", "--url", "http://x/"]).contains("path"));
}

fn wait(child: &mut Child) -> Output {
    use std::io::Read;
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    child.stdout.take().expect("it is piped").read_to_end(&mut stdout).expect("it speaks");
    child.stderr.take().expect("it is piped").read_to_end(&mut stderr).expect("it speaks");
    Output { status: child.wait().expect("it is our child"), stdout, stderr }
}
