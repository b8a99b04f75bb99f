//! Threads of this host, read from /proc: where they sleep in the kernel, and whether they still do.

use std::{fs, os::unix::fs::FileTypeExt as _};

use crate::sys::{memory::Memory, status::ProcStatus};

/// The kernel's frames of a thread that sleeps, leaf first, as names; empty if it runs, is gone, or may not be seen.
///
/// Each line of `/proc/TGID/task/TID/stack` is `[<0>] name+0x1b/0x60`.
#[must_use]
pub fn kernel_stack(tgid: u32, tid: u32) -> Vec<String> {
    let text = fs::read_to_string(format!("/proc/{tgid}/task/{tid}/stack")).unwrap_or_default();
    let name = |line: &str| Some(line.split_once("] ")?.1.split('+').next()?.to_owned());
    text.lines().filter_map(name).collect()
}

/// True if a thread has not run since it had gone to sleep so many times.
#[must_use]
pub fn has_slept_since(tgid: u32, tid: u32, voluntary: u64) -> bool {
    let Some(status) = ProcStatus::read(format!("/proc/{tgid}/task/{tid}")) else { return false };
    let asleep = status.value("State").is_some_and(|state| !state.starts_with('R'));
    asleep && status.number("voluntary_ctxt_switches", 0) == Some(voluntary)
}

/// The first argument of the system call in which a thread sleeps; `None` if it is in none, runs, is gone, or may not be seen.
#[must_use]
pub fn first_argument(tgid: u32, tid: u32) -> Option<u64> {
    syscall(tgid, tid)?.split_last_chunk::<2>()?.0.first().copied()
}

/// True if a thread sleeps in `poll`, and the first of the descriptors that it polls is a pipe's.
#[must_use]
pub fn polls_pipe(tgid: u32, tid: u32) -> bool {
    // The address of `struct pollfd { int fd; … }`.
    let descriptor = first_argument(tgid, tid).and_then(|array| Memory::of(tgid).u32(array));
    let file = descriptor.and_then(|descriptor| fs::metadata(format!("/proc/{tgid}/fd/{descriptor}")).ok());
    file.is_some_and(|file| file.file_type().is_fifo())
}

/// The stack pointer of a thread that sleeps; `None` if it runs, is gone, or may not be seen.
#[must_use]
pub fn stack_pointer(tgid: u32, tid: u32) -> Option<u64> {
    syscall(tgid, tid)?.split_last_chunk().map(|(_, [stack_pointer, _])| *stack_pointer)
}

/// The words of `/proc/TGID/task/TID/syscall` behind the system call's number: its arguments, of which there are none where
/// a thread sleeps outside of one, then the stack pointer and the instruction pointer. None of a thread that runs.
fn syscall(tgid: u32, tid: u32) -> Option<Vec<u64>> {
    let text = fs::read_to_string(format!("/proc/{tgid}/task/{tid}/syscall")).ok()?;
    let hex = |word: &str| u64::from_str_radix(word.strip_prefix("0x")?, 16).ok();
    text.split_whitespace().skip(1).map(hex).collect()
}

/// How long a thread has waited for a CPU since it began, ns; `None` if it is gone.
#[must_use]
pub fn run_queue_ns(tgid: u32, tid: u32) -> Option<u64> {
    // `on-CPU ns, run-queue ns, slices`: Documentation/scheduler/sched-stats.rst.
    let text = fs::read_to_string(format!("/proc/{tgid}/task/{tid}/schedstat")).ok()?;
    text.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::{process::Command, thread};

    use super::*;

    #[test]
    fn a_sleeper_sleeps_and_we_do_not() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let tgid = child.id();
        let voluntary = || {
            let status = fs::read_to_string(format!("/proc/{tgid}/status")).unwrap();
            let count =
                status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:")).unwrap();
            count.trim().parse::<u64>().unwrap()
        };
        while !fs::read_to_string(format!("/proc/{tgid}/stat")).unwrap().contains(") S ") {
            thread::yield_now();
        }
        let count = voluntary();
        assert!(has_slept_since(tgid, tgid, count) && !has_slept_since(tgid, tgid, count + 1));
        let own = std::process::id();
        assert!(!has_slept_since(own, 0, 0));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(kernel_stack(tgid, tgid).is_empty());
    }
}
