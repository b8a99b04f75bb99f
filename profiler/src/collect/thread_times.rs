//! Computes a thread's cumulative times from the scheduler's counters: closes the slices that are open when they are read.

use profiler_common::{
    event::ThreadRecord,
    sched::TaskCounters,
    wait::{KERNEL_REASONS, PREEMPTED, UNQUEUED, WaitParts, Waits},
};

use crate::model::accounting::CumulativeTimes;

/// Cumulative times of a thread that lives, up to the instant at which its counters were read.
///
/// `clock_offset_ns` is `CLOCK_MONOTONIC` less the scheduler's clock.
#[must_use]
pub fn of_living(ThreadRecord { task, waits }: &ThreadRecord, clock_offset_ns: u64) -> CumulativeTimes {
    let now = task.read_ns.wrapping_sub(clock_offset_ns);
    let running = task.on_cpu != 0;
    // The run queue's clocks were last read at a tick or a switch; up to there the task clock (which leaves out
    // interrupts and stolen time) is known, from there to now it runs like the queue's clock.
    let open = if running {
        task.rq_clock_task.saturating_sub(task.exec_start) + now.saturating_sub(task.rq_clock)
    } else {
        0
    };
    let waiting = if task.last_queued != 0 && !running { now.saturating_sub(task.last_queued) } else { 0 };
    // One that was preempted on its way to sleep is in the run queue.
    let is_unqueued = waits.open.since != 0 && waits.open.reason == UNQUEUED;
    let blocked = task.state != 0 && !running && !is_unqueued;
    build(task, task.sum_exec_runtime + open, task.run_delay + waiting, blocked)
}

/// The wait that is under way when a thread that lives is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitSoFar {
    /// Number of the [`profiler_common::wait::Reason`].
    pub reason: usize,
    /// How long it has lasted, ns.
    pub ns: u64,
    /// True if it is over, though the thread has not run since.
    pub is_over: bool,
}

/// The wait under way, if it is one for something other than a CPU.
#[must_use]
pub fn open_wait(living: &ThreadRecord, clock_offset_ns: u64) -> Option<WaitSoFar> {
    let open = living.waits.open;
    let reason = open.reason as usize;
    if open.since == 0 || reason >= KERNEL_REASONS {
        return None;
    }
    let is_over = !of_living(living, clock_offset_ns).blocked;
    Some(WaitSoFar { reason, ns: unclaimed_ns(living, clock_offset_ns), is_over })
}

/// How much of the wait under way counts on its stack, ns, and true if the wait is over. A wait that follows another one's end
/// is not the stack's: `OpenWait::on_stack` of the kernel side says how much.
#[must_use]
pub fn open_wait_on_stack(living: &ThreadRecord, clock_offset_ns: u64) -> Option<(u64, bool)> {
    let open = living.waits.open;
    if open.since == 0 {
        return None;
    }
    let is_over = match open.reason {
        PREEMPTED | UNQUEUED => living.task.on_cpu != 0,
        _ => !of_living(living, clock_offset_ns).blocked,
    };
    Some((open.on_stack(parts(living, clock_offset_ns)), is_over))
}

/// Time since the open wait began that is neither on-CPU nor run-queue time, ns: the kernel side closes a wait by the same
/// rule.
fn unclaimed_ns(living: &ThreadRecord, clock_offset_ns: u64) -> u64 {
    parts(living, clock_offset_ns).blocked
}

/// The parts of the open wait up to the instant of reading.
fn parts(living: &ThreadRecord, clock_offset_ns: u64) -> WaitParts {
    let times = of_living(living, clock_offset_ns);
    let now = living.task.read_ns.wrapping_sub(clock_offset_ns);
    living.waits.open.split(now, times.on_cpu_ns, times.run_queue_ns)
}

/// The waits of a thread that lives, the one under way counted up to the instant of reading.
#[must_use]
pub fn waits_of_living(living: &ThreadRecord, clock_offset_ns: u64) -> Waits {
    let mut waits = living.waits;
    if let Some(open) = open_wait(living, clock_offset_ns) {
        waits.blocked[open.reason].ns += open.ns;
        if open.is_over {
            waits.blocked[open.reason].count += 1;
            if let Some(count) = waits.wakers.get_mut(waits.waker as usize) {
                *count += 1;
            }
        }
    } else if waits.open.since != 0 && waits.open.reason == UNQUEUED {
        waits.unqueued_ns += unclaimed_ns(living, clock_offset_ns);
    }
    waits
}

/// Cumulative times of a thread at its last switch-out, where the kernel has just closed its slice.
#[must_use]
pub fn of_gone(task: &TaskCounters) -> CumulativeTimes {
    build(task, task.sum_exec_runtime, task.run_delay, true)
}

