//! Finds the fleets of this host and keeps their members up to date.
//!
//! All of it is read from outside: process tree, command lines, titles, sockets, mapped files and, last, the
//! Python stack. What these do not tell stays blank; what decided is kept as evidence.

mod alone;
mod command;
mod discover;
mod event_loop;
#[cfg(test)]
pub mod fixture;
mod join;
mod launcher;
mod name;
mod newcomers;
mod options;
mod process_probe;
mod program;
mod relation;
mod search;
mod select;
pub mod servers;
mod slots;
mod tree;

use serde::Serialize;

use crate::{
    model::worker::{Role, Slot},
    sys::process::Process,
};
pub use alone::{Alone, alone};
pub use discover::discover;
pub use join::{adopt, join, learn_python, leave, refresh, remove_ended, renew};
pub use launcher::ProgramKind;
pub use newcomers::Newcomers;
pub use process_probe::ProcessProbe;
pub use select::{Wanted, select, started};
pub use tree::Tree;

/// The longest name that is kept, in characters: names are chosen by those who are watched.
const MAX_NAME_CHARS: usize = 200;

/// A master and the processes below it, or one process that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fleet {
    /// The application, or the command.
    pub name: String,
    /// The name of one of [`servers::SERVERS`], of which `python` is any Python; `process` for what is none.
    pub server: String,
    /// Addresses on which the workers listen: `127.0.0.1:8000`, `unix:/run/app.sock`. Empty if that may not be known.
    pub listening: Vec<String>,
    /// The master first, then workers and helpers, each from the oldest to the youngest.
    #[serde(rename = "workers")]
    pub members: Vec<Member>,
}

/// One process of a fleet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Member {
    /// Role of the process.
    pub role: Role,
    /// Slot of a worker; only workers have one, and only below a master.
    #[serde(flatten)]
    pub slot: Option<Slot>,
    /// `sync`, `gthread`, `gevent` …, if it is a worker of a server that has such, and shows which.
    pub worker_class: Option<String>,
    /// PID of the process.
    pub tgid: u32,
    /// PID of its parent.
    pub ppid: u32,
    /// The interpreter's version, such as `3.11.7`.
    pub python: Option<String>,
    /// How many threads it had when it was seen.
    pub threads: usize,
    /// What decided all this, in sentences.
    pub evidence: Vec<String>,
    /// True if most of it may not be read, for it belongs to somebody else.
    #[serde(skip)]
    pub hidden: bool,
    /// True once it was seen to end.
    #[serde(skip)]
    pub ended: bool,
    /// True if all that is known of its part is that its parent forked it while that was watched.
    #[serde(skip)]
    pub is_forked: bool,
    /// What it runs.
    #[serde(skip)]
    pub program: ProgramKind,
}

/// The PIDs of all members.
pub fn tgids(fleets: &[Fleet]) -> impl Iterator<Item = u32> {
    fleets.iter().flat_map(|fleet| &fleet.members).map(|member| member.tgid)
}

/// Adds fleets to others, by names that tell them apart.
pub fn add(fleets: &mut Vec<Fleet>, more: Vec<Fleet>) {
    fleets.extend(more);
    name::tell_apart(fleets);
}

impl Fleet {
    fn new(server: &str, name: &str) -> Self {
        let (name, server) = (bounded(name), server.to_owned());
        Self { name, server, listening: Vec::new(), members: Vec::new() }
    }

    /// The members with this part.
    pub fn with(&self, role: Role) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(move |member| member.role == role)
    }

    /// The members that were not seen to end.
    pub fn living(&self) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(|member| !member.ended)
    }

    fn workers_mut(&mut self) -> impl Iterator<Item = &mut Member> {
        self.members.iter_mut().filter(|member| member.role == Role::Worker)
    }

    /// A master without workers does the work itself.
    fn or_alone(mut self) -> Self {
        let is_alone = self.with(Role::Worker).next().is_none();
        if let Some(master) = self.members.first_mut().filter(|_| is_alone) {
            master.role = Role::Worker;
            master.evidence.push("it has no workers, so it does the work itself".to_owned());
        }
        self
    }

    /// The member with this PID.
    #[must_use]
    pub fn member(&self, tgid: u32) -> Option<&Member> {
        self.members.iter().find(|member| member.tgid == tgid)
    }
}

impl Member {
    fn new(process: &Process, role: Role, evidence: String, probe: &ProcessProbe) -> Self {
        let python = (probe.version)(process.tgid);
        Self {
            role,
            slot: None,
            worker_class: None,
            tgid: process.tgid,
            ppid: process.ppid,
            program: ProgramKind::of(process, python.as_deref()),
            python,
            threads: process.threads,
            evidence: vec![evidence],
            hidden: process.is_hidden(),
            ended: false,
            is_forked: false,
        }
    }

    fn is_of_class(&mut self, class: &str, why: &str) {
        self.worker_class = Some(bounded(class));
        self.evidence.push(bounded(&format!("{class}: {why}")));
    }
}

fn bounded(name: &str) -> String {
    match name.char_indices().nth(MAX_NAME_CHARS) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None => name.to_owned(),
    }
}
