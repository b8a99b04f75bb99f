//! Huey's consumer: one process with threads or greenlets that run its tasks; with `-k process` a master, the process of its
//! scheduler, and workers.
//!
//! Facts are from the sources of Huey 3.5.

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
    name: "huey",
    what: "Huey's consumer, all kinds of workers",
    recognise,
    waits_for_work: &[
        // Its main loop, and the rests of its scheduler and of workers that poll; the others ask their queue.
        ("huey/consumer.py", &["loop", "run", "sleep", "sleep_for_interval", "wait"]),
        ("huey/storage.py", &["dequeue"]),
    ],
    ..PLAIN
};

const HUEY: ServerProgram = ServerProgram {
    names: &["huey_consumer", "huey_consumer.py", "huey.bin.huey_consumer"],
    grammar: Grammar {
        wanted: &["worker-type"],
        letters: &[('k', "worker-type")],
        letter_flags: "Cnoquv",
        flags: &["disable_health_check", "localtime", "no-periodic", "quiet", "utc", "verbose"],
        abbreviates: true,
    },
    stack: &["huey/consumer.py"],
};

/// A consumer alone, or with its scheduler and its workers.
fn recognise(process: &Process, discovery: &Discovery<'_>) -> Option<Fleet> {
    let found = HUEY.find(process, discovery)?;
    let typed = found.options.get("worker-type").map(|class| (class.to_owned(), "its options say so"));
    let default = || found.caller.is_none().then(|| ("thread".to_owned(), "its options say no other"));
    let class = typed.or_else(default);
    let has_processes = class.as_ref().is_none_or(|(class, _)| class == "process");
    let judge = |child: &Process, _| {
        let (role, why) = relation::part_of(child, process);
        Some((if has_processes { role } else { Role::Helper }, why))
    };
    let mut fleet =
        discovery.gather(SERVER.name, found.name(SERVER.name), (process, found.why.clone()), judge)?;
    if let Some(scheduler) = fleet.workers_mut().next() {
        scheduler.role = Role::Helper;
        scheduler.evidence.push("it is the oldest: Huey starts its scheduler before its workers".to_owned());
    }
    fleet.members.sort_by_key(|member| member.role);
    let is_told = class.as_ref().is_some_and(|(class, _)| class == "process");
    let mut fleet = if is_told { fleet } else { fleet.or_alone() };
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
        let line = "python /bin/huey_consumer.py -n -w 2 -k process shop.huey";
        let threads = "python -m huey.bin.huey_consumer blog.huey -w 4";
        let tree = host(&[
            (2, 1, line),
            (3, 2, line),
            (4, 2, line),
            (5, 2, line),
            (6, 4, "convert"),
            (7, 1, threads),
            (8, 7, threads),
            (9, 1, "python huey_consumer wiki.huey --worker-type=greenlet -v"),
            (10, 1, "cat huey_consumer.py"),
            (11, 1, "python huey_consumer early.huey -k process"),
        ]);
        let expected = [
            "huey blog.huey: w7:thread h8",
            "huey early.huey: m11",
            "huey shop.huey: m2 w4:process w5:process h3 h6",
            "huey wiki.huey: w9:greenlet",
        ];
        assert_eq!(found(&tree, &probe()), expected);
    }

    #[test]
    fn called_by_another_program() {
        let line = "python manage.py run_huey";
        let tree = host(&[(2, 1, line), (3, 2, line), (4, 2, line), (5, 1, "python other.py")]);
        let peek = |tgid| (tgid < 5).then(|| vec!["/lib/huey/consumer.py".to_owned()]);
        assert_eq!(found(&tree, &ProcessProbe { peek, ..probe() }), ["huey manage.py: m2 w4 h3"]);
    }
}
