//! Off-CPU time of a thread: what it waits for, for how long, and who wakes it.
//!
//! The programs add this up per thread; user space reads it at the window's edges. Time is of the scheduler's clock
//! (`rq.clock`, ns), in which the kernel counts, so that on-CPU, run-queue and blocked time meet.

use bytemuck::{Pod, Zeroable};

/// What a blocked thread waits for. The kernel side finds all but the last by its state, its system call, and the latter's
/// arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u32)]
pub enum Reason {
    /// For work: `accept`; user space adds what it knows of servers from the Python stack.
    Idle = 0,
    /// For the interpreter's lock: a futex inside of its GIL.
    Gil = 1,
    /// For another lock: any other futex, a file lock, a semaphore.
    Lock = 2,
    /// For a peer: a socket, or whatever `poll`, `select` and `epoll` wait for.
    Socket = 3,
    /// For the other end of a pipe.
    Pipe = 4,
    /// For a disk: reading, writing and syncing files.
    Disk = 5,
    /// For a time.
    Sleep = 6,
    /// For a child process.
    Child = 7,
    /// For memory: a page that is not there, or the lock of the address space while one is fetched.
    PageFault = 8,
    /// For a signal, or stopped: by one, or by its control group's freezer.
    Signal = 9,
    /// For what none of these is.
    Other = 10,
    /// For nothing in particular: a thread of native code, such as one of a library's pool, which nobody gives work.
    Parked = 11,
}

/// How many reasons there are.
pub const REASONS: usize = 12;
/// How many of the reasons the kernel side can tell; they come first.
pub const KERNEL_REASONS: usize = 11;

impl Reason {
    /// All reasons, in the order of their numbers.
    pub const ALL: [Self; REASONS] = [
        Self::Idle,
        Self::Gil,
        Self::Lock,
        Self::Socket,
        Self::Pipe,
        Self::Disk,
        Self::Sleep,
        Self::Child,
        Self::PageFault,
        Self::Signal,
        Self::Other,
        Self::Parked,
    ];

    /// The word for it, in JSON and in pictures.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Gil => "gil",
            Self::Lock => "lock",
            Self::Socket => "socket",
            Self::Pipe => "pipe",
            Self::Disk => "disk",
            Self::Sleep => "sleep",
            Self::Child => "child",
            Self::PageFault => "page_fault",
            Self::Signal => "signal",
            Self::Other => "other",
            Self::Parked => "parked",
        }
    }
}

/// Who ended a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u32)]
pub enum Waker {
    /// An interrupt of a device or of the network.
    Interrupt = 0,
    /// Another thread of the same process.
    Itself = 1,
    /// Another worker of the thread's fleet.
    Worker = 2,
    /// The master of the thread's fleet.
    Master = 3,
    /// Any other process.
    Process = 4,
    /// A time that came. Where timers do not wake in hard interrupts, on -rt kernels, it is whoever serves them.
    Timer = 5,
}

/// How many kinds of wakers there are.
pub const WAKERS: usize = 6;

impl Waker {
    /// All kinds of wakers, in the order of their numbers.
    pub const ALL: [Self; WAKERS] =
        [Self::Interrupt, Self::Itself, Self::Worker, Self::Master, Self::Process, Self::Timer];

    /// The word for it in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Interrupt => "interrupt",
            Self::Itself => "itself",
            Self::Worker => "worker",
            Self::Master => "master",
            Self::Process => "process",
            Self::Timer => "timer",
        }
    }
}

/// Buckets of a histogram: the last one holds all from 2^38 ns (275 s) on.
pub const BUCKETS: usize = 40;

/// Times by length: bucket `n` counts those of `2^(n-1)` to `2^n − 1` ns; bucket 0 counts those of none.
pub type Histogram = [u64; BUCKETS];

/// The bucket of a time.
#[inline]
#[must_use]
pub const fn bucket(ns: u64) -> usize {
    // Not `leading_zeros`: eBPF has no instruction for it, and what stands for it is longer than this.
    let (mut rest, mut bucket, mut shift) = (ns, 0, 32);
    while shift != 0 {
        if rest >> shift != 0 {
            rest >>= shift;
            bucket += shift;
        }
        shift /= 2;
    }
    bucket += rest as usize;
    if bucket < BUCKETS { bucket } else { BUCKETS - 1 }
}

/// Waits of one kind that are over.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
pub struct WaitSum {
    /// How long these waits took together, ns.
    pub ns: u64,
    /// How many these waits were.
    pub count: u64,
}

/// A wait that is not over: why the thread is off the CPU, and since when.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
pub struct OpenWait {
    /// Start of the wait, ns of the run queue's clock; 0 while the thread runs.
    pub since: u64,
    /// `se.sum_exec_runtime` at the start of the wait, ns.
    pub on_cpu: u64,
    /// `sched_info.run_delay` at the start of the wait, ns.
    pub run_delay: u64,
    /// Hash of the stack that waits; 0 if there is none.
    pub hash: u64,
    /// [`Reason`], [`PREEMPTED`] or [`UNQUEUED`].
    pub reason: u32,
    /// The system call, or [`NO_SYSCALL`].
    pub syscall: u32,
}

/// Parts of the time since a wait began, ns. What is in neither, the thread ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitParts {
    /// Time in a run queue.
    pub queued: u64,
    /// Time that the kernel counts neither as on-CPU nor as run-queue time: the thread was blocked.
    pub blocked: u64,
}

