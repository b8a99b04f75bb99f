//! Decides whether two recordings can be compared.

use crate::model::recording::Recording;

/// Why two recordings cannot be compared, as a clause; `None` if they can.
#[must_use]
pub fn refusal(before: &Recording, after: &Recording) -> Option<String> {
    let versions = [before, after].map(|recording| recording.stat.schema_version);
    if versions[0] != versions[1] {
        return Some(format!("one has schema version {}, the other {}", versions[0], versions[1]));
    }
    let samples = [before, after].map(|recording| recording.stat.quality.samples.as_ref());
    match samples {
        [Some(one), Some(other)] => {
            if one.event != other.event {
                return Some(format!("one was sampled by {}, the other by {}", one.event, other.event));
            }
            let rates = [before, after].map(|recording| recording.profile.rate_hz.max(1));
            // A clock that ticks another number of times sees other short functions; a third more is no other class.
            if rates[0].max(rates[1]) * 3 > rates[0].min(rates[1]) * 4 {
                return Some(format!("one was sampled at {} Hz, the other at {} Hz", rates[0], rates[1]));
            }
        }
        [None, None] => {}
        _ => return Some("one has samples, the other has none".to_owned()),
    }
    let waits = [before, after].map(measures_waits);
    (waits[0] != waits[1]).then(|| "in one the waits were looked at, in the other they were not".to_owned())
}

fn measures_waits(recording: &Recording) -> bool {
    let mut workers = recording.stat.processes();
    workers.any(|worker| worker.waits.are_measured)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{fixture, waits::Waits};

    fn refused(change: impl FnOnce(&mut Recording)) -> Option<String> {
        let mut other = fixture::recording();
        change(&mut other);
        let (there, back) = (refusal(&fixture::recording(), &other), refusal(&other, &fixture::recording()));
        assert_eq!(there.is_some(), back.is_some());
        there
    }

    #[test]
    fn what_is_alike_is_not_refused() {
        assert_eq!(refused(|_| ()), None);
        assert_eq!(refused(|other| other.profile.rate_hz = 100), None);
    }

    #[test]
    fn what_is_not_alike_is_refused_with_the_reason() {
        let samples = |other: &mut Recording| other.stat.quality.samples.clone().unwrap();
        for (reason, words) in [
            (refused(|other| other.profile.rate_hz = 999), "99 Hz, the other at 999 Hz"),
            (refused(|other| other.stat.schema_version = 3), "schema version 2, the other 3"),
            (refused(|other| other.stat.quality.samples = None), "the other has none"),
            (
                refused(|other| {
                    let event = "cpu-cycles".to_owned();
                    other.stat.quality.samples =
                        Some(crate::model::quality::SampleQuality { event, ..samples(other) });
                }),
                "by cpu-clock, the other by cpu-cycles",
            ),
            (
                refused(|other| {
                    let workers = other.stat.processes_mut();
                    workers.for_each(|worker| worker.waits = Waits::default());
                }),
                "the waits were looked at",
            ),
        ] {
            assert!(reason.as_ref().is_some_and(|reason| reason.contains(words)), "{reason:?}: {words}");
        }
    }
}
