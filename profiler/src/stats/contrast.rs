//! Two measurements side by side: the difference and the ratio of their numbers, with intervals, and which of many
//! differences are more than chance.
//!
//! Whoever looks at twenty numbers finds one that is off, by chance. So all numbers of a table are drawn together, and
//! each is judged by how rare the rarest of them is when nothing is different (the single-step minP of Westfall and
//! Young, "Resampling-based multiple testing", 1993): of twenty tables of equal runs at most one calls anything real.
//! Numbers that move together, as times and their sum do, are not held against each other, as Bonferroni would.

use crate::stats::{
    Interval,
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

/// How they differ.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Contrast {
    /// After less before.
    pub difference: Interval,
    /// After of before; `None` unless both are above zero.
    pub ratio: Option<Interval>,
    /// How often the rarest difference of such a table is as rare as this one, if nothing differs: below 0.05 it is
    /// real.
    pub chance: f64,
}

impl Contrast {
    /// Whether the difference is more than chance, all numbers of its table considered.
    #[must_use]
    pub fn is_real(&self) -> bool {
        self.chance < 0.05
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

/// Contrasts one number.
#[must_use]
pub fn contrast(before: WindowSeries, after: WindowSeries) -> Option<Contrast> {
    contrasts(&[Pair { before, after }]).pop().flatten()
}

fn by_student(numbers: &[&ComparedNumber], degrees: usize) -> Vec<Contrast> {
    let critical = student::critical(degrees);
    let judge = |number: &&ComparedNumber| {
        let chance = student::chance(number.standing(), degrees) * numbers.len() as f64;
        number.contrast([critical; 2], chance.min(1.0))
    };
    numbers.iter().map(judge).collect()
}

fn by_draws(numbers: &[&ComparedNumber], [before, after]: [usize; 2]) -> Vec<Contrast> {
    let mut random = Random::new(SEED);
    let draws: Vec<_> = (0..DRAWS).map(|_| [random.draw(before), random.draw(after)]).collect();
    // How rare the rarest number of each draw is: so many draws of that number stray as far.
    let mut rarest = vec![usize::MAX; DRAWS];
    let mut known = Vec::with_capacity(numbers.len());
    for number in numbers {
        let (differences, logs): (Vec<_>, Vec<_>) = draws.iter().map(|drawn| number.strays(drawn)).unzip();
        let [sorted, logs] = [differences.clone(), logs].map(sorted);
        let as_far = |standing: f64| DRAWS - sorted.partition_point(|stray| *stray < standing);
        for (rarest, difference) in rarest.iter_mut().zip(differences) {
            *rarest = as_far(difference).min(*rarest);
        }
        known.push((as_far(number.standing()).max(1), [critical(&sorted), critical(&logs)]));
    }
    let rarest = sorted(rarest.into_iter().map(|rarest| rarest as f64).collect());
    let judge = |(number, (as_far, criticals)): (&&ComparedNumber, (usize, [f64; 2]))| {
        let as_rare = rarest.partition_point(|rarest| *rarest <= as_far as f64);
        number.contrast(criticals, (as_rare + 1) as f64 / (DRAWS + 1) as f64)
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

    /// The errors of the difference and of the ratio's logarithm.
    fn errors(&self) -> [f64; 2] {
        let [before, after] = [0, 1].map(|side| self.ratios[side].error * self.stretches[side]);
        [before.hypot(after), (before / self.ratios[0].value).hypot(after / self.ratios[1].value)]
    }

    /// How many errors the difference is from none.
    fn standing(&self) -> f64 {
        standing(self.ratios[1].value - self.ratios[0].value, self.errors()[0])
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

    /// What is told of it, by how many errors an interval reaches to each side.
    fn contrast(&self, criticals: [f64; 2], chance: f64) -> Contrast {
        let [before, after] = self.ratios.map(|ratio| ratio.value);
        let [error, log_error] = self.errors();
        let ratio = (before > 0.0 && after > 0.0).then(|| {
            let (value, factor) = (after / before, half_width(criticals[1], log_error).exp());
            Interval { value, low: value / factor, high: value * factor }
        });
        Contrast {
            difference: Interval::around(after - before, half_width(criticals[0], error)),
            ratio,
            chance,
        }
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
        for count in [3, 8] {
            let share = share(count, 0.0, 200, |table| table.iter().any(Contrast::is_real));
            assert!(share <= 0.05, "{count} windows: {share}");
        }
    }

    #[test]
    fn a_planted_difference_is_called_real_and_is_in_its_interval() {
        let found = share(16, 0.1, 60, |table| table[0].is_real());
        assert!(found >= 0.9, "{found}");
        let holds = share(16, 0.1, 60, |table| {
            table[0].ratio.is_some_and(|ratio| ratio.contains(1.1)) && table[0].difference.contains(0.1)
        });
        assert!(holds >= 0.9, "{holds}");
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
        assert_eq!(known[1].map(|contrast| (contrast.difference.value, contrast.ratio)), Some((1.6, None)));
    }
}
