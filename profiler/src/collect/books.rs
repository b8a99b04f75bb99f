//! From the scheduler's raw words to books: closes the slices that are open at the instant of reading.

use profiler_common::sched::TaskWords;

use crate::model::accounting::Books;

/// The books of a thread that lives, up to the instant at which its words were read.
///
/// `clock_offset_ns` is `CLOCK_MONOTONIC` less the scheduler's clock.
#[must_use]
pub fn of_living(words: &TaskWords, clock_offset_ns: u64) -> Books {
    let now = words.read_ns.wrapping_sub(clock_offset_ns);
    let running = words.on_cpu != 0;
    // The run queue's clocks were last read at a tick or a switch; up to there the task clock (which leaves out
    // interrupts and stolen time) is known, from there to now it runs like the queue's clock.
    let open = if running {
        words.rq_clock_task.saturating_sub(words.exec_start) + now.saturating_sub(words.rq_clock)
    } else {
        0
    };
    let waiting = if words.last_queued != 0 && !running { now.saturating_sub(words.last_queued) } else { 0 };
    let blocked = words.state != 0 && !running;
    build(words, words.sum_exec_runtime + open, words.run_delay + waiting, blocked)
}

/// The books of a thread at its last switch-out, where the kernel has just closed its slice.
#[must_use]
pub fn of_gone(words: &TaskWords) -> Books {
    build(words, words.sum_exec_runtime, words.run_delay, true)
}

fn build(words: &TaskWords, on_cpu_ns: u64, run_queue_ns: u64, blocked: bool) -> Books {
    let system_ns = system_part(on_cpu_ns, words.utime, words.stime);
    Books {
        at_ns: words.read_ns,
        on_cpu_ns,
        user_ns: on_cpu_ns - system_ns,
        system_ns,
        run_queue_ns,
        voluntary_switches: words.voluntary,
        preempted_switches: words.preempted,
        migrations: words.migrations,
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
    const WORDS: TaskWords = TaskWords {
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
        start_boottime: 0,
        state: 0,
        on_cpu: 1,
        tid: 1,
        tgid: 1,
        comm: [0; 16],
    };

    #[test]
    fn a_running_thread_counts_up_to_now() {
        // 890 - 880 since the last update, then 950 - 900 since the queue's clock was read.
        let books = of_living(&WORDS, 100);
        assert_eq!((books.on_cpu_ns, books.run_queue_ns, books.blocked), (460, 70, false));
        assert_eq!((books.user_ns, books.system_ns), (345, 115));
    }

    #[test]
    fn a_waiting_thread_waits_up_to_now() {
        let books = of_living(&TaskWords { on_cpu: 0, last_queued: 910, ..WORDS }, 100);
        assert_eq!((books.on_cpu_ns, books.run_queue_ns, books.blocked), (400, 110, false));
    }

    #[test]
    fn a_sleeping_thread_stands_still() {
        let books = of_living(&TaskWords { on_cpu: 0, state: 1, ..WORDS }, 100);
        assert_eq!((books.on_cpu_ns, books.run_queue_ns, books.blocked), (400, 70, true));
    }
}
