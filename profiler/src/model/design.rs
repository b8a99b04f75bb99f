//! How often servers wake up while they have nothing to do, by the design of their main loops.
//!
//! From the sources of gunicorn 26.1, uvicorn 0.54 and uWSGI 2.0.30, and measured by `tests/tests/idle_servers.rs`.

use serde::Serialize;

use crate::model::{
    accounting::{FleetDelta, WorkerDelta},
    worker::Role,
};

/// What an idle process does by its design.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Design {
    /// Wake-ups per second, all threads together, at least …
    pub from_per_second: f64,
    /// … and at most.
    pub to_per_second: f64,
    /// What for.
    pub why: &'static str,
}

/// The design of a fleet's process, if it is known.
#[must_use]
pub fn of(fleet: &FleetDelta, worker: &WorkerDelta) -> Option<Design> {
    let design = |from_per_second, to_per_second, why| Some(Design { from_per_second, to_per_second, why });
    match (fleet.server.as_str(), worker.role, worker.worker_class.as_deref()) {
        ("gunicorn", Role::Master, _) => design(0.9, 1.1, "the arbiter looks after its workers each second"),
        ("gunicorn", Role::Worker, Some("sync")) => {
            design(0.06, 0.08, "select gives up after half the timeout, which is 30 s by default")
        }
        ("gunicorn", Role::Worker, Some("gthread")) => design(0.9, 1.1, "its poller gives up after a second"),
        ("gunicorn", Role::Worker, Some("gevent" | "eventlet" | "asgi")) => {
            design(0.9, 1.1, "it tells the arbiter each second that it lives")
        }
        ("gunicorn", Role::Worker, Some("tornado")) => design(0.9, 2.1, "two callbacks, each once a second"),
        ("uvicorn", Role::Worker, _) => design(
            9.0,
            14.0,
            "uvicorn's loop ticks ten times a second; with --workers each ping, twice a second, wakes it twice",
        ),
        ("uvicorn", Role::Master, _) => {
            let children = fleet.workers.iter().filter(|worker| worker.role == Role::Worker).count() as f64;
            design(1.8, 2.2 + 4.4 * children, "uvicorn's supervisor pings its workers each half second")
        }
        ("uwsgi", Role::Master, _) => design(0.9, 1.1, "the master looks after its workers each second"),
        ("uwsgi", Role::Worker, _) => design(0.0, 0.1, "a worker sleeps until a request comes"),
        _ => None,
    }
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
            of(fleet, worker).map(|design| design.from_per_second)
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
}
