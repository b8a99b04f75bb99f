//! Tells that the machine slept in a window. The wall's clock and the scheduler's stand still meanwhile, but each from a moment of
//! its own until another, so what threads did in between need not add up to the wall.

use crate::{sys::clock, units};

/// What two clocks are apart by chance, ns: they are read one after the other, and the wall's is slewed.
const APART_NS: u64 = 1_000_000;

/// The clocks at an edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clocks {
    /// How long the machine had slept by then, ns.
    slept_ns: u64,
    /// `CLOCK_MONOTONIC` less the scheduler's clock, ns.
    offset_ns: u64,
}

impl Clocks {
    /// The clocks now, of which the scheduler's is read elsewhere.
    #[must_use]
    pub fn now(offset_ns: u64) -> Self {
        Self { slept_ns: clock::slept_ns(), offset_ns }
    }

    /// Says that the machine slept between two edges, if it did.
    #[must_use]
    pub fn sleep_since(self, start: Self) -> Option<String> {
        let slept = self.slept_ns.saturating_sub(start.slept_ns);
        let slept = (slept > APART_NS).then(|| units::seconds(slept))?;
        let further = start.offset_ns.wrapping_sub(self.offset_ns).cast_signed();
        let apart = units::ms(further.unsigned_abs());
        let clocks = match further {
            _ if further.unsigned_abs() <= APART_NS => String::new(),
            1.. => format!(
                "; the scheduler's clock went {apart} ms further than the wall's, which is in some state of each thread"
            ),
            _ => format!(
                "; the wall's clock went {apart} ms further than the scheduler's, which is in no state of any thread"
            ),
        };
        Some(format!("the machine slept for {slept} in this window, which is in no number{clocks}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sleep_is_told_and_what_the_clocks_make_of_it() {
        let ms =
            |slept: u64, offset: u64| Clocks { slept_ns: slept * 1_000_000, offset_ns: offset * 1_000_000 };
        let start = ms(70_000, 5000);
        assert_eq!(ms(70_000, 5000).sleep_since(start), None);
        assert_eq!(ms(70_001, 4000).sleep_since(start), None, "by chance");
        for (end, expected) in [
            (ms(73_000, 5000), "the machine slept for 3.0 s in this window, which is in no number"),
            (
                ms(73_000, 4070),
                "; the scheduler's clock went 930.00 ms further than the wall's, which is in some state of each thread",
            ),
            (
                ms(73_000, 5930),
                "; the wall's clock went 930.00 ms further than the scheduler's, which is in no state of any thread",
            ),
        ] {
            let said = end.sleep_since(start).unwrap();
            assert!(said.ends_with(expected), "{said}");
        }
    }
}