impl OpenWait {
    /// Splits the time from the start of the wait until `now`, by the thread's cumulative times at `now`, all in ns.
    #[inline]
    #[must_use]
    pub const fn split(&self, now: u64, on_cpu: u64, run_queue: u64) -> WaitParts {
        let queued = run_queue.saturating_sub(self.run_delay);
        let ran = on_cpu.saturating_sub(self.on_cpu);
        WaitParts { queued, blocked: now.saturating_sub(self.since).saturating_sub(queued.wrapping_add(ran)) }
    }

    /// How much of its parts a wait counts on its stack, ns: the time for which it left the CPU, not that for which it waited to
    /// be back. Of a thread that was preempted both are one.
    #[inline]
    #[must_use]
    pub const fn on_stack(&self, WaitParts { queued, blocked }: WaitParts) -> u64 {
        match self.reason {
            PREEMPTED => queued,
            UNQUEUED => queued.wrapping_add(blocked),
            _ => blocked,
        }
    }
}

/// Takes the place of a [`Reason`] when the thread did not want to leave the CPU. Not [`crate::config::ON_CPU`]: stacks are
/// keyed by either.
pub const PREEMPTED: u32 = u32::MAX - 2;
/// Takes the place of a [`Reason`] when the thread was preempted on its way to sleep. It waits for a CPU, but the kernel counts
/// as run-queue wait only that of a thread whose state says that it runs (`sched_info_depart`, `kernel/sched/stats.h`).
pub const UNQUEUED: u32 = u32::MAX - 1;
/// Takes the place of a system call when the thread is in none.
pub const NO_SYSCALL: u32 = u32::MAX;
/// Takes the place of a stack's hash when the wait began before the programs were attached, so that none saw its stack.
pub const BEFORE_US: u64 = 1;

/// Waits of one thread, added up since it is followed: the value of the task storage `THREADS`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
pub struct Waits {
    /// Odd while a program changes the rest.
    pub sequence: u32,
    /// The last [`Waker`].
    pub waker: u32,
    /// The fleet of the thread's process: [`crate::config::FollowedProcess::fleet`].
    pub fleet: u32,
    /// 1 in a master.
    pub is_master: u32,
    /// 1 once `voluntary` has been read, so that the next switch can be compared with it.
    pub has_baseline: u32,
    /// How often it received something from a socket; wraps.
    pub received: u32,
    /// The value of the map `EDGE` when it last changed.
    pub edge: u32,
    /// TID of the thread when it was enlisted: `exec` gives any thread the TID of the process's first one.
    pub tid: u32,
    /// `start_time` of the thread when it was enlisted, which `exec` changes too; 0 of a thread that has no storage.
    pub birth: u64,
    /// When the thread was ready to run, `CLOCK_MONOTONIC` ns; 0 if that was not seen. The kernel dates its birth when it
    /// begins to make it, which is earlier, and much so if the maker is preempted.
    pub made_ns: u64,
    /// `nvcsw` at the last switch-out: if it grew, the next one is voluntary.
    pub voluntary: u64,
    /// When a stack was last taken because it was preempted, ns of the run queue's clock.
    pub preempted_at: u64,
    /// The wait under way.
    pub open: OpenWait,
    /// Waits for a CPU that are in no `run_delay`, ns: [`UNQUEUED`].
    pub unqueued_ns: u64,
    /// By [`Reason`].
    pub blocked: [WaitSum; KERNEL_REASONS],
    /// Ends of waits by [`Waker`].
    pub wakers: [u64; WAKERS],
    /// Times from being runnable to running.
    pub run_queue: Histogram,
    /// Lengths of the waits in `blocked`.
    pub lengths: [Histogram; KERNEL_REASONS],
}

impl Default for Waits {
    fn default() -> Self {
        Self::zeroed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_powers_of_two() {
        assert_eq!((bucket(0), bucket(1), bucket(2), bucket(3), bucket(4)), (0, 1, 2, 2, 3));
        for exponent in 1..BUCKETS - 1 {
            assert_eq!(bucket((1 << exponent) - 1), exponent, "2^{exponent} - 1");
            assert_eq!(bucket(1 << exponent), exponent + 1, "2^{exponent}");
        }
        assert_eq!((bucket(1 << 45), bucket(u64::MAX)), (BUCKETS - 1, BUCKETS - 1));
    }

    #[test]
    fn what_is_neither_run_nor_queued_is_blocked() {
        let open = OpenWait { since: 1000, on_cpu: 50, run_delay: 70, ..OpenWait::default() };
        assert_eq!(open.split(1600, 55, 90), WaitParts { queued: 20, blocked: 575 });
        // Clocks that are read one after the other may tell more than there was.
        assert_eq!(open.split(1010, 55, 90), WaitParts { queued: 20, blocked: 0 });
        assert_eq!(open.split(900, 0, 0), WaitParts { queued: 0, blocked: 0 });
    }

    #[test]
    fn numbers_are_the_places_in_the_lists() {
        assert!(Reason::ALL.iter().enumerate().all(|(index, reason)| *reason as usize == index));
        assert!(Waker::ALL.iter().enumerate().all(|(index, waker)| *waker as usize == index));
    }
}
