//! Finds fleets that are started while others are watched.

use std::{
    collections::{HashMap, HashSet},
    time::{Duration, Instant},
};

use crate::{
    fleet::{Fleet, ProcessProbe, Tree, discover, name, tgids},
    sys::process,
};

/// How often PIDs are listed.
const EVERY: Duration = Duration::from_millis(500);
/// How long after it was listed a process is first looked at; then whenever it has become twice as old, as it may call `exec`.
const FIRST: Duration = Duration::from_millis(500);
/// How old it is when it is looked at for the last time.
const LAST: Duration = Duration::from_secs(16);

/// Processes that came after fleets were selected, and may yet be of others.
#[derive(Debug)]
pub struct Newcomers {
    /// Globs over names and servers; all fleets are wanted if there are none.
    names: Vec<String>,
    /// PIDs that were there at the last look.
    seen: HashSet<u32>,
    /// Since when PIDs are there that are not judged for good, and when each is judged next.
    young: HashMap<u32, (Instant, Instant)>,
    due: Instant,
}

impl Newcomers {
    /// Those that come after now.
    #[must_use]
    pub fn after_now(names: &[String]) -> Self {
        let now = Instant::now();
        let seen = process::all_tgids().collect();
        Self { names: names.to_vec(), seen, young: HashMap::new(), due: now + EVERY }
    }

    /// Fleets that have come, once their processes are a second old: none that has a process of those that are known.
    pub fn find(&mut self, known: &[Fleet]) -> Vec<Fleet> {
        let now = Instant::now();
        if now < self.due {
            return Vec::new();
        }
        self.due = now + EVERY;
        let due = self.look(now);
        if due.is_empty() {
            return Vec::new();
        }
        let members: HashSet<u32> = tgids(known).chain([std::process::id()]).collect();
        let strangers: Vec<u32> = due.into_iter().filter(|tgid| !members.contains(tgid)).collect();
        let tree = Tree::around(&strangers).unwrap_or_default();
        let mut found = discover(&tree, &ProcessProbe::real());
        found.retain(|fleet| {
            let is_wanted = self.names.is_empty() || self.names.iter().any(|name| name::answers(fleet, name));
            is_wanted && !fleet.members.iter().any(|member| members.contains(&member.tgid))
        });
        found
    }

    /// Lists the PIDs; those that are to be judged now.
    fn look(&mut self, now: Instant) -> Vec<u32> {
        let there: HashSet<u32> = process::all_tgids().collect();
        self.young.retain(|tgid, _| there.contains(tgid));
        for tgid in there.difference(&self.seen) {
            self.young.insert(*tgid, (now, now + FIRST));
        }
        self.seen = there;
        let mut due = Vec::new();
        self.young.retain(|tgid, (since, next)| {
            if *next <= now {
                due.push(*tgid);
                *next = now + (now - *since);
            }
            now - *since < LAST
        });
        due
    }
}
