//! Made-up hosts for tests.

use std::{cell::RefCell, collections::HashMap};

use crate::{
    fleet::{Fleet, ProcessProbe, Tree, discover},
    model::worker::Role,
    sys::process::Process,
};

thread_local! {
    static HOST: RefCell<HashMap<u32, Process>> = RefCell::default();
}

/// A process with this command line, words separated by blanks; a title is one word and begins with `gunicorn: `, or
/// with a quote.
#[must_use]
pub fn process(tgid: u32, ppid: u32, line: &str) -> Process {
    let words: Vec<_> = match line.strip_prefix('\'') {
        Some(title) => vec![title],
        None if line.starts_with("gunicorn: ") => vec![line],
        None => line.split_whitespace().collect(),
    };
    Process {
        tgid,
        ppid,
        started_ticks: u64::from(tgid),
        stack_start: 0,
        comm: words.first().copied().unwrap_or("kthread").chars().take(15).collect(),
        exe: None,
        argv: words.into_iter().map(str::to_owned).collect(),
        threads: 1,
    }
}

/// A host with these processes: (tgid, parent, command line).
#[must_use]
pub fn host(processes: &[(u32, u32, &str)]) -> Tree {
    let processes: Vec<_> = processes.iter().map(|(tgid, ppid, line)| process(*tgid, *ppid, line)).collect();
    HOST.set(processes.iter().map(|process| (process.tgid, process.clone())).collect());
    Tree::of(processes)
}

/// What a process of the host has become, or that it is gone.
pub fn becomes(tgid: u32, process: Option<Process>) {
    HOST.with_borrow_mut(|host| match process {
        Some(process) => drop(host.insert(tgid, process)),
        None => drop(host.remove(&tgid)),
    });
}

/// Eyes that see the last [`host`] of this thread, and nothing inside of its processes.
#[must_use]
pub fn probe() -> ProcessProbe {
    ProcessProbe {
        process: |tgid| HOST.with_borrow(|host| host.get(&tgid).cloned()),
        version: |_| None,
        peek: |_| None,
        environ: |_, _| None,
        sockets: |_| None,
        listeners: |_| HashMap::new(),
        code_files: |_| Vec::new(),
    }
}

/// The fleets in short: `server name: m1 w2 sync w3 h4`.
pub fn found(tree: &Tree, probe: &ProcessProbe) -> Vec<String> {
    discover(tree, probe).iter().map(short).collect()
}

/// A fleet in short.
#[must_use]
pub fn short(fleet: &Fleet) -> String {
    let member = |member: &crate::fleet::Member| {
        let role = match member.role {
            Role::Master => 'm',
            Role::Worker => 'w',
            Role::Helper => 'h',
        };
        let class = member.worker_class.as_ref().map(|class| format!(":{class}")).unwrap_or_default();
        format!(" {role}{}{class}", member.tgid)
    };
    format!("{} {}:{}", fleet.server, fleet.name, fleet.members.iter().map(member).collect::<String>())
}
