//! The threads of a process by their numbers, and by which of them it is seen.

use std::{fs, io};

use rustix::{
    io::Errno,
    process::{Pid, test_kill_process},
};

/// True while a thread or process is there; a zombie is. Asks for nothing in `/proc`: a look there at one that is just being
/// taken away goes round in the kernel (`shrink_dcache_parent`, fs/dcache.c) until that is done, and on a busy host who does it
/// waits for a CPU. So who may have ended is asked for here first.
#[must_use]
pub fn exists(tid: u32) -> bool {
    let pid = i32::try_from(tid).ok().and_then(Pid::from_raw);
    pid.is_some_and(|pid| test_kill_process(pid) != Err(Errno::SRCH))
}

/// The tids of a process; none if it is gone.
#[must_use]
pub fn all_of(tgid: u32) -> Vec<u32> {
    let tasks = exists(tgid).then(|| fs::read_dir(format!("/proc/{tgid}/task")));
    let tasks = tasks.into_iter().flatten().flatten().flatten();
    tasks.filter_map(|task| task.file_name().to_str()?.parse().ok()).collect()
}

/// The TID by which a process's memory and files are seen. `/proc` shows those of a process as long as its first thread lives;
/// then, those of any other that lives on. 0, which nobody has, of a process that is gone.
#[must_use]
pub fn seen_by(tgid: u32) -> u32 {
    let shows = |tid: &u32| {
        let exe = fs::read_link(format!("/proc/{tid}/exe"));
        !exe.is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
    };
    match tgid {
        tgid if !exists(tgid) => 0,
        tgid if shows(&tgid) => tgid,
        tgid => all_of(tgid).into_iter().find(shows).unwrap_or(tgid),
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn who_is_waited_for_is_there_and_nobody_else() {
        assert!(exists(std::process::id()) && exists(1));
        assert!(!exists(0) && !exists(u32::MAX) && !exists(5_000_000), "no host has such a process");
        let mut child = Command::new("true").spawn().unwrap();
        assert!(exists(child.id()), "a zombie at the least");
        child.wait().unwrap();
        assert!(!exists(child.id()));
    }
}
