//! Schedules looks at processes that may still become Python.
//!
//! Nothing tells that a process maps an interpreter, so all without one are looked at for as long as the window lasts:
//! each tick while they are young, then ever more seldom. A look is one read of `statm`, some µs; to ask is to read `maps`
//! and the files in it. One that is older is asked only after its mappings have changed, and a tick looks at so many and
//! asks so many only, whoever waits longest first.

use std::{collections::HashMap, time::Duration};

use tokio::time::Instant;

use crate::sys::mapped::Mapped;

/// How long a process is young: it is asked whenever it is looked at.
const YOUTH: Duration = Duration::from_secs(10);
/// A process is looked at again after this part of its age, at the latest after `SELDOM`.
const PART_OF_AGE: u32 = 8;
const SELDOM: Duration = Duration::from_secs(2);
/// Most processes that one tick looks at, and most that it asks.
const LOOKS: usize = 64;
const ASKS: usize = 16;
/// Looks at which mappings have to be the same before they are believed to be complete: an interpreter is mapped first, and
/// then starts.
const SAME: u32 = 2;

/// Processes that may yet become Python.
#[derive(Debug, Default)]
pub struct Starting {
    processes: HashMap<u32, StartingState>,
}

/// State of one process that is starting.
#[derive(Clone, Copy, Debug)]
enum StartingState {
    Awaited {
        born: Instant,
        due: Instant,
        /// What it had mapped at the last look, and at how many looks since then it had the same.
        mapped: Option<Mapped>,
        same: u32,
    },
    /// The process is found. Forks that are handled next may be from before the kernel side knew how to walk it.
    Found,
}

impl Starting {
    /// Awaits a process that was born, has called exec, or has loaded something, just now.
    pub fn expect(&mut self, tgid: u32, now: Instant) {
        self.processes.insert(tgid, StartingState::Awaited { born: now, due: now, mapped: None, same: 0 });
    }

    /// Awaits a process no longer: the kernel side knows how it is walked.
    pub fn found(&mut self, tgid: u32) {
        self.processes.insert(tgid, StartingState::Found);
    }

    /// Awaits a process no longer: it has ended, or is what nobody can walk.
    pub fn forget(&mut self, tgid: u32) {
        self.processes.remove(&tgid);
    }

    /// True of a process whose children have to be asked, too.
    #[must_use]
    pub fn contains(&self, tgid: u32) -> bool {
        self.processes.contains_key(&tgid)
    }

    /// True of a process that is awaited and young.
    #[must_use]
    pub fn is_young(&self, tgid: u32, now: Instant) -> bool {
        matches!(self.processes.get(&tgid), Some(StartingState::Awaited { born, .. }) if now - *born < YOUTH)
    }

    /// The processes that are to be asked now. Call it when all forks so far are handled. `look` says what a process has mapped,
    /// nothing of one that is gone.
    pub fn due(&mut self, now: Instant, mut look: impl FnMut(u32) -> Option<Mapped>) -> Vec<u32> {
        self.processes.retain(|_, state| !matches!(state, StartingState::Found));
        let due = self.processes.iter().filter_map(|(tgid, state)| match state {
            StartingState::Awaited { due, .. } if *due <= now => Some((*due, *tgid)),
            _ => None,
        });
        let mut due: Vec<_> = due.collect();
        due.sort_unstable();
        let mut asked = Vec::new();
        for (_, tgid) in due.into_iter().take(LOOKS) {
            if asked.len() == ASKS {
                break;
            }
            let Some(seen) = look(tgid) else {
                self.forget(tgid);
                continue;
            };
            if let Some(StartingState::Awaited { born, due, mapped, same }) = self.processes.get_mut(&tgid) {
                let age = now - *born;
                *due = now + (age / PART_OF_AGE).min(SELDOM);
                *same = if *mapped == Some(seen) { *same + 1 } else { 0 };
                *mapped = Some(seen);
                if age < YOUTH || *same < SAME {
                    asked.push(tgid);
                }
            }
        }
        asked
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICK: Duration = Duration::from_millis(100);

    const fn mapped(all: u64) -> Mapped {
        Mapped { all, written: 1 }
    }

    /// Looks and questions of a minute's ticks, the most of one tick, and the questions of the last half minute.
    fn minute(processes: u32) -> (usize, usize, usize, usize) {
        let (mut starting, start) = (Starting::default(), Instant::now());
        (1..=processes).for_each(|tgid| starting.expect(tgid, start));
        let (mut looks, mut asks, mut most, mut late) = (0, 0, 0, 0);
        for tick in 1..=600 {
            let before = looks;
            let asked = starting.due(start + TICK * tick, |_| {
                looks += 1;
                Some(mapped(7))
            });
            asks += asked.len();
            late += if tick > 300 { asked.len() } else { 0 };
            most = most.max(looks - before);
        }
        (looks, asks, most, late)
    }

    #[test]
    fn who_maps_nothing_new_is_asked_while_it_is_young_and_then_only_looked_at() {
        let (looks, asks, _, late) = minute(1);
        assert!((20..40).contains(&asks) && (40..80).contains(&looks), "{asks} asked in {looks} looks");
        assert_eq!(late, 0);
    }

    #[test]
    fn a_thousand_make_no_tick_slow() {
        let (looks, asks, most, late) = minute(1000);
        assert!(most <= LOOKS && looks <= 600 * LOOKS, "{most} looks in a tick, {looks} in all");
        assert!(asks <= 4000, "{asks}");
        assert_eq!(late, 0);
    }

    #[test]
    fn one_that_maps_something_after_minutes_is_asked() {
        let (mut starting, start) = (Starting::default(), Instant::now());
        starting.expect(1, start);
        let at = |seconds| start + Duration::from_secs(seconds);
        for second in 0..300 {
            let asked = starting.due(at(second), |_| Some(mapped(7)));
            assert_eq!(asked.is_empty(), second >= YOUTH.as_secs(), "second {second}");
        }
        assert!(!starting.is_young(1, at(300)));
        assert_eq!(starting.due(at(302), |_| Some(mapped(8))), [1]);
        assert_eq!(starting.due(at(304), |_| Some(mapped(8))), [1], "it may have been about to start");
        assert!(starting.due(at(306), |_| Some(mapped(8))).len() <= 1);
        assert!(starting.due(at(308), |_| Some(mapped(8))).is_empty());
    }

    #[test]
    fn one_that_is_gone_or_found_is_awaited_no_longer() {
        let (mut starting, now) = (Starting::default(), Instant::now());
        starting.expect(1, now);
        starting.expect(2, now);
        assert_eq!(starting.due(now, |tgid| (tgid == 1).then(|| mapped(7))), [1]);
        assert!(!starting.contains(2));
        starting.found(1);
        assert!(starting.contains(1) && !starting.is_young(1, now));
        assert!(starting.due(now, |_| Some(mapped(7))).is_empty());
        assert!(!starting.contains(1));
    }
}
