//! CPU time: what a fleet uses of it, and what its workers wait for while they could run.

use crate::{
    findings::seen::{Seen, TOLD, Weighed, percent},
    model::{
        function_times,
        report::{Finding, Severity},
        worker::Role,
    },
    render::location,
    units,
};

/// Waiting for a CPU is told from this share of the time on in which workers could run.
pub const QUEUED: f64 = 0.3;
/// A quota is told from this share of the window on.
pub const HELD: f64 = 0.05;
/// A function is told from this share of the CPU time on.
const HOT: f64 = 0.2;
/// CPU time has a function worth telling from this share of the time at work on.
const BUSY: f64 = 0.2;

/// What the fleet costs: always told, and first.
pub fn cost(seen: &Seen<'_>) -> Option<Finding> {
    let workers = seen.workers.len() as u64;
    let (counters, waits) = seen.fleet.total();
    if workers == 0 {
        return None;
    }
    let cpus = counters.on_cpu_ns as f64 / seen.duration_ns.max(1) as f64;
    let each = if workers > 1 { format!(", {} each", cpu(cpus / workers as f64)) } else { String::new() };
    let uses = if workers > 1 { "use" } else { "uses" };
    let busy = waits.are_measured.then(|| {
        let share = seen.at_work_ns as f64 / counters.wall_ns.saturating_sub(waits.parked_ns()).max(1) as f64;
        let whose = if workers > 1 { "their" } else { "its" };
        format!("; {whose} threads have work {} of the time", percent(share))
    });
    let claim = format!(
        "{} {uses} {} of a CPU{each}{}",
        units::counted(workers, "worker"),
        cpu(cpus),
        busy.unwrap_or_default()
    );
    Some(Finding { severity: Severity::Note, claim, ..Finding::default() })
}

/// CPUs in use: to three digits.
fn cpu(cpus: f64) -> String {
    units::decimal(cpus, if cpus < 0.0995 { 3 } else { 2 })
}

/// What workers wait for while they could run, and which function uses the CPU time.
pub fn findings(seen: &Seen<'_>) -> Vec<Weighed> {
    quota(seen).into_iter().chain(queue(seen)).chain(hot(seen)).collect()
}

fn quota(seen: &Seen<'_>) -> Option<Weighed> {
    let throttled = seen.fleet.with(Role::Worker).filter_map(|worker| worker.throttled_ns).max()?;
    let share = throttled as f64 / seen.duration_ns.max(1) as f64;
    (share > HELD).then(|| {
        let claim = format!("CPU quota: the control group was throttled {} of the time", percent(share));
        let advice = "raise the quota, or run fewer workers than it has CPUs";
        Weighed::new(Severity::Advice, share, claim, String::new(), advice)
    })
}

fn queue(seen: &Seen<'_>) -> Option<Weighed> {
    let (counters, waits) = seen.fleet.total();
    let queued_ns = counters.run_queue_ns + waits.uncounted_ns;
    let part = queued_ns as f64 / (queued_ns + counters.on_cpu_ns).max(1) as f64;
    let share = seen.share(queued_ns);
    (part > QUEUED && share > TOLD).then(|| {
        let claim = format!("run queue: waiting for a CPU takes {} of the time at work", percent(share));
        let evidence =
            format!("of the time in which they could run, the workers waited {} for a CPU", percent(part));
        let advice = "others use the CPUs too: look for them, or give the workers CPUs of their own";
        Weighed::new(Severity::Advice, share, claim, evidence, advice)
    })
}

/// The function whose own CPU time is the most.
fn hot(seen: &Seen<'_>) -> Option<Weighed> {
    let (counters, _) = seen.fleet.total();
    let busy = seen.share(counters.on_cpu_ns);
    // Without samples, as in `stat`, no function has CPU time, and the stacks of waits need not be gone through.
    if busy < BUSY || seen.profile.samples.is_empty() {
        return None;
    }
    let functions = function_times::of(seen.fleet, seen.profile);
    let hottest = functions.iter().max_by_key(|function| function.own_cpu_ns)?;
    let part = hottest.own_cpu_ns as f64 / counters.on_cpu_ns.max(1) as f64;
    (part >= HOT).then(|| {
        let place = location::text(&hottest.name, seen.paths.of(&hottest.file), hottest.line);
        let claim = format!("CPU: {} of the CPU time in {place}", percent(part));
        let evidence = format!("{} of the time at work is CPU time", percent(busy));
        Weighed::new(Severity::Note, busy * part, claim, evidence, "")
    })
}
