//! Celery's workers: a main process with the processes of its pool, or one that runs its tasks itself (`threads`,
//! `gevent`, `eventlet`, `solo`).
//!
//! Where the module `setproctitle` is installed, and the variable `NOSETPS` is not set, the main process is titled
//! `[celeryd: shop@host:MainProcess] -active- (-A shop worker)`, with its arguments, and the others
//! `[celeryd: shop@host:ForkPoolWorker-1]`. Facts are from the sources of Celery 5.7.

use crate::{
    fleet::{
        Fleet, bounded,
        command::{self, Command},
        options::{self, CommandOptions, Grammar},
        relation,
        search::Discovery,
        servers::{PLAIN, Server},
    },
    model::worker::Role,
    sys::process::Process,
};

/// What is known of it.
pub static SERVER: Server = Server {
    name: "celery",
    what: "Celery workers, all pools",
    recognise,
    waits_for_work: &[
        // Its pool's processes and the threads that serve them, and the loops of its main process.
        ("billiard/pool.py", &["wait_for_job", "workloop", "receive", "_recv", "_poll_result", "body"]),
        ("kombu/asynchronous/hub.py", &["create_loop"]),
        ("celery/worker/loops.py", &["asynloop", "synloop", "_loop_cycle"]),
        ("celery/utils/timer2.py", &["run"]),
        ("celery/beat.py", &["start"]),
    ],
    ..PLAIN
};

/// What `celery` is called as a script and as a module.
pub(super) const NAMES: [&str; 2] = ["celery", "celery.bin.celery"];

/// Options of `celery`, of `celery worker` and of `celery beat`.
pub(super) const GRAMMAR: Grammar = Grammar {
    wanted: &["app", "pool", "hostname", "beat"],
    letters: &[('A', "app"), ('P', "pool"), ('n', "hostname"), ('B', "beat")],
    letter_flags: "BCDETq",
    flags: &[
        "beat",
        "detach",
        "disable-prefetch",
        "discard",
        "events",
        "no-color",
        "purge",
        "quiet",
        "skip-checks",
        "task-events",
        "without-gossip",
        "without-heartbeat",
        "without-mingle",
    ],
    abbreviates: false,
};

/// A main process with its pool, or a worker alone.
fn recognise(process: &Process, discovery: &Discovery<'_>) -> Option<Fleet> {
    let (options, node, why) = main_process(process, discovery)?;
    let name = options.get("app").or(node).or(options.get("hostname")).unwrap_or("celery");
    let judge = |child: &Process, _| Some(judge(child, process, options.has("beat"), discovery));
    let mut fleet = discovery.gather(SERVER.name, name, (process, why.to_owned()), judge)?;
    let pool = options.get("pool").map(|pool| if pool == "processes" { "prefork" } else { pool });
    if pool != Some("prefork") {
        fleet = fleet.or_alone();
    }
    let is_forked = fleet.with(Role::Master).next().is_some();
    let class = match pool {
        Some(pool) => Some((pool, "its options say so")),
        None if is_forked => Some(("prefork", "its main process has a pool of processes")),
        None => None,
    };
    if let Some((class, why)) = class {
        fleet.workers_mut().for_each(|worker| worker.is_of_class(class, why));
    }
    Some(fleet)
}

/// What a main process was told, what else it is called, and what decided.
fn main_process<'p>(
    process: &'p Process,
    discovery: &Discovery<'_>,
) -> Option<(CommandOptions, Option<&'p str>, &'static str)> {
    if let Some(title) = CeleryTitle::of(process) {
        let CeleryTitle::Main { node, arguments } = title else { return None };
        let options = CommandOptions::parse(&options::split(arguments), &GRAMMAR);
        return Some((options, Some(node), "its title says that it is Celery's main process"));
    }
    let command = Command::of(process)?;
    if NAMES.contains(&command.name()) {
        let options = CommandOptions::parse(command.args, &GRAMMAR);
        let is_worker = options.words.iter().any(|word| word == "worker");
        return is_worker.then_some((options, None, "its command line runs Celery's worker"));
    }
    discovery.runs(process, &["celery/worker/worker.py"])?;
    let why = "its Python stack is in celery/worker/worker.py";
    Some((CommandOptions::default(), Some(command::name(process)), why))
}

