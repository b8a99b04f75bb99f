//! Processes that began or ended in a window: how each ended, how many did, and what booting costs.

use crate::{
    model::{
        accounting::{DeathCount, EndedProcesses, FleetDelta, WorkerDelta},
        worker::{Death, Role},
    },
    units,
};

/// Signals that end processes, by number (Linux, all architectures).
const SIGNALS: [(u8, &str); 12] = [
    (1, "SIGHUP"),
    (2, "SIGINT"),
    (3, "SIGQUIT"),
    (4, "SIGILL"),
    (6, "SIGABRT"),
    (7, "SIGBUS"),
    (8, "SIGFPE"),
    (9, "SIGKILL"),
    (11, "SIGSEGV"),
    (13, "SIGPIPE"),
    (14, "SIGALRM"),
    (15, "SIGTERM"),
];

/// Workers that were forked inside the window, what is known of them, and how workers ended.
#[must_use]
pub fn of(fleet: &FleetDelta) -> EndedProcesses {
    let mut all = EndedProcesses::default();
    for worker in fleet.with(Role::Worker) {
        let WorkerDelta { born, slot, boot_cpu_ns, death, .. } = *worker;
        let one = || EndedProcesses::one(born, slot, boot_cpu_ns, death);
        all.add(&worker.ended.clone().unwrap_or_else(one));
    }
    all
}

/// What stands behind the name of a process that ended.
#[must_use]
pub fn mark(worker: &WorkerDelta) -> String {
    match worker.death {
        _ if !worker.exited || worker.ended.is_some() => String::new(),
        None | Some(Death::ExitStatus(0)) => " exited".to_owned(),
        Some(Death::ExitStatus(status)) => format!(" exited {status}"),
        Some(Death::Signal(signal)) => format!(" {}", name(signal)),
    }
}

/// A line about boots, and one about deaths, if there were any.
#[must_use]
pub fn text(fleet: &FleetDelta) -> String {
    let all = of(fleet);
    [boots_line(&all), deaths_line(&all)].into_iter().flatten().collect()
}

fn boots_line(all: &EndedProcesses) -> Option<String> {
    let mean_ns = all.boot_cpu_ns.checked_div(all.booted);
    let each = if all.booted > 1 { " each" } else { "" };
    let cost = mean_ns.map(|ns| format!(", {} of CPU{each} until it first waits for work", units::span(ns)));
    (all.born > 0).then(|| format!("boots: {}{}\n", units::grouped(all.born), cost.unwrap_or_default()))
}

fn deaths_line(all: &EndedProcesses) -> Option<String> {
    let causes = by_cause(&all.deaths);
    (!causes.is_empty()).then(|| format!("deaths: {causes}\n"))
}

/// How many ended how: `1 with status 3, 2 by SIGKILL`.
#[must_use]
pub fn by_cause(deaths: &[DeathCount]) -> String {
    let causes = deaths.iter().map(|DeathCount { death, count }| match death {
        Death::ExitStatus(status) => format!("{} with status {status}", units::grouped(*count)),
        Death::Signal(signal) => format!("{} by {}", units::grouped(*count), name(*signal)),
    });
    causes.collect::<Vec<_>>().join(", ")
}

fn name(signal: u8) -> String {
    let known = SIGNALS.iter().find(|(number, _)| *number == signal);
    known.map_or_else(|| format!("signal {signal}"), |(_, name)| (*name).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fixture;

    #[test]
    fn lines_only_where_something_happened() {
        let mut fleet = fixture::stat().fleets.remove(0);
        assert_eq!(
            text(&fleet),
            "boots: 1, 120 ms of CPU until it first waits for work\ndeaths: 1 by SIGKILL\n"
        );
        let second = WorkerDelta { boot_cpu_ns: Some(140_000_000), ..fleet.workers[2].clone() };
        let third = WorkerDelta { boot_cpu_ns: None, death: Some(Death::ExitStatus(3)), ..second.clone() };
        fleet.workers.extend([second, third]);
        assert_eq!(
            text(&fleet),
            "boots: 3, 130 ms of CPU each until it first waits for work\n\
             deaths: 1 with status 3, 2 by SIGKILL\n"
        );
        fleet.workers.truncate(2);
        assert_eq!(text(&fleet), "");
    }

    #[test]
    fn those_with_one_row_count_as_well() {
        let mut fleet = fixture::stat().fleets.remove(0);
        let mut together = fleet.workers[2].clone();
        let mut ended = EndedProcesses::one(true, together.slot, Some(140_000_000), Some(Death::Signal(9)));
        ended.add(&EndedProcesses::one(true, None, Some(1), Some(Death::ExitStatus(3))));
        ended.add(&EndedProcesses::one(false, together.slot, None, Some(Death::Signal(9))));
        (together.tgid, together.ended) = (1 << 31, Some(ended));
        assert_eq!((together.label() + &mark(&together)).as_str(), "3 workers ended");
        fleet.workers.push(together);
        assert_eq!(
            text(&fleet),
            "boots: 2, 130 ms of CPU each until it first waits for work\n\
             deaths: 1 with status 3, 3 by SIGKILL\n"
        );
    }

    #[test]
    fn who_ended_is_marked() {
        let mut worker = fixture::stat().fleets.remove(0).workers.remove(2);
        let mut mark = |death| {
            worker.death = death;
            super::mark(&worker)
        };
        let ends = [None, Some(Death::ExitStatus(0)), Some(Death::ExitStatus(3)), Some(Death::Signal(34))];
        assert_eq!(ends.map(&mut mark), [" exited", " exited", " exited 3", " signal 34"]);
    }
}
