//! All fleets on the host, from one scan.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use crate::{
    fleet::{Eyes, Fleet, Member, Tree, generic, gunicorn},
    model::worker::Role,
    sys::process::Process,
};

/// Tells the fleet that a process is the master of.
type Recognise = fn(&Process, &Search<'_>) -> Option<Fleet>;

/// The most telling first: a process belongs to the first fleet that takes it.
const SERVERS: [Recognise; 2] = [gunicorn::recognise, generic::recognise];

/// Finds all fleets, by server and name.
#[must_use]
pub fn discover(tree: &Tree, eyes: &Eyes) -> Vec<Fleet> {
    let mut search = Search { tree, eyes, taken: HashSet::new() };
    let mut fleets = Vec::new();
    for recognise in SERVERS {
        for process in tree.iter() {
            if search.taken.contains(&process.tgid) {
                continue;
            }
            if let Some(mut fleet) = recognise(process, &search) {
                fleet.number_workers();
                search.taken.extend(fleet.members.iter().map(|member| member.tgid));
                fleets.push(fleet);
            }
        }
    }
    let lead = |fleet: &Fleet| fleet.members.first().map(|member| member.tgid);
    fleets.sort_by(|one, other| {
        (&one.server, &one.name, lead(one)).cmp(&(&other.server, &other.name, lead(other)))
    });
    fleets
}

/// A search under way.
pub struct Search<'a> {
    /// The host.
    pub tree: &'a Tree,
    /// How to look closer.
    pub eyes: &'a Eyes,
    /// Who has a fleet already.
    taken: HashSet<u32>,
}

impl Search<'_> {
    /// Gathers a master's fleet, if it still is there. `judge` tells a child's part and why, given whether it
    /// holds one of the sockets that its master listens on, if that is known; `None` leaves the child and all below
    /// it to other fleets.
    pub fn gather(
        &self,
        server: &str,
        name: &str,
        master: (&Process, String),
        judge: impl Fn(&Process, Option<bool>) -> Option<(Role, String)>,
    ) -> Option<Fleet> {
        let (scanned, why) = master;
        let master =
            &(self.eyes.process)(scanned.tgid).filter(|now| now.started_ticks == scanned.started_ticks)?;
        let mut fleet = Fleet::new(server, name);
        fleet.members.push(Member::new(master, Role::Master, why, self.eyes));

        let listeners = (self.eyes.listeners)(master.tgid);
        let masters = listening(self.eyes, &listeners, master.tgid);
        let mut workers_listen = BTreeSet::new();
        let mut helpers = Vec::new();
        for child in self.children(master.tgid) {
            let childs = listening(self.eyes, &listeners, child.tgid);
            let shared = masters.as_ref().zip(childs.as_ref()).filter(|(masters, _)| !masters.is_empty());
            let shared =
                shared.map(|(masters, childs)| masters.iter().find(|(inode, _)| childs.contains_key(inode)));
            let Some((role, why)) = judge(&child, shared.map(|shared| shared.is_some())) else { continue };
            let mut member = Member::new(&child, role, why, self.eyes);
            if let Some(Some((_, address))) = shared {
                member.evidence.push(format!("it shares its master's socket {address}"));
            }
            if role == Role::Worker {
                workers_listen.extend(childs.unwrap_or_default().into_values());
                fleet.members.push(member);
            } else {
                helpers.push(member);
            }
            helpers.extend(self.below(&child));
        }
        fleet.members.extend(helpers);
        if workers_listen.is_empty() {
            workers_listen.extend(masters.unwrap_or_default().into_values());
        }
        fleet.listening = workers_listen.into_iter().map(str::to_owned).collect();
        Some(fleet)
    }

    /// Children that have no fleet yet, read once more: one that was about to call `exec` has done so by now.
    fn children(&self, tgid: u32) -> Vec<Process> {
        let free = self.tree.children(tgid).filter(|child| !self.taken.contains(&child.tgid));
        free.filter_map(|child| (self.eyes.process)(child.tgid)).filter(|child| child.ppid == tgid).collect()
    }

    fn below(&self, child: &Process) -> Vec<Member> {
        let descendants =
            self.tree.descendants(child.tgid).into_iter().filter(|tgid| !self.taken.contains(tgid));
        let helper = |process: &Process| {
            Member::new(
                process,
                Role::Helper,
                format!("it was started by a child of its master, {}", child.tgid),
                self.eyes,
            )
        };
        descendants.filter_map(|tgid| self.tree.get(tgid)).map(helper).collect()
    }
}

/// The sockets that a process holds and that are listened on: inode → address.
fn listening<'l>(
    eyes: &Eyes,
    listeners: &'l HashMap<u64, String>,
    tgid: u32,
) -> Option<BTreeMap<u64, &'l str>> {
    let sockets = (eyes.sockets)(tgid)?;
    let address = |inode| listeners.get(&inode).map(|address| (inode, address.as_str()));
    Some(sockets.into_iter().filter_map(address).collect())
}
