//! Two measurements side by side: the difference and the ratio of their numbers, with intervals, and which of many
//! differences are more than chance.
//!
//! Whoever looks at twenty numbers finds one that is off, by chance. So all numbers of a table are drawn together, and
//! their joint intervals reach as far as the rarest of them strays (the single-step minP of Westfall and Young,
//! "Resampling-based multiple testing", 1993): of twenty tables of equal runs at most one has an interval that excludes
//! that its number is the same. Numbers that move together, as times and their sum do, are not held against each other,
//! as Bonferroni would.

use crate::stats::{
    Interval, MISSED,
    bootstrap::{DRAWS, FEWEST, SEED, critical, error_of, half_width, sorted, standing},
    random::Random,
    student,
    windows::{Ratio, WindowSeries},
};

/// One number of two measurements.
#[derive(Clone, Copy, Debug)]
pub struct Pair<'a> {
    /// What is compared with.
    pub before: WindowSeries<'a>,
    /// What is compared.
    pub after: WindowSeries<'a>,
}

/// How they differ, in intervals.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Change {
    /// After less before.
    pub difference: Interval,
    /// After of before; `None` unless both are above zero and, if it is one of many, in all draws.
    pub ratio: Option<Interval>,
}

impl Change {
    /// Whether the interval excludes that nothing changed: the ratio's or, without a ratio, the difference's.
    #[must_use]
    pub fn is_real(&self) -> bool {
        let (interval, none) = self.ratio.map_or((self.difference, 0.0), |ratio| (ratio, 1.0));
        !interval.contains(none)
    }
}

/// A number's change, by itself and as one of its table.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Contrast {
    /// By itself: an interval holds the truth in 19 of 20 measurements.
    pub alone: Change,
    /// As one of its table: all numbers' intervals hold the truth at once in 19 of 20 tables.
    pub joint: Change,
    /// Relative standard errors of before and after.
    errors: [f64; 2],
}

impl Contrast {
    /// How long both measurements must be for the ratio's joint interval to reach so far to each side, as a logarithm:
    /// the reach shrinks with the root of the length. `lengths` are what they have.
    #[must_use]
    pub fn length_for(&self, reach: f64, lengths: [f64; 2]) -> Option<f64> {
        let ratio = self.joint.ratio?;
        let variances = self.errors.map(|error| error * error);
        let length = (variances[0] * lengths[0] + variances[1] * lengths[1]) / (variances[0] + variances[1]);
        Some(length * ((ratio.high / ratio.value).ln() / reach).powi(2))
    }
}

/// Contrasts the numbers of a table. All `before` are of the same windows, as are all `after`. `None` for a number
/// with fewer than two windows, or with nothing to divide by.
#[must_use]
pub fn contrasts(pairs: &[Pair]) -> Vec<Option<Contrast>> {
    let numbers: Vec<_> = pairs.iter().map(|pair| ComparedNumber::new(*pair)).collect();
    let known: Vec<&ComparedNumber> = numbers.iter().flatten().collect();
    let Some(first) = known.first() else { return vec![None; pairs.len()] };
    let counts = [first.pair.before.count(), first.pair.after.count()];
    let judged = if counts[0].min(counts[1]) < FEWEST {
        by_student(&known, counts[0].min(counts[1]) - 1)
    } else {
        by_draws(&known, counts)
    };
    let mut judged = judged.into_iter();
    numbers.iter().map(|number| number.as_ref().and_then(|_| judged.next())).collect()
}

/// Contrasts one number by itself.
#[must_use]
pub fn contrast(before: WindowSeries, after: WindowSeries) -> Option<Change> {
    contrasts(&[Pair { before, after }]).pop().flatten().map(|contrast| contrast.alone)
}

/// Few windows are not drawn from; their joint intervals are Bonferroni's.
fn by_student(numbers: &[&ComparedNumber], degrees: usize) -> Vec<Contrast> {
    let alone = student::critical(degrees, MISSED);
    let joint = student::critical(degrees, MISSED / numbers.len() as f64);
    numbers.iter().map(|number| number.contrast([alone; 2], [joint; 2], true)).collect()
}

