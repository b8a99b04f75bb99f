//! RQ: a worker, which is the master here, and the work horses that it forks or spawns, one for each job. A pool is the
//! master of several such masters; a `SimpleWorker` does the work itself.
//!
//! Where the module `setproctitle` is installed, a worker is titled `rq:worker:NAME: Listening on high,low` or
//! `rq:worker:NAME: Forked 4711 at …`, and a horse `rq:worker:NAME: Processing shop.sell from high since …`. Facts are
//! from the sources of RQ 3.0.

use crate::{
    fleet::{
        Fleet,
        command::{self, Command, is_same_executable},
        options::{CommandOptions, Grammar},
        relation,
        search::Discovery,
        servers::{PLAIN, Server},
    },
    model::worker::Role,
    sys::process::Process,
};

/// What is known of it.
pub static SERVER: Server = Server {
    name: "rq",
    what: "RQ workers and pools of them",
    recognise,
    waits_for_work: &[
        // The worker that asks for its next job, its thread that hears commands, its scheduler, and its pool's master.
        ("rq/queue.py", &["lpop", "lmove", "dequeue_any"]),
        ("redis/client.py", &["run"]),
        ("rq/scheduler.py", &["work"]),
        ("rq/worker_pool.py", &["start", "reap_workers", "check_workers"]),
    ],
    forked_class: Some(HORSE),
    ..PLAIN
};

/// Options of `rq worker` and `rq worker-pool`.
const GRAMMAR: Grammar = Grammar {
    wanted: &["worker-class"],
    letters: &[('w', "worker-class")],
    letter_flags: "bdqsv",
    flags: &[
        "burst",
        "disable-default-exception-handler",
        "disable-job-desc-logging",
        "quiet",
        "verbose",
        "with-scheduler",
    ],
    abbreviates: false,
};

/// What a horse is called as a class of workers.
const HORSE: &str = "horse";

/// A worker or a pool of workers, with the horses that run just now.
fn recognise(process: &Process, discovery: &Discovery<'_>) -> Option<Fleet> {
    let titled = |name: &str| (name.to_owned(), false, false, "its title says that it is RQ's worker");
    let (name, is_pool, is_simple, why) = match RqTitle::of(process) {
        Some(RqTitle::Listening(queues)) => titled(queues),
        Some(RqTitle::Other(worker)) => {
            let horse = discovery.tree.children(process.tgid).find_map(|child| match RqTitle::of(child) {
                Some(RqTitle::Processing(queue)) => Some(queue),
                _ => None,
            });
            titled(horse.unwrap_or(worker))
        }
        Some(RqTitle::Processing(_)) => return None,
        None => of_command(&Command::of(process)?)?,
    };
    let judge = |child: &Process, _| Some(judge(child, process, is_pool, discovery));
    let mut fleet = discovery.gather(SERVER.name, &name, (process, why.to_owned()), judge)?;
    if is_pool {
        // The horses are a generation below.
        let masters: Vec<u32> = fleet.with(Role::Master).map(|master| master.tgid).collect();
        for member in fleet.members.iter_mut().filter(|member| member.role == Role::Helper) {
            let parent = discovery.tree.get(member.ppid).filter(|parent| masters[1..].contains(&parent.tgid));
            if let Some((parent, child)) = parent.zip(discovery.tree.get(member.tgid)) {
                let (role, why) = self::judge(child, parent, false, discovery);
                (member.role, member.evidence) = (role, vec![why]);
            }
        }
        fleet.members.sort_by_key(|member| member.role);
    }
    if is_simple {
        fleet.members.iter_mut().skip(1).for_each(|member| member.role = Role::Helper);
        fleet = fleet.or_alone();
    }
    let (class, why) =
        if is_simple { ("simple", "its options say so") } else { (HORSE, "its parent is a worker of RQ") };
    fleet.workers_mut().for_each(|worker| worker.is_of_class(class, why));
    Some(fleet)
}

/// The queues, whether it is a pool, whether its workers do the work themselves, and what decided.
fn of_command(command: &Command<'_>) -> Option<(String, bool, bool, &'static str)> {
    let options = CommandOptions::parse(command.args, &GRAMMAR);
    let (is_pool, queues) = match (command.name(), options.words.first().map(String::as_str)) {
        ("rq", Some("worker")) => (false, &options.words[1..]),
        ("rq", Some("worker-pool")) => (true, &options.words[1..]),
        ("rqworker", _) => (false, &options.words[..]),
        _ => return None,
    };
    let name = if queues.is_empty() { "default".to_owned() } else { queues.join(",") };
    let is_simple = options.get("worker-class").is_some_and(|class| class.ends_with("SimpleWorker"));
    Some((name, is_pool, is_simple && !is_pool, "its command line runs RQ"))
}

