//! What bends a curve: the first of a few known limits that the numbers at the knee show.

use std::collections::BTreeMap;

use profiler_common::wait::Reason;

use crate::{
    findings::{self, HELD, QUEUED},
    model::{budget_state::BudgetState, knee_cause::KneeCause},
    render::{reason, stat::imbalance::UNEVEN},
    stats::variation,
};

/// The numbers of one set-up under one load.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// CPUs that the host has for us.
    pub cpus: f64,
    /// CPUs that the fleet kept busy.
    pub busy: f64,
    /// CPUs that each worker keeps busy.
    pub busy_by_worker: Vec<f64>,
    /// CPUs that the load generator kept busy.
    pub generator_busy: f64,
    /// The part of the workers' wall time in which a quota held them.
    pub throttled: f64,
    /// Shares of the workers' wall time (`Point::budget`).
    pub budget: BTreeMap<BudgetState, f64>,
    /// Why the generator set the pace, if it did.
    pub load_limited: Option<String>,
}

/// A limit, what shows it, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// Which limit.
    pub limit: KneeCause,
    /// The numbers.
    pub evidence: String,
    /// What helps.
    pub advice: &'static str,
}

/// CPUs count as full from this share of them on.
const FULL: f64 = 0.85;
/// A wait is the cause from this share of the time on in which a worker had work.
const WAITED: f64 = 0.3;

/// The cause, if one of the known ones shows.
#[must_use]
pub fn cause(facts: &Facts) -> Option<Cause> {
    generator(facts)
        .or_else(|| quota(facts))
        .or_else(|| cpu(facts))
        .or_else(|| wait(facts))
        .or_else(|| queue(facts))
        .or_else(|| imbalance(facts))
}

fn generator(facts: &Facts) -> Option<Cause> {
    // Where all CPUs are in use and most of that is the fleet's, a late generator is an effect.
    let is_effect =
        facts.busy + facts.generator_busy >= FULL * facts.cpus && facts.busy > 2.0 * facts.generator_busy;
    facts.load_limited.clone().filter(|_| !is_effect).map(|evidence| Cause {
        limit: KneeCause::LoadGenerator,
        evidence,
        advice: "measure from another machine, or with another generator (--generator)",
    })
}

fn quota(facts: &Facts) -> Option<Cause> {
    (facts.throttled > HELD).then(|| Cause {
        limit: KneeCause::Quota,
        evidence: format!(
            "the control group's CPU quota held them for {} of the time",
            percent(facts.throttled)
        ),
        advice: "raise the quota, or run fewer workers than it has CPUs",
    })
}

fn cpu(facts: &Facts) -> Option<Cause> {
    let Facts { cpus, busy, generator_busy, busy_by_worker, .. } = facts;
    if busy + generator_busy >= FULL * cpus {
        let generator = if *generator_busy > 0.01 * cpus {
            format!(" and the load generator {generator_busy:.2}")
        } else {
            String::new()
        };
        return Some(Cause {
            limit: KneeCause::Cpu,
            evidence: format!("the fleet kept {busy:.2} of {cpus:.0} CPUs busy{generator}"),
            advice: "all CPUs are in use: only less work for each request, or more CPUs, bring more",
        });
    }
    let least = busy_by_worker.iter().copied().fold(f64::INFINITY, f64::min);
    (!busy_by_worker.is_empty() && least >= FULL).then(|| Cause {
        limit: KneeCause::Cpu,
        evidence: format!("each worker kept at least {least:.2} of a CPU busy, and the GIL lets it have one"),
        advice: "there are CPUs left: run more workers",
    })
}

fn queue(facts: &Facts) -> Option<Cause> {
    let queued = share(facts, BudgetState::RunQueue);
    let part = queued / (queued + share(facts, BudgetState::OnCpu)).max(f64::MIN_POSITIVE);
    (part > QUEUED).then(|| Cause {
        limit: KneeCause::RunQueue,
        evidence: format!(
            "of the time in which they could run, the workers waited {} for a CPU",
            percent(part)
        ),
        advice: "others use the CPUs too: look for them, or give the workers CPUs of their own",
    })
}

