//! What to run: the set-up with the most answers per second or, among those where the difference is not worth it or
//! cannot be told, the one whose late answers come sooner, or the cheaper one.

use crate::{
    audit::{observed::WindowSlice, points::MeasuredPoint},
    model::{
        estimate::Estimate,
        report::{Point, Recommendation, Setup},
    },
    stats::{contrast::contrast, windows::WindowSeries},
    units,
};

/// A set-up and its curve.
pub type Curve = (Setup, Vec<MeasuredPoint>);

/// A set-up counts only where at most so many of its requests failed.
const ERRORS: f64 = 0.01;
/// A set-up must be at least so much faster than another to be worth it.
const WORTH: f64 = 1.05;
/// And late answers of one must come at least so much sooner to tell two apart.
const LATER: f64 = 1.25;

/// The recommendation, if anything served.
#[must_use]
pub fn recommend(curves: &[Curve]) -> Option<Recommendation> {
    let mut peaks: Vec<Peak> = curves.iter().filter_map(Peak::of).collect();
    peaks.sort_by(|one, other| other.throughput().total_cmp(&one.throughput()));
    let fastest = peaks.first()?;
    let equals = peaks.iter().filter(|peak| !peak.is_beaten_by(fastest));
    let best =
        equals.fold(fastest, |best, peak| if peak.advantage_over(best).is_some() { peak } else { best });
    let second = peaks.iter().find(|peak| peak.setup != best.setup);
    let margin = second.and_then(|second| best.ratio_to(second, of_throughput));
    Some(Recommendation {
        best: best.setup.clone(),
        second: second.map(|second| second.setup.clone()),
        margin,
        is_real: second.is_none_or(|second| {
            margin.is_some_and(|margin| margin.low > 1.0) || best.advantage_over(second).is_some()
        }),
        reason: match second {
            Some(second) => best.reason_over(second, margin),
            None => format!("{} is the only one that served", best.setup.name()),
        },
    })
}

/// A set-up where its curve is highest.
#[derive(Clone, Copy, Debug)]
struct Peak<'a> {
    setup: &'a Setup,
    seen: &'a MeasuredPoint,
    /// Point at which the set-up had most to do.
    busiest: &'a Point,
}

/// What a unit's ratio is of.
type RatioParts = fn(&WindowSlice) -> (f64, f64);

const fn of_throughput(slice: &WindowSlice) -> (f64, f64) {
    (slice.requests, slice.seconds)
}

const fn of_cpu(slice: &WindowSlice) -> (f64, f64) {
    (slice.cpu_ms, slice.requests)
}

const fn of_switches(slice: &WindowSlice) -> (f64, f64) {
    (slice.voluntary + slice.preempted, slice.requests)
}

impl<'a> Peak<'a> {
    fn of((setup, seen): &'a Curve) -> Option<Self> {
        Some(Self { setup, seen: peak(seen)?, busiest: &seen.last()?.point })
    }

    fn throughput(&self) -> f64 {
        self.seen.point.throughput.value
    }

    /// The ratio of one's to another's; `None` if there are too few windows to tell.
    fn ratio_to(&self, other: &Self, part: RatioParts) -> Option<Estimate> {
        let [mine, theirs] =
            [self, other].map(|peak| peak.seen.slices.iter().map(part).unzip::<_, _, Vec<f64>, Vec<f64>>());
        let theirs = WindowSeries { amounts: &theirs.0, per: &theirs.1 };
        contrast(theirs, WindowSeries { amounts: &mine.0, per: &mine.1 })?.ratio.map(Estimate::from)
    }

    /// True if the fastest is surely faster by what is worth a change.
    fn is_beaten_by(&self, fastest: &Self) -> bool {
        let is_faster = |ratio: Estimate| ratio.low > WORTH;
        self.setup != fastest.setup && fastest.ratio_to(self, of_throughput).is_some_and(is_faster)
    }

    /// By what it is better than an equally fast one, if it is: a clause. First who makes the unlucky wait least where
    /// all are busy, then who is cheaper.
    fn advantage_over(&self, other: &Self) -> Option<String> {
        if self.setup.worker_class == other.setup.worker_class && self.setup.workers != other.setup.workers {
            return (self.setup.workers < other.setup.workers).then(|| "it needs fewer workers".to_owned());
        }
        if let (Some(mine), Some(theirs)) = (self.busiest.latency_p99_ms, other.busiest.latency_p99_ms) {
            if mine.high * LATER < theirs.low {
                let level = self.busiest.level;
                let [mine, theirs] = [mine, theirs].map(|latency| units::decimal(latency.value, 0));
                return Some(format!("at {level}, 99 % of its answers take up to {mine} ms, not {theirs}"));
            }
            if theirs.high * LATER < mine.low {
                return None;
            }
        }
        let prices: [(RatioParts, &str); 2] =
            [(of_cpu, "less CPU time"), (of_switches, "fewer context switches")];
        for (part, what) in prices {
            let ratio = self.ratio_to(other, part)?;
            if ratio.high < 1.0 {
                let saved = units::decimal((1.0 - ratio.value) * 100.0, 1);
                return Some(format!("it takes {saved} % {what} for each request"));
            }
            if ratio.low > 1.0 {
                return None;
            }
        }
        None
    }

