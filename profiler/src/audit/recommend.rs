//! What to run: the set-up with the most answers per second or, among those where the difference is not worth it or
//! cannot be told, the one whose late answers come sooner, or the cheaper one. Equals are named as such.

use crate::{
    audit::{
        comparison::{Comparison, Peak},
        points::Curve,
    },
    model::report::Recommendation,
};

/// The recommendation, if anything served.
#[must_use]
pub fn recommend(curves: &[Curve]) -> Option<Recommendation> {
    let mut peaks: Vec<Peak> = curves.iter().filter_map(Peak::of).collect();
    peaks.sort_by(|one, other| other.throughput().total_cmp(&one.throughput()));
    let fastest = peaks.first()?;
    let mut best = fastest;
    for peak in &peaks[1..] {
        let may_win = !Comparison::of(fastest, peak).is_surely_faster();
        if may_win && Comparison::of(peak, best).is_better() {
            best = peak;
        }
    }
    let others = peaks.iter().filter(|peak| peak.setup != best.setup);
    let others: Vec<_> = others.map(|peak| Comparison::of(best, peak)).collect();
    let equals: Vec<_> = others.iter().filter(|beside| !beside.is_better()).collect();
    // Who comes closest.
    let second = equals.first().copied().or_else(|| others.first());
    Some(Recommendation {
        best: best.setup.clone(),
        second: second.map(|second| second.other.setup.clone()),
        margin: second.and_then(|second| second.margin),
        is_real: equals.is_empty(),
        reason: match second {
            Some(second) => second.reason(),
            None => format!("{} is the only one that served", best.setup.name()),
        },
        equals: equals.into_iter().map(|equal| equal.other.setup.clone()).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        audit::{observed::WindowSlice, points::MeasuredPoint},
        model::{estimate::Estimate, report::Setup},
        stats::random::Random,
    };

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
            recommendation.reason.starts_with("No difference in throughput was measured"),
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
    fn who_is_cheaper_and_seems_to_answer_late_is_not_recommended() {
        // Two windows each, which fall apart by chance once in three times.
        let late = |curve: Curve, p99: f64| {
            let (setup, mut seen) = curve;
            seen[0].point.windows = 2;
            seen[0].point.latency_p99_ms = Some(Estimate { value: p99, low: 0.9 * p99, high: 1.1 * p99 });
            (setup, seen)
        };
        let curves = |of_sync, of_gevent| {
            let [sync, gevent] =
                [curve("sync", 4, 100.0, 990.0, 900.0), curve("gevent", 4, 101.0, 900.0, 100.0)];
            recommend(&[late(sync, of_sync), late(gevent, of_gevent)]).unwrap()
        };
        let recommendation = curves(66.0, 881.0);
        assert!(!recommendation.is_real, "{}", recommendation.reason);
        assert!(recommendation.reason.contains("in too few windows to be sure"), "{}", recommendation.reason);
        let recommendation = curves(66.0, 50.0);
        assert!(recommendation.is_real && recommendation.best.name() == "gevent × 4", "{recommendation:?}");
    }

    #[test]
    fn nothing_tells_equals_apart() {
        let recommendation =
            recommend(&[curve("a", 4, 100.0, 900.0, 100.0), curve("b", 4, 100.0, 900.0, 100.0)]).unwrap();
        assert!(!recommendation.is_real, "{}", recommendation.reason);
        assert_eq!(recommendation.equals, [recommendation.second.unwrap()]);
        assert!(
            recommendation.reason.starts_with("Nothing worth a change tells "),
            "{}",
            recommendation.reason
        );
    }

    #[test]
    fn two_equals_are_told_from_a_third() {
        let curves = [("a", 100.0), ("b", 100.5), ("c", 20.0)]
            .map(|(class, rate)| curve(class, 4, rate, 900.0, 100.0));
        let recommendation = recommend(&curves).unwrap();
        let equals: Vec<_> = recommendation.equals.iter().map(Setup::name).collect();
        assert_eq!((recommendation.is_real, equals), (false, vec!["a × 4".to_owned()]));
    }

    /// Windows of a server: six parts in each of two rounds, whose servers differ by a little, too.
    fn measured(random: &mut Random, class: &str, rate: f64) -> Curve {
        let mut slices = Vec::new();
        for _ in 0..2 {
            let server = 1.0 + 0.01 * random.normal();
            slices.extend((0..6).map(|_| {
                let requests = rate * server * (1.0 + 0.05 * random.normal());
                let mut price = |each: f64| requests * each * server * (1.0 + 0.03 * random.normal());
                let (cpu_ms, voluntary) = (price(5.0), price(2.0));
                WindowSlice { seconds: 1.0, requests, cpu_ms, voluntary, preempted: 0.0 }
            }));
        }
        let mut curve = curve(class, 4, rate, 0.0, 0.0);
        curve.1[0].slices = slices;
        curve
    }

    /// How many of so many pairs are recommended as real.
    fn called_real(pairs: usize, more: f64) -> usize {
        let mut random = Random::new(15);
        let mut is_real = || {
            let curves = [("a", 1.0), ("b", 1.0 + more)]
                .map(|(class, rate)| measured(&mut random, class, 300.0 * rate));
            recommend(&curves).unwrap().is_real
        };
        (0..pairs).filter(|_| is_real()).count()
    }

    #[test]
    fn equals_get_no_recommendation_and_a_faster_one_does() {
        let (equal, faster) = (called_real(100, 0.0), called_real(40, 0.15));
        assert!(equal <= 5, "{equal} of 100 equal pairs");
        assert!(faster >= 36, "{faster} of 40 pairs");
    }

    #[test]
    fn among_equals_the_one_whose_late_answers_come_sooner() {
        let p99 = |mut curve: Curve, low, high, windows| {
            curve.1[0].point.latency_p99_ms = Some(Estimate { value: low, low, high });
            curve.1[0].point.windows = windows;
            curve
        };
        let recommended = |windows| {
            recommend(&[
                p99(curve("gevent", 4, 101.0, 900.0, 100.0), 3000.0, 3700.0, windows),
                p99(curve("sync", 4, 100.0, 1000.0, 100.0), 300.0, 400.0, windows),
            ])
        };
        let recommendation = recommended(4).unwrap();
        assert_eq!(recommendation.best.name(), "sync × 4");
        assert!(
            recommendation.is_real && recommendation.reason.contains("take up to 300 ms, not 3,000"),
            "{}",
            recommendation.reason
        );
        // Three against three fall so apart in one of ten tries, so the price decides.
        assert_eq!(recommended(3).unwrap().best.name(), "gevent × 4");
    }

    #[test]
    fn more_workers_must_be_worth_it() {
        let counts = [(1, 100.0), (2, 199.0), (3, 203.0), (4, 202.0)];
        let curves: Vec<_> = counts.iter().map(|(n, rate)| curve("sync", *n, *rate, 900.0, 10.0)).collect();
        assert_eq!(recommend(&curves).unwrap().best.workers, Some(2));
    }

    #[test]
    fn fewer_workers_are_no_advantage_over_what_may_be_twice_as_fast() {
        let mut curves = [1, 2].map(|count| curve("sync", count, 100.0 * f64::from(count), 900.0, 10.0));
        for (at, slice) in curves[1].1[0].slices.iter_mut().enumerate() {
            slice.requests *= [0.02, 1.98][at % 2];
        }
        let recommendation = recommend(&curves).unwrap();
        assert_eq!((recommendation.is_real, recommendation.best.workers), (false, Some(2)));
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
