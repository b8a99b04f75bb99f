//! Places where threads wait: the waits of a profile by the function that is responsible for them.

use std::collections::BTreeMap;

use profiler_common::wait::Reason;

use crate::model::{
    mark::Mark,
    plumbing,
    profile::{BlockedSample, Profile},
    tables::StringId,
    wait_times::WaitTimes,
};

/// Waits for one reason in one line of a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitSite {
    /// The function that is responsible ([`plumbing::responsible`]); a mark if no frame is Python's.
    pub function: String,
    /// The function's file; empty below a mark.
    pub file: String,
    /// The line that waits; 0 if it is not known.
    pub line: u32,
    /// What is waited for.
    pub reason: Reason,
    /// How long inside the window, ns.
    pub ns: u64,
    /// How many waits ended in it.
    pub count: u64,
    /// The longest of them, ns; absent if it is not known.
    pub longest_ns: Option<u64>,
}

/// A function, its file, and a line of it.
type LineKey = (StringId, Option<StringId>, u32);

/// The sites of some of a profile's waits, those first that took longest.
#[must_use]
pub fn of<'a>(profile: &Profile, waits: impl Iterator<Item = &'a BlockedSample>) -> Vec<WaitSite> {
    let mut sums: BTreeMap<_, WaitTimes> = BTreeMap::new();
    for wait in waits {
        let frame = plumbing::responsible(profile, wait.stack);
        let key = (frame.map(|frame| (frame.name, frame.file, frame.line)), wait.reason);
        sums.entry(key).and_modify(|sum| sum.add(&wait.times)).or_insert(wait.times);
    }
    let site = |((frame, reason), times): ((Option<LineKey>, _), WaitTimes)| {
        let WaitTimes { ns, count, longest_ns } = times;
        let (function, file, line) = frame.map_or_else(
            || (Mark::NoPythonFrames.text(), "", 0),
            |(name, file, line)| (profile.string(name), file.map_or("", |file| profile.string(file)), line),
        );
        WaitSite { function: function.to_owned(), file: file.to_owned(), line, reason, ns, count, longest_ns }
    };
    let mut sites: Vec<_> = sums.into_iter().map(site).collect();
    sites.sort_by_key(|site| std::cmp::Reverse((site.ns, site.count)));
    sites
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fixture;

    #[test]
    fn waits_of_one_line_are_one_site() {
        let profile = fixture::recording().profile;
        let sites = of(&profile, profile.blocked.iter());
        let told: Vec<_> = sites
            .iter()
            .map(|site| (site.function.as_str(), site.line, site.reason, site.ns / 1_000_000, site.count))
            .collect();
        let expected = [
            ("SyncWorker.wait", 35, Reason::Idle, 500, 1360),
            ("application", 21, Reason::Socket, 45 + 50, 190),
            ("application", 21, Reason::Gil, 20, 40),
        ];
        assert_eq!(told, expected);
        // As the fixture has it: ten times the mean of worker 1234's or 1235's, which are alike.
        assert_eq!(sites[1].longest_ns, Some(5_000_000));
    }

    #[test]
    fn the_longest_is_known_if_it_is_of_all() {
        let mut profile = fixture::recording().profile;
        profile.blocked[0].times.longest_ns = None;
        let sites = of(&profile, profile.blocked.iter());
        assert_eq!((sites[1].longest_ns, sites[2].longest_ns), (None, Some(5_000_000)));
    }
}
