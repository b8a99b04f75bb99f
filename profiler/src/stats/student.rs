//! Student's t distribution of one to three degrees of freedom, in closed form: for what has too few windows to be
//! drawn from.

use std::f64::consts::FRAC_2_PI;

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

/// The distance from zero within which 95 % lie.
pub const fn critical(degrees: usize) -> f64 {
    match degrees {
        0 => f64::INFINITY,
        1 => 12.706,
        2 => 4.303,
        _ => 3.182,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_agree() {
        for degrees in 1..=3 {
            assert!((chance(critical(degrees), degrees) - 0.05).abs() < 1e-4, "{degrees}");
            assert!((chance(0.0, degrees) - 1.0).abs() < 1e-12);
            assert!(chance(f64::INFINITY, degrees).abs() < 1e-12);
        }
    }
}
