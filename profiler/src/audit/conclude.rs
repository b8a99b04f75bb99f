//! Builds the report from the measured windows: curves, knees and their causes, idle costs, and what to run.

use std::collections::BTreeSet;

use crate::{
    audit::{
        bend::Bend,
        findings,
        observed::{Idling, Loaded, Observed},
        points::{self, Curve, MeasuredPoint},
        recommend,
    },
    model::{
        accounting::Counters,
        estimate::Estimate,
        report::{Finding, IdleCost, Recommendation, Run, Series, Setup, Usl},
        worker::Role,
    },
    stats::{bootstrap, usl, windows::WindowSeries},
};

/// A law of three parameters says something from so many points on.
const USL_POINTS: usize = 4;

/// What is concluded.
#[derive(Debug, Default)]
pub struct Conclusions {
    /// The windows.
    pub runs: Vec<Run>,
    /// Results by set-up, the best first.
    pub series: Vec<Series>,
    /// The answer in sentences.
    pub summary: Vec<String>,
    /// What to run.
    pub recommendation: Option<Recommendation>,
    /// The weightiest first.
    pub findings: Vec<Finding>,
    /// Throughput while measuring, of that without.
    pub throughput_while_measured: Option<Estimate>,
}

/// Concludes for one URL.
#[must_use]
pub fn conclude(observed: &Observed, url: &str, cpus: f64) -> Conclusions {
    let loaded: Vec<&Loaded> = observed.loaded.iter().filter(|loaded| loaded.run.url == url).collect();
    let setups: BTreeSet<&Setup> = loaded
        .iter()
        .map(|loaded| &loaded.run.setup)
        .chain(observed.idle.iter().map(|idle| &idle.setup))
        .collect();
    let mut curves: Vec<Curve> =
        setups.into_iter().map(|setup| (setup.clone(), points::curve(&loaded, setup, cpus))).collect();
    let recommendation = recommend::recommend(&curves);
    let best = recommendation.as_ref().map(|recommendation| recommendation.best.clone());
    let height = |curve: &Curve| points::peak(&curve.1).map_or(0.0, |seen| seen.point.throughput.value);
    curves.sort_by(|one, other| {
        let rank = |curve: &Curve| (Some(&curve.0) != best.as_ref(), -height(curve));
        rank(one).partial_cmp(&rank(other)).unwrap_or(std::cmp::Ordering::Equal)
    });
    let bends: Vec<_> = curves.iter().map(|(_, seen)| Bend::of(seen)).collect();
    let findings = findings::findings(observed, &curves, &bends);
    let series = curves.iter().zip(&bends).map(|((setup, seen), bend)| Series {
        setup: setup.clone(),
        idle: observed.idle.iter().find(|idling| idling.setup == *setup).map(idle),
        points: seen.iter().map(|seen| seen.point.clone()).collect(),
        usl: fit(seen),
        knee: bend.knee(),
        recording: None,
    });
    Conclusions {
        runs: loaded.iter().map(|loaded| loaded.run.clone()).collect(),
        series: series.collect(),
        summary: summary(recommendation.as_ref(), &curves),
        recommendation,
        findings,
        throughput_while_measured: while_measured(&observed.controls),
    }
}

fn fit(seen: &[MeasuredPoint]) -> Option<Usl> {
    let points: Vec<_> = seen.iter().map(|seen| (seen.point.level, seen.point.throughput.value)).collect();
    if points.len() < USL_POINTS {
        return None;
    }
    let fit = usl::fit(&points)?;
    Some(Usl {
        lambda: fit.lambda,
        sigma: fit.sigma,
        kappa: fit.kappa,
        residuals: fit.residuals,
        r_squared: fit.r_squared,
        peak_level: fit.peak,
    })
}

