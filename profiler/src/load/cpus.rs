//! Chooses CPUs for the load generator that the workers do not use, if this host has any.

use crate::sys::affinity::{self, Cpus};

/// Keeps threads of ours to CPUs on which none of these processes may run; where there are none, or it is refused,
/// what they share with them, in a sentence.
pub fn keep_apart(tids: &[u32], workers: &[u32]) -> Option<String> {
    let theirs: Cpus = workers.iter().flat_map(|tgid| affinity::of_process(*tgid)).collect();
    let ours: Cpus = tids.iter().filter_map(|tid| affinity::of_thread(*tid).ok()).flatten().collect();
    let shared: Vec<_> = ours.intersection(&theirs).map(u32::to_string).collect();
    let free: Cpus = ours.difference(&theirs).copied().collect();
    if shared.is_empty() {
        return None;
    }
    let said = format!("both may use CPU {}", shared.join(", "));
    if free.is_empty() {
        return Some(said);
    }
    let refused = tids.iter().find_map(|tid| affinity::keep_to(*tid, &free).err());
    refused.map(|error| format!("{said}: {error}"))
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command};

    use super::*;

    /// A worker that may run on these CPUs.
    fn worker(cpus: &Cpus) -> Child {
        let child = Command::new("sleep").arg("60").spawn().unwrap();
        affinity::keep_to(child.id(), cpus).unwrap();
        child
    }

    fn end(mut child: Child) {
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn it_moves_to_what_is_free_and_says_what_is_shared() {
        let all = affinity::of_thread(0).unwrap();
        let ours = worker(&all);
        let everywhere = worker(&all);
        let said = keep_apart(&[ours.id()], &[everywhere.id()]).unwrap();
        assert!(all.iter().all(|cpu| said.contains(&cpu.to_string())), "{said}");
        assert_eq!(affinity::of_process(ours.id()), all);

        // On a host of one CPU there is nowhere to go to.
        let first = Cpus::from([*all.first().unwrap()]);
        let bound = worker(&first);
        let is_shared = keep_apart(&[ours.id()], &[bound.id()]).is_some();
        assert_eq!(is_shared, all.len() == 1);
        if !is_shared {
            assert_eq!(affinity::of_process(ours.id()), all.difference(&first).copied().collect());
            assert_eq!(keep_apart(&[ours.id()], &[bound.id()]), None, "it is apart already");
        }
        for child in [ours, everywhere, bound] {
            end(child);
        }
    }
}
