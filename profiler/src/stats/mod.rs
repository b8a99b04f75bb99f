//! Statistics of measured windows: how far a number can be trusted, and what a curve's points say.
//!
//! Pure functions of plain numbers: they know nothing of what was measured, take no time, and chance comes
//! from a seed (the bootstrap's is always the same, so the same windows give the same interval).

pub mod bootstrap;
pub mod contrast;
pub mod knee;
pub mod random;
pub mod ranks;
mod student;
pub mod usl;
pub mod variation;
pub mod windows;

/// How often an interval may miss the truth.
const MISSED: f64 = 0.05;

/// A number and the interval in which it lies with 95 % confidence.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Interval {
    /// The number.
    pub value: f64,
    /// The interval's lower end.
    pub low: f64,
    /// The interval's upper end.
    pub high: f64,
}

impl Interval {
    /// A number and as much on both sides.
    #[must_use]
    pub const fn around(value: f64, half_width: f64) -> Self {
        Self { value, low: value - half_width, high: value + half_width }
    }

    /// Whether a number lies in it.
    #[must_use]
    pub fn contains(&self, number: f64) -> bool {
        (self.low..=self.high).contains(&number)
    }
}
