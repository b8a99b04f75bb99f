//! Fleets of real servers: what they are called, who is in them, and how to ask for them.

use std::{fs, process::Command};

use profiler_tests::{
    fleets::{self, tgids},
    gunicorn::{Gunicorn, venv},
    punchclock::{json, refusal, run, worker, workers},
    truth::busy,
    wait_for, workloads,
};

/// What the interpreter of the virtual environment says of itself.
fn version() -> String {
    let python = venv().join("bin/python");
    let output = Command::new(python).arg("--version").output().expect("it runs");
    String::from_utf8_lossy(&output.stdout).trim().trim_start_matches("Python ").to_owned()
}

fn assert_fleet(gunicorn: &Gunicorn, name: &str, class: &str) {
    let fleet = fleets::of(gunicorn.master());
    assert_eq!(fleet["server"], "gunicorn");
    assert_eq!(fleet["name"], name);
    assert_eq!(fleet["listening"], serde_json::json!([format!("127.0.0.1:{}", gunicorn.port)]));
    assert_eq!(tgids(&fleet, "master"), [u64::from(gunicorn.master())]);
    let mut workers: Vec<_> = gunicorn.workers().into_iter().map(u64::from).collect();
    workers.sort_unstable();
    assert_eq!(tgids(&fleet, "worker"), workers);
    assert!(tgids(&fleet, "helper").is_empty());
    for row in fleet["workers"].as_array().expect("workers") {
        let class = (row["role"] == "worker").then_some(class);
        assert_eq!(row["worker_class"].as_str(), class, "{row:#}");
        assert_eq!(row["python"], version());
        let threads = format!("/proc/{}/task", row["tgid"]);
        assert_eq!(row["threads"], fs::read_dir(threads).expect("it lives").count());
    }
}

const APPLICATION: &str = "wsgi_app:application";

#[test]
fn sync_is_the_default() {
    assert_fleet(&Gunicorn::start(2, &[]), APPLICATION, "sync");
}

#[test]
fn threads_make_gthread() {
    assert_fleet(&Gunicorn::start(2, &["--threads", "4"]), APPLICATION, "gthread");
}

#[test]
fn gevent_by_its_option() {
    assert_fleet(&Gunicorn::start(2, &["--worker-class", "gevent"]), APPLICATION, "gevent");
}

#[test]
fn a_class_that_only_a_configuration_file_names() {
    let file = workloads().join("gthread_conf.py").display().to_string();
    assert_fleet(&Gunicorn::start(2, &["-c", &file]), APPLICATION, "gthread");
}

#[test]
fn a_name_of_its_own() {
    assert_fleet(&Gunicorn::start(2, &["--name", "shop"]), "shop", "sync");
}

#[test]
fn titles_over_the_command_lines() {
    let gunicorn = Gunicorn::titled(2, &["--worker-class", "gevent"]);
    let titled = |tgid: u32| {
        fs::read(format!("/proc/{tgid}/cmdline")).is_ok_and(|line| line.starts_with(b"gunicorn: "))
    };
    assert!(titled(gunicorn.master()), "setproctitle is in the virtual environment: cargo xtask test");
    wait_for("the workers' titles", || gunicorn.workers().into_iter().all(titled));
    assert_fleet(&gunicorn, APPLICATION, "gevent");
    drop(gunicorn);
    let file = workloads().join("gthread_conf.py").display().to_string();
    assert_fleet(&Gunicorn::titled(2, &["-c", &file, "--name", "shop"]), "shop", "gthread");
}

#[test]
fn fleets_are_asked_for_by_name_glob_server_or_master() {
    let gunicorn = Gunicorn::start(2, &["--name", "asked-for-by-many-names", "--threads", "2"]);
    let mut tree: Vec<_> = gunicorn.workers().into_iter().chain([gunicorn.master()]).collect();
    tree.sort_unstable();
    let master = gunicorn.master().to_string();
    let asked = [&["asked-for-by-many-names"][..], &["asked-*-many-name?"], &["-p", &master]];
    for words in asked {
        let document = json(&[&["stat", "--json", "-d", "0.1"][..], words].concat());
        let mut seen: Vec<_> =
            workers(&document).into_iter().filter_map(|row| row["tgid"].as_u64()).collect();
        seen.sort_unstable();
        assert_eq!(seen, tree.iter().copied().map(u64::from).collect::<Vec<_>>(), "{words:?}");
        assert_eq!(document["fleets"].as_array().map(Vec::len), Some(1));
    }
    // Other Gunicorns may run on this host.
    for words in [&["gunicorn"][..], &["--all"], &[]] {
        let document = json(&[&["stat", "--json", "-d", "0.1"][..], words].concat());
        for tgid in &tree {
            assert_eq!(worker(&document, *tgid)["tgid"], *tgid);
        }
    }
    // One worker alone.
    let one = gunicorn.workers()[0];
    let document = json(&["stat", "--json", "-d", "0.1", "-p", &one.to_string()]);
    assert_eq!(workers(&document).len(), 1);
    assert_eq!(worker(&document, one)["worker_class"], "gthread");
}

