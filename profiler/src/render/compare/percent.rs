//! Changes in percent, with as many places as tell their interval's ends apart, and from nothing.

use crate::units;

/// What the last place is worth, by how many there are.
const UNITS: [f64; 3] = [1.0, 0.1, 0.01];

/// Percents above which an end is as good as none.
const MOST: f64 = 999.0;

/// A change and the ends of its interval, in percent.
#[derive(Clone, Copy, Debug)]
pub struct Percents {
    value: f64,
    ends: [f64; 2],
    places: usize,
}

impl Percents {
    /// From ratios to what was before.
    #[must_use]
    pub fn new(ratio: f64, interval: [f64; 2]) -> Self {
        let percent = |ratio: f64| (ratio - 1.0) * 100.0;
        let (value, ends) = (percent(ratio), interval.map(percent));
        let is_told = |places: &usize| {
            let unit = UNITS[*places];
            let is_nothing = |end: &f64| *end != 0.0 && end.abs() < unit / 2.0;
            ends[1] - ends[0] >= 4.0 * unit && !ends.iter().any(is_nothing)
        };
        let most = UNITS.len() - 1;
        Self { value, ends, places: (0..most).find(is_told).unwrap_or(most) }
    }

    /// `+2 %`.
    #[must_use]
    pub fn change(&self) -> String {
        format!("{} %", signed(self.value, self.places))
    }

    /// `−1 to +3 %`.
    #[must_use]
    pub fn interval(&self) -> String {
        let [low, high] = self.ends.map(|end| signed(end, self.places));
        if self.ends[1] > MOST { format!("{low} to > +999 %") } else { format!("{low} to {high} %") }
    }

    /// `46 % (40 to 51 %)`, for who says that it rose or fell.
    #[must_use]
    pub fn amount(&self) -> String {
        let [one, other] = self.ends.map(f64::abs);
        let [value, least, most] = [self.value.abs(), one.min(other), one.max(other)]
            .map(|percent| units::decimal(percent, self.places));
        format!("{value} % ({least} to {most} %)")
    }
}

/// A change with so many decimals, and with its sign if it is more, too.
#[must_use]
pub fn signed(change: f64, places: usize) -> String {
    let digits = units::decimal(change, places);
    match digits.strip_prefix('-') {
        Some(digits) => format!("−{digits}"),
        None if digits.bytes().any(|digit| (b'1'..=b'9').contains(&digit)) => format!("+{digits}"),
        None => digits,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_as_many_as_it_takes() {
        let percents = |ratio, low, high| Percents::new(ratio, [low, high]);
        let fell = percents(0.539, 0.488, 0.596);
        assert_eq!(
            (fell.change(), fell.interval(), fell.amount()),
            ("−46 %".to_owned(), "−51 to −40 %".to_owned(), "46 % (40 to 51 %)".to_owned())
        );
        // An end near nothing is not nothing.
        assert_eq!(percents(1.05, 1.002, 1.1).interval(), "+0.2 to +10.0 %");
        assert_eq!(percents(1.002, 0.99, 1.014).interval(), "−1.0 to +1.4 %");
        assert_eq!(percents(1.0, 1.0, 1.0).interval(), "0.00 to 0.00 %");
        assert_eq!(percents(3.0, 0.5, 19.0).interval(), "−50 to > +999 %");
    }
}
