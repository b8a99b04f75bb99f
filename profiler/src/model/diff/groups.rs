//! Matches the processes of two recordings by fleet, class and role.

use std::collections::HashSet;

use crate::model::{
    accounting::{Counters, FleetDelta, StatDelta, WorkerDelta},
    recording::Recording,
    waits::Waits,
    worker::Role,
};

/// The processes of a fleet of one class and role, in one recording.
#[derive(Clone, Debug)]
pub struct Members {
    pub role: Role,
    pub worker_class: Option<String>,
    pub tgids: HashSet<u32>,
    pub counters: Counters,
    pub waits: Waits,
}

/// Processes of one fleet, class and role that are in both recordings.
#[derive(Clone, Debug)]
pub struct Matched {
    pub fleet: String,
    pub sides: [Members; 2],
}

/// All that occur in both; what has no match is noted.
pub fn matched(both: [&Recording; 2], notes: &mut Vec<String>) -> Vec<Matched> {
    let mut matched = Vec::new();
    for (fleet, fleets) in fleets(both.map(|recording| &recording.stat), notes) {
        let [mut before, mut after] = fleets.map(members);
        // Of each side what the other has: first by class; then, as another class may be what is tried, by role.
        for is_match in [is_of_class, is_of_role] {
            let olds = std::mem::take(&mut before);
            for old in olds {
                let mut candidates = after.iter().enumerate().filter(|(_, new)| is_match(&old, new));
                match (candidates.next(), candidates.next()) {
                    (Some((index, _)), None) => {
                        let sides = [old, after.remove(index)];
                        matched.push(Matched { fleet: fleet.clone(), sides });
                    }
                    _ => before.push(old),
                }
            }
        }
        for (members, place) in
            before.iter().map(|old| (old, "first")).chain(after.iter().map(|new| (new, "second")))
        {
            let class = members.worker_class.as_ref().map_or_else(String::new, |class| format!(" {class}"));
            notes.push(format!("{fleet}: {}{class} is in the {place} recording only", members.role.name()));
        }
    }
    matched
}

fn is_of_class(one: &Members, other: &Members) -> bool {
    one.role == other.role && one.worker_class == other.worker_class
}

fn is_of_role(one: &Members, other: &Members) -> bool {
    one.role == other.role
}

/// The fleets that occur in both, by server and name; if each has only one, these two.
fn fleets<'a>(both: [&'a StatDelta; 2], notes: &mut Vec<String>) -> Vec<(String, [&'a FleetDelta; 2])> {
    let name = |fleet: &FleetDelta| format!("{} {}", fleet.server, fleet.name);
    if let [[before], [after]] = both.map(|stat| stat.fleets.as_slice()) {
        let names = [name(before), name(after)];
        let shown = if names[0] == names[1] { names[0].clone() } else { names.join(" → ") };
        return vec![(shown, [before, after])];
    }
    let find = |stat: &'a StatDelta, wanted: &FleetDelta| {
        stat.fleets.iter().find(|fleet| (&fleet.server, &fleet.name) == (&wanted.server, &wanted.name))
    };
    for (stat, other, place) in [(both[0], both[1], "first"), (both[1], both[0], "second")] {
        let missing = stat.fleets.iter().filter(|fleet| find(other, fleet).is_none());
        notes.extend(missing.map(|fleet| format!("{} is in the {place} recording only", name(fleet))));
    }
    let pair = |before: &'a FleetDelta| Some((name(before), [before, find(both[1], before)?]));
    both[0].fleets.iter().filter_map(pair).collect()
}

/// A fleet's processes by role and class: the workers first.
fn members(fleet: &FleetDelta) -> Vec<Members> {
    let mut groups: Vec<Members> = Vec::new();
    for role in [Role::Worker, Role::Master, Role::Helper] {
        for worker in fleet.with(role) {
            let worker_class = worker.worker_class.clone().filter(|_| role == Role::Worker);
            let known =
                groups.iter().position(|group| (group.role, &group.worker_class) == (role, &worker_class));
            let index = known.unwrap_or_else(|| {
                groups.push(Members::none(role, worker_class));
                groups.len() - 1
            });
            groups[index].add(worker);
        }
    }
    groups
}

impl Members {
    fn none(role: Role, worker_class: Option<String>) -> Self {
        let (tgids, counters, waits) = Default::default();
        Self { role, worker_class, tgids, counters, waits }
    }

    fn add(&mut self, worker: &WorkerDelta) {
        self.tgids.insert(worker.tgid);
        self.counters.add(&worker.counters);
        self.waits.add(&worker.waits);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fixture;

    fn told(before: &Recording, after: &Recording) -> (Vec<String>, Vec<String>) {
        let mut notes = Vec::new();
        let told = matched([before, after], &mut notes).into_iter().map(|matched| {
            let sides = matched.sides.map(|side| {
                format!(
                    "{} {} × {}",
                    side.role.name(),
                    side.worker_class.as_deref().unwrap_or("-"),
                    side.tgids.len()
                )
            });
            format!("{}: {}", matched.fleet, sides.join(" / "))
        });
        (told.collect(), notes)
    }

    #[test]
    fn processes_of_a_role_and_class_belong_together() {
        let (told, notes) = told(&fixture::recording(), &fixture::recording());
        let fleet = "gunicorn wsgi_app:application";
        assert_eq!(
            told,
            [
                format!("{fleet}: worker sync × 2 / worker sync × 2"),
                format!("{fleet}: master - × 1 / master - × 1"),
                format!("{fleet}: helper - × 1 / helper - × 1"),
            ]
        );
        assert_eq!(notes, [""; 0]);
    }

    #[test]
    fn another_class_of_the_same_fleet_is_compared() {
        let mut after = fixture::recording();
        after.stat.fleets[0].name = "other".to_owned();
        after.stat.fleets[0].workers.retain(|worker| worker.role == Role::Worker);
        after.stat.fleets[0]
            .workers
            .iter_mut()
            .for_each(|worker| worker.worker_class = Some("gevent".to_owned()));
        let (told, notes) = told(&fixture::recording(), &after);
        let fleet = "gunicorn wsgi_app:application → gunicorn other";
        assert_eq!(told, [format!("{fleet}: worker sync × 2 / worker gevent × 2")]);
        let only = ["master", "helper"].map(|role| format!("{fleet}: {role} is in the first recording only"));
        assert_eq!(notes, only);
    }

    #[test]
    fn of_several_fleets_those_of_the_same_name_are_compared() {
        let mut before = fixture::recording();
        let mut second = before.stat.fleets[0].clone();
        second.name = "b".to_owned();
        before.stat.fleets.push(second);
        let (told, notes) = told(&before, &fixture::recording());
        assert_eq!(told.len(), 3);
        assert_eq!(notes, ["gunicorn b is in the first recording only"]);
    }
}
