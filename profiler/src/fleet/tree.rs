//! The processes of the host as a tree.

use std::{
    collections::{HashMap, HashSet, hash_map::Entry},
    io,
};

use anyhow::Context;

use crate::{
    fleet::relation,
    sys::{children::Children, process::Process},
};

/// One scan of the host: who is whose child. What happened after the scan is not in it.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    processes: HashMap<u32, Process>,
    /// Children of each process, oldest first.
    children: HashMap<u32, Vec<u32>>,
    /// Parents before their children.
    order: Vec<u32>,
}

impl Tree {
    /// Looks at the host now. This process is left out: it never watches itself.
    pub fn scan() -> anyhow::Result<Self> {
        let mut processes = Process::all().context("failed to list the processes in /proc")?;
        processes.retain(|process| process.tgid != std::process::id());
        Ok(Self::of(processes))
    }

    /// Looks only at these processes, at what is below them and above, and at their siblings where those may be of one fleet:
    /// what else runs on the host costs nothing.
    pub fn around(tgids: &[u32]) -> anyhow::Result<Self> {
        let (mut children, mut found) = (Children::default(), HashMap::new());
        for tgid in tgids {
            add_below(*tgid, &mut children, &mut found)?;
            let mut child = found.get(tgid).cloned();
            while let Some(below) = child {
                let parent = found.get(&below.ppid).cloned().or_else(|| Process::read(below.ppid));
                if let Some(parent) = &parent {
                    let is_new = found.insert(parent.tgid, parent.clone()).is_none();
                    if is_new && relation::runs_same_program(&below, parent) {
                        for sibling in children.of(parent.tgid)? {
                            add(sibling, &mut found);
                        }
                    }
                }
                child = parent;
            }
        }
        found.remove(&std::process::id());
        Ok(Self::of(found.into_values().collect()))
    }

    /// The tree of these processes.
    #[must_use]
    pub fn of(mut processes: Vec<Process>) -> Self {
        processes.sort_by_key(|process| (process.started_ticks, process.tgid));
        let tgids: HashSet<u32> = processes.iter().map(|process| process.tgid).collect();
        let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
        let mut roots = Vec::new();
        for process in &processes {
            if tgids.contains(&process.ppid) {
                children.entry(process.ppid).or_default().push(process.tgid);
            } else {
                roots.push(process.tgid);
            }
        }
        let processes = processes.into_iter().map(|process| (process.tgid, process)).collect();
        let mut tree = Self { processes, children, order: Vec::new() };
        // PIDs that were used again during the scan could make a circle; none is reached from a root.
        tree.order = tree.below(roots);
        tree
    }

    /// The process with this PID.
    #[must_use]
    pub fn get(&self, tgid: u32) -> Option<&Process> {
        self.processes.get(&tgid)
    }

    /// All, parents before their children.
    pub fn iter(&self) -> impl Iterator<Item = &Process> {
        self.order.iter().filter_map(|tgid| self.get(*tgid))
    }

    /// A process's children, oldest first.
    pub fn children(&self, tgid: u32) -> impl Iterator<Item = &Process> {
        self.children.get(&tgid).into_iter().flatten().filter_map(|child| self.get(*child))
    }

    /// Descendants of a process: its children, their children, and so on.
    #[must_use]
    pub fn descendants(&self, tgid: u32) -> Vec<u32> {
        self.below(vec![tgid]).split_off(1)
    }

    /// These processes and everything below them, each once.
    fn below(&self, mut tgids: Vec<u32>) -> Vec<u32> {
        let mut seen: HashSet<u32> = tgids.iter().copied().collect();
        let mut next = 0;
        while let Some(tgid) = tgids.get(next) {
            tgids.extend(
                self.children(*tgid)
                    .map(|child| child.tgid)
                    .filter(|child| seen.insert(*child))
                    .collect::<Vec<_>>(),
            );
            next += 1;
        }
        tgids
    }
}

/// Reads a process, if it is not known yet and still is.
fn add(tgid: u32, found: &mut HashMap<u32, Process>) {
    if let Entry::Vacant(unknown) = found.entry(tgid)
        && let Some(process) = Process::read(tgid)
    {
        unknown.insert(process);
    }
}

/// Reads a process and all that is below it.
fn add_below(tgid: u32, children: &mut Children, found: &mut HashMap<u32, Process>) -> io::Result<()> {
    let mut next = vec![tgid];
    let mut seen = HashSet::new();
    while let Some(tgid) = next.pop() {
        add(tgid, found);
        if seen.insert(tgid) {
            next.extend(children.of(tgid)?);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::fixture::process;

    fn tgids<'a>(processes: impl Iterator<Item = &'a Process>) -> Vec<u32> {
        processes.map(|process| process.tgid).collect()
    }

    #[test]
    fn parents_come_first_and_siblings_by_age() {
        let mut wrapped = process(4, 30, "worker");
        wrapped.started_ticks = 99;
        let tree = Tree::of(vec![
            wrapped,
            process(31, 30, "worker"),
            process(30, 2, "master"),
            process(2, 0, "init"),
        ]);
        assert_eq!(tgids(tree.iter()), [2, 30, 31, 4]);
        assert_eq!(tgids(tree.children(30)), [31, 4]);
        assert_eq!(tree.descendants(2), [30, 31, 4]);
        assert!(tree.descendants(4).is_empty());
        assert!(tree.descendants(5).is_empty());
        assert_eq!(tree.get(5), None);
    }

    #[test]
    fn a_circle_ends() {
        let tree =
            Tree::of(vec![process(1, 2, "a"), process(2, 1, "b"), process(3, 3, "c"), process(4, 9, "d")]);
        assert_eq!(tgids(tree.iter()), [4]);
        assert_eq!(tree.descendants(1), [2]);
        assert!(tree.descendants(3).is_empty());
    }
}