#[test]
fn two_of_one_application_are_told_apart_by_their_addresses() {
    let both = [Gunicorn::start(2, &[]), Gunicorn::start(2, &[])];
    let named = |words: &[&str]| {
        let document = json(&[&["stat", "--json", "-d", "0.1"][..], words].concat());
        let fleets = document["fleets"].as_array().expect("fleets").iter();
        fleets.map(|fleet| (fleet["name"].clone(), fleet["workers"][0]["tgid"].clone())).collect::<Vec<_>>()
    };
    let [port, other] = both.each_ref().map(|gunicorn| gunicorn.port);
    let asked = ["gunicorn@:", "@", "wsgi_app*@127.0.0.1:"].map(|words| format!("{words}{port}"));
    for name in &asked {
        assert_eq!(named(&[name]), [(APPLICATION.into(), both[0].master().into())], "{name}");
    }
    let masters = both.each_ref().map(|gunicorn| gunicorn.master().to_string()).join(",");
    let mut names: Vec<_> = named(&["-p", &masters]).into_iter().map(|(name, _)| name).collect();
    names.sort_unstable_by_key(ToString::to_string);
    let mut expected = [port, other].map(|port| format!("{APPLICATION}@127.0.0.1:{port}"));
    expected.sort_unstable();
    assert_eq!(names, expected);
}

#[test]
fn an_address_of_several_fleets_is_refused() {
    let one = Gunicorn::start(1, &["--reuse-port"]);
    let bound = format!("127.0.0.1:{}", one.port);
    let other = Gunicorn::start(1, &["--reuse-port", "-b", &bound]);
    let name = format!("gunicorn@:{}", one.port);
    let (sentence, _) = refusal(&run(&["stat", "-d", "1", &name]), 2);
    for tgid in [one.master(), other.master()] {
        assert!(sentence.contains(&bound) && sentence.contains(&format!("(PID {tgid})")), "{sentence}");
    }
}

#[test]
fn a_process_in_no_fleet_is_listed_below_them() {
    let (workload, _) = busy();
    let output = run(&["ps"]);
    let text = String::from_utf8_lossy(&output.stdout);
    let (_, alone) = text.split_once("Python in no fleet").expect("a block");
    let tgid = workload.pid();
    let row = alone.lines().find(|line| line.split_whitespace().next() == Some(&*tgid)).expect("a row");
    assert!(row.contains("Python 3.") && row.contains(" thread"), "{row}");
    let document = json(&["ps", "--json"]);
    let listed =
        document["alone"].as_array().expect("a list").iter().find(|one| one["tgid"] == workload.tgid());
    let listed = listed.expect("a process");
    assert!(listed["python"].as_str().is_some_and(|version| version.starts_with("3.")), "{listed}");
}

#[test]
fn the_table_has_every_process_of_a_fleet() {
    let gunicorn = Gunicorn::start(2, &["--name", "listed"]);
    let output = run(&["ps"]);
    assert!(output.status.success());
    let text = String::from_utf8_lossy(&output.stdout);
    let block = text.split("\n\n").find(|block| block.starts_with("gunicorn listed ")).expect("a block");
    assert!(block.contains(&format!("master {}", gunicorn.master())), "{block}");
    for tgid in gunicorn.workers() {
        assert!(
            block.lines().any(|line| line.contains(&format!("worker {tgid} ")) && line.contains("sync")),
            "{block}"
        );
    }
}

#[test]
fn who_is_not_there_is_told_with_exit_code_3() {
    // No PID reaches the limit.
    let limit = fs::read_to_string("/proc/sys/kernel/pid_max").expect("/proc");
    for verb in ["stat", "record"] {
        for (words, named) in
            [(&["no-such-fl*et"][..], "`no-such-fl*et`"), (&["-p", limit.trim()], limit.trim())]
        {
            let output = run(&[&[verb, "-d", "1"][..], words].concat());
            let (sentence, help) = refusal(&output, 3);
            assert!(sentence.contains(named), "{sentence}");
            assert!(help.expect("what helps").contains("punchclock ps"));
        }
    }
}
