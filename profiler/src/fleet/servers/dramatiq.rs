//! Dramatiq: a master that multiprocessing's processes work for, with threads that run the tasks, and functions that it was
//! told to run in processes of their own.
//!
//! Facts are from the sources of Dramatiq 2.2.

use crate::{
    fleet::{
        Fleet,
        options::Grammar,
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
    name: "dramatiq",
    what: "Dramatiq",
    recognise,
    waits_for_work: &[
        // Its master, the thread there that writes logs, and the main threads of its workers.
        ("dramatiq/cli.py", &["main", "watch_logs", "worker_process"]),
        // Threads that ask for messages, that process them, and that end those which take too long.
        ("dramatiq/worker.py", &["run"]),
        ("dramatiq/middleware/time_limit.py", &["run"]),
        ("dramatiq/brokers/redis.py", &["__next__"]),
        ("dramatiq/brokers/rabbitmq.py", &["__next__"]),
        ("dramatiq/brokers/stub.py", &["__next__"]),
    ],
    ..PLAIN
};

const DRAMATIQ: ServerProgram = ServerProgram {
    names: &["dramatiq", "dramatiq-gevent"],
    grammar: Grammar {
        wanted: &[],
        letters: &[],
        letter_flags: "v",
        flags: &["skip-logging", "use-spawn", "verbose", "watch-use-polling"],
        abbreviates: true,
    },
    stack: &[CLI],
};

/// Where its processes begin.
const CLI: &str = "dramatiq/cli.py";

/// A master with its workers.
fn recognise(process: &Process, discovery: &Discovery<'_>) -> Option<Fleet> {
    let found = DRAMATIQ.find(process, discovery)?;
    let judge = |child: &Process, _| {
        Some(if runs_fork_function(child, discovery) {
            (Role::Helper, format!("it runs a function that {CLI} was told to fork"))
        } else {
            relation::part_of(child, process)
        })
    };
    discovery.gather(SERVER.name, found.name(SERVER.name), (process, found.why.clone()), judge)
}

/// True if a process runs what `--fork-function` or a middleware names; a worker's main thread only rests.
fn runs_fork_function(child: &Process, discovery: &Discovery<'_>) -> bool {
    let stack = discovery.stack(child.tgid);
    let rests = stack.first().is_some_and(|innermost| innermost.ends_with(CLI));
    !rests && discovery.runs(child, &[CLI]).is_some()
}

#[cfg(test)]
mod tests {
    use crate::fleet::{
        ProcessProbe,
        fixture::{found, host, probe},
    };

    #[test]
    fn a_master_and_its_workers() {
        let line = "python /bin/dramatiq -v --processes 2 --threads 4 shop.tasks:broker shop.mails";
        let tree = host(&[
            (2, 1, line),
            (3, 2, line),
            (4, 2, line),
            (5, 3, "convert"),
            (6, 1, "python -m dramatiq --use-spawn blog"),
            (7, 6, "python -c spawn_main --multiprocessing-fork"),
            (8, 1, "python tasks.py"),
            (9, 8, "python tasks.py"),
            (10, 1, "tail dramatiq shop"),
            (11, 2, line),
        ]);
        let peek = |tgid| {
            let function = (tgid == 11).then(|| "/lib/http/server.py".to_owned());
            let cli = matches!(tgid, 3 | 8 | 11).then(|| "/lib/dramatiq/cli.py".to_owned());
            Some(function.into_iter().chain(cli).collect())
        };
        let expected = [
            "dramatiq blog: m6 w7",
            "dramatiq shop.tasks:broker: m2 w3 w4 h5 h11",
            "dramatiq tasks.py: m8 w9",
        ];
        assert_eq!(found(&tree, &ProcessProbe { peek, ..probe() }), expected);
    }
}
