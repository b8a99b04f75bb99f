//! The kind of each system call, by its number on this architecture.

use std::sync::LazyLock;

use profiler_common::syscall::{SYSCALLS, SyscallKind};

/// The kinds, by number.
#[must_use]
pub fn table() -> [u8; SYSCALLS] {
    let mut table = [SyscallKind::Other as u8; SYSCALLS];
    for (kind, numbers) in kinds() {
        for number in numbers {
            if let Some(entry) = usize::try_from(*number).ok().and_then(|number| table.get_mut(number)) {
                *entry = kind as u8;
            }
        }
    }
    table
}

/// True of calls that wait for one of several things, for a lock or for a time: where threads without work wait.
#[must_use]
pub fn parks(syscall: u32) -> bool {
    is_of(
        syscall,
        &[
            SyscallKind::Futex,
            SyscallKind::Lock,
            SyscallKind::Poll,
            SyscallKind::Select,
            SyscallKind::Epoll,
            SyscallKind::Sleep,
        ],
    )
}

/// True of `poll` and its like, whose descriptors are listed in memory.
#[must_use]
pub fn polls(syscall: u32) -> bool {
    is_of(syscall, &[SyscallKind::Poll])
}

fn is_of(syscall: u32, kinds: &[SyscallKind]) -> bool {
    static KINDS: LazyLock<[u8; SYSCALLS]> = LazyLock::new(table);
    let kind = KINDS.get(syscall as usize);
    kind.is_some_and(|kind| kinds.iter().any(|of| *kind == *of as u8))
}

/// The calls that both architectures have, and those that only the older one has.
fn kinds() -> Vec<(SyscallKind, &'static [libc::c_long])> {
    #[cfg_attr(not(target_arch = "x86_64"), expect(unused_mut, reason = "the older architecture has more"))]
    let mut kinds: Vec<(SyscallKind, &'static [libc::c_long])> = vec![
        (SyscallKind::Accept, &[libc::SYS_accept, libc::SYS_accept4]),
        (SyscallKind::Futex, &[libc::SYS_futex, libc::SYS_futex_waitv]),
        (SyscallKind::Lock, &[libc::SYS_flock, libc::SYS_fcntl, libc::SYS_semop, libc::SYS_semtimedop]),
        (
            SyscallKind::Socket,
            &[
                libc::SYS_connect,
                libc::SYS_recvfrom,
                libc::SYS_recvmsg,
                libc::SYS_recvmmsg,
                libc::SYS_sendto,
                libc::SYS_sendmsg,
                libc::SYS_sendmmsg,
                libc::SYS_shutdown,
            ],
        ),
        (
            SyscallKind::Descriptor,
            &[
                libc::SYS_read,
                libc::SYS_readv,
                libc::SYS_pread64,
                libc::SYS_preadv,
                libc::SYS_preadv2,
                libc::SYS_write,
                libc::SYS_writev,
                libc::SYS_pwrite64,
                libc::SYS_pwritev,
                libc::SYS_pwritev2,
                libc::SYS_sendfile,
                libc::SYS_splice,
                libc::SYS_tee,
                libc::SYS_vmsplice,
                libc::SYS_close,
            ],
        ),
        (SyscallKind::Poll, &[libc::SYS_ppoll]),
        (SyscallKind::Select, &[libc::SYS_pselect6]),
        (SyscallKind::Epoll, &[libc::SYS_epoll_pwait, libc::SYS_epoll_pwait2]),
        (SyscallKind::Sleep, &[libc::SYS_nanosleep, libc::SYS_clock_nanosleep]),
        (SyscallKind::Child, &[libc::SYS_wait4, libc::SYS_waitid, libc::SYS_clone, libc::SYS_clone3]),
        (SyscallKind::Signal, &[libc::SYS_rt_sigtimedwait, libc::SYS_rt_sigsuspend]),
        (
            SyscallKind::Disk,
            &[
                libc::SYS_openat,
                libc::SYS_openat2,
                libc::SYS_fsync,
                libc::SYS_fdatasync,
                libc::SYS_sync,
                libc::SYS_syncfs,
                libc::SYS_sync_file_range,
                libc::SYS_msync,
                libc::SYS_ftruncate,
                libc::SYS_truncate,
                libc::SYS_fallocate,
                libc::SYS_getdents64,
                libc::SYS_statx,
                libc::SYS_newfstatat,
                libc::SYS_unlinkat,
                libc::SYS_renameat2,
                libc::SYS_mkdirat,
                libc::SYS_readahead,
                libc::SYS_copy_file_range,
                libc::SYS_io_getevents,
                libc::SYS_execve,
            ],
        ),
    ];
    #[cfg(target_arch = "x86_64")]
    kinds.extend([
        (SyscallKind::Poll, [libc::SYS_poll].as_slice()),
        (SyscallKind::Select, &[libc::SYS_select]),
        (SyscallKind::Epoll, &[libc::SYS_epoll_wait]),
        (SyscallKind::Child, &[libc::SYS_vfork]),
        (SyscallKind::Signal, &[libc::SYS_pause]),
        (
            SyscallKind::Disk,
            &[
                libc::SYS_open,
                libc::SYS_creat,
                libc::SYS_stat,
                libc::SYS_lstat,
                libc::SYS_access,
                libc::SYS_unlink,
                libc::SYS_rename,
                libc::SYS_mkdir,
                libc::SYS_rmdir,
                libc::SYS_link,
                libc::SYS_symlink,
                libc::SYS_chmod,
            ],
        ),
    ]);
    kinds
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_has_one_kind_and_a_place() {
        let listed: Vec<_> = kinds().into_iter().flat_map(|(_, numbers)| numbers).collect();
        let has_place =
            |number: &&libc::c_long| usize::try_from(**number).is_ok_and(|number| number < SYSCALLS);
        assert!(listed.iter().all(has_place));
        let table = table();
        assert_eq!(table.iter().filter(|kind| **kind != SyscallKind::Other as u8).count(), listed.len());
        assert_eq!(table[libc::SYS_futex as usize], SyscallKind::Futex as u8);
    }
}
