//! What is said of a number: that it differs, that it does not, or that this is undecided, and what would decide it.
//!
//! The three exclude one another, and table, verdict and marks are all made of them. The first number, CPU time per
//! request or per second, is judged by itself; the others share one chance of being wrong among all of them.

use serde::Serialize;

use crate::{
    model::{
        diff::{GroupDiff, NumberDiff},
        worker::Role,
    },
    stats::{Interval, contrast::Contrast},
};

/// A change that is worth a name. Two runs of one program differ by nearly so much, whatever their windows say: by the
/// addresses they got, by the caches and the clock that neighbours leave them. Seen on a shared host within minutes: 2 to 5 %.
/// It is taken for their 95 % interval.
pub const MARGIN: f64 = 0.05;

/// The change that longer recordings are asked to find first.
const SHOWN: f64 = 2.0 * MARGIN;
/// The part of that change which half an interval may reach, as a logarithm, for nine recordings of ten to find it: h, where
/// ln 1.1 − 1.282/1.960 h = √(h² + ln² 1.05).
const FINDS: f64 = 0.468;
/// The part for nine of ten without a change to rule it out: both ends must be nearer, 1.960 of 1.960 + 1.645.
const RULES_OUT: f64 = 0.543;

/// Lengths of recordings as people say them, in seconds: from what has windows enough to be drawn from to a day.
const LENGTHS: [f64; 19] = [
    15.0, 20.0, 30.0, 45.0, 60.0, 90.0, 120.0, 180.0, 300.0, 600.0, 900.0, 1200.0, 1800.0, 3600.0, 7200.0,
    10_800.0, 21_600.0, 43_200.0, 86_400.0,
];

/// What is said of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Judgement {
    /// It changed: its interval excludes that it did not, and the change is more than two runs differ by.
    Differs,
    /// It did not change by what is worth a name: its interval lies within that.
    Same,
    /// Neither can be told.
    Undecided,
}

impl Judgement {
    /// Judges a number as one of its table; a difference up to `least` is not worth a name.
    pub(super) fn of(contrast: &Contrast, least: f64) -> Self {
        let joint = contrast.joint;
        let is_beyond = match joint.ratio {
            Some(ratio) => is_beyond_runs(ratio),
            // Too rare for a ratio's interval, or new.
            None => contrast.alone.ratio.is_none_or(|ratio| (ratio.value - 1.0).abs() > MARGIN),
        };
        let is_named = is_beyond && joint.difference.value.abs() > least;
        let is_within =
            joint.ratio.is_some_and(|ratio| ratio.low >= 1.0 - MARGIN && ratio.high <= 1.0 + MARGIN)
                || joint.difference.low >= -least && joint.difference.high <= least;
        match (joint.is_real() && is_named, is_within) {
            (true, _) => Self::Differs,
            (false, true) => Self::Same,
            (false, false) => Self::Undecided,
        }
    }
}

/// Whether a change is more than what two runs differ by and what the windows leave open make together.
fn is_beyond_runs(ratio: Interval) -> bool {
    let runs = if ratio.value > 1.0 { MARGIN.ln_1p() } else { (-MARGIN).ln_1p() };
    ratio.value.ln().abs() > runs.hypot((ratio.high / ratio.value).ln())
}

/// What is said first of a comparison: what became of the CPU time of a group's processes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verdict {
    /// The fleet's server and name.
    pub fleet: String,
    /// The part of these processes.
    pub role: Role,
    /// The number's name: the first one of its group.
    pub number: String,
    /// What it did.
    pub outcome: Judgement,
    /// Value in the first recording.
    pub before: f64,
    /// Value in the second recording.
    pub after: f64,
    /// After of before; absent if there was none before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ratio: Option<f64>,
    /// The interval by which it is judged; absent as that of [`NumberDiff::joint_ratio_interval`] is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ratio_interval: Option<[f64; 2]>,
    /// What would decide it; absent if it is decided, or if the windows do not tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub undecided: Option<Undecided>,
}