fn by_draws(numbers: &[&ComparedNumber], [before, after]: [usize; 2]) -> Vec<Contrast> {
    let mut random = Random::new(SEED);
    let draws: Vec<_> = (0..DRAWS).map(|_| [random.draw(before), random.draw(after)]).collect();
    // How rare the rarest number of each draw is: so many draws of that number stray as far.
    let mut rarest = vec![usize::MAX; DRAWS];
    let mut known = Vec::with_capacity(numbers.len());
    for number in numbers {
        let (differences, logs): (Vec<_>, Vec<_>) = draws.iter().map(|drawn| number.strays(drawn)).unzip();
        // What some draws have nothing of is too rare for a ratio: it is judged by its difference.
        let has_ratio = logs.iter().all(|stray| stray.is_finite());
        let judged = if has_ratio { &logs } else { &differences };
        let order = sorted(judged.clone());
        for (rarest, stray) in rarest.iter_mut().zip(judged) {
            let as_far = DRAWS - order.partition_point(|other| other < stray);
            *rarest = as_far.min(*rarest);
        }
        known.push(([differences, logs].map(sorted), has_ratio));
    }
    rarest.sort_unstable();
    let rank = rarest[DRAWS * 5 / 100];
    let judge = |(number, (strays, has_ratio)): (&&ComparedNumber, ([Vec<f64>; 2], bool))| {
        let joint = strays.each_ref().map(|strays| strays[DRAWS - rank]);
        number.contrast(strays.each_ref().map(|strays| critical(strays)), joint, has_ratio)
    };
    numbers.iter().zip(known).map(judge).collect()
}

/// A number of both measurements.
struct ComparedNumber<'a> {
    pair: Pair<'a>,
    /// Before and after, as they are.
    ratios: [Ratio; 2],
    /// Factors by which the errors grow, since windows resemble their neighbours.
    stretches: [f64; 2],
}

impl<'a> ComparedNumber<'a> {
    fn new(pair: Pair<'a>) -> Option<Self> {
        let both = [pair.before, pair.after];
        let ratios = both.map(|windows| windows.ratio());
        let is_told = |ratio: &Ratio| ratio.value.is_finite() && ratio.error.is_finite();
        let stretches = both.map(|windows| windows.stretch());
        ratios.iter().all(is_told).then_some(Self { pair, ratios, stretches })
    }

    /// The errors of before and after.
    fn errors(&self) -> [f64; 2] {
        [0, 1].map(|side| self.ratios[side].error * self.stretches[side])
    }

    /// The errors of their logarithms.
    fn relative_errors(&self) -> [f64; 2] {
        let errors = self.errors();
        [0, 1].map(|side| errors[side] / self.ratios[side].value)
    }

    /// How far the difference and the ratio's logarithm of a draw are from those of all windows, in their errors.
    fn strays(&self, [before, after]: &[Vec<usize>; 2]) -> (f64, f64) {
        let [old, new] = self.ratios;
        let drawn =
            [(self.pair.before, before, old), (self.pair.after, after, new)].map(|(windows, drawn, all)| {
                let ratio = windows.ratio_of(drawn.iter().copied());
                Ratio { error: error_of(ratio, all), ..ratio }
            });
        let difference = (drawn[1].value - new.value) - (drawn[0].value - old.value);
        let log = (drawn[1].value / new.value).ln() - (drawn[0].value / old.value).ln();
        let log_error = (drawn[0].error / drawn[0].value).hypot(drawn[1].error / drawn[1].value);
        (standing(difference, drawn[0].error.hypot(drawn[1].error)), standing(log, log_error))
    }

    /// What is told of it, by how many errors the intervals of its difference and of its ratio reach to each side.
    fn contrast(&self, alone: [f64; 2], joint: [f64; 2], has_joint_ratio: bool) -> Contrast {
        let joint = self.change(joint);
        Contrast {
            alone: self.change(alone),
            joint: Change { ratio: joint.ratio.filter(|_| has_joint_ratio), ..joint },
            errors: self.relative_errors(),
        }
    }

    fn change(&self, criticals: [f64; 2]) -> Change {
        let [before, after] = self.ratios.map(|ratio| ratio.value);
        let [old, new] = self.errors();
        let difference = Interval::around(after - before, half_width(criticals[0], old.hypot(new)));
        let [old, new] = self.relative_errors();
        let ratio = (before > 0.0 && after > 0.0).then(|| {
            let (value, factor) = (after / before, half_width(criticals[1], old.hypot(new)).exp());
            Interval { value, low: value / factor, high: value * factor }
        });
        Change { difference, ratio }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The windows of one measurement with many numbers: requests, and what is counted by them.
    struct WindowTable {
        requests: Vec<f64>,
        numbers: Vec<Vec<f64>>,
    }

    impl WindowTable {
        /// `count` windows, in which the first number costs so much more.
        fn make(random: &mut Random, count: usize, more: f64) -> Self {
            let requests: Vec<f64> = (0..count).map(|_| 200.0 + 30.0 * random.normal()).collect();
            let mut numbers = vec![Vec::new(); 9];
            for requests in &requests {
                // What all numbers share, as a noisy neighbour does.
                let shared = 0.02 * random.normal();
                for (index, number) in numbers.iter_mut().enumerate() {
                    let mean = if index == 0 { 1.0 + more } else { 1.0 };
                    number.push(match index % 3 {
                        0 => requests * mean * (1.0 + shared + 0.03 * random.normal()),
                        1 => requests * (0.3 * random.normal()).exp(),
                        _ => random.poisson(1.5),
                    });
                }
            }
            Self { requests, numbers }
        }

        fn windows(&self, number: usize) -> WindowSeries<'_> {
            WindowSeries { amounts: &self.numbers[number], per: &self.requests }
        }

        fn against(&self, before: &Self) -> Vec<Contrast> {
            let pair = |number| Pair { before: before.windows(number), after: self.windows(number) };
            let pairs: Vec<_> = (0..self.numbers.len()).map(pair).collect();
            contrasts(&pairs).into_iter().map(Option::unwrap).collect()
        }
    }

