//! Any Python program that runs in several processes: a server that forks by hand, or one that is not known better.

use crate::{
    fleet::{
        Fleet,
        command::{self, is_same_executable},
        relation::{self, runs_same_program},
        search::Discovery,
        servers::{PLAIN, Server},
    },
    model::worker::Role,
    sys::process::Process,
};

/// What is known of it.
pub static SERVER: Server =
    Server { name: "python", what: "any other Python that runs in several processes", recognise, ..PLAIN };

/// A Python parent with children of the same program, or with children that listen where it does: those who give
/// themselves titles have no command line to compare.
fn recognise(process: &Process, discovery: &Discovery<'_>) -> Option<Fleet> {
    let is_python = command::is_python(process);
    let children = || discovery.tree.children(process.tgid);
    let is_renamed = |child: &Process| {
        is_python && child.exe.is_some() && child.argv != process.argv && is_same_executable(child, process)
    };
    // In servers that are not Python, what it may be for is settled by who was found below them.
    let is_settled = !is_python && children().any(|child| discovery.is_taken(child.tgid));
    if is_settled || !children().any(|child| runs_same_program(child, process) || is_renamed(child)) {
        return None;
    }
    if !is_python && (discovery.probe.version)(process.tgid).is_none() {
        return None;
    }
    let why = "it is Python and has children of the same program".to_owned();
    let judge = |child: &Process, shares: Option<bool>| {
        Some(if shares == Some(true) && is_renamed(child) {
            (Role::Worker, "it is the same program as its parent and listens where that does".to_owned())
        } else {
            relation::part_of(child, process)
        })
    };
    let fleet = discovery.gather(SERVER.name, command::name(process), (process, why), judge)?;
    // What looked like a piece of it may have been on the way to `exec`.
    Some(fleet).filter(|fleet| fleet.with(Role::Worker).next().is_some())
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use crate::fleet::{
        ProcessProbe, Tree,
        fixture::{self, becomes, found, host, probe, process},
    };

    #[test]
    fn a_server_that_forks() {
        let tree = host(&[
            (2, 1, "python -m serve 3"),
            (3, 2, "python -m serve 3"),
            (4, 2, "python -m serve 3"),
            (5, 4, "python -m serve 3"),
            (6, 2, "tar x"),
        ]);
        assert_eq!(found(&tree, &probe()), ["python serve: m2 w3 w4 h5 h6"]);
    }

    #[test]
    fn what_is_no_fleet() {
        let tree = host(&[
            (2, 1, "nginx"),
            (3, 2, "nginx"),
            (4, 1, "python a.py"),
            (5, 4, "python b.py"),
            (6, 1, "python c.py"),
        ]);
        assert!(found(&tree, &probe()).is_empty());
    }

    #[test]
    fn python_by_what_it_has_mapped() {
        let tree = host(&[(2, 1, "embedder --master"), (3, 2, "embedder --master")]);
        let probe = ProcessProbe { version: |_| Some("3.12.1".to_owned()), ..fixture::probe() };
        assert_eq!(found(&tree, &probe), ["python embedder: m2 w3"]);
    }

    #[test]
    fn workers_with_titles_listen_where_their_master_does() {
        let processes =
            [(2, 1, "'shop: master"), (3, 2, "'shop: worker"), (4, 2, "'shop: cron"), (5, 2, "'sh")];
        let mut processes = processes.map(|(tgid, ppid, line)| process(tgid, ppid, line));
        for process in &mut processes {
            let exe = if process.tgid == 5 { "/bin/sh" } else { "/bin/python3" };
            process.exe = Some(PathBuf::from(exe));
            process.comm = "shop".to_owned();
            becomes(process.tgid, Some(process.clone()));
        }
        let probe = ProcessProbe {
            listeners: |_| [(70, "127.0.0.1:80".to_owned())].into(),
            sockets: |tgid| Some(if tgid == 4 { vec![] } else { vec![70] }),
            ..fixture::probe()
        };
        assert_eq!(found(&Tree::of(processes.into()), &probe), ["python shop: m2 w3 h4 h5"]);
    }

    #[test]
    fn a_child_on_its_way_to_exec_is_no_worker() {
        let tree = host(&[(2, 1, "python build.py"), (3, 2, "python build.py")]);
        becomes(3, Some(process(3, 2, "cc -c x.c")));
        assert!(found(&tree, &probe()).is_empty());
        becomes(3, None);
        assert!(found(&tree, &probe()).is_empty());
        becomes(3, Some(process(3, 1, "python build.py")));
        assert!(found(&tree, &probe()).is_empty(), "an orphan, or another process of the same PID");
    }
}
