//! Where the curve of a set-up bends, and what is said of it: only what the intervals of its points allow for.

use crate::{
    audit::{
        causes::{self, Cause},
        points::MeasuredPoint,
    },
    model::report::{self, Finding, Setup, Severity},
    stats::{
        Interval,
        knee::{self, KneeVerdict},
    },
    units,
};

/// What is known of where a curve bends.
#[derive(Clone, Debug)]
pub enum Bend {
    /// From here on, more load brings no more.
    Found {
        /// As the report has it.
        knee: report::Knee,
        /// The highest throughput that was measured there or beyond.
        most: f64,
        /// What later levels may bring at most, of what this one does.
        beyond: f64,
        /// What the numbers there show.
        cause: Option<Cause>,
    },
    /// The intervals are too wide to tell.
    Undecided {
        /// The level above which nothing surely brings more.
        level: f64,
        /// The later level that may bring most.
        later: f64,
        /// Throughput of the later one, of that of the first.
        ratio: Interval,
    },
    /// The last level still brings more, or there is one only.
    NotReached,
}

impl Bend {
    /// Looks for the knee of a curve.
    #[must_use]
    pub fn of(curve: &[MeasuredPoint]) -> Self {
        let throughputs: Vec<_> = curve.iter().map(throughput).collect();
        let level = |index: usize| curve[index].point.level;
        match knee::find(&throughputs) {
            KneeVerdict::At { index, most: beyond } => {
                let cause = causes::cause(&curve[index].facts);
                let from_there_on = throughputs[index..].iter().map(|throughput| throughput.value);
                let knee = report::Knee {
                    level: level(index),
                    throughput: throughputs[index].value,
                    cause: cause.as_ref().map(|cause| cause.limit),
                };
                Self::Found { knee, most: from_there_on.fold(0.0, f64::max), beyond, cause }
            }
            KneeVerdict::Undecided { index, later, ratio } => {
                Self::Undecided { level: level(index), later: level(later), ratio }
            }
            KneeVerdict::NotReached => Self::NotReached,
        }
    }

    /// The knee, if one may be claimed.
    #[must_use]
    pub fn knee(&self) -> Option<report::Knee> {
        match self {
            Self::Found { knee, .. } => Some(knee.clone()),
            Self::Undecided { .. } | Self::NotReached => None,
        }
    }
}

/// A point's throughput; of one that a single number was counted at, nothing else is known.
fn throughput(seen: &MeasuredPoint) -> Interval {
    let known = Interval::from(seen.point.throughput);
    if seen.slices.len() > 1 { known } else { Interval { low: 0.0, high: f64::INFINITY, ..known } }
}

/// A finding for each knee, and one for all curves of which none can be told.
#[must_use]
pub fn findings(bends: &[(&Setup, &Bend)]) -> Vec<Finding> {
    let mut findings: Vec<_> = bends.iter().filter_map(|(setup, bend)| found(setup, bend)).collect();
    let open = bends.iter().filter_map(|(setup, bend)| undecided(setup, bend));
    let (names, evidence): (Vec<_>, Vec<_>) = open.unzip();
    if !names.is_empty() {
        findings.push(Finding {
            severity: Severity::Note,
            claim: format!(
                "not decided: where more load stops to bring more throughput ({})",
                names.join(", ")
            ),
            evidence: evidence.join("; "),
            advice: "more rounds (--rounds) or higher levels would tell".to_owned(),
        });
    }
    findings
}

fn found(setup: &Setup, bend: &Bend) -> Option<Finding> {
    let Bend::Found { knee, most, beyond, cause } = bend else { return None };
    let claim = format!(
        "{}: from {} on, more load brings no more than {} requests per second",
        setup.name(),
        knee.level,
        units::decimal(*most, 0)
    );
    let gain = (beyond - 1.0) * 100.0;
    let gain = if gain > 0.0 {
        format!("{} % more beyond it at most", units::decimal(gain.ceil(), 0))
    } else {
        "less beyond it".to_owned()
    };
    Some(match cause {
        Some(cause) => Finding {
            severity: Severity::Advice,
            claim: format!("{claim}: {}", cause.limit.name()),
            evidence: format!("{}; {gain}", cause.evidence),
            advice: cause.advice.to_owned(),
        },
        None => Finding {
            severity: Severity::Note,
            claim,
            evidence: format!("none of the known limits shows in the numbers; {gain}"),
            advice: String::new(),
        },
    })
}

/// The name, and what is open.
fn undecided(setup: &Setup, bend: &Bend) -> Option<(String, String)> {
    let Bend::Undecided { level, later, ratio } = bend else { return None };
    let [value, low] = [ratio.value, ratio.low].map(|number| units::decimal(number, 2));
    let up_to = if ratio.high.is_finite() {
        format!("–{}", units::decimal(ratio.high, 2))
    } else {
        " or more".to_owned()
    };
    let name = setup.name();
    let evidence = format!("{name} answers {value} times ({low}{up_to}) as many at {later} as at {level}");
    Some((name, evidence))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::{
        fixture::{loaded, setup},
        observed::Loaded,
        points,
    };

    /// The finding of a curve: levels, and the answers per second in each of their windows.
    fn finding(levels: &[(f64, &[f64])]) -> Option<Finding> {
        let setup = setup("sync", 2);
        let windows = levels.iter().flat_map(|(level, rates)| rates.iter().map(move |rate| (*level, *rate)));
        let windows: Vec<Loaded> = windows.map(|(level, rate)| loaded(&setup, level, rate, 1.0)).collect();
        let curve = points::curve(&windows.iter().collect::<Vec<_>>(), &setup, 8.0);
        findings(&[(&setup, &Bend::of(&curve))]).pop()
    }

    #[test]
    fn the_number_of_a_knee_is_the_highest_beyond_it() {
        let steady: [(f64, &[f64]); 4] =
            [(1.0, &[100.0; 3]), (2.0, &[200.0; 3]), (4.0, &[198.0; 3]), (8.0, &[203.0; 3])];
        let finding = finding(&steady).unwrap();
        assert!(
            finding.claim.starts_with("sync × 2: from 2 on, more load brings no more than 203 requests"),
            "{finding:?}"
        );
        assert!(finding.evidence.ends_with("% more beyond it at most"), "{finding:?}");
    }

    #[test]
    fn a_curve_with_more_beyond_is_not_said_to_bend() {
        // 72 at 1 and 106 at 8, in windows that are far apart.
        let wide: [(f64, &[f64]); 3] =
            [(1.0, &[20.0, 124.0, 72.0]), (4.0, &[150.0, 40.0, 95.0]), (8.0, &[40.0, 172.0, 106.0])];
        let finding = finding(&wide).unwrap();
        assert!(finding.claim.starts_with("not decided: where more load stops"), "{finding:?}");
        assert!(finding.evidence.starts_with("sync × 2 answers 1.47 times (0."), "{finding:?}");
        assert!(finding.evidence.ends_with("as many at 8 as at 1"), "{finding:?}");
    }

    #[test]
    fn nothing_is_said_of_a_curve_that_rises() {
        assert_eq!(finding(&[(1.0, &[100.0; 3]), (2.0, &[200.0; 3])]), None);
    }
}
