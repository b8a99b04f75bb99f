//! Tests of Gunicorn on made-up hosts.

use std::{collections::HashMap, path::PathBuf};

use super::*;
use crate::fleet::{
    discover,
    fixture::{self, becomes, found, host, probe, process},
};

const MASTER: &str = "gunicorn: master [shop:app]";
const WORKER: &str = "gunicorn: worker [shop:app]";

fn strings(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// The class that a master with one worker is found to have.
#[track_caller]
fn class_by(line: &str, probe: ProcessProbe) -> Option<String> {
    let tree = host(&[(2, 1, line), (3, 2, &line.replace("master", "worker"))]);
    let [fleet] = discover(&tree, &probe).try_into().unwrap();
    assert_eq!(fleet.with(Role::Worker).count(), 1);
    fleet.member(3).unwrap().worker_class.clone()
}

#[test]
fn by_command_line() {
    let line = "/venv/bin/python /venv/bin/gunicorn -w 2 shop:app";
    let tree = host(&[
        (1, 0, "sh -c gunicorn shop:app"),
        (2, 1, line),
        (3, 2, line),
        (4, 2, line),
        (5, 4, "sh -c convert"),
        (6, 5, "convert"),
        (7, 2, "sleep 1"),
        (8, 1, "python -m gunicorn -n blog wsgi"),
        (9, 1, "python -m gunicorn"),
        (10, 1, "vi gunicorn"),
    ]);
    let expected = ["gunicorn blog: m8", "gunicorn gunicorn: m9", "gunicorn shop:app: m2 w3 w4 h5 h6 h7"];
    assert_eq!(found(&tree, &probe()), expected);
}

#[test]
fn by_title() {
    let tree = host(&[
        (2, 1, MASTER),
        (3, 2, WORKER),
        (4, 2, MASTER),
        (5, 2, "gunicorn: dirty-arbiter"),
        (6, 5, "gunicorn: dirty-worker [shop:app]"),
        (7, 2, "sleep 1"),
        (8, 1, WORKER),
        (9, 1, "gunicorn: master [cut sh"),
    ]);
    let expected = ["gunicorn cut sh: m9", "gunicorn shop:app: m2 w3 w4 h5 h6 h7"];
    assert_eq!(found(&tree, &probe()), expected);
}

#[test]
fn an_upgraded_master_has_a_fleet_of_its_own() {
    let titled = host(&[(2, 1, MASTER), (3, 2, WORKER), (4, 2, MASTER), (5, 4, WORKER)]);
    assert_eq!(found(&titled, &probe()), ["gunicorn shop:app: m2 w3", "gunicorn shop:app: m4 w5"]);

    let line = "python gunicorn shop:app";
    let untitled = host(&[(2, 1, line), (3, 2, line), (4, 2, line), (5, 4, line)]);
    let probe = ProcessProbe {
        environ: |tgid, name| (name == "GUNICORN_PID" && tgid >= 4).then(|| "2".to_owned()),
        ..fixture::probe()
    };
    assert_eq!(found(&untitled, &probe), ["gunicorn shop:app: m2 w3", "gunicorn shop:app: m4 w5"]);

    let other =
        host(&[(2, 1, "python -m gunicorn shop:app"), (4, 2, "python /lib/gunicorn/__main__.py shop:app")]);
    assert_eq!(found(&other, &fixture::probe()), ["gunicorn shop:app: m2", "gunicorn shop:app: m4"]);
}

#[test]
fn embedded_in_another_program() {
    let tree = host(&[
        (2, 1, "python serve.py"),
        (3, 2, "python serve.py"),
        (4, 1, "python pool.py"),
        (5, 4, "python pool.py"),
    ]);
    let peek = |tgid| {
        Some(match tgid {
            2 => strings(&["/lib/gunicorn/arbiter.py", "/srv/serve.py"]),
            3 => strings(&["/lib/gunicorn/workers/gthread.py", "/lib/gunicorn/arbiter.py", "/srv/serve.py"]),
            _ => strings(&["/srv/pool.py"]),
        })
    };
    let expected = ["gunicorn serve.py: m2 w3:gthread", "python pool.py: m4 w5"];
    assert_eq!(found(&tree, &ProcessProbe { peek, ..probe() }), expected);
}

#[test]
fn sockets_are_evidence_and_tell_helpers() {
    let line = "python gunicorn shop:app";
    let tree = host(&[(2, 1, line), (3, 2, line), (4, 2, line), (5, 2, line), (6, 2, line), (7, 6, line)]);
    let probe = ProcessProbe {
        listeners: |_| {
            [(70, "127.0.0.1:80".to_owned()), (71, "unix:ctl".to_owned()), (72, "[::]:9".to_owned())].into()
        },
        sockets: |tgid| {
            Some(match tgid {
                2 => vec![70, 71, 99],
                3 | 6 => vec![70, 72],
                _ => vec![72, 99],
            })
        },
        peek: |tgid| match tgid {
            5 => Some(strings(&["/lib/gunicorn/workers/sync.py"])),
            6 => Some(strings(&["/lib/asyncio/runners.py", "/lib/gunicorn/dirty/arbiter.py"])),
            _ => None,
        },
        ..probe()
    };
    let fleets = discover(&tree, &probe);
    assert_eq!(
        fleets.iter().map(fixture::short).collect::<Vec<_>>(),
        ["gunicorn shop:app: m2 w3:sync w5:sync h4 h6 h7"]
    );
    assert_eq!(fleets[0].listening, ["127.0.0.1:80", "[::]:9"]);
    assert!(
        fleets[0]
            .member(3)
            .unwrap()
            .evidence
            .contains(&"it shares its master's socket 127.0.0.1:80".to_owned())
    );
}

#[test]
fn a_lone_master_listens_itself() {
    let tree = host(&[(2, 1, MASTER)]);
    let probe = ProcessProbe {
        listeners: |_| HashMap::from([(70, ":80".to_owned())]),
        sockets: |_| Some(vec![70]),
        ..probe()
    };
    assert_eq!(discover(&tree, &probe)[0].listening, [":80"]);
}

#[test]
fn classes_by_options() {
    let by = |options: &str| class_by(&format!("python gunicorn {options} app:app"), probe());
    assert_eq!(by("-kgevent").as_deref(), Some("gevent"));
    assert_eq!(by("-k gevent_pywsgi --threads 4").as_deref(), Some("gevent_pywsgi"));
    assert_eq!(by("-k gunicorn.workers.ggevent.GeventWorker").as_deref(), Some("gevent"));
    assert_eq!(by("-k egg:gunicorn#gthread").as_deref(), Some("gthread"));
    assert_eq!(by("-k uvicorn.workers.UvicornH11Worker").as_deref(), Some("uvicorn"));
    assert_eq!(by("-k uvicorn_worker.UvicornWorker").as_deref(), Some("uvicorn"));
    assert_eq!(by("-k shop.workers.Own").as_deref(), Some("shop.workers.Own"));
    assert_eq!(by("-k sync").as_deref(), Some("sync"));
    assert_eq!(by("-k gunicorn.workers.sync.SyncWorker").as_deref(), Some("sync"));
    assert_eq!(by("-k sync --threads 4").as_deref(), Some("gthread"));
    assert_eq!(by("--threads 4").as_deref(), Some("gthread"));
    assert_eq!(by("--threads 1"), None);
    assert_eq!(by("-w 4 -c conf.py"), None);
}

#[test]
fn classes_by_the_environment() {
    let environ = |tgid, name: &str| {
        (tgid == 2 && name == "GUNICORN_CMD_ARGS").then(|| "-k 'gevent' --threads=8".to_owned())
    };
    let probe = ProcessProbe { environ, ..probe() };
    assert_eq!(class_by("python gunicorn app:app", probe).as_deref(), Some("gevent"));
    assert_eq!(class_by("python gunicorn -k sync app:app", probe).as_deref(), Some("gthread"));
    assert_eq!(class_by("python gunicorn -k tornado app:app", probe).as_deref(), Some("tornado"));
}

#[test]
fn classes_by_stack() {
    let stack = |tgid| {
        let files = ["/app/uvicorn/workers.py", "/lib/gunicorn/workers/sync.py", "/lib/gunicorn/arbiter.py"];
        (tgid == 3).then(|| strings(&files))
    };
    let sync = ProcessProbe { peek: stack, ..probe() };
    assert_eq!(class_by(MASTER, sync).as_deref(), Some("sync"));
    assert_eq!(class_by("python gunicorn app:app", sync).as_deref(), Some("sync"));
    assert_eq!(class_by("python gunicorn -k sync app:app", sync).as_deref(), Some("sync"));
    let gthread = ProcessProbe { peek: |_| Some(strings(&["/lib/gunicorn/workers/gthread.py"])), ..probe() };
    assert_eq!(
        class_by("python gunicorn -k sync app:app", gthread).as_deref(),
        Some("gthread"),
        "threads in the file"
    );
    assert_eq!(class_by("python gunicorn -k a.MySyncWorker app:app", probe()).as_deref(), Some("sync"));
    let hub = ProcessProbe { peek: |_| Some(strings(&["/lib/gevent/hub.py"])), ..probe() };
    assert_eq!(class_by(MASTER, hub), None, "any class may use gevent");
}

#[test]
fn classes_by_mapped_files() {
    fn file(gevent: bool) -> PathBuf {
        PathBuf::from(if gevent { "/lib/gevent/_hub.so" } else { "/lib/gevents.so" })
    }
    let of_master = ProcessProbe { code_files: |tgid| vec![file(tgid == 2)], ..probe() };
    assert_eq!(class_by(MASTER, of_master).as_deref(), Some("gevent"));
    let of_worker = ProcessProbe { code_files: |tgid| vec![file(tgid == 3)], ..probe() };
    assert_eq!(class_by(MASTER, of_worker), None, "the application may have loaded it");
}

#[test]
fn what_happened_since_the_scan() {
    let line = "python gunicorn shop:app";
    let tree = host(&[(2, 1, line), (3, 2, line), (4, 2, line)]);
    becomes(3, None);
    becomes(4, Some(process(4, 2, "sleep 1")));
    assert_eq!(found(&tree, &probe()), ["gunicorn shop:app: m2 h4"]);
    becomes(2, None);
    becomes(4, None);
    assert!(found(&tree, &probe()).is_empty());
}

#[test]
fn what_others_chose_is_bounded() {
    let long = "é".repeat(5000);
    let line = format!("python gunicorn -n {long} -k {long} app:app");
    let fleets = discover(&host(&[(2, 1, &line), (3, 2, &line)]), &probe());
    let worker = fleets[0].member(3).unwrap();
    let texts = [&fleets[0].name, worker.worker_class.as_ref().unwrap()].into_iter().chain(&worker.evidence);
    assert!(texts.clone().count() > 3 && texts.clone().all(|text| text.chars().count() <= 201));
}
