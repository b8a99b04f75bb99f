//! The coefficient of variation.

/// The coefficient of variation of what each of some has: standard deviation over mean. `None` where that means nothing: of
/// one alone, or where nobody has any.
///
/// The deviation is of all, divided by how many they are: these are all the workers that there are, not some drawn from more.
#[must_use]
pub fn coefficient(values: &[f64]) -> Option<f64> {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count;
    (values.len() > 1 && mean > 0.0).then(|| variance.sqrt() / mean)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn standard_deviation_over_mean() {
        // A textbook's: the mean is 5, the deviation of all 2.
        assert_eq!(coefficient(&[2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]), Some(0.4));
        assert_eq!(coefficient(&[3.0, 3.0]), Some(0.0));
        assert_eq!(coefficient(&[1.0]), None);
        assert_eq!(coefficient(&[0.0, 0.0]), None);
    }
}
