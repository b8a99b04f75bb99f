//! A fleet in a window, as the rules see it.

use std::collections::BTreeSet;

use profiler_common::wait::Reason;

use crate::{
    model::{
        accounting::{Counters, FleetDelta},
        profile::{BlockedSample, Profile},
        report::{Finding, Severity},
        wait_site::WaitSite,
        waits::Waits,
        worker::Role,
    },
    render::location::{self, ShortPaths},
    units,
};

/// Smallest share of the time at work that is told.
pub const TOLD: f64 = 0.05;
/// A place is named without its share from this part of the waits for a reason on.
const MOST: f64 = 0.9;

/// Wall time of some threads less that in which they had no work, ns.
#[must_use]
pub fn at_work_ns(counters: &Counters, waits: &Waits) -> u64 {
    let without_work = [Reason::Idle, Reason::Parked].map(|reason| waits.blocked[reason as usize].ns);
    counters.wall_ns.saturating_sub(without_work.iter().sum())
}

/// A finding, and its share of the time at work, by which findings are ordered.
pub struct Weighed {
    /// The share.
    pub weight: f64,
    /// The finding.
    pub finding: Finding,
}

impl Weighed {
    /// A finding with advice, which may be empty.
    pub fn new(severity: Severity, weight: f64, claim: String, evidence: String, advice: &str) -> Self {
        Self { weight, finding: Finding { severity, claim, evidence, advice: advice.to_owned() } }
    }
}

/// A fleet in a window, and the stacks of its workers.
pub struct Seen<'a> {
    /// The fleet.
    pub fleet: &'a FleetDelta,
    /// How long the window was.
    pub duration_ns: u64,
    /// Stacks of all fleets.
    pub profile: &'a Profile,
    /// Short names of files.
    pub paths: &'a ShortPaths<'a>,
    /// PIDs of its workers.
    pub workers: BTreeSet<u32>,
    /// Wall time of the workers' threads less that without work, ns.
    pub at_work_ns: u64,
}

impl<'a> Seen<'a> {
    /// A fleet of a window, with the stacks of all.
    #[must_use]
    pub fn new(
        fleet: &'a FleetDelta,
        duration_ns: u64,
        profile: &'a Profile,
        paths: &'a ShortPaths<'a>,
    ) -> Self {
        let workers = fleet.with(Role::Worker).map(|worker| worker.tgid).collect();
        let (counters, waits) = fleet.total();
        let at_work_ns = at_work_ns(&counters, &waits);
        Self { fleet, duration_ns, profile, paths, workers, at_work_ns }
    }

    /// A part of the time at work.
    pub fn share(&self, ns: u64) -> f64 {
        ns as f64 / self.at_work_ns.max(1) as f64
    }

    /// Waits of the fleet's workers.
    pub fn waits(&self) -> impl Iterator<Item = &'a BlockedSample> {
        self.profile.blocked.iter().filter(|wait| self.workers.contains(&wait.tgid))
    }

    /// Where a wait is: ` in list_orders (shop/shop.py:31)`; empty where no frame is Python's.
    fn place(&self, site: &WaitSite) -> String {
        if site.file.is_empty() {
            return String::new();
        }
        format!(" in {}", location::text(&site.function, self.paths.of(&site.file), site.line))
    }
}

/// Which place most of some waits are in, and how long the longest of all was: ` in f (a.py:3), longest 201 ms`.
#[must_use]
pub fn most(seen: &Seen<'_>, sites: &[WaitSite]) -> String {
    let Some(first) = sites.first() else { return String::new() };
    let all: u64 = sites.iter().map(|site| site.ns).sum();
    let share = first.ns as f64 / all.max(1) as f64;
    let place = seen.place(first);
    let place = match place.is_empty() {
        true => String::new(),
        false if share > MOST => place,
        false => format!(", {} of it{place}", percent(share)),
    };
    let longest = sites.iter().map(|site| site.longest_ns).collect::<Option<Vec<_>>>();
    let longest = longest.and_then(|lengths| lengths.into_iter().max());
    place + &longest.map(|ns| format!(", longest {}", units::span(ns))).unwrap_or_default()
}

/// A share in a sentence: `48 %`.
#[must_use]
pub fn percent(share: f64) -> String {
    format!("{} %", units::decimal(share * 100.0, usize::from(share < 0.0095)))
}
