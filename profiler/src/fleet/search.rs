//! A search of the host for fleets: what servers are recognised by, each thing looked up once.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    rc::Rc,
};

use crate::{
    fleet::{Fleet, Member, ProcessProbe, Tree, command, relation},
    model::worker::Role,
    sys::process::Process,
};

/// A search under way.
pub struct Discovery<'a> {
    /// The host.
    pub tree: &'a Tree,
    /// How to look closer.
    pub probe: &'a ProcessProbe,
    /// Who has a fleet already.
    taken: HashSet<u32>,
    /// What was peeked at already.
    stacks: RefCell<HashMap<u32, Rc<[String]>>>,
    /// The listening sockets that masters see.
    listeners: RefCell<HashMap<u32, Rc<HashMap<u64, String>>>>,
}

impl<'a> Discovery<'a> {
    /// A search that has found nothing yet.
    #[must_use]
    pub fn new(tree: &'a Tree, probe: &'a ProcessProbe) -> Self {
        let (stacks, listeners) = (RefCell::default(), RefCell::default());
        Self { tree, probe, taken: HashSet::new(), stacks, listeners }
    }

    /// Notes that the members of a fleet have one.
    pub fn take(&mut self, fleet: &Fleet) {
        self.taken.extend(fleet.members.iter().map(|member| member.tgid));
    }
}

impl Discovery<'_> {
    /// True if a process has a fleet already.
    pub fn is_taken(&self, tgid: u32) -> bool {
        self.taken.contains(&tgid)
    }

    /// The files of a process's Python stack, its main thread's, leaf first; none if it shows none.
    pub fn stack(&self, tgid: u32) -> Rc<[String]> {
        let peek = || (self.probe.peek)(tgid).unwrap_or_default().into();
        Rc::clone(self.stacks.borrow_mut().entry(tgid).or_insert_with(peek))
    }

    /// The part of paths, of these, that the stack of a process of Python has: `uvicorn/server.py`.
    pub fn runs<'p>(&self, process: &Process, parts: &[&'p str]) -> Option<&'p str> {
        if !command::is_python(process) {
            return None;
        }
        let stack = self.stack(process.tgid);
        parts.iter().copied().find(|part| stack.iter().any(|file| is_in(file, part)))
    }

    /// The sockets that a process holds and that are listened on, as its master sees them: inode → address; `None` if
    /// that may not be known.
    pub fn listening(&self, tgid: u32, master: u32) -> Option<BTreeMap<u64, String>> {
        let read = || (self.probe.listeners)(master).into();
        let listeners = Rc::clone(self.listeners.borrow_mut().entry(master).or_insert_with(read));
        let address = |inode| listeners.get(&inode).map(|address| (inode, address.clone()));
        Some((self.probe.sockets)(tgid)?.into_iter().filter_map(address).collect())
    }

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
            &(self.probe.process)(scanned.tgid).filter(|now| now.started_ticks == scanned.started_ticks)?;
        let mut fleet = Fleet::new(server, name);
        fleet.members.push(Member::new(master, Role::Master, why, self.probe));

        let masters = self.listening(master.tgid, master.tgid);
        let mut workers_listen = BTreeSet::new();
        let mut helpers = Vec::new();
        for child in self.children(master) {
            let childs = self.listening(child.tgid, master.tgid);
            let shared = masters.as_ref().zip(childs.as_ref()).filter(|(masters, _)| !masters.is_empty());
            let shared =
                shared.map(|(masters, childs)| masters.iter().find(|(inode, _)| childs.contains_key(inode)));
            let Some((role, why)) = judge(&child, shared.map(|shared| shared.is_some())) else { continue };
            let mut member = Member::new(&child, role, why, self.probe);
            if let Some(Some((_, address))) = shared {
                member.evidence.push(format!("it shares its master's socket {address}"));
            }
            if role == Role::Worker {
                workers_listen.extend(childs.unwrap_or_default().into_values());
                fleet.members.push(member);
            } else {
                helpers.push(member);
            }
            // What is below a fork server is judged like a child.
            if child.ppid != master.tgid || !relation::is_of_forkserver(&child) {
                helpers.extend(self.below(&child));
            }
        }
        fleet.members.extend(helpers);
        if workers_listen.is_empty() {
            workers_listen.extend(masters.unwrap_or_default().into_values());
        }
        fleet.listening = workers_listen.into_iter().collect();
        Some(fleet)
    }

    /// Children that have no fleet yet, read once more: one that was about to call `exec` has done so by now. What
    /// multiprocessing's fork server forks for its parent is among them.
    fn children(&self, parent: &Process) -> Vec<Process> {
        let now = |child: &Process| (self.probe.process)(child.tgid).filter(|now| now.ppid == child.ppid);
        let of =
            |tgid: u32| self.tree.children(tgid).filter(|child| !self.is_taken(child.tgid)).filter_map(now);
        let mut children: Vec<_> = of(parent.tgid).collect();
        let servers =
            children.iter().filter(|child| relation::is_of_forkserver(child)).map(|child| child.tgid);
        children.extend(servers.collect::<Vec<_>>().into_iter().flat_map(of));
        children
    }

    fn below(&self, child: &Process) -> Vec<Member> {
        let descendants = self.tree.descendants(child.tgid).into_iter();
        let descendants = descendants.filter(|tgid| !self.is_taken(*tgid));
        let helper = |process: &Process| {
            Member::new(
                process,
                Role::Helper,
                format!("it was started by a child of its master, {}", child.tgid),
                self.probe,
            )
        };
        descendants.filter_map(|tgid| self.tree.get(tgid)).map(helper).collect()
    }
}

/// True if a file's path has these parts.
fn is_in(file: &str, part: &str) -> bool {
    file.match_indices(part).any(|(at, _)| at == 0 || file[..at].ends_with('/'))
}
