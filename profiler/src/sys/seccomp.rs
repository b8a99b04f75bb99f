//! The seccomp filter that is set once everything has been started. It allows to watch, to read, and to write results; it
//! allows no program to start, no connection, and no write to another process's memory.
//!
//! Others fail as on a kernel that does not have them, for which libraries are prepared.

use std::{collections::BTreeMap, io};

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    apply_filter_all_threads,
};

/// System calls that are allowed with any arguments.
const CALLS: &[libc::c_long] = &[
    // Files, of which the right to open is another matter.
    libc::SYS_openat,
    libc::SYS_openat2,
    libc::SYS_close,
    libc::SYS_read,
    libc::SYS_pread64,
    libc::SYS_readv,
    libc::SYS_write,
    libc::SYS_pwrite64,
    libc::SYS_writev,
    libc::SYS_lseek,
    libc::SYS_fstat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_statfs,
    libc::SYS_fstatfs,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_readlinkat,
    libc::SYS_getdents64,
    libc::SYS_getcwd,
    libc::SYS_fcntl,
    libc::SYS_dup,
    libc::SYS_dup3,
    libc::SYS_ftruncate,
    libc::SYS_fsync,
    libc::SYS_fdatasync,
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    libc::SYS_umask,
    libc::SYS_linkat,
    libc::SYS_renameat,
    libc::SYS_renameat2,
    libc::SYS_unlinkat,
    libc::SYS_mkdirat,
    libc::SYS_setfsuid,
    libc::SYS_setfsgid,
    // Memory, ours and theirs.
    libc::SYS_brk,
    libc::SYS_mmap,
    libc::SYS_mremap,
    libc::SYS_munmap,
    libc::SYS_mprotect,
    libc::SYS_madvise,
    libc::SYS_process_vm_readv,
    // The kernel side.
    libc::SYS_bpf,
    // Waiting, time, and who we are.
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_eventfd2,
    libc::SYS_pipe2,
    // By which a signal's handler tells the thread that waits for it, on sockets that are open.
    libc::SYS_recvfrom,
    libc::SYS_sendto,
    libc::SYS_ppoll,
    libc::SYS_futex,
    libc::SYS_nanosleep,
    libc::SYS_clock_nanosleep,
    libc::SYS_clock_gettime,
    libc::SYS_clock_getres,
    libc::SYS_gettimeofday,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_getrusage,
    libc::SYS_sysinfo,
    libc::SYS_uname,
    libc::SYS_getrandom,
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_getuid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getegid,
    libc::SYS_capget,
    libc::SYS_capset,
    // Children that run already, signals, and the end.
    libc::SYS_wait4,
    libc::SYS_waitid,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_restart_syscall,
    libc::SYS_tgkill,
    libc::SYS_exit,
    libc::SYS_exit_group,
    // Threads.
    libc::SYS_set_robust_list,
    libc::SYS_rseq,
    libc::SYS_membarrier,
    libc::SYS_set_tid_address,
];

/// What the older architecture has besides.
#[cfg(target_arch = "x86_64")]
const OLD_CALLS: &[libc::c_long] = &[
    libc::SYS_open,
    libc::SYS_stat,
    libc::SYS_lstat,
    libc::SYS_access,
    libc::SYS_readlink,
    libc::SYS_poll,
    libc::SYS_epoll_wait,
    libc::SYS_unlink,
    libc::SYS_rename,
    libc::SYS_link,
    libc::SYS_chmod,
    libc::SYS_dup2,
    libc::SYS_time,
];
#[cfg(not(target_arch = "x86_64"))]
const OLD_CALLS: &[libc::c_long] = &[];

/// Requests of devices: of sampling clocks (`PERF_EVENT_IOC_…`, `include/uapi/linux/perf_event.h`), and what a terminal is
/// (`TCGETS`, `TIOCGWINSZ`).
const REQUESTS: [u64; 6] = [0x2400, 0x2401, 0x4004_2408, 0x4008_2407, 0x5401, 0x5413];

/// Leaves these to this process, for good. Wants `no_new_privs`, or `CAP_SYS_ADMIN`.
pub fn confine() -> io::Result<()> {
    apply_filter_all_threads(&filter().map_err(io::Error::other)?).map_err(io::Error::other)
}

fn filter() -> Result<BpfProgram, seccompiler::BackendError> {
    let mut rules: BTreeMap<_, _> = CALLS.iter().chain(OLD_CALLS).map(|call| (*call, Vec::new())).collect();
    let is = |argument, operator, value| {
        SeccompRule::new(vec![SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, value)?])
    };
    let requests = REQUESTS.iter().map(|request| is(1, SeccompCmpOp::Eq, *request));
    rules.insert(libc::SYS_ioctl, requests.collect::<Result<_, _>>()?);
    // Where `clone3` is not to be had `clone` is called, whose flags can be seen.
    let thread = libc::CLONE_THREAD as u64;
    rules.insert(libc::SYS_clone, vec![is(0, SeccompCmpOp::MaskedEq(thread), thread)?]);
    // Whether a process is there; no signal is sent.
    rules.insert(libc::SYS_kill, vec![is(1, SeccompCmpOp::Eq, 0)?]);
    let no_new_privileges =
        [libc::PR_SET_NO_NEW_PRIVS, libc::PR_GET_NO_NEW_PRIVS, libc::PR_SET_NAME, libc::PR_SET_VMA];
    let options = no_new_privileges.iter().map(|option| is(0, SeccompCmpOp::Eq, *option as u64));
    rules.insert(libc::SYS_prctl, options.collect::<Result<_, _>>()?);
    let missing = SeccompAction::Errno(libc::ENOSYS as u32);
    SeccompFilter::new(rules, missing, SeccompAction::Allow, std::env::consts::ARCH.try_into()?)?.try_into()
}

#[cfg(test)]
mod tests {
    use std::{fs, process::Command, thread};

    use rustix::thread::set_no_new_privs;

    use super::*;

    #[test]
    fn who_is_confined_reads_and_starts_nothing() {
        let confined = || {
            set_no_new_privs(true).unwrap();
            seccompiler::apply_filter(&filter().unwrap()).unwrap();
            let started = Command::new("true").status().map_err(|error| error.raw_os_error());
            let bound = std::net::TcpListener::bind("127.0.0.1:0").map_err(|error| error.raw_os_error());
            let read = fs::read_to_string("/proc/self/status").is_ok();
            let thread = thread::spawn(|| 7).join().unwrap();
            (started.err(), bound.err(), read, thread)
        };
        let refused = Some(Some(libc::ENOSYS));
        assert_eq!(thread::spawn(confined).join().unwrap(), (refused, refused, true, 7));
    }
}
