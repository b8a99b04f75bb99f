//! Two lots of numbers by their ranks alone, for what has no interval of its own.

/// How often all of one lot's `count` numbers lie above all of the `others`, or below, if nothing but chance deals them
/// out: two of all ways to choose which ranks are whose (the extreme of Mann and Whitney's U).
#[must_use]
pub fn chance_apart(count: u32, others: u32) -> f64 {
    let ways = (1..=others).fold(1.0, |ways, rank| ways * f64::from(count + rank) / f64::from(rank));
    (2.0 / ways).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_what_tables_say() {
        // Mann and Whitney's table of 1947 has 0.050 for 3 and 3, and 0.014 for 4 and 4, on one side.
        for (count, others, one_side) in [(1, 1, 0.5), (2, 2, 1.0 / 6.0), (3, 3, 0.05), (4, 4, 1.0 / 70.0)] {
            assert!((chance_apart(count, others) - 2.0 * one_side).abs() < 1e-12, "{count} and {others}");
        }
        assert!((chance_apart(0, 4) - 1.0).abs() < 1e-12);
    }
}
