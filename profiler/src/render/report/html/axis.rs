//! An axis of a plot: where a number stands on it, and what is written beside it.

use std::ops::Range;

use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};

use crate::units;

/// An axis from the lowest to the highest number, linear or logarithmic.
#[derive(Clone, Debug)]
pub struct Axis {
    is_log: bool,
    low: f64,
    high: f64,
    /// The numbers at which something is written, and what.
    ticks: Vec<(f64, String)>,
}

/// Levels that lie further apart than this stand by logarithm, lest the low ones fall together.
const WIDEST_EVEN: f64 = 12.0;
/// Smallest part of the axis between two levels that are both written.
const LEAST_GAP: f64 = 0.06;

impl Axis {
    /// An axis of loads that were tried: each is written, if there is room.
    #[must_use]
    pub fn levels(levels: &[f64]) -> Self {
        let mut levels: Vec<f64> = levels.iter().copied().filter(|level| *level > 0.0).collect();
        levels.sort_by(f64::total_cmp);
        levels.dedup();
        let (low, high) = (levels.first().copied().unwrap_or(1.0), levels.last().copied().unwrap_or(1.0));
        let is_log = high / low > WIDEST_EVEN;
        let (low, high) = if is_log { (low / 1.3, high * 1.15) } else { (0.0, high * 1.06) };
        let mut axis = Self { is_log, low, high, ticks: Vec::new() };
        for level in levels.into_iter().rev() {
            let gap = axis.ticks.last().map(|(next, _)| axis.share(*next) - axis.share(level));
            if gap.is_none_or(|gap| gap > LEAST_GAP) {
                axis.ticks.push((level, short(level)));
            }
        }
        axis
    }

    /// An axis of numbers from zero on; logarithmic if they lie far apart and `may_be_log`.
    #[must_use]
    pub fn numbers(numbers: impl Iterator<Item = f64>, may_be_log: bool) -> Self {
        let numbers: Vec<f64> = numbers.filter(|number| number.is_finite() && *number >= 0.0).collect();
        let high = numbers.iter().copied().fold(0.0, f64::max);
        let low = numbers.iter().copied().filter(|number| *number > 0.0).fold(high, f64::min);
        if may_be_log && low > 0.0 && high / low > 20.0 {
            let (low, high) = (low / 1.3, high * 1.3);
            let decades = low.log10().floor() as i32..=high.log10().floor() as i32;
            let steps = decades.flat_map(|decade| [1.0, 2.0, 5.0].map(|step| step * 10_f64.powi(decade)));
            let ticks = steps.filter(|tick| (low..high).contains(tick)).map(|tick| (tick, short(tick)));
            return Self { is_log: true, low, high, ticks: ticks.collect() };
        }
        let high = if high > 0.0 { high * 1.06 } else { 1.0 };
        // About five steps of 1, 2 or 5.
        let decade = 10_f64.powf((high / 5.0).log10().floor());
        let step = [1.0, 2.0, 5.0].map(|step| step * decade).into_iter().find(|step| high / step <= 5.5);
        let step = step.unwrap_or(decade * 10.0);
        let steps = (0..).map(|index| f64::from(index) * step).take_while(|tick| *tick <= high);
        Self { is_log: false, low: 0.0, high, ticks: steps.map(|tick| (tick, short(tick))).collect() }
    }

    /// An axis of shares from 0 to 1.
    #[must_use]
    pub fn shares() -> Self {
        let ticks = (0..=5_u8).map(|fifth| (f64::from(fifth) / 5.0, format!("{} %", fifth * 20)));
        Self { is_log: false, low: 0.0, high: 1.0, ticks: ticks.collect() }
    }

    /// An axis of named things side by side, each as wide as 1, with its name in its middle.
    #[must_use]
    pub fn names(names: impl Iterator<Item = String>) -> Self {
        let ticks: Vec<_> = (0_u32..).map(|index| f64::from(index) + 0.5).zip(names).collect();
        Self { is_log: false, low: 0.0, high: ticks.len().max(1) as f64, ticks }
    }