fn build(task: &TaskCounters, on_cpu_ns: u64, run_queue_ns: u64, blocked: bool) -> CumulativeTimes {
    let system_ns = system_part(on_cpu_ns, task.utime, task.stime);
    CumulativeTimes {
        at_ns: task.read_ns,
        on_cpu_ns,
        user_ns: on_cpu_ns - system_ns,
        system_ns,
        run_queue_ns,
        voluntary_switches: task.voluntary,
        preempted_switches: task.preempted,
        migrations: task.migrations,
        blocked,
    }
}

/// The kernel's own division of exact time by ticks (`cputime_adjust`, kernel/sched/cputime.c).
fn system_part(on_cpu_ns: u64, user_ticks_ns: u64, system_ticks_ns: u64) -> u64 {
    if system_ticks_ns == 0 {
        return 0;
    }
    if user_ticks_ns == 0 {
        return on_cpu_ns;
    }
    let part = u128::from(on_cpu_ns) * u128::from(system_ticks_ns)
        / (u128::from(user_ticks_ns) + u128::from(system_ticks_ns));
    u64::try_from(part).unwrap_or(on_cpu_ns)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Last brought up to date at 900 on the scheduler's clock, which is 100 behind `CLOCK_MONOTONIC`; read at 1050.
    const WORDS: TaskCounters = TaskCounters {
        read_ns: 1050,
        sum_exec_runtime: 400,
        exec_start: 880,
        rq_clock: 900,
        rq_clock_task: 890,
        run_delay: 70,
        last_queued: 0,
        voluntary: 3,
        preempted: 2,
        migrations: 1,
        utime: 300,
        stime: 100,
        thread_pointer: 0,
        start_time: 0,
        state: 0,
        on_cpu: 1,
        tid: 1,
        tgid: 1,
        comm: [0; 16],
    };

    fn living(task: TaskCounters) -> ThreadRecord {
        ThreadRecord { task, waits: Waits::default() }
    }

    #[test]
    fn a_running_thread_counts_up_to_now() {
        // 890 - 880 since the last update, then 950 - 900 since the queue's clock was read.
        let times = of_living(&living(WORDS), 100);
        assert_eq!((times.on_cpu_ns, times.run_queue_ns, times.blocked), (460, 70, false));
        assert_eq!((times.user_ns, times.system_ns), (345, 115));
    }

    #[test]
    fn a_waiting_thread_waits_up_to_now() {
        let times = of_living(&living(TaskCounters { on_cpu: 0, last_queued: 910, ..WORDS }), 100);
        assert_eq!((times.on_cpu_ns, times.run_queue_ns, times.blocked), (400, 110, false));
    }

    #[test]
    fn a_sleeping_thread_stands_still() {
        let times = of_living(&living(TaskCounters { on_cpu: 0, state: 1, ..WORDS }), 100);
        assert_eq!((times.on_cpu_ns, times.run_queue_ns, times.blocked), (400, 70, true));
    }

    #[test]
    fn a_wait_under_way_counts_up_to_now_or_to_its_end() {
        let mut waits = Waits::default();
        (waits.open.since, waits.open.run_delay, waits.open.reason, waits.waker) = (600, 50, 3, 2);
        waits.open.on_cpu = 400;
        // Read at 950 on the scheduler's clock; 20 of its waits for a CPU came after it had gone to sleep.
        let asleep = ThreadRecord { task: TaskCounters { on_cpu: 0, state: 1, ..WORDS }, waits };
        assert_eq!(open_wait(&asleep, 100), Some(WaitSoFar { reason: 3, ns: 330, is_over: false }));
        assert_eq!(waits_of_living(&asleep, 100).blocked[3].count, 0);
        // Woken at 910.
        let queued = ThreadRecord { task: TaskCounters { on_cpu: 0, last_queued: 910, ..WORDS }, waits };
        assert_eq!(open_wait(&queued, 100), Some(WaitSoFar { reason: 3, ns: 290, is_over: true }));
        let over = waits_of_living(&queued, 100);
        assert_eq!((over.blocked[3].count, over.wakers[2]), (1, 1));
        // It runs again, which no program saw: 60 of it so far.
        let running = ThreadRecord { task: WORDS, waits };
        assert_eq!(open_wait(&running, 100), Some(WaitSoFar { reason: 3, ns: 270, is_over: true }));
        waits.open.since = 0;
        assert_eq!(open_wait(&ThreadRecord { task: WORDS, waits }, 100), None, "it runs");
    }

    #[test]
    fn one_preempted_on_its_way_to_sleep_waits_for_a_cpu() {
        let mut preempted = living(TaskCounters { on_cpu: 0, state: 1, ..WORDS });
        let open = &mut preempted.waits.open;
        (open.since, open.run_delay, open.on_cpu, open.reason) = (600, 70, 400, UNQUEUED);
        assert!(!of_living(&preempted, 100).blocked);
        assert_eq!((open_wait(&preempted, 100), waits_of_living(&preempted, 100).unqueued_ns), (None, 350));
    }
}
