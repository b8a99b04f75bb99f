//! CPU affinity of threads.
#![expect(unsafe_code, reason = "calls of the kernel that std does not offer")]

use std::{collections::BTreeSet, io};

use crate::sys::tids;

/// CPUs by number, from 0.
pub type Cpus = BTreeSet<u32>;

/// The CPUs on which a thread may run; 0 is the calling one. Fails if it is gone.
pub fn of_thread(tid: u32) -> io::Result<Cpus> {
    // SAFETY: all-zero bytes are a valid, empty set.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: the destination is ours and as large as is said.
    let result = unsafe { libc::sched_getaffinity(tid.cast_signed(), size_of_val(&set), &raw mut set) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the macro reads a bit below CPU_SETSIZE of a set that is ours.
    Ok((0..libc::CPU_SETSIZE as u32).filter(|cpu| unsafe { libc::CPU_ISSET(*cpu as usize, &set) }).collect())
}

/// The CPUs on which any thread of a process may run; none if it is gone.
#[must_use]
pub fn of_process(tgid: u32) -> Cpus {
    tids::all_of(tgid).into_iter().filter_map(|tid| of_thread(tid).ok()).flatten().collect()
}

/// Keeps a thread to these CPUs. Fails if it may run on none of them.
pub fn keep_to(tid: u32, cpus: &Cpus) -> io::Result<()> {
    // SAFETY: all-zero bytes are a valid, empty set.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    for cpu in cpus.iter().filter(|cpu| **cpu < libc::CPU_SETSIZE as u32) {
        // SAFETY: the bit is inside of the set, which is ours.
        unsafe { libc::CPU_SET(*cpu as usize, &mut set) };
    }
    // SAFETY: the set is ours and as large as is said.
    let result = unsafe { libc::sched_setaffinity(tid.cast_signed(), size_of_val(&set), &raw const set) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use std::{fs, process::Command};

    use super::*;

    #[test]
    fn a_child_runs_where_it_is_kept_to() {
        let ours = of_thread(0).unwrap();
        assert_eq!(ours.len(), std::thread::available_parallelism().unwrap().get());
        let last = *ours.last().unwrap();
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        keep_to(child.id(), &Cpus::from([last])).unwrap();
        let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
        assert!(status.contains(&format!("Cpus_allowed_list:\t{last}\n")), "{status}");
        assert_eq!(of_process(child.id()), Cpus::from([last]));
        assert!(keep_to(child.id(), &Cpus::new()).is_err());
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(of_process(child.id()).is_empty());
    }
}