/// How far an undecided number is known, and what would decide it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Undecided {
    /// How far the ratio's interval reaches: 0.08 for ±8 %.
    pub half_width: f64,
    /// How long the shorter recording is.
    pub seconds: f64,
    /// A change that longer recordings would find, or rule out, nine times of ten.
    pub change: f64,
    /// How long both would have to be for that; absent if a day is not enough.
    pub needed_seconds: Option<f64>,
}

impl Verdict {
    /// What is said of a group by its first number. `lengths` are the recordings', in seconds.
    pub(super) fn new(
        group: &GroupDiff,
        number: &NumberDiff,
        contrast: Option<&Contrast>,
        lengths: [f64; 2],
    ) -> Self {
        let outcome = number.outcome.unwrap_or(Judgement::Undecided);
        let undecided = contrast.filter(|_| outcome == Judgement::Undecided);
        Self {
            fleet: group.fleet.clone(),
            role: group.role,
            number: number.name.clone(),
            outcome,
            before: number.before,
            after: number.after,
            ratio: number.ratio,
            ratio_interval: number.joint_ratio_interval,
            undecided: undecided.and_then(|contrast| Undecided::new(contrast, lengths)),
        }
    }
}

impl Undecided {
    /// `None` without a ratio.
    fn new(contrast: &Contrast, lengths: [f64; 2]) -> Option<Self> {
        let ratio = contrast.joint.ratio.filter(|ratio| ratio.high.is_finite())?;
        let half_width = ratio.high / ratio.value - 1.0;
        let finds = FINDS * SHOWN.ln_1p();
        let (change, reach) =
            if half_width.ln_1p() > finds { (SHOWN, finds) } else { (MARGIN, RULES_OUT * MARGIN.ln_1p()) };
        let needed = contrast.length_for(reach, lengths)?;
        Some(Self {
            half_width,
            seconds: lengths[0].min(lengths[1]),
            change,
            needed_seconds: LENGTHS.into_iter().find(|length| *length >= needed),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::{contrast::Pair, contrast::contrasts, windows::WindowSeries};

    fn judged(before: &[f64], after: &[f64], least: f64) -> Judgement {
        let per = vec![1.0; before.len()];
        let [before, after] = [before, after].map(|amounts| WindowSeries { amounts, per: &per });
        Judgement::of(&contrasts(&[Pair { before, after }])[0].unwrap(), least)
    }

    /// Windows that stray by a tenth to each side.
    fn about(value: f64) -> Vec<f64> {
        [0.9, 1.1, 1.05, 0.95, 1.0, 1.1, 0.9].repeat(2).into_iter().map(|part| part * value).collect()
    }

    #[test]
    fn what_differs_is_beyond_what_runs_and_windows_leave_open() {
        let before = about(100.0);
        for (after, expected) in [
            (120.0, Judgement::Differs),
            (80.0, Judgement::Differs),
            // Their windows exclude that nothing changed; other runs do not.
            (107.0, Judgement::Undecided),
            (100.0, Judgement::Undecided),
        ] {
            assert_eq!(judged(&before, &about(after), 0.0), expected, "{after}");
        }
        let quiet = |value: f64| {
            about(value).into_iter().map(|part| value + (part - value) / 20.0).collect::<Vec<_>>()
        };
        for (after, expected) in
            [(104.0, Judgement::Same), (96.0, Judgement::Same), (106.0, Judgement::Differs)]
        {
            assert_eq!(judged(&quiet(100.0), &quiet(after), 0.0), expected, "{after}");
        }
    }

    #[test]
    fn what_is_rare_or_new_is_judged_by_its_difference() {
        let (mut rare, none) = (vec![0.0; 14], vec![0.0; 14]);
        rare[3] = 1.0;
        for before in [&rare, &none] {
            assert_eq!(judged(before, &about(50.0), 5.0), Judgement::Differs);
            assert_eq!(judged(before, &about(50.0), 60.0), Judgement::Same);
        }
    }
}
