//! Kinds of system calls, by what a thread that blocks in them waits for.

/// How many system calls the table has; both architectures number theirs below.
pub const SYSCALLS: usize = 512;

/// Kind of a system call. The loader fills a table of these by number; the programs look there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum SyscallKind {
    /// Any system call that is not told apart.
    Other = 0,
    /// `accept`: work.
    Accept = 1,
    /// `futex`, whose first argument may lie inside of the GIL.
    Futex = 2,
    /// Locks of files, semaphores.
    Lock = 3,
    /// `recv`, `send`, `connect`.
    Socket = 4,
    /// `read`, `write` and their like: the first argument is a descriptor of anything.
    Descriptor = 5,
    /// `poll`: an array of descriptors, and how many they are.
    Poll = 6,
    /// `select`: how many descriptors there may be.
    Select = 7,
    /// `epoll_wait`.
    Epoll = 8,
    /// `nanosleep`.
    Sleep = 9,
    /// `wait`, and `clone` while it waits for its child to let go of its memory.
    Child = 10,
    /// `pause`, `sigwait`.
    Signal = 11,
    /// Whatever looks for, opens, syncs or maps files.
    Disk = 12,
}
