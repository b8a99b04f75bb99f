//! Clocks of the kernel: monotonic, wall clock, and CPU time of threads and processes.
#![expect(unsafe_code, reason = "calls of the kernel that std does not offer")]

/// `CLOCK_MONOTONIC`, ns: the clock of `bpf_ktime_get_ns`.
#[must_use]
pub fn monotonic_ns() -> u64 {
    read(libc::CLOCK_MONOTONIC)
}

/// How long the machine has slept since it was started, ns, to the time between two reads of clocks.
#[must_use]
pub fn slept_ns() -> u64 {
    read(libc::CLOCK_BOOTTIME).saturating_sub(monotonic_ns())
}

/// Time since the epoch, ns.
#[must_use]
pub fn unix_ns() -> u64 {
    read(libc::CLOCK_REALTIME)
}

/// How long a tick of the kernel is, ns: the coarse clocks go by ticks.
#[must_use]
pub fn tick_ns() -> u64 {
    let mut tick = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the destination is ours, and the clock exists on every Linux.
    unsafe { libc::clock_getres(libc::CLOCK_MONOTONIC_COARSE, &raw mut tick) };
    tick.tv_nsec.cast_unsigned()
}

/// On-CPU time of the calling thread, ns. The kernel brings the thread's books and its run queue's clock up to
/// date to answer (`task_sched_runtime`, kernel/sched/core.c).
#[must_use]
pub fn thread_cpu_ns() -> u64 {
    read(libc::CLOCK_THREAD_CPUTIME_ID)
}

/// On-CPU time of another thread of this process, ns; 0 if there is no such thread (any more).
///
/// The clock's number is made of the tid as in the kernel's `MAKE_THREAD_CPUCLOCK` (posix-timers_types.h).
#[must_use]
pub fn cpu_ns_of(tid: u32) -> u64 {
    read((!tid.cast_signed() << 3) | 6)
}

/// On-CPU time of this process, ns.
#[must_use]
pub fn process_cpu_ns() -> u64 {
    read(libc::CLOCK_PROCESS_CPUTIME_ID)
}

/// How often the calling thread was switched out, to sleep or not.
#[must_use]
pub fn thread_switches() -> u64 {
    // SAFETY: all-zero bytes are a valid `rusage`.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: the destination is ours; RUSAGE_THREAD cannot fail.
    unsafe { libc::getrusage(libc::RUSAGE_THREAD, &raw mut usage) };
    (usage.ru_nvcsw + usage.ru_nivcsw).cast_unsigned()
}

/// The calling thread's tid.
#[must_use]
pub fn tid() -> u32 {
    // SAFETY: no arguments, cannot fail.
    unsafe { libc::gettid() }.cast_unsigned()
}

fn read(clock: libc::clockid_t) -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the destination is ours. These clocks exist on every Linux that has eBPF, but for the one of a thread
    // that is gone, of which nothing is written.
    unsafe { libc::clock_gettime(clock, &raw mut time) };
    time.tv_sec.cast_unsigned() * 1_000_000_000 + time.tv_nsec.cast_unsigned()
}

/// How many CPUs this process may use.
#[must_use]
pub fn cpus() -> u32 {
    std::thread::available_parallelism().map_or(1, |cpus| u32::try_from(cpus.get()).unwrap_or(u32::MAX))
}
