//! Gunther's Universal Scalability Law, X(N) = λN / (1 + σ(N−1) + κN(N−1)), fitted to measured throughput by least
//! squares, with λ > 0, σ ≥ 0 and κ ≥ 0.
//!
//! N / X(N) is linear in (1/λ, σ/λ, κ/λ). A straight line through N / X would weigh slow levels more than fast ones,
//! so each step (Gauss and Newton's) fits the line that is tangent to X itself.

/// A fitted curve.
#[derive(Clone, Debug, PartialEq)]
pub struct Usl {
    /// Throughput of one at a time.
    pub lambda: f64,
    /// Contention.
    pub sigma: f64,
    /// Coherency.
    pub kappa: f64,
    /// Measured less fitted throughput, at each point.
    pub residuals: Vec<f64>,
    /// The share of the throughputs' variance that the curve explains; below zero if their mean explains more.
    pub r_squared: f64,
    /// Where the curve is highest, 1 at least; `None` if it only rises. Far beyond the levels that were measured it
    /// tells little.
    pub peak: Option<f64>,
}

const STEPS: usize = 100;

/// Fits the law to points (level, throughput). `None` with fewer than three different levels, or if one is below 1 or
/// a throughput not above zero.
#[must_use]
pub fn fit(points: &[(f64, f64)]) -> Option<Usl> {
    let mut levels: Vec<f64> = points.iter().map(|(level, _)| *level).collect();
    levels.sort_by(f64::total_cmp);
    levels.dedup();
    if levels.len() < 3 || !points.iter().all(|(level, x)| *level >= 1.0 && *x > 0.0 && x.is_finite()) {
        return None;
    }
    // First the line through N / X, weighed as if X were right.
    let mut line = tangent(points, |_, throughput| throughput)?;
    for _ in 0..STEPS {
        let target = tangent(points, |level, _| line.throughput(level))?;
        let Some(better) = line.towards(&target, points) else { break };
        line = better;
    }
    Some(line.curve(points))
}

/// N / X(N) = a + b(N−1) + cN(N−1).
#[derive(Clone, Copy)]
struct LinearForm([f64; 3]);

impl LinearForm {
    fn throughput(&self, level: f64) -> f64 {
        level / dot(self.0, terms(level))
    }

    fn squares(&self, points: &[(f64, f64)]) -> f64 {
        points.iter().map(|(level, throughput)| (throughput - self.throughput(*level)).powi(2)).sum()
    }

    /// A point on the way to another line that fits better; `None` if there is none.
    fn towards(&self, target: &Self, points: &[(f64, f64)]) -> Option<Self> {
        let squares = self.squares(points);
        let steps = (0..20).map(|halvings| 0.5_f64.powi(halvings));
        let mut tried = steps.map(|step| {
            Self(std::array::from_fn(|term| self.0[term] + step * (target.0[term] - self.0[term])))
        });
        tried.find(|line| line.0[0] > 0.0 && line.squares(points) < squares * (1.0 - 1e-12))
    }

    fn curve(&self, points: &[(f64, f64)]) -> Usl {
        let [a, b, c] = self.0;
        let (lambda, sigma, kappa) = (1.0 / a, b / a, c / a);
        let residuals =
            points.iter().map(|(level, throughput)| throughput - self.throughput(*level)).collect();
        let mean = points.iter().map(|(_, throughput)| throughput).sum::<f64>() / points.len() as f64;
        let variance: f64 = points.iter().map(|(_, throughput)| (throughput - mean).powi(2)).sum();
        let r_squared = if variance > 0.0 { 1.0 - self.squares(points) / variance } else { 0.0 };
        let peak = if kappa > 0.0 {
            Some(((1.0 - sigma).max(0.0) / kappa).sqrt().max(1.0))
        } else {
            (sigma >= 1.0).then_some(1.0)
        };
        Usl { lambda, sigma, kappa, residuals, r_squared, peak }
    }
}

const fn terms(level: f64) -> [f64; 3] {
    [1.0, level - 1.0, level * (level - 1.0)]
}

fn dot(left: [f64; 3], right: [f64; 3]) -> f64 {
    left.into_iter().zip(right).map(|(left, right)| left * right).sum()
}

/// The line, with no term below zero, whose tangent to X at `at` fits best: of all choices of terms that are zero the
/// best one that keeps the others above.
fn tangent(points: &[(f64, f64)], at: impl Fn(f64, f64) -> f64) -> Option<LinearForm> {
    let (mut squares, mut products) = ([[0.0; 3]; 3], [0.0; 3]);
    for &(level, throughput) in points {
        let near = at(level, throughput);
        // dX = −(X²/N) d(N/X): the slope, and where the tangent must be for X to be what was measured.
        let (slope, target) =
            (near * near / level, level / near - (throughput - near) * level / (near * near));
        let terms = terms(level).map(|term| term * slope);
        for (row, term) in terms.into_iter().enumerate() {
            products[row] += term * target * slope;
            for (column, other) in terms.into_iter().enumerate() {
                squares[row][column] += term * other;
            }
        }
    }
    let lines = [[true, true], [true, false], [false, true], [false, false]].into_iter().filter_map(|free| {
        let solved = solve(squares, products, [true, free[0], free[1]])?;
        (solved[0] > 0.0 && solved.iter().all(|term| *term >= 0.0)).then_some(solved)
    });
    // What is left of the squares: x'Sx − 2x'p, but for a constant.
    let left = |line: &[f64; 3]| dot(*line, squares.map(|row| dot(row, *line))) - 2.0 * dot(*line, products);
    lines.min_by(|one, other| left(one).total_cmp(&left(other))).map(LinearForm)
}

