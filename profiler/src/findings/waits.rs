//! Waits by reason: which take much of the time at work, and where.

use profiler_common::wait::Reason;

use crate::{
    findings::{
        event_loop,
        seen::{Seen, TOLD, Weighed, at_work_ns, most, percent},
    },
    model::{accounting::ThreadDelta, profile::BlockedSample, report::Severity, wait_site, worker::Role},
    render::reason,
    units,
};

/// What helps against waits for a reason; `None` of those that are no limit of a service.
#[must_use]
pub const fn advice(reason: Reason) -> Option<&'static str> {
    Some(match reason {
        Reason::Gil => {
            "run more workers with fewer threads each: threads of one process take turns on one CPU"
        }
        Reason::Lock => "look at the off-CPU flame graph for the lock, and hold it for less",
        Reason::Socket => {
            "the workers wait for somebody else: take a class that serves others meanwhile (gthread with more threads, gevent), or more workers"
        }
        Reason::Pipe => "look at the off-CPU flame graph for the process at the pipe's other end",
        Reason::Disk => "the disk sets the pace: read less, or cache",
        Reason::Sleep => "the application sleeps: look at the off-CPU flame graph for where",
        Reason::Child => "the workers wait for processes that they start",
        Reason::PageFault => "memory comes from the disk: give it more, or run fewer workers",
        Reason::Other => "look at the off-CPU flame graph",
        Reason::Idle | Reason::Signal | Reason::Parked => return None,
    })
}

/// A finding for each reason that takes a share of the time at work which is worth telling.
pub fn by_reason(seen: &Seen<'_>) -> Vec<Weighed> {
    let (_, total) = seen.fleet.total();
    let finding = |reason: Reason| {
        let advice = advice(reason)?;
        let waits = seen.waits().filter(|wait| wait.reason == reason);
        let (in_loop, others): (Vec<&BlockedSample>, Vec<_>) =
            waits.partition(|wait| event_loop::holds_up(seen, wait));
        // What blocks an event loop is told as that.
        let in_loop_ns: u64 = in_loop.iter().map(|wait| wait.times.ns).sum();
        let share = seen.share(total.blocked[reason as usize].ns.saturating_sub(in_loop_ns));
        if share < TOLD {
            return None;
        }
        let place = most(seen, &wait_site::of(seen.profile, others.into_iter()));
        let threads = waiting(seen, reason);
        let wait = if threads == 1 { "waits" } else { "wait" };
        let claim = format!(
            "{}: {} {wait} {} of the time at work{place}",
            reason::title(reason),
            units::counted(threads, "thread"),
            percent(share)
        );
        let evidence = format!(
            "of the time in which they had work, the workers waited {} for {}",
            percent(share),
            reason::object(reason)
        );
        Some(Weighed::new(Severity::Advice, share, claim, evidence, advice))
    };
    Reason::ALL.into_iter().filter_map(finding).collect()
}

/// How many threads wait for a reason for a share of their own time at work that is worth telling.
fn waiting(seen: &Seen<'_>, reason: Reason) -> u64 {
    let threads = seen.fleet.with(Role::Worker).flat_map(|worker| &worker.threads);
    let waits = |thread: &&ThreadDelta| {
        let ns = thread.waits.blocked[reason as usize].ns;
        ns as f64 >= TOLD * at_work_ns(&thread.counters, &thread.waits) as f64 && ns != 0
    };
    threads.filter(waits).count() as u64
}
