//! Slots of a fleet: numbers its workers, and gives a new one the slot of the one that it replaces.
//!
//! A server keeps a number of workers alive: what looks like a new process takes the place of a dead one. Seen by
//! places, a fleet is steady.

use std::collections::{BTreeMap, HashMap};

use crate::{
    fleet::{Fleet, Member},
    model::worker::{Role, Slot},
};

impl Fleet {
    /// Gives each worker with its parent here a slot, if it has none: the lowest that nobody ever had. Who is no
    /// worker has none. Those of a parent that have ended, before they were known for workers, had one after the other.
    pub(super) fn number_workers(&mut self) {
        for member in self.members.iter_mut().filter(|member| member.role != Role::Worker) {
            member.slot = None;
        }
        let tgids: Vec<u32> = self.members.iter().map(|member| member.tgid).collect();
        let taken: Vec<u32> = self.slots().into_keys().collect();
        let mut free = (1..).filter(|number| !taken.contains(number));
        let mut of_ended: HashMap<u32, Slot> = HashMap::new();
        for member in &mut self.members {
            if member.role == Role::Worker && member.slot.is_none() && tgids.contains(&member.ppid) {
                let before = of_ended.get(&member.ppid).filter(|_| member.ended);
                let next = |slot: &Slot| Slot { generation: slot.generation + 1, ..*slot };
                member.slot =
                    before.map(next).or_else(|| free.next().map(|number| Slot { number, generation: 0 }));
                if let Some(slot) = member.slot.filter(|_| member.ended) {
                    of_ended.insert(member.ppid, slot);
                }
            }
        }
    }

    /// The slot of a worker that a member forks now: the lowest whose last holder, a child of the same parent, is
    /// dead; a new one if there is none such.
    pub(super) fn next_slot(&self, parent_tgid: u32) -> Slot {
        let slots = self.slots();
        let orphaned = slots.values().find(|(_, holder)| holder.ended && holder.ppid == parent_tgid);
        match orphaned {
            Some((Slot { number, generation }, _)) => Slot { number: *number, generation: generation + 1 },
            None => Slot { number: slots.keys().last().unwrap_or(&0) + 1, generation: 0 },
        }
    }

    /// PIDs of the last holders of all slots.
    pub(super) fn last_in_slots(&self) -> impl Iterator<Item = u32> {
        self.slots().into_values().map(|(_, holder)| holder.tgid)
    }

    /// The last holder of each slot.
    fn slots(&self) -> BTreeMap<u32, (Slot, &Member)> {
        let mut held: Vec<_> =
            self.members.iter().filter_map(|member| Some((member.slot?, member))).collect();
        held.sort_by_key(|(slot, _)| slot.generation);
        held.into_iter().map(|(slot, member)| (slot.number, (slot, member))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::fixture::{probe, process};

    fn fleet(members: &[(u32, Role)]) -> Fleet {
        let mut fleet = Fleet::new("gunicorn", "app:app");
        for &(tgid, role) in members {
            fleet.members.push(Member::new(&process(tgid, 10, "gunicorn"), role, String::new(), &probe()));
        }
        fleet
    }

    fn slots(fleet: &Fleet) -> Vec<String> {
        let slot = |member: &Member| member.slot.map(|slot| format!("{}:{slot}", member.tgid));
        fleet.members.iter().filter_map(slot).collect()
    }

    #[test]
    fn workers_are_numbered_by_age() {
        let mut known =
            fleet(&[(10, Role::Master), (12, Role::Worker), (13, Role::Helper), (11, Role::Worker)]);
        known.number_workers();
        assert_eq!(slots(&known), ["12:1", "11:2"]);
        known.members[1].role = Role::Helper;
        known.members[2].role = Role::Worker;
        known.number_workers();
        assert_eq!(slots(&known), ["13:1", "11:2"], "what turned out to be no worker leaves its place");
        let mut alone = fleet(&[(11, Role::Worker)]);
        alone.number_workers();
        assert!(slots(&alone).is_empty());
    }

    #[test]
    fn who_ended_before_it_was_known_for_a_worker_had_a_place_with_others() {
        let mut fleet =
            fleet(&[(10, Role::Master), (11, Role::Worker), (12, Role::Worker), (13, Role::Worker)]);
        fleet.members[1].ended = true;
        fleet.members[3].ended = true;
        fleet.number_workers();
        assert_eq!(slots(&fleet), ["11:1", "12:2", "13:1.1"]);
        assert_eq!(fleet.next_slot(10).to_string(), "1.2");
    }

    #[test]
    fn the_lowest_place_of_the_dead_is_taken() {
        let mut fleet =
            fleet(&[(10, Role::Master), (11, Role::Worker), (12, Role::Worker), (13, Role::Worker)]);
        fleet.number_workers();
        assert_eq!(fleet.next_slot(10).to_string(), "4", "all live");
        for tgid in [13, 12] {
            fleet.members.iter_mut().find(|member| member.tgid == tgid).unwrap().ended = true;
        }
        for (tgid, place) in [(21, "2.1"), (22, "3.1"), (23, "4")] {
            let slot = fleet.next_slot(10);
            assert_eq!(slot.to_string(), place);
            let mut member =
                Member::new(&process(tgid, 10, "gunicorn"), Role::Worker, String::new(), &probe());
            member.slot = Some(slot);
            fleet.members.push(member);
        }
        fleet.members[4].ended = true;
        assert_eq!(fleet.next_slot(10).to_string(), "2.2");
        assert_eq!(fleet.next_slot(99).to_string(), "5", "another parent's dead");
    }
}