/// Solves the normal equations for the terms that are free; the others are zero. (Gauss and Jordan; the matrix is
/// positive definite, so the diagonal serves as pivot.)
fn solve(mut matrix: [[f64; 3]; 3], mut right: [f64; 3], free: [bool; 3]) -> Option<[f64; 3]> {
    let terms: Vec<usize> = (0..3).filter(|term| free[*term]).collect();
    for &pivot in &terms {
        let size = matrix[pivot][pivot];
        if size <= 0.0 || !size.is_finite() {
            return None;
        }
        for &row in terms.iter().filter(|row| **row != pivot) {
            let factor = matrix[row][pivot] / size;
            for &column in &terms {
                matrix[row][column] -= factor * matrix[pivot][column];
            }
            right[row] -= factor * right[pivot];
        }
    }
    Some(std::array::from_fn(|term| if free[term] { right[term] / matrix[term][term] } else { 0.0 }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::random::Random;

    const LEVELS: [f64; 8] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0];

    fn curve(lambda: f64, sigma: f64, kappa: f64) -> impl Fn(f64) -> f64 {
        move |level| lambda * level / (1.0 + sigma * (level - 1.0) + kappa * level * (level - 1.0))
    }

    fn points(mut law: impl FnMut(f64) -> f64) -> Vec<(f64, f64)> {
        LEVELS.iter().map(|level| (*level, law(*level))).collect()
    }

    fn assert_close(seen: f64, truth: f64, part: f64, what: &str) {
        assert!((seen - truth).abs() <= part * truth.abs() + 1e-9, "{what}: {seen}, not {truth}");
    }

    #[test]
    fn what_follows_the_law_gives_its_parameters() {
        for (lambda, sigma, kappa) in
            [(1000.0, 0.05, 0.0005), (40.0, 0.3, 0.0), (7.0, 0.0, 0.001), (900.0, 0.0, 0.0), (5.0, 0.9, 0.02)]
        {
            let usl = fit(&points(curve(lambda, sigma, kappa))).unwrap();
            assert_close(usl.lambda, lambda, 1e-6, "λ");
            assert_close(usl.sigma, sigma, 1e-6, "σ");
            assert_close(usl.kappa, kappa, 1e-6, "κ");
            assert!(
                usl.r_squared > 1.0 - 1e-9 && usl.residuals.iter().all(|left| left.abs() < 1e-4 * lambda)
            );
        }
    }

    #[test]
    fn noise_moves_the_parameters_a_little() {
        let mut random = Random::new(2);
        for _ in 0..20 {
            let law = curve(1000.0, 0.04, 0.0004);
            let noisy = points(|level| law(level) * (1.0 + 0.02 * random.normal()));
            let usl = fit(&noisy).unwrap();
            assert_close(usl.lambda, 1000.0, 0.15, "λ");
            assert_close(usl.peak.unwrap(), (0.96_f64 / 0.0004).sqrt(), 0.15, "peak");
            assert!(usl.r_squared > 0.98, "{usl:?}");
        }
    }

    /// No parameters near the fitted ones do better: the truth here is the sum of squares itself.
    #[test]
    fn it_is_the_best_fit() {
        let mut random = Random::new(9);
        for _ in 0..20 {
            let law = curve(100.0, 0.1, 0.0001);
            let noisy = points(|level| law(level) * (1.0 + 0.1 * random.normal()));
            let usl = fit(&noisy).unwrap();
            let squares = |lambda, sigma, kappa| {
                let law = curve(lambda, sigma, kappa);
                noisy.iter().map(|(level, throughput)| (throughput - law(*level)).powi(2)).sum::<f64>()
            };
            let best = squares(usl.lambda, usl.sigma, usl.kappa);
            for step in [0.999, 1.001] {
                let (sigma, kappa) = (usl.sigma.max(1e-3) * step, usl.kappa.max(1e-6) * step);
                for other in [
                    squares(usl.lambda * step, usl.sigma, usl.kappa),
                    squares(usl.lambda, sigma, usl.kappa),
                    squares(usl.lambda, usl.sigma, kappa),
                ] {
                    assert!(other >= best * (1.0 - 1e-9), "{other} below {best}: {usl:?}");
                }
            }
        }
    }

    #[test]
    fn parameters_stay_above_zero() {
        // Twice the level, more than twice the throughput: the law has no such curve but with σ < 0.
        let usl = fit(&[(1.0, 10.0), (2.0, 22.0), (4.0, 46.0), (8.0, 93.0)]).unwrap();
        assert!(usl.sigma == 0.0 && usl.kappa == 0.0 && usl.peak.is_none(), "{usl:?}");
        assert!(usl.lambda > 10.0, "{usl:?}");
    }

    #[test]
    fn the_peak_is_where_the_curve_turns() {
        let usl = fit(&points(curve(100.0, 0.1, 0.001))).unwrap();
        let peak = usl.peak.unwrap();
        let law = curve(100.0, 0.1, 0.001);
        assert!(law(peak) > law(peak * 1.1) && law(peak) > law(peak / 1.1), "{peak}");
        assert_eq!(fit(&points(|level| 100.0 / level)).unwrap().peak, Some(1.0));
    }

    #[test]
    fn too_little_is_not_fitted() {
        assert_eq!(fit(&[(1.0, 1.0), (2.0, 2.0), (2.0, 2.1)]), None);
        assert_eq!(fit(&[(0.0, 1.0), (1.0, 1.0), (2.0, 2.1)]), None);
        assert_eq!(fit(&[(1.0, 0.0), (2.0, 1.0), (4.0, 2.1)]), None);
    }
}
