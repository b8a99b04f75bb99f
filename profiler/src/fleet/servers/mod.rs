//! Servers: a file for each with all that is known of it, and the table that discovery, the rules of idleness, the audit
//! and the documents read. To add one is to add a file and a row.

mod airflow;
mod celery;
mod celery_beat;
mod daphne;
mod django;
mod dramatiq;
mod flask;
mod generic;
mod granian;
mod gunicorn;
mod huey;
mod hypercorn;
mod jupyter;
mod mod_wsgi;
mod pool;
mod reloader;
mod rq;
mod uvicorn;
mod uwsgi;
mod waitress;

use crate::{
    fleet::{Fleet, search::Discovery},
    model::{
        accounting::{FleetDelta, WorkerDelta},
        design::Design,
        worker::Role,
    },
    sys::process::Process,
};

/// What is known of one server.
#[derive(Debug)]
pub struct Server {
    /// What it is called in every output.
    pub name: &'static str,
    /// Which of its forms are recognised.
    pub what: &'static str,
    /// Tells the fleet that a process is the master of.
    pub recognise: fn(&Process, &Discovery<'_>) -> Option<Fleet>,
    /// Where its threads wait for work.
    pub waits_for_work: &'static [Functions],
    /// How often a process of its wakes while it has nothing to do, by its part, its class, and how many workers its fleet has.
    pub idle_design: fn(Role, Option<&str>, usize) -> Option<Design>,
    /// How it is told to have another number of workers while it runs.
    pub scale: Option<Scale>,
    /// The class of what a worker of its forks.
    pub forked_class: Option<&'static str>,
}

/// Functions of a file: the end of its path, and their names without their classes; no names stand for all of them.
pub type Functions = (&'static str, &'static [&'static str]);

/// The signals by which a master has a worker more, or fewer.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    /// For one more.
    pub up: libc::c_int,
    /// For one fewer.
    pub down: libc::c_int,
}

/// All, the most telling first: a process belongs to the first fleet that takes it.
pub static SERVERS: &[&Server] = &[
    &gunicorn::SERVER,
    &uwsgi::SERVER,
    &mod_wsgi::SERVER,
    &celery::SERVER,
    &celery_beat::SERVER,
    &rq::SERVER,
    &dramatiq::SERVER,
    &huey::SERVER,
    &airflow::SERVER,
    &granian::SERVER,
    &hypercorn::SERVER,
    &django::SERVER,
    &flask::SERVER,
    &daphne::SERVER,
    &uvicorn::SERVER,
    &waitress::SERVER,
    &jupyter::SERVER,
    &pool::SERVER,
    &generic::SERVER,
];

/// A server of which no more is known than what it is recognised by.
const PLAIN: Server = Server {
    name: "",
    what: "",
    recognise: |_, _| None,
    waits_for_work: &[],
    idle_design: |_, _, _| None,
    scale: None,
    forked_class: None,
};

/// The server of this name.
#[must_use]
pub fn named(name: &str) -> Option<&'static Server> {
    SERVERS.iter().copied().find(|server| server.name == name)
}

/// What a fleet's process does by design while it has nothing to do, if that is known.
#[must_use]
pub fn idle_design(fleet: &FleetDelta, worker: &WorkerDelta) -> Option<Design> {
    let workers = fleet.with(Role::Worker).count();
    (named(&fleet.server)?.idle_design)(worker.role, worker.worker_class.as_deref(), workers)
}

/// A design, as a row's function answers it.
#[expect(clippy::unnecessary_wraps, reason = "some processes have none")]
const fn design(from_per_second: f64, to_per_second: f64, why: &'static str) -> Option<Design> {
    Some(Design { from_per_second, to_per_second, why })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fixture;

    #[test]
    fn servers_have_their_designs() {
        let mut fleet = fixture::stat().fleets.remove(0);
        let of_first = |fleet: &FleetDelta, role| {
            let worker = fleet.workers.iter().find(|worker| worker.role == role).unwrap();
            idle_design(fleet, worker).map(|design| design.from_per_second)
        };
        assert_eq!(of_first(&fleet, Role::Master), Some(0.9));
        assert_eq!(of_first(&fleet, Role::Worker), Some(0.06));
        assert_eq!(of_first(&fleet, Role::Helper), None);
        "python".clone_into(&mut fleet.server);
        assert_eq!(of_first(&fleet, Role::Worker), None);
        "uvicorn".clone_into(&mut fleet.server);
        assert_eq!(of_first(&fleet, Role::Worker), Some(9.0));
        "uwsgi".clone_into(&mut fleet.server);
        assert_eq!([Role::Master, Role::Worker].map(|role| of_first(&fleet, role)), [Some(0.9), Some(0.0)]);
    }

    #[test]
    fn the_documents_have_the_list() {
        let document = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/support.md");
        let text = std::fs::read_to_string(document).unwrap();
        let (before, rest) = text.split_once("| as `ps` calls it | |\n|---|---|\n").unwrap();
        let (listed, after) = rest.split_once("\n\n").map_or(("", rest), |(list, after)| (list, after));
        let rows = SERVERS
            .iter()
            .map(|server| format!("| `{}` | {} |", server.name, server.what))
            .collect::<Vec<_>>()
            .join("\n");
        if std::env::var_os("BLESS").is_some() {
            let head = "| as `ps` calls it | |\n|---|---|\n";
            let after = after.trim_start();
            std::fs::write(document, format!("{before}{head}{rows}\n\n{after}")).unwrap();
        } else {
            assert_eq!(listed, rows, "BLESS=1 writes it");
        }
    }

    #[test]
    fn each_has_a_name_of_its_own() {
        for server in SERVERS {
            assert!(std::ptr::eq(named(server.name).unwrap(), *server), "{}", server.name);
        }
    }
}
