//! Granian: a master and the workers that it forks or spawns, with titles where the module `setproctitle` is
//! installed: `granian wsgi 127.0.0.1:8000 shop:app`, or what `--process-name` says, and `worker-1` behind it.
//!
//! Facts are from the sources of Granian 2.8.

use crate::{
    fleet::{
        Fleet, command,
        options::CommandOptions,
        options::Grammar,
        program::FoundServer,
        program::ServerProgram,
        relation,
        search::Discovery,
        servers::{PLAIN, Server},
    },
    model::worker::Role,
    sys::process::Process,
};

/// What is known of it.
pub static SERVER: Server = Server {
    name: "granian",
    what: "Granian",
    recognise,
    waits_for_work: &[
        // It is Rust below these: its master, a thread of that for each worker, and the workers.
        ("granian/server/common.py", &["_serve_loop", "_watcher"]),
        ("granian/server/mp.py", &[]),
        ("granian/server/mt.py", &[]),
    ],
    ..PLAIN
};

const GRANIAN: ServerProgram = ServerProgram {
    names: &["granian", "granian.cli"],
    grammar: Grammar {
        wanted: &["interface"],
        letters: &[],
        letter_flags: "",
        flags: &[
            "access-log",
            "factory",
            "http1-keep-alive",
            "http1-pipeline-flush",
            "http2-adaptive-window",
            "log",
            "metrics",
            "reload",
            "reload-ignore-worker-failure",
            "respawn-failed-workers",
            "ssl-client-verify",
            "static-path-dir-to-file",
            "ws",
        ],
        abbreviates: false,
    },
    stack: &["granian/server/"],
};

/// What it serves unless told otherwise.
const DEFAULT_INTERFACE: &str = "rsgi";

/// A master with its workers, or a worker alone.
fn recognise(process: &Process, discovery: &Discovery<'_>) -> Option<Fleet> {
    let title = command::title(process);
    let words: Vec<_> = title.unwrap_or_default().split(' ').collect();
    let (found, name, class) = if let ["granian", interface, _, application] = words[..] {
        let why = "its title says that it is Granian's master".to_owned();
        let class = Some((interface.to_owned(), "its master's title says so"));
        (FoundServer { options: CommandOptions::default(), caller: None, why }, application.to_owned(), class)
    } else {
        let found = GRANIAN.find(process, discovery)?;
        // A title of one's own takes the place of the command line: its stack told, and its title is its name.
        let name =
            title.filter(|_| found.caller.is_some()).unwrap_or_else(|| found.name(SERVER.name)).to_owned();
        let class = match found.options.get("interface") {
            Some(interface) => Some((interface.to_owned(), "its options say so")),
            None if found.caller.is_none() => {
                Some((DEFAULT_INTERFACE.to_owned(), "its options say no other"))
            }
            None => None,
        };
        (found, name, class)
    };
    let judge = |child: &Process, _| {
        let worker = command::title(child).zip(title).and_then(|(childs, title)| childs.strip_prefix(title));
        Some(if worker.is_some_and(|worker| worker.starts_with(" worker-")) {
            (Role::Worker, "its title says that it is Granian's worker".to_owned())
        } else {
            relation::part_of(child, process)
        })
    };
    let mut fleet = discovery.gather(SERVER.name, &name, (process, found.why), judge)?.or_alone();
    if let Some((class, why)) = class {
        fleet.workers_mut().for_each(|worker| worker.is_of_class(&class, why));
    }
    Some(fleet)
}

#[cfg(test)]
mod tests {
    use crate::fleet::{
        ProcessProbe,
        fixture::{found, host, probe},
    };

    #[test]
    fn by_command_line() {
        let line = "python /bin/granian --interface wsgi --no-ws --workers 2 shop:app";
        let tree = host(&[
            (2, 1, line),
            (3, 2, line),
            (4, 2, line),
            (5, 1, "python -m granian blog:app"),
            (6, 5, "python -c spawn_main --multiprocessing-fork"),
            (7, 1, "python -m granian --interface asgi alone:app"),
        ]);
        let expected = [
            "granian alone:app: w7:asgi",
            "granian blog:app: m5 w6:rsgi",
            "granian shop:app: m2 w3:wsgi w4:wsgi",
        ];
        assert_eq!(found(&tree, &probe()), expected);
    }

    #[test]
    fn by_title() {
        let tree = host(&[
            (2, 1, "'granian wsgi 127.0.0.1:80 shop:app"),
            (3, 2, "'granian wsgi 127.0.0.1:80 shop:app worker-1"),
            (4, 2, "sleep"),
            (5, 1, "'granian"),
        ]);
        assert_eq!(found(&tree, &probe()), ["granian shop:app: m2 w3:wsgi h4"]);
    }

    #[test]
    fn by_stack_under_a_title_of_its_own() {
        let tree = host(&[(2, 1, "'python shop"), (3, 2, "'python shop worker-1"), (4, 1, "'python blog")]);
        let peek = |tgid| (tgid < 4).then(|| vec!["/lib/granian/server/common.py".to_owned()]);
        assert_eq!(found(&tree, &ProcessProbe { peek, ..probe() }), ["granian python shop: m2 w3"]);
    }
}
