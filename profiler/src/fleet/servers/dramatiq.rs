//! Dramatiq: a master, workers with threads that run the tasks, and functions that it was told to run in processes of their
//! own (`--fork-function`), which it starts once the workers run.
//!
//! Facts are from the sources of Dramatiq 2.2.

use crate::{
    fleet::{
        Fleet,
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
    idle_design: |role, _, _| match role {
        Role::Master => design(
            1.8,
            2.2,
            "the master looks after a worker each second, its thread that writes logs for their end",
        ),
        _ => None,
    },
    ..PLAIN
};

const DRAMATIQ: ServerProgram = ServerProgram {
    names: &["dramatiq", "dramatiq-gevent"],
    grammar: Grammar {
        wanted: &["processes"],
        letters: &[('p', "processes")],
        letter_flags: "v",
        flags: &["skip-logging", "use-spawn", "verbose", "watch-use-polling"],
        abbreviates: true,
    },
    stack: &["dramatiq/cli.py"],
};

/// A master with its workers, and what it forked besides.
fn recognise(process: &Process, discovery: &Discovery<'_>) -> Option<Fleet> {
    let found = DRAMATIQ.find(process, discovery)?;
    let judge = |child: &Process, _| Some(relation::part_of(child, process));
    let mut fleet =
        discovery.gather(SERVER.name, found.name(SERVER.name), (process, found.why.clone()), judge)?;
    if let Some(workers) = found.options.number("processes").and_then(|typed| usize::try_from(typed).ok()) {
        for function in fleet.workers_mut().skip(workers) {
            function.role = Role::Helper;
            function
                .evidence
                .push("it is none of the oldest: functions are forked when the workers run".to_owned());
        }
        fleet.members.sort_by_key(|member| member.role);
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
        let peek = |tgid| (tgid == 8).then(|| vec!["/lib/dramatiq/cli.py".to_owned()]);
        let expected = [
            "dramatiq blog: m6 w7",
            "dramatiq shop.tasks:broker: m2 w3 w4 h11 h5",
            "dramatiq tasks.py: m8 w9",
        ];
        assert_eq!(found(&tree, &ProcessProbe { peek, ..probe() }), expected);
    }
}
