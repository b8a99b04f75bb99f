//! What a window shows, in sentences: the rules by which `stat`, `record` and `audit` tell what stands out.
//!
//! Shares are of the time at work: the wall time of the workers' threads less that in which they had nothing to do.

mod cpu;
mod event_loop;
mod seen;
#[cfg(test)]
mod tests;
mod waits;
mod workers;

use std::cmp::Reverse;

pub use self::{
    cpu::{HELD, QUEUED},
    waits::advice,
};
use crate::{
    findings::seen::{Seen, Weighed},
    model::{accounting::StatDelta, profile::Profile, report::Finding},
    render::location::ShortPaths,
};

/// The findings of each fleet of a window, in the order of its fleets: what it costs, then what stands out, the weightiest first.
///
/// Places are told as far as the profile has stacks; it may be empty.
#[must_use]
pub fn of(stat: &StatDelta, profile: &Profile) -> Vec<Vec<Finding>> {
    let paths = ShortPaths::of_profile(profile);
    let of_fleet = |fleet| of_fleet(&Seen::new(fleet, stat.duration_ns, profile, &paths));
    stat.fleets.iter().map(of_fleet).collect()
}

fn of_fleet(seen: &Seen<'_>) -> Vec<Finding> {
    let mut weighed = Vec::new();
    weighed.extend(event_loop::blocked(seen));
    weighed.extend(waits::by_reason(seen));
    weighed.extend(cpu::findings(seen));
    weighed.extend(workers::findings(seen));
    weighed.sort_by(|one, other| {
        let key = |finding: &Weighed| Reverse(finding.finding.severity);
        key(one).cmp(&key(other)).then(other.weight.total_cmp(&one.weight))
    });
    cpu::cost(seen).into_iter().chain(weighed.into_iter().map(|weighed| weighed.finding)).collect()
}