    /// True if numbers stand by their logarithm.
    #[must_use]
    pub fn is_log(&self) -> bool {
        self.is_log
    }

    /// Numbers from one to another, so many, evenly apart on paper.
    pub fn between(&self, from: f64, to: f64, count: u32) -> impl Iterator<Item = f64> {
        let is_log = self.is_log && from > 0.0;
        (0..=count).map(move |index| {
            let share = f64::from(index) / f64::from(count);
            if is_log { from * (to / from).powf(share) } else { from + (to - from) * share }
        })
    }

    /// Where a number stands: from 0 to 1.
    fn share(&self, number: f64) -> f64 {
        let Self { is_log, low, high, .. } = *self;
        let share = if is_log {
            (number.max(low) / low).ln() / (high / low).ln()
        } else {
            (number - low) / (high - low)
        };
        share.clamp(0.0, 1.0)
    }
}

/// A round number without needless zeros.
fn short(number: f64) -> String {
    let is_whole = |places: &i32| {
        let scaled = number * 10_f64.powi(*places);
        (scaled - scaled.round()).abs() < 1e-6
    };
    units::decimal(number, (0..6).find(is_whole).unwrap_or(6) as usize)
}

impl Ranged for Axis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, number: &f64, (from, to): (i32, i32)) -> i32 {
        from + (self.share(*number) * f64::from(to - from)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, _: Hint) -> Vec<f64> {
        self.ticks.iter().map(|(tick, _)| *tick).collect()
    }

    fn range(&self) -> Range<f64> {
        self.low..self.high
    }
}

impl ValueFormatter<f64> for Axis {
    fn format(_: &f64) -> String {
        String::new()
    }

    fn format_ext(&self, number: &f64) -> String {
        let tick = self.ticks.iter().find(|(tick, _)| tick.total_cmp(number).is_eq());
        tick.map_or_else(String::new, |(_, label)| label.clone())
    }
}

impl From<Axis> for Range<f64> {
    fn from(axis: Axis) -> Self {
        axis.low..axis.high
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: &Axis) -> Vec<&str> {
        axis.ticks.iter().map(|(_, label)| label.as_str()).collect()
    }

    #[test]
    fn levels_far_apart_stand_by_logarithm() {
        let near = Axis::levels(&[50.0, 10.0, 20.0, 100.0, 10.0]);
        assert!(!near.is_log());
        assert_eq!(labels(&near), ["100", "50", "20", "10"]);
        assert_eq!(near.map(&53.0, (0, 1000)), 500);
        let far = Axis::levels(&[1.0, 10.0, 100.0]);
        assert!(far.is_log());
        let [first, second, third] = [1.0, 10.0, 100.0].map(|level| far.map(&level, (0, 1000)));
        assert!(((second - first) - (third - second)).abs() <= 1, "{first} {second} {third}");
    }

    #[test]
    fn levels_that_would_touch_are_not_written() {
        assert_eq!(labels(&Axis::levels(&[1.0, 2.0, 10.0, 11.0])), ["11", "10", "2", "1"]);
        assert_eq!(labels(&Axis::levels(&[10.0, 99.0, 100.0])), ["100", "10"]);
    }

    #[test]
    fn numbers_get_about_five_round_ticks() {
        let axis = |high| Axis::numbers([high].into_iter(), true);
        assert_eq!(labels(&axis(1748.0)), ["0", "500", "1,000", "1,500"]);
        assert_eq!(labels(&axis(2.4)), ["0", "0.5", "1", "1.5", "2", "2.5"]);
        assert_eq!(labels(&axis(0.000_3)), ["0", "0.0001", "0.0002", "0.0003"]);
        assert_eq!(labels(&Axis::numbers([0.0].into_iter(), true)), ["0", "0.2", "0.4", "0.6", "0.8", "1"]);
        assert_eq!(labels(&Axis::numbers([3.0, 90.0].into_iter(), true)), ["5", "10", "20", "50", "100"]);
    }
}
