//! Finds the knee of a curve: where more load stops to bring more throughput.

use crate::stats::Interval;

/// Throughput that is not higher by this share is not worth more load.
const WORTH: f64 = 0.05;

/// The index of the knee: the lowest level above which no level brings more throughput. `None` if it was not reached:
/// the last level still brings more, or there are fewer than two.
///
/// `throughputs` are of rising levels. One level brings more than another if it is higher by 5 % and by more than
/// both intervals together allow for (the root of the sum of their half-widths' squares).
#[must_use]
pub fn knee(throughputs: &[Interval]) -> Option<usize> {
    let is_knee = |(index, at): (usize, &Interval)| {
        throughputs[index + 1..].iter().all(|higher| !brings_more(higher, at))
    };
    let knee = throughputs.iter().enumerate().position(is_knee)?;
    (knee + 1 < throughputs.len()).then_some(knee)
}

fn brings_more(higher: &Interval, lower: &Interval) -> bool {
    let gain = higher.value - lower.value;
    gain > WORTH * lower.value && gain > (higher.value - higher.low).hypot(lower.high - lower.value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(throughputs: &[f64], half_width: f64) -> Option<usize> {
        let points: Vec<_> = throughputs.iter().map(|value| Interval::around(*value, half_width)).collect();
        knee(&points)
    }

    #[test]
    fn it_is_where_the_curve_bends() {
        assert_eq!(of(&[100.0, 200.0, 380.0, 400.0, 395.0, 390.0], 10.0), Some(3));
        assert_eq!(of(&[100.0, 200.0, 392.0, 400.0, 395.0, 390.0], 10.0), Some(2), "2 % are not worth it");
        assert_eq!(of(&[400.0, 300.0, 200.0], 10.0), Some(0), "load only hurts");
    }

    #[test]
    fn a_dip_is_no_knee() {
        assert_eq!(of(&[100.0, 200.0, 190.0, 300.0, 301.0], 5.0), Some(3));
    }

    #[test]
    fn what_may_be_noise_brings_no_more() {
        assert_eq!(of(&[100.0, 200.0, 215.0], 15.0), Some(1));
        assert_eq!(of(&[100.0, 200.0, 215.0], 5.0), None);
    }

    #[test]
    fn a_curve_that_rises_has_none_yet() {
        assert_eq!(of(&[100.0, 200.0, 300.0], 10.0), None);
        assert_eq!(of(&[100.0], 10.0), None);
        assert_eq!(of(&[], 10.0), None);
    }
}