/// What a child of a worker, or of a pool, is.
fn judge(child: &Process, parent: &Process, of_pool: bool, discovery: &Discovery<'_>) -> (Role, String) {
    let title = RqTitle::of(child);
    let is_spawned = command::is_python(child) && is_same_executable(child, parent);
    let (role, why) = if let Some(RqTitle::Processing(_)) = title {
        (Role::Worker, "its title says that it processes a job")
    } else if title.is_none() && !is_spawned && !relation::runs_same_program(child, parent) {
        (Role::Helper, "it runs another program than its parent")
    } else if discovery.runs(child, &["rq/scheduler.py"]).is_some() {
        (Role::Helper, "its Python stack is in rq/scheduler.py")
    } else if of_pool {
        (Role::Master, "it is a worker of the pool")
    } else {
        (Role::Worker, "a worker of RQ started it for a job")
    };
    (role, why.to_owned())
}

/// What RQ writes over the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RqTitle<'a> {
    /// On these queues.
    Listening(&'a str),
    /// A job from this queue.
    Processing(&'a str),
    /// The worker's name.
    Other(&'a str),
}

impl<'a> RqTitle<'a> {
    fn of(process: &'a Process) -> Option<Self> {
        let title = command::title(process)?.strip_prefix("rq:worker:")?;
        let (worker, message) = title.split_once(": ").unwrap_or((title, ""));
        if let Some(queues) = message.strip_prefix("Listening on ") {
            return Some(Self::Listening(queues));
        }
        let Some(job) = message.strip_prefix("Processing ") else { return Some(Self::Other(worker)) };
        let queue = job.split_once(" from ").map_or(job, |(_, queue)| queue);
        Some(Self::Processing(queue.split_once(" since ").map_or(queue, |(queue, _)| queue)))
    }
}

#[cfg(test)]
mod tests {
    use crate::fleet::{
        ProcessProbe,
        fixture::{found, host, probe},
    };

    fn scheduler(tgid: u32) -> Option<Vec<String>> {
        (tgid == 4 || tgid == 24)
            .then(|| vec!["/lib/rq/scheduler.py".to_owned(), "/lib/rq/worker/base.py".to_owned()])
    }

    #[test]
    fn by_command_line() {
        let line = "python /bin/rq worker -u redis:// high low --with-scheduler";
        let tree = host(&[
            (2, 1, line),
            (3, 2, line),
            (4, 2, line),
            (5, 3, "convert"),
            (6, 1, "python -m rq worker"),
            (7, 6, "python -c import"),
            (8, 1, "python rq worker -w rq.SimpleWorker mail"),
            (9, 8, "convert"),
            (10, 1, "python rq info"),
            (11, 1, "python rqworker -b mail"),
        ]);
        let expected = [
            "rq default: m6 w7:horse",
            "rq high,low: m2 w3:horse h5 h4",
            "rq mail: w8:simple h9",
            "rq mail: m11",
        ];
        assert_eq!(found(&tree, &ProcessProbe { peek: scheduler, ..probe() }), expected);
    }

    #[test]
    fn a_pool_has_several_masters() {
        let line = "python rq worker-pool -n 2 mail";
        let tree = host(&[
            (20, 1, line),
            (21, 20, line),
            (22, 20, "'rq:worker:b: Forked 25 at 1"),
            (23, 21, line),
            (24, 21, line),
            (25, 22, "'rq:worker:b: Processing shop.sell from mail since 1"),
            (26, 25, "convert"),
        ]);
        let expected = ["rq mail: m20 m21 m22 w23:horse w25:horse h24 h26"];
        assert_eq!(found(&tree, &ProcessProbe { peek: scheduler, ..probe() }), expected);
    }

    #[test]
    fn by_title() {
        let tree = host(&[
            (2, 1, "'rq:worker:a: Listening on high,low"),
            (3, 1, "'rq:worker:b: Forked 4 at 1"),
            (4, 3, "'rq:worker:b: Processing x from y from mail since 1"),
            (5, 1, "'rq:worker:c: Forked 6 at 1"),
        ]);
        let expected = ["rq c: m5", "rq high,low: m2", "rq y from mail: m3 w4:horse"];
        assert_eq!(found(&tree, &probe()), expected);
    }
}
