//! Uvicorn: one process with an event loop, or a supervisor and what it spawns: `--workers`, or one for `--reload`.
//!
//! Facts are from the sources of uvicorn 0.54.

use crate::{
    fleet::{
        Fleet, event_loop,
        options::Grammar,
        program::ServerProgram,
        relation,
        search::Discovery,
        servers::{PLAIN, Server, design},
    },
    model::worker::Role,
    sys::process::Process,
};

/// What is known of it.
pub static SERVER: Server = Server {
    name: "uvicorn",
    what: "uvicorn, by itself and with `--workers`",
    recognise,
    waits_for_work: &[
        ("uvicorn/server.py", &["run"]),
        ("uvicorn/_compat.py", &["asyncio_run"]),
        ("uvicorn/supervisors/multiprocess.py", &[]),
        ("uvicorn/supervisors/basereload.py", &[]),
    ],
    // From the sources of uvicorn 0.54, and measured by `tests/tests/numbers/idle_servers.rs`.
    idle_design: |role, _, workers| match role {
        Role::Worker => design(
            9.0,
            14.0,
            "uvicorn's loop ticks ten times a second; with --workers each ping, twice a second, wakes it twice",
        ),
        Role::Master => {
            design(1.8, 2.2 + 4.4 * workers as f64, "uvicorn's supervisor pings its workers each half second")
        }
        Role::Helper => None,
    },
    ..PLAIN
};

const UVICORN: ServerProgram = ServerProgram {
    names: &["uvicorn"],
    grammar: Grammar {
        wanted: &["loop", "workers", "reload"],
        letters: &[],
        letter_flags: "",
        flags: &[
            "access-log",
            "date-header",
            "factory",
            "http2",
            "proxy-headers",
            "reload",
            "reset-contextvars",
            "server-header",
            "use-colors",
        ],
        abbreviates: false,
    },
    stack: &["uvicorn/supervisors/", "uvicorn/server.py"],
};

/// A supervisor with its workers, or a worker alone. Gunicorn's uvicorn workers are Gunicorn's.
fn recognise(process: &Process, discovery: &Discovery<'_>) -> Option<Fleet> {
    let found = UVICORN.find(process, discovery)?;
    let judge = |child: &Process, _| Some(relation::part_of(child, process));
    let fleet =
        discovery.gather(SERVER.name, found.name(SERVER.name), (process, found.why.clone()), judge)?;
    let is_supervised = found.options.has("reload") || found.options.number("workers").unwrap_or(1) > 1;
    let mut fleet = if is_supervised { fleet } else { fleet.or_alone() };
    let typed = found.options.get("loop").filter(|event_loop| *event_loop != "auto");
    let typed = typed.map(|event_loop| (event_loop, format!("its options say {event_loop}")));
    for worker in fleet.workers_mut() {
        if let Some((event_loop, why)) = typed.clone().or_else(|| event_loop::of(worker.tgid, discovery)) {
            worker.is_of_class(event_loop, &why);
        }
    }
    Some(fleet)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use crate::fleet::{
        ProcessProbe,
        fixture::{found, host, probe},
    };

    const SPAWNED: &str = "python -c spawn_main --multiprocessing-fork";

    #[test]
    fn a_supervisor_and_its_workers() {
        let tree = host(&[
            (2, 1, "python /bin/uvicorn --http h11 --workers 2 --loop uvloop shop:app --port 80"),
            (3, 2, SPAWNED),
            (4, 2, SPAWNED),
            (5, 4, "ffmpeg"),
            (6, 1, "python -m uvicorn --factory --reload blog:make"),
            (7, 6, SPAWNED),
            (8, 1, "python -m uvicorn --workers 2 early:app"),
        ]);
        let expected = [
            "uvicorn blog:make: m6 w7",
            "uvicorn early:app: m8",
            "uvicorn shop:app: m2 w3:uvloop w4:uvloop h5",
        ];
        assert_eq!(found(&tree, &probe()), expected);
    }

    #[test]
    fn one_process() {
        let tree = host(&[(2, 1, "python uvicorn shop:app"), (3, 2, "ffmpeg"), (4, 1, "vi uvicorn")]);
        assert_eq!(found(&tree, &probe()), ["uvicorn shop:app: w2 h3"]);
        let uvloop = ProcessProbe { code_files: |_| vec![PathBuf::from("/lib/uvloop/loop.so")], ..probe() };
        assert_eq!(found(&tree, &uvloop), ["uvicorn shop:app: w2:uvloop h3"]);
        let peek = |_| Some(vec!["/lib/python3.11/asyncio/base_events.py".to_owned()]);
        assert_eq!(found(&tree, &ProcessProbe { peek, ..uvloop }), ["uvicorn shop:app: w2:asyncio h3"]);
    }

    #[test]
    fn called_by_another_program() {
        let tree = host(&[
            (2, 1, "python serve.py"),
            (3, 1, "python other.py"),
            (4, 1, "python many.py"),
            (5, 4, SPAWNED),
        ]);
        let peek = |tgid| {
            let file = match tgid {
                2 => "/lib/uvicorn/server.py",
                4 => "/lib/uvicorn/supervisors/multiprocess.py",
                _ => "/lib/myuvicorn/server.py",
            };
            Some(vec![file.to_owned()])
        };
        let expected = ["uvicorn many.py: m4 w5", "uvicorn serve.py: w2"];
        assert_eq!(found(&tree, &ProcessProbe { peek, ..probe() }), expected);
    }
}
