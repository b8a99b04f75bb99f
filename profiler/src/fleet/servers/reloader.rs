//! Development servers with a reloader: a process that serves, and a parent that starts it again when files change.

use crate::{
    fleet::{
        Fleet, relation,
        search::Discovery,
        servers::{Server, design},
    },
    model::{design::Design, worker::Role},
    sys::process::Process,
};

/// How often its processes wake while there is nothing to do: [`Server::idle_design`].
pub fn idle_design(role: Role, _class: Option<&str>, _workers: usize) -> Option<Design> {
    match role {
        Role::Worker => design(
            1.8,
            3.3,
            "its server looks twice a second whether it should end, its reloader each second for changed files",
        ),
        Role::Master => design(0.0, 0.1, "the reloader sleeps until the process that serves ends"),
        Role::Helper => None,
    }
}

/// A reloader with the process that serves, or that one alone; `why` says what it was recognised by.
pub fn gather(
    server: &Server,
    name: &str,
    (process, why): (&Process, String),
    discovery: &Discovery<'_>,
) -> Option<Fleet> {
    let judge = |child: &Process, _| Some(relation::part_of(child, process));
    Some(discovery.gather(server.name, name, (process, why), judge)?.or_alone())
}
