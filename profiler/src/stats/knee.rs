//! Finds the knee of a curve: where more load stops to bring more throughput.
//!
//! That nothing was seen to rise is no knee: points of wide intervals hide what rises. So it takes two questions of
//! each later level, both of the 95 % interval of its ratio to this one: does the interval exclude that it is worth it,
//! and does it exclude that it is no more?

use crate::stats::Interval;

/// Throughput that is not higher by this share is not worth more load.
pub const WORTH: f64 = 0.1;

/// What the points of a curve say of its knee.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum KneeVerdict {
    /// No later level brings more by what is worth it, chance considered.
    At {
        /// The lowest such level's index.
        index: usize,
        /// The highest of what later levels may bring, of what this one does.
        most: f64,
    },
    /// A later level may bring more, or may not: the intervals are too wide to tell.
    Undecided {
        /// The index of the lowest level above which nothing surely brings more.
        index: usize,
        /// The later level that may bring most.
        later: usize,
        /// What that one brings, of what this one does.
        ratio: Interval,
    },
    /// The last level surely brings more than all before it, or there are fewer than two.
    NotReached,
}

/// The knee of a curve whose throughputs are of rising levels.
#[must_use]
pub fn find(throughputs: &[Interval]) -> KneeVerdict {
    // What is left of the curve behind each level but the last, as ratios.
    let beyond = |index: usize| {
        let later = index + 1..throughputs.len();
        later.map(move |later| (later, ratio(&throughputs[later], &throughputs[index])))
    };
    let levels = || 0..throughputs.len().saturating_sub(1);
    let most = |index| beyond(index).max_by(|one, other| one.1.high.total_cmp(&other.1.high));
    let at = levels().filter_map(|index| Some((index, most(index)?.1.high)));
    if let Some((index, most)) = at.into_iter().find(|(_, most)| *most <= 1.0 + WORTH) {
        return KneeVerdict::At { index, most };
    }
    let surely_rises = |index| beyond(index).any(|(_, ratio)| ratio.low > 1.0);
    let open = levels().find(|index| !surely_rises(*index));
    match open.and_then(|index| Some((index, most(index)?))) {
        Some((index, (later, ratio))) => KneeVerdict::Undecided { index, later, ratio },
        None => KneeVerdict::NotReached,
    }
}

/// One number of another, from the intervals of both: distances from the middle, as logarithms, add up by their squares
/// (Zou and Donner, "Construction of confidence limits about effect measures", 2008).
fn ratio(one: &Interval, other: &Interval) -> Interval {
    if one.value <= 0.0 || other.value <= 0.0 {
        return Interval { value: 1.0, low: 0.0, high: f64::INFINITY };
    }
    let value = one.value / other.value;
    let apart = |high: f64, low: f64| (high / low).ln();
    let up = apart(one.high, one.value).hypot(apart(other.value, other.low.max(0.0)));
    let down = apart(one.value, one.low.max(0.0)).hypot(apart(other.high, other.value));
    Interval { value, low: value * (-down).exp(), high: value * up.exp() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::random::Random;

    fn of(throughputs: &[f64], half_width: f64) -> KneeVerdict {
        let points: Vec<_> = throughputs.iter().map(|value| Interval::around(*value, half_width)).collect();
        find(&points)
    }

    fn at(knee: KneeVerdict) -> Option<usize> {
        match knee {
            KneeVerdict::At { index, .. } => Some(index),
            _ => None,
        }
    }

    #[test]
    fn it_is_where_the_curve_bends() {
        assert_eq!(at(of(&[100.0, 200.0, 350.0, 400.0, 395.0, 390.0], 5.0)), Some(3));
        assert_eq!(at(of(&[100.0, 200.0, 392.0, 400.0, 395.0, 390.0], 5.0)), Some(2), "2 % are not worth it");
        assert_eq!(at(of(&[400.0, 300.0, 200.0], 5.0)), Some(0), "load only hurts");
    }

    #[test]
    fn a_dip_is_no_knee() {
        assert_eq!(at(of(&[100.0, 200.0, 190.0, 300.0, 301.0], 5.0)), Some(3));
    }

    #[test]
    fn what_may_hide_more_is_no_knee() {
        // An audit said "from 1 on, no more than 72 requests per second" above 106 at 8.
        let points = [(72.0, 40.0), (81.0, 45.0), (95.0, 60.0), (106.0, 70.0), (101.0, 65.0)];
        let points = points.map(|(value, half_width)| Interval::around(value, half_width));
        let KneeVerdict::Undecided { index, later, ratio } = find(&points) else {
            panic!("{:?}", find(&points))
        };
        assert_eq!((index, later), (0, 3));
        assert!(
            (ratio.value - 106.0 / 72.0).abs() < 1e-9 && ratio.low < 1.0 && ratio.high > 2.0,
            "{ratio:?}"
        );
        // The same without noise rises, up to where it bends.
        assert_eq!(at(of(&[72.0, 81.0, 95.0, 106.0, 101.0], 1.0)), Some(3));
    }

    #[test]
    fn what_the_intervals_do_not_exclude_is_not_decided() {
        // 200 to 215 is 7.5 %, and by 15 both may be off.
        assert!(matches!(
            of(&[100.0, 200.0, 215.0], 15.0),
            KneeVerdict::Undecided { index: 1, later: 2, .. }
        ));
        assert_eq!(
            of(&[100.0, 200.0, 215.0], 5.0),
            KneeVerdict::NotReached,
            "surely more, and maybe worth it"
        );
        assert_eq!(at(of(&[100.0, 200.0, 205.0], 5.0)), Some(1));
        // One window has no interval.
        let unknown = |value| Interval { value, low: 0.0, high: f64::INFINITY };
        assert!(matches!(find(&[100.0, 100.0].map(unknown)), KneeVerdict::Undecided { .. }));
        assert!(matches!(of(&[0.0, 0.0], 0.0), KneeVerdict::Undecided { .. }), "nothing was answered");
    }

    #[test]
    fn a_curve_that_rises_has_none_yet() {
        assert_eq!(of(&[100.0, 200.0, 300.0], 5.0), KneeVerdict::NotReached);
        assert_eq!(of(&[100.0], 5.0), KneeVerdict::NotReached);
        assert_eq!(of(&[], 5.0), KneeVerdict::NotReached);
    }

    /// In how many of 200 made-up curves, measured with so much noise, a knee is claimed where 20 % more were to come.
    fn claimed_too_low(error: f64) -> usize {
        let mut random = Random::new(3);
        let truth = [100.0, 200.0, 240.0, 240.0];
        let mut claims = || {
            // An interval of 95 % is 1.96 standard errors to each side.
            let points = truth
                .map(|value| Interval::around(value * (1.0 + error * random.normal()), 1.96 * error * value));
            at(find(&points)).is_some_and(|index| index < 2)
        };
        (0..200).filter(|_| claims()).count()
    }

    #[test]
    fn noise_makes_no_knees() {
        for error in [0.01, 0.03, 0.1, 0.3] {
            let claimed = claimed_too_low(error);
            assert!(claimed <= 10, "{claimed} of 200 with {error}");
        }
    }
}
