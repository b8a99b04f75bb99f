//! Student's t distribution of one to three degrees of freedom, in closed form: for what has too few windows to be
//! drawn from.

use std::f64::consts::FRAC_2_PI;

/// Until a billion is a billionth.
const HALVINGS: u32 = 60;

/// How often, by chance, a t of so many degrees of freedom lies at least so far from zero. More than three count as
/// three.
pub fn chance(t: f64, degrees: usize) -> f64 {
    let t = t.abs();
    match degrees {
        0 => 1.0,
        1 => 1.0 - FRAC_2_PI * t.atan(),
        2 => 1.0 - if t.is_finite() { t / (2.0 + t * t).sqrt() } else { 1.0 },
        _ => {
            let scaled = t / 3_f64.sqrt();
            let tail = if t.is_finite() { scaled / (1.0 + scaled * scaled) } else { 0.0 };
            1.0 - FRAC_2_PI * (scaled.atan() + tail)
        }
    }
}

/// The distance from zero beyond which a t lies so often by chance: between 0 and 1, found by halving.
pub fn critical(degrees: usize, often: f64) -> f64 {
    if degrees == 0 {
        return f64::INFINITY;
    }
    let (mut low, mut high) = (0.0, 1e9);
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(low, high);
        if chance(middle, degrees) > often { low = middle } else { high = middle }
    }
    high
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_table_of_textbooks() {
        // Columns t.975 and t.9975 of the usual table.
        for (degrees, usual, rare) in
            [(1, 12.706, 127.32), (2, 4.303, 14.089), (3, 3.182, 7.453), (9, 3.182, 7.453)]
        {
            for (often, expected) in [(0.05, usual), (0.005, rare)] {
                let found = critical(degrees, often);
                assert!((found / expected - 1.0).abs() < 1e-3, "{degrees}, {often}: {found}");
                assert!((chance(found, degrees) - often).abs() < 1e-9);
            }
            assert!(
                (chance(0.0, degrees) - 1.0).abs() < 1e-12 && chance(f64::INFINITY, degrees).abs() < 1e-12
            );
        }
        assert!(critical(0, 0.05).is_infinite());
    }
}
