//! Programs that work in processes of multiprocessing: a `Pool`, a `ProcessPoolExecutor` of `concurrent.futures`, or
//! processes started one by one. They are forked, spawned, or forked by a server.

use crate::{
    fleet::{
        Fleet, command,
        command::is_same,
        relation,
        search::Discovery,
        servers::{PLAIN, Server},
    },
    model::worker::Role,
    sys::process::Process,
};

/// What is known of it.
pub static SERVER: Server = Server {
    name: "multiprocessing",
    what: "the process pools of `multiprocessing` and `concurrent.futures`",
    recognise,
    waits_for_work: &[
        // A process that waits for its next task, and the threads that hand tasks out.
        ("concurrent/futures/process.py", &["_process_worker"]),
        ("concurrent/futures/process.py", &["wait_result_broken_or_wakeup", "_queue_management_worker"]),
        ("multiprocessing/pool.py", &["worker", "_handle_workers", "_wait_for_updates"]),
        ("multiprocessing/pool.py", &["_handle_tasks", "_handle_results"]),
        ("multiprocessing/queues.py", &["_feed"]),
        ("multiprocessing/resource_tracker.py", &["main"]),
        ("multiprocessing/forkserver.py", &["main"]),
        ("multiprocessing/managers.py", &["serve_forever", "accepter", "serve_client"]),
    ],
    ..PLAIN
};

/// Modules of the standard library whose code a worker runs, and what it is then.
const CLASSES: [(&str, &str); 3] = [
    ("multiprocessing/pool.py", "pool"),
    ("concurrent/futures/process.py", "executor"),
    ("multiprocessing/process.py", "process"),
];

/// A Python parent of such processes, or a frozen application, which is called something else.
fn recognise(process: &Process, discovery: &Discovery<'_>) -> Option<Fleet> {
    let is_started_by_multiprocessing = |child: &Process| {
        relation::is_spawned_by(child, process)
            || relation::is_of_forkserver(child)
            || (is_same(child, process) && class(child.tgid, discovery).is_some())
    };
    let has_spawned = |child: &Process| relation::is_spawned_by(child, process);
    if !(command::is_python(process) || discovery.tree.children(process.tgid).any(has_spawned))
        || relation::is_helper(process).is_some()
        || !discovery.tree.children(process.tgid).any(is_started_by_multiprocessing)
    {
        return None;
    }
    let why = "it is Python and has children that multiprocessing started".to_owned();
    let judge = |child: &Process, _| Some(relation::part_of(child, process));
    let mut fleet = discovery.gather(SERVER.name, command::name(process), (process, why), judge)?;
    for worker in fleet.workers_mut() {
        if let Some((class, file)) = class(worker.tgid, discovery) {
            worker.is_of_class(class, &format!("its Python stack is in {file}"));
        }
    }
    // What looked like a piece of it may have been on the way to `exec`.
    Some(fleet).filter(|fleet| fleet.with(Role::Worker).next().is_some())
}

/// The most telling module of a process's stack.
fn class(tgid: u32, discovery: &Discovery<'_>) -> Option<(&'static str, &'static str)> {
    let stack = discovery.stack(tgid);
    let is_on_stack =
        |part: &str| stack.iter().any(|file| file == part || file.ends_with(&format!("/{part}")));
    CLASSES.iter().find(|(file, _)| is_on_stack(file)).map(|(file, class)| (*class, *file))
}

#[cfg(test)]
mod tests {
    use crate::fleet::{
        ProcessProbe, Tree, discover,
        fixture::{self, found, host, probe, short},
    };

    fn stack(tgid: u32) -> Option<Vec<String>> {
        let library =
            |files: &[&str]| Some(files.iter().map(|file| format!("/lib/python3.11/{file}")).collect());
        match tgid {
            3 => library(&["multiprocessing/pool.py", "multiprocessing/process.py"]),
            4 => library(&["concurrent/futures/process.py", "multiprocessing/process.py"]),
            5 => library(&["multiprocessing/process.py"]),
            _ => library(&["threading.py"]),
        }
    }

    #[test]
    fn forked() {
        let tree = host(&[
            (2, 1, "python -m pool 3"),
            (3, 2, "python -m pool 3"),
            (4, 2, "python -m pool 3"),
            (5, 2, "python -m pool 3"),
            (6, 2, "tar x"),
            (7, 3, "python -m pool 3"),
            (8, 1, "python by_hand.py"),
            (9, 8, "python by_hand.py"),
        ]);
        let probe = ProcessProbe { peek: stack, ..probe() };
        let expected =
            ["multiprocessing pool: m2 w3:pool w4:executor w5:process h7 h6", "python by_hand.py: m8 w9"];
        assert_eq!(found(&tree, &probe), expected);
    }

    #[test]
    fn spawned() {
        let tree = host(&[
            (2, 1, "python train.py"),
            (3, 2, "python -c spawn_main --multiprocessing-fork"),
            (6, 1, "python alone.py"),
            (7, 6, "python other.py"),
        ]);
        assert_eq!(found(&tree, &probe()), ["multiprocessing train.py: m2 w3"]);
    }

    #[test]
    fn spawned_by_a_frozen_application() {
        let tree = host(&[
            (2, 1, "shop serve"),
            (3, 2, "shop -c from-multiprocessing.resource_tracker"),
            (4, 2, "shop --multiprocessing-fork tracker_fd=5 pipe_handle=7"),
        ]);
        assert_eq!(found(&tree, &probe()), ["multiprocessing shop: m2 w4 h3"]);
    }

    #[test]
    fn forked_by_a_server() {
        let code = |code: &str| vec!["python".to_owned(), "-c".to_owned(), code.to_owned()];
        let mut processes: Vec<_> = [(2, 1), (6, 2), (7, 2), (8, 7), (9, 7)]
            .map(|(tgid, ppid)| (tgid, ppid, "python train.py"))
            .into();
        processes.push((10, 8, "sleep"));
        let tree = host(&processes);
        let mut changed: Vec<_> = tree.iter().cloned().collect();
        for process in &mut changed {
            match process.tgid {
                6 => process.argv = code("from multiprocessing.resource_tracker import main;main(4)"),
                7..=9 => process.argv = code("from multiprocessing.forkserver import main; main(1, 2)"),
                _ => {}
            }
            fixture::becomes(process.tgid, Some(process.clone()));
        }
        let fleets = discover(&Tree::of(changed), &probe());
        let seen: Vec<_> = fleets.iter().map(short).collect();
        assert_eq!(seen, ["multiprocessing train.py: m2 w8 w9 h6 h7 h10"]);
    }
}