    /// The share of tables in which this is called real.
    fn share(count: usize, more: f64, tries: usize, is_called: impl Fn(&[Contrast]) -> bool) -> f64 {
        let mut random = Random::new(11);
        let called = |_| {
            let before = WindowTable::make(&mut random, count, 0.0);
            let after = WindowTable::make(&mut random, count, more);
            usize::from(is_called(&after.against(&before)))
        };
        (0..tries).map(called).sum::<usize>() as f64 / tries as f64
    }

    #[test]
    fn equal_runs_are_not_called_different() {
        for (count, tries) in [(3, 200), (8, 200), (12, 60)] {
            let share = share(count, 0.0, tries, |table| table.iter().any(|number| number.joint.is_real()));
            assert!(share <= 0.05, "{count} windows: {share}");
        }
    }

    #[test]
    fn a_planted_difference_is_called_real_and_is_in_its_interval() {
        let found = share(16, 0.1, 60, |table| table[0].joint.is_real());
        assert!(found >= 0.9, "{found}");
        let holds = share(16, 0.1, 60, |table| {
            let change = table[0].alone;
            change.ratio.is_some_and(|ratio| ratio.contains(1.1)) && change.difference.contains(0.1)
        });
        assert!(holds >= 0.9, "{holds}");
    }

    #[test]
    fn a_measurement_is_as_long_as_its_errors_say() {
        let windows = |amounts| WindowSeries { amounts, per: &[1.0; 6] };
        let [before, after] = [[8.0, 12.0, 9.0, 11.0, 10.0, 10.0], [10.0; 6]];
        let contrast = contrasts(&[Pair { before: windows(&before), after: windows(&after) }])[0].unwrap();
        let ratio = contrast.joint.ratio.unwrap();
        let reach = (ratio.high / ratio.value).ln();
        let length_for = |reach| contrast.length_for(reach, [6.0, 60.0]).unwrap();
        // What does not vary need not be longer; half the reach takes four times as long.
        assert!((length_for(reach) - 6.0).abs() < 1e-9 && (length_for(reach / 2.0) - 24.0).abs() < 1e-9);
    }

    #[test]
    fn windows_that_are_alike_do_not_make_a_difference() {
        let mut random = Random::new(5);
        let mut drifting = || -> Vec<f64> {
            let mut drift = random.normal();
            let mut next = || {
                drift = 0.6 * drift + 0.8 * random.normal();
                20.0 + drift
            };
            (0..20).map(|_| next()).collect()
        };
        let per = [1.0; 20];
        let mut is_real = || {
            let (before, after) = (drifting(), drifting());
            let windows = |amounts| WindowSeries { amounts, per: &per };
            contrast(windows(&before), windows(&after)).unwrap().is_real()
        };
        let called = (0..200).filter(|_| is_real()).count();
        assert!(called <= 16, "{called} of 200");
    }

    #[test]
    fn what_never_varies_differs_or_does_not() {
        let (one, two, per) = ([1.0; 8], [2.0; 8], [1.0; 8]);
        let windows = |amounts| WindowSeries { amounts, per: &per };
        let same = contrast(windows(&one), windows(&one)).unwrap();
        assert_eq!((same.difference, same.is_real()), (Interval::around(0.0, 0.0), false));
        let other = contrast(windows(&one), windows(&two)).unwrap();
        assert_eq!((other.ratio.unwrap().value, other.is_real()), (2.0, true));
    }

    #[test]
    fn nothing_has_no_ratio_and_nothing_to_divide_by_no_contrast() {
        let (some, none, per) = ([1.0, 3.0, 1.0, 2.0, 1.0], [0.0; 5], [1.0; 5]);
        let appeared = Pair {
            before: WindowSeries { amounts: &none, per: &per },
            after: WindowSeries { amounts: &some, per: &per },
        };
        let unknown = Pair { after: WindowSeries { amounts: &some, per: &none }, ..appeared };
        let known = contrasts(&[unknown, appeared]);
        assert_eq!(known[0], None);
        let joint = known[1].map(|contrast| contrast.joint);
        assert_eq!(joint.map(|joint| (joint.difference.value, joint.ratio)), Some((1.6, None)));
    }
}