    fn reason_over(&self, second: &Self, margin: Option<Estimate>) -> String {
        let (best, other) = (self.setup.name(), second.setup.name());
        let Some(Estimate { value, low, high }) = margin else {
            return format!("there are too few windows to tell {best} from {other}");
        };
        let times = format!("{value:.2} times ({low:.2}–{high:.2})");
        if low > 1.0 {
            return format!("{best} answers {times} as many requests per second as {other}");
        }
        let why =
            self.advantage_over(second).unwrap_or_else(|| "neither is better in what can be told".to_owned());
        if high < 1.0 {
            return format!(
                "{best} answers {times} as many as {other}, which is not worth more workers; {why}"
            );
        }
        format!("no difference in throughput was measured between {best} and {other}: {times}; {why}")
    }
}

/// Where a curve is highest, among the levels at which it served.
#[must_use]
pub fn peak(curve: &[MeasuredPoint]) -> Option<&MeasuredPoint> {
    let served = |seen: &&MeasuredPoint| {
        let requests: f64 = seen.slices.iter().map(|slice| slice.requests).sum();
        requests > 0.0 && seen.point.errors as f64 <= ERRORS * (requests + seen.point.errors as f64)
    };
    curve.iter().filter(served).max_by(|one, other| throughput(one).total_cmp(&throughput(other)))
}

fn throughput(seen: &MeasuredPoint) -> f64 {
    seen.point.throughput.value
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A curve of one level: answers, CPU time and switches in each of ten seconds, a few per cent around these.
    fn curve(class: &str, workers: u32, requests: f64, cpu_ms: f64, voluntary: f64) -> Curve {
        let slice = |n: u32| {
            let spread = 1.0 + f64::from(n % 5) / 100.0;
            WindowSlice {
                seconds: 1.0,
                requests: requests * spread,
                cpu_ms: cpu_ms * spread,
                voluntary,
                preempted: 0.0,
            }
        };
        let mut seen = MeasuredPoint { slices: (0..10).map(slice).collect(), ..MeasuredPoint::default() };
        seen.point.throughput.value = requests;
        (Setup { worker_class: Some(class.to_owned()), workers: Some(workers) }, vec![seen])
    }

    #[test]
    fn the_fastest_wins_by_its_margin() {
        let recommendation =
            recommend(&[curve("sync", 4, 80.0, 40.0, 160.0), curve("gevent", 4, 400.0, 200.0, 800.0)]);
        let recommendation = recommendation.unwrap();
        assert_eq!(recommendation.best.name(), "gevent × 4");
        assert!(recommendation.is_real);
        let margin = recommendation.margin.unwrap();
        assert!(margin.low < 5.0 && 5.0 < margin.high && margin.high < 5.3, "{margin:?}");
    }

    #[test]
    fn among_equals_the_cheaper_one_and_it_is_said() {
        let recommendation =
            recommend(&[curve("gthread", 4, 101.0, 990.0, 900.0), curve("sync", 4, 100.0, 900.0, 100.0)]);
        let recommendation = recommendation.unwrap();
        assert_eq!(recommendation.best.name(), "sync × 4");
        assert!(recommendation.margin.unwrap().low < 1.0);
        assert!(
            recommendation.reason.starts_with("no difference in throughput was measured"),
            "{}",
            recommendation.reason
        );
        assert!(
            recommendation.reason.ends_with("% less CPU time for each request"),
            "{}",
            recommendation.reason
        );
    }

    #[test]
    fn nothing_tells_equals_apart() {
        let recommendation =
            recommend(&[curve("a", 4, 100.0, 900.0, 100.0), curve("b", 4, 100.0, 900.0, 100.0)]).unwrap();
        assert!(!recommendation.is_real, "{}", recommendation.reason);
    }

    #[test]
    fn among_equals_the_one_whose_late_answers_come_sooner() {
        let p99 = |mut curve: Curve, low, high| {
            curve.1[0].point.latency_p99_ms = Some(Estimate { value: low, low, high });
            curve
        };
        let recommendation = recommend(&[
            p99(curve("gevent", 4, 101.0, 900.0, 100.0), 3000.0, 3700.0),
            p99(curve("sync", 4, 100.0, 1000.0, 100.0), 300.0, 400.0),
        ]);
        let recommendation = recommendation.unwrap();
        assert_eq!(recommendation.best.name(), "sync × 4");
        assert!(
            recommendation.is_real && recommendation.reason.contains("take up to 300 ms, not 3,000"),
            "{}",
            recommendation.reason
        );
    }

    #[test]
    fn more_workers_must_be_worth_it() {
        let counts = [(1, 100.0), (2, 199.0), (3, 203.0), (4, 202.0)];
        let curves: Vec<_> = counts.iter().map(|(n, rate)| curve("sync", *n, *rate, 900.0, 10.0)).collect();
        assert_eq!(recommend(&curves).unwrap().best.workers, Some(2));
    }

    #[test]
    fn who_fails_is_out() {
        let mut broken = curve("gevent", 4, 900.0, 900.0, 0.0);
        broken.1[0].point.errors = 1000;
        assert_eq!(
            recommend(&[curve("sync", 4, 80.0, 40.0, 160.0), broken.clone()]).unwrap().best.name(),
            "sync × 4"
        );
        assert!(recommend(&[broken]).is_none());
    }
}