/// What a child of the main process is.
fn judge(child: &Process, master: &Process, has_beat: bool, discovery: &Discovery<'_>) -> (Role, String) {
    match CeleryTitle::of(child) {
        Some(CeleryTitle::Main { .. }) => {
            (Role::Worker, "it has its master's title still: it was just forked".to_owned())
        }
        Some(CeleryTitle::Beat { .. }) => {
            (Role::Helper, "its title says that it is Celery's scheduler".to_owned())
        }
        Some(CeleryTitle::Other(title)) => {
            let role = if title.contains("Worker-") { Role::Worker } else { Role::Helper };
            (role, format!("its title says {}", bounded(title)))
        }
        None if has_beat && discovery.runs(child, &["celery/beat.py"]).is_some() => {
            (Role::Helper, "its Python stack is in celery/beat.py".to_owned())
        }
        None => relation::part_of(child, master),
    }
}

/// What Celery writes over the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CeleryTitle<'a> {
    Main {
        node: &'a str,
        arguments: &'a str,
    },
    /// `[celery beat] -A shop beat`, and without arguments below a worker.
    Beat {
        arguments: &'a str,
    },
    /// `celeryd: shop@host:ForkPoolWorker-1`
    Other(&'a str),
}

impl<'a> CeleryTitle<'a> {
    pub(super) fn of(process: &'a Process) -> Option<Self> {
        let title = command::title(process)?.strip_prefix("[celery")?;
        let (program, info) = title.split_once(']').unwrap_or((title, ""));
        if program == " beat" {
            return Some(Self::Beat { arguments: info });
        }
        let node = program.strip_prefix("d: ").and_then(|program| program.strip_suffix(":MainProcess"));
        let Some(node) = node else { return Some(Self::Other(program.trim_start_matches(['d', ':', ' ']))) };
        let arguments = info.split_once('(').map_or("", |(_, arguments)| arguments.trim_end_matches(')'));
        Some(Self::Main { node, arguments })
    }
}

#[cfg(test)]
mod tests {
    use crate::fleet::{
        ProcessProbe,
        fixture::{found, host, probe},
    };

    #[test]
    fn by_command_line() {
        let line = "python /bin/celery -A shop worker -c 2 -B -l info";
        let tree = host(&[
            (2, 1, line),
            (3, 2, line),
            (4, 2, line),
            (5, 2, line),
            (6, 3, "convert"),
            (7, 1, "python -m celery worker --app=blog --pool solo"),
            (8, 1, "python celery -A wiki worker -P threads"),
            (10, 1, "python celery -A wiki -q worker"),
            (11, 1, "python celery -A early worker -P processes"),
        ]);
        let beat = ProcessProbe {
            peek: |tgid| (tgid == 3).then(|| vec!["/lib/celery/beat.py".to_owned()]),
            ..probe()
        };
        let expected = [
            "celery blog: w7:solo",
            "celery early: m11",
            "celery shop: m2 w4:prefork w5:prefork h3 h6",
            "celery wiki: w8:threads",
            "celery wiki: w10",
        ];
        assert_eq!(found(&tree, &beat), expected);
    }

    #[test]
    fn by_title() {
        let tree = host(&[
            (2, 1, "'[celeryd: a@host:MainProcess] -active- (worker -A shop -B)"),
            (3, 2, "'[celeryd: a@host:ForkPoolWorker-1]"),
            (4, 2, "'[celery beat]"),
            (5, 2, "'[celeryd: a@host:MainProcess] -active- (worker -A shop -B)"),
            (6, 1, "'[celeryd: b@host:MainProcess] -active- (-b redis:// worker -P gevent -c 9)"),
            (7, 1, "'[celeryd: c@host:MainProcess] (cut sh"),
        ]);
        let expected =
            ["celery b@host: w6:gevent", "celery c@host: w7", "celery shop: m2 w3:prefork w5:prefork h4"];
        assert_eq!(found(&tree, &probe()), expected);
    }

    #[test]
    fn called_by_another_program() {
        let tree = host(&[(2, 1, "python tasks.py"), (3, 2, "python tasks.py"), (4, 1, "python other.py")]);
        let peek = |tgid| (tgid < 4).then(|| vec!["/lib/celery/worker/worker.py".to_owned()]);
        assert_eq!(found(&tree, &ProcessProbe { peek, ..probe() }), ["celery tasks.py: m2 w3:prefork"]);
    }
}
