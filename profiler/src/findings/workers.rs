//! Workers: who does less than the others, who was killed, and what successors cost.

use profiler_common::wait::Reason;

use crate::{
    findings::seen::{Seen, Weighed, percent},
    model::{
        accounting::{DeathCount, EndedProcesses},
        report::Severity,
        worker::{Death, Role},
    },
    render::stat::{imbalance, lifecycle},
    units,
};

/// Evenness says nothing of a fleet that uses less of a CPU than this.
const USED: f64 = 0.02;
/// Booting is told from this share of the workers' CPU time on.
const BOOTED: f64 = 0.1;
/// Wake-ups without work are told from this share on.
const EMPTY: f64 = 0.5;
/// A share of wake-ups says something if there are so many.
const MANY: u64 = 100;
/// Signals that nobody sends to a worker that is well: its kernel, its own code, or a master whose patience is over.
const VIOLENT: [u8; 7] = [4, 6, 7, 8, 9, 11, 31];

/// All findings about workers.
pub fn findings(seen: &Seen<'_>) -> Vec<Weighed> {
    killed(seen).into_iter().chain(uneven(seen)).chain(boots(seen)).chain(empty(seen)).collect()
}

fn uneven(seen: &Seen<'_>) -> Option<Weighed> {
    let imbalance = imbalance::of(seen.fleet)?;
    let variation = imbalance.cpu_cv.filter(|variation| *variation > imbalance::UNEVEN)?;
    let (counters, _) = seen.fleet.total();
    if (counters.on_cpu_ns as f64) < USED * seen.duration_ns as f64 {
        return None;
    }
    let mut shares: Vec<_> = imbalance.shares.iter().filter_map(|share| Some((share.cpu?, share))).collect();
    shares.sort_by(|one, other| one.0.total_cmp(&other.0));
    let (least, most) = (shares.first()?, shares.last()?);
    let who = |share: &imbalance::WorkerShare| {
        share.tgids.last().map_or_else(String::new, |tgid| format!("worker {tgid}"))
    };
    let claim = format!(
        "uneven: {} does {} of the work, {} {}",
        who(least.1),
        percent(least.0),
        who(most.1),
        percent(most.0)
    );
    let evidence = format!("coefficient of variation of the CPU time {}", units::decimal(variation, 2));
    let advice =
        "connections stick to workers: close them sooner, or let the kernel deal them out (reuse_port)";
    Some(Weighed::new(Severity::Advice, most.0 - least.0, claim, evidence, advice))
}

fn killed(seen: &Seen<'_>) -> Option<Weighed> {
    let violent = |of: &DeathCount| matches!(of.death, Death::Signal(signal) if VIOLENT.contains(&signal));
    let mut killed = lifecycle::of(seen.fleet).deaths;
    killed.retain(violent);
    let count = killed.iter().map(|of| of.count).sum();
    (count != 0).then(|| {
        let verb = if count == 1 { "was" } else { "were" };
        let claim =
            format!("{} {verb} killed: {}", units::counted(count, "worker"), lifecycle::by_cause(&killed));
        let advice = "look for a crash, the kernel's out-of-memory killer, or a master's timeout";
        Weighed::new(Severity::Warning, 1.0, claim, String::new(), advice)
    })
}

fn boots(seen: &Seen<'_>) -> Option<Weighed> {
    let EndedProcesses { booted, boot_cpu_ns, .. } = lifecycle::of(seen.fleet);
    let share = boot_cpu_ns as f64 / seen.fleet.total().0.on_cpu_ns.max(1) as f64;
    (booted > 1 && share >= BOOTED).then(|| {
        let each = units::span(boot_cpu_ns / booted);
        let boots = units::counted(booted, "boot");
        let claim = format!("{boots} took {} of the CPU time, {each} each", percent(share));
        let advice =
            "let workers serve more requests before they are replaced, or load before the fork (preload)";
        Weighed::new(Severity::Advice, share, claim, String::new(), advice)
    })
}

/// Several workers are woken for one request, and all but one find nothing.
fn empty(seen: &Seen<'_>) -> Option<Weighed> {
    let known = || seen.fleet.with(Role::Worker).filter(|worker| worker.empty_wakeups.is_some());
    let waits: u64 = known().map(|worker| worker.waits.blocked[Reason::Idle as usize].count).sum();
    let empty: u64 = known().filter_map(|worker| worker.empty_wakeups).sum();
    let share = empty as f64 / waits.max(1) as f64;
    (known().count() > 1 && waits >= MANY && share >= EMPTY).then(|| {
        let claim = format!("{} of the wake-ups for work find none", percent(share));
        let evidence = format!("{} of {}", units::grouped(empty), units::grouped(waits));
        let advice =
            "several workers are woken for one request: let the kernel deal connections out (reuse_port)";
        Weighed::new(Severity::Note, 0.0, claim, evidence, advice)
    })
}
