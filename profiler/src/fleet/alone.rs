//! Processes of Python that belong to no fleet.

use std::collections::HashSet;

use serde::Serialize;

use crate::fleet::{Fleet, ProcessProbe, Tree, bounded, command, tgids};

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Alone {
    /// Its PID.
    pub tgid: u32,
    /// What it runs.
    pub command: String,
    /// The interpreter's version, such as `3.11.7`; absent if that cannot be told.
    pub python: Option<String>,
    /// How many threads it has.
    pub threads: usize,
    /// True if most of it may not be read, for it belongs to somebody else.
    #[serde(skip)]
    pub hidden: bool,
}

/// The processes that are called like an interpreter and are in none of these fleets, by PID.
#[must_use]
pub fn alone(tree: &Tree, probe: &ProcessProbe, fleets: &[Fleet]) -> Vec<Alone> {
    let taken: HashSet<u32> = tgids(fleets).collect();
    let others = tree.iter().filter(|process| !taken.contains(&process.tgid) && command::is_python(process));
    let mut alone: Vec<_> = others
        .map(|process| Alone {
            tgid: process.tgid,
            command: bounded(command::name(process)),
            python: (probe.version)(process.tgid),
            threads: process.threads,
            hidden: process.is_hidden(),
        })
        .collect();
    alone.sort_by_key(|process| process.tgid);
    alone
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{
        discover,
        fixture::{host, probe},
    };

    #[test]
    fn whoever_is_python_and_in_no_fleet() {
        let tree = host(&[
            (2, 1, "python -m serve 3"),
            (3, 2, "python -m serve 3"),
            (4, 1, "nginx"),
            (6, 1, "python3 jobs/nightly.py --all"),
            (5, 4, "python -m http.server"),
        ]);
        let fleets = discover(&tree, &probe());
        let alone: Vec<_> =
            alone(&tree, &probe(), &fleets).into_iter().map(|one| (one.tgid, one.command)).collect();
        assert_eq!(alone, [(5, "http.server".to_owned()), (6, "nightly.py".to_owned())]);
    }
}