/// What an idle server costs: the mean of its workers, and its master.
#[must_use]
pub fn idle(idling: &Idling) -> IdleCost {
    let seconds = idling.stat.duration_ns.max(1) as f64 / 1e9;
    let of = |role: Role| -> Option<(f64, f64)> {
        let fleets = idling.stat.processes();
        let with_role: Vec<_> = fleets.filter(|worker| worker.role == role).collect();
        let mut sum = Counters::default();
        for worker in &with_role {
            sum.add(&worker.counters);
        }
        let mean = |total: f64| total / with_role.len() as f64 / seconds;
        (!with_role.is_empty()).then(|| (mean(sum.on_cpu_ns as f64 / 1e6), mean(sum.wakeups as f64)))
    };
    let (worker, master) = (of(Role::Worker).unwrap_or_default(), of(Role::Master));
    IdleCost {
        duration_ns: idling.stat.duration_ns,
        worker_cpu_ms_per_second: worker.0,
        worker_wakeups_per_second: worker.1,
        master_cpu_ms_per_second: master.map(|master| master.0),
        master_wakeups_per_second: master.map(|master| master.1),
    }
}

/// The interval of the ratio of answers, from windows that took turns.
fn while_measured(controls: &[(f64, f64)]) -> Option<Estimate> {
    let (measured, without): (Vec<f64>, Vec<f64>) = controls.iter().copied().unzip();
    bootstrap::interval(WindowSeries { amounts: &measured, per: &without }).map(Estimate::from)
}

fn summary(recommendation: Option<&Recommendation>, curves: &[Curve]) -> Vec<String> {
    if recommendation.is_none() {
        return vec!["No set-up served: see the problems.".to_owned()];
    }
    let mut summary = Vec::new();
    for (setup, seen) in curves {
        let Some(peak) = points::peak(seen) else { continue };
        let point = &peak.point;
        summary.push(format!(
            "{} answers up to {:.0} requests per second (at {}), for {:.2} ms of CPU time and {:.2} context switches each.",
            setup.name(),
            point.throughput.value,
            point.level,
            point.cpu_ms_per_request.value,
            point.voluntary_switches_per_request.value + point.preempted_switches_per_request.value,
        ));
    }
    summary
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::fixture::{URL, loaded, setup};

    /// One that bends at four, and one with half as much; each for another part of a CPU.
    fn observed() -> Observed {
        let (fast, slow) = (setup("gthread", 2), setup("sync", 2));
        let of_fast = [(1.0, 100.0), (2.0, 200.0), (4.0, 300.0), (8.0, 301.0), (16.0, 299.0)];
        let of_slow = [(1.0, 50.0), (2.0, 100.0), (4.0, 150.0), (8.0, 151.0), (16.0, 149.0)];
        let mut observed = Observed::default();
        observed.loaded.extend(of_slow.map(|(level, rate)| loaded(&slow, level, rate, 4.0)));
        observed.loaded.extend(of_fast.map(|(level, rate)| loaded(&fast, level, rate, 2.0)));
        observed
    }

    #[test]
    fn the_best_set_up_comes_first_and_its_knee_is_found() {
        let conclusions = conclude(&observed(), URL, 8.0);
        let best = setup("gthread", 2);
        assert_eq!(conclusions.recommendation.as_ref().map(|it| &it.best), Some(&best));
        assert_eq!(
            conclusions.series.iter().map(|series| &series.setup).collect::<Vec<_>>(),
            [&best, &setup("sync", 2)]
        );
        let series = &conclusions.series[0];
        assert_eq!(series.knee.as_ref().map(|knee| knee.level), Some(4.0));
        let rates: Vec<_> = series.points.iter().map(|point| point.throughput.value.round()).collect();
        assert_eq!(rates, [100.0, 200.0, 300.0, 301.0, 299.0]);
        assert!((series.points[2].cpu_ms_per_request.value - 2.0).abs() < 1e-9);
        assert!(series.usl.is_some(), "five points are enough");
        assert_eq!(conclusions.runs.len(), 10);
        assert!(conclusions.summary[0].contains("gthread"), "{:?}", conclusions.summary);
        assert_eq!(conclusions.throughput_while_measured, None);
    }

    #[test]
    fn nothing_is_concluded_of_another_url() {
        let conclusions = conclude(&observed(), "http://127.0.0.1/other", 8.0);
        assert!(conclusions.runs.is_empty() && conclusions.series.is_empty());
        assert_eq!(conclusions.recommendation, None);
    }
}
