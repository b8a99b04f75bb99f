//! Which processes are whose children.
//!
//! The kernel lists the children of each thread, where it does (`CONFIG_PROC_CHILDREN`): that costs nothing for what else runs on
//! the host, and much for a thousand workers of ten threads. So after some of these lists the parents of all processes are
//! read, once.

use std::{collections::HashMap, fs, io};

use procfs::process::all_processes;

use crate::sys::tids;

/// Threads whose lists are read before all processes are.
const MAX_LISTS: usize = 256;

/// Children of processes, as they were when they were looked up.
#[derive(Debug, Default)]
pub struct Children {
    lists: usize,
    /// Children of all processes, once they are read.
    all: Option<HashMap<u32, Vec<u32>>>,
}

impl Children {
    /// The children of a process, by no order. An error means that there is no `/proc`.
    pub fn of(&mut self, tgid: u32) -> io::Result<Vec<u32>> {
        if self.all.is_none() {
            let tids = tids::all_of(tgid);
            self.lists += tids.len();
            let listed = if self.lists <= MAX_LISTS { listed(tgid, &tids) } else { None };
            if let Some(children) = listed {
                return Ok(children);
            }
            self.all = Some(all()?);
        }
        Ok(self.all.as_ref().and_then(|all| all.get(&tgid)).cloned().unwrap_or_default())
    }
}

/// Each thread has those that it forked; `None` where the kernel has no such lists.
fn listed(tgid: u32, all: &[u32]) -> Option<Vec<u32>> {
    let mut children = Vec::new();
    for tid in all.iter().filter(|tid| tids::exists(**tid)) {
        let thread = format!("/proc/{tgid}/task/{tid}");
        match fs::read_to_string(format!("{thread}/children")) {
            Ok(list) => {
                children.extend(list.split_whitespace().filter_map(|child| child.parse::<u32>().ok()));
            }
            // Who is gone meanwhile had none to tell of.
            Err(_) if !fs::exists(&thread).unwrap_or(false) => {}
            Err(_) => return None,
        }
    }
    Some(children)
}

/// The children of every process.
fn all() -> io::Result<HashMap<u32, Vec<u32>>> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for stat in all_processes().map_err(io::Error::other)?.flatten().filter_map(|process| process.stat().ok())
    {
        children.entry(stat.ppid.cast_unsigned()).or_default().push(stat.pid.cast_unsigned());
    }
    Ok(children)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn both_ways_tell_the_same() {
        let us = std::process::id();
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let by_lists = listed(us, &tids::all_of(us)).expect("this kernel has lists");
        let by_parents = Children { lists: MAX_LISTS, all: None }.of(us).unwrap();
        assert!(by_lists.contains(&child.id()), "{by_lists:?}");
        assert!(by_parents.contains(&child.id()), "{by_parents:?}");
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
