//! A number per request, or per second: a ratio of two sums over windows, and how far it strays.

/// The windows of one measurement, in the order of time. Both slices are as long.
#[derive(Clone, Copy, Debug)]
pub struct WindowSeries<'a> {
    /// What was counted in each window.
    pub amounts: &'a [f64],
    /// What it is counted by: requests, or seconds, of the same windows.
    pub per: &'a [f64],
}

/// A ratio of sums, and its standard error.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ratio {
    /// The ratio; not finite if there is nothing to divide by.
    pub value: f64,
    /// Standard error of the ratio, if windows do not depend on each other.
    pub error: f64,
}

impl WindowSeries<'_> {
    /// Number of windows.
    pub(super) fn count(&self) -> usize {
        self.amounts.len().min(self.per.len())
    }

    /// The ratio of the sums over some windows.
    ///
    /// Its error is that of the mean of `amount − ratio · per` (the linearised ratio: Cochran, "Sampling techniques",
    /// chapter 6).
    pub(super) fn ratio_of(&self, drawn: impl Iterator<Item = usize> + Clone) -> Ratio {
        let (mut amount, mut per, mut count) = (0.0, 0.0, 0.0);
        for index in drawn.clone() {
            amount += self.amounts[index];
            per += self.per[index];
            count += 1.0;
        }
        let value = amount / per;
        let squares: f64 = drawn.map(|index| self.residual(index, value).powi(2)).sum();
        Ratio { value, error: (squares * count / (count - 1.0)).sqrt() / per }
    }

    /// The ratio of the sums over all windows.
    pub(super) fn ratio(&self) -> Ratio {
        self.ratio_of(0..self.count())
    }

    fn residual(&self, index: usize, ratio: f64) -> f64 {
        self.amounts[index] - ratio * self.per[index]
    }

    /// By how much the error grows because windows resemble their neighbours: √((1+ρ)/(1−ρ)), where ρ is the
    /// correlation of neighbours, as in a process that forgets exponentially; 1 if they do not.
    ///
    /// A short series looks less correlated than it is; ρ is corrected for that (Marriott and Pope, "Bias in the
    /// estimation of autocorrelations", 1954), and taken half of its own standard error (1/√n) higher: to take windows
    /// for independent that are not is the worse mistake.
    pub(super) fn stretch(&self) -> f64 {
        let ratio = self.ratio().value;
        let residuals: Vec<f64> = (0..self.count()).map(|index| self.residual(index, ratio)).collect();
        let squares: f64 = residuals.iter().map(|residual| residual * residual).sum();
        let products: f64 = residuals.windows(2).map(|pair| pair[0] * pair[1]).sum();
        if squares > 0.0 {
            let (seen, count) = (products / squares, self.count() as f64);
            let correlation = (seen + (1.0 + 3.0 * seen) / count + 0.5 / count.sqrt()).clamp(0.0, 0.9);
            ((1.0 + correlation) / (1.0 - correlation)).sqrt()
        } else {
            1.0
        }
    }
}