fn wait(facts: &Facts) -> Option<Cause> {
    let at_work = 1.0 - share(facts, BudgetState::Blocked(Reason::Idle));
    let part = |reason: &Reason| share(facts, BudgetState::Blocked(*reason)) / at_work.max(f64::MIN_POSITIVE);
    let limits = Reason::ALL.into_iter().filter_map(|reason| Some((reason, findings::advice(reason)?)));
    let (reason, advice) = limits.max_by(|one, other| part(&one.0).total_cmp(&part(&other.0)))?;
    (part(&reason) > WAITED).then(|| Cause {
        limit: KneeCause::Wait(reason),
        evidence: format!(
            "of the time in which they had work, the workers waited {} for {}",
            percent(part(&reason)),
            reason::object(reason)
        ),
        advice,
    })
}

fn imbalance(facts: &Facts) -> Option<Cause> {
    let variation = variation::coefficient(&facts.busy_by_worker)?;
    let most = facts.busy_by_worker.iter().copied().fold(0.0, f64::max);
    (variation > UNEVEN && most >= FULL).then(|| Cause {
        limit: KneeCause::Imbalance,
        evidence: format!(
            "one worker kept {most:.2} of a CPU busy, the mean {:.2}",
            facts.busy_by_worker.iter().sum::<f64>() / facts.busy_by_worker.len() as f64
        ),
        advice: "connections stick to workers: close them sooner, or let the kernel deal them out (reuse_port)",
    })
}

fn share(facts: &Facts, state: BudgetState) -> f64 {
    facts.budget.get(&state).copied().unwrap_or(0.0)
}

fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(budget: &[(&str, f64)], busy_by_worker: &[f64]) -> Facts {
        Facts {
            cpus: 8.0,
            busy: busy_by_worker.iter().sum(),
            busy_by_worker: busy_by_worker.to_vec(),
            budget: budget.iter().map(|(name, share)| (state(name), *share)).collect(),
            ..Facts::default()
        }
    }

    fn state(name: &str) -> BudgetState {
        BudgetState::try_from(name.to_owned()).unwrap()
    }

    fn name(facts: &Facts) -> Option<&'static str> {
        cause(facts).map(|cause| cause.limit.name())
    }

    #[test]
    fn each_limit_by_its_numbers() {
        let full = Facts { cpus: 2.0, ..facts(&[("on_cpu", 0.5), ("run_queue", 0.45)], &[0.9, 0.9]) };
        assert_eq!(name(&full), Some("cpu"));
        assert_eq!(name(&facts(&[("on_cpu", 0.95)], &[0.95, 0.96])), Some("cpu"));
        assert_eq!(
            name(&facts(&[("idle", 0.2), ("socket", 0.7), ("on_cpu", 0.1)], &[0.1, 0.1])),
            Some("socket")
        );
        assert_eq!(name(&facts(&[("idle", 0.5), ("gil", 0.3), ("on_cpu", 0.2)], &[0.8, 0.8])), Some("gil"));
        assert_eq!(
            name(&facts(&[("on_cpu", 0.4), ("run_queue", 0.4), ("idle", 0.2)], &[0.4])),
            Some("run queue")
        );
        assert_eq!(name(&facts(&[("on_cpu", 0.4), ("idle", 0.6)], &[0.95, 0.1, 0.1])), Some("imbalance"));
        assert_eq!(name(&facts(&[("on_cpu", 0.2), ("idle", 0.8)], &[0.2, 0.2])), None);
        let held = Facts { throttled: 0.2, ..full };
        assert_eq!(name(&held), Some("quota"));
        let limited = Facts { load_limited: Some("it is slow".to_owned()), ..held };
        assert_eq!(name(&limited), Some("quota"), "it is late because all CPUs are in use");
        assert_eq!(name(&Facts { generator_busy: 1.0, ..limited }), Some("load generator"));
    }
}
