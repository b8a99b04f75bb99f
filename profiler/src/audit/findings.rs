//! Conclusions beside the recommendation, each with its evidence and, where there is one, advice.

use crate::{
    audit::{
        bend::{self, Bend},
        observed::{Idling, Observed},
        points::{self, Curve},
    },
    fleet::servers,
    model::{
        accounting::{FleetDelta, WorkerDelta},
        estimate::Estimate,
        plumbing,
        profile::Profile,
        report::{Finding, Point, Severity},
        tables::StackId,
    },
    render::location::{self, ShortPaths},
};

/// An idle process should wake up at most this many times as often as its server's design says …
const WAKES: f64 = 2.0;
/// Most wake-ups per second of an idle process whose server's design is not known.
const WAKEUPS_PER_SECOND: f64 = 50.0;
/// An idle process should run at most so many ms per second.
const IDLE_MS: f64 = 20.0;
/// More than this part of the requests failed.
const ERRORS: f64 = 0.001;

/// All findings, the weightiest first.
#[must_use]
pub fn findings(observed: &Observed, curves: &[Curve], bends: &[Bend]) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(observed.idle.iter().flat_map(spinners));
    findings.extend(curves.iter().filter_map(errors));
    let bends: Vec<_> = curves.iter().map(|(setup, _)| setup).zip(bends).collect();
    findings.extend(bend::findings(&bends));
    findings.extend(switches(curves));
    findings.extend(shared(observed));
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    findings
}

/// Processes that are busy though there is nothing to do.
fn spinners(idling: &Idling) -> Vec<Finding> {
    let seconds = idling.stat.duration_ns.max(1) as f64 / 1e9;
    let finding = |(fleet, worker): (&FleetDelta, &WorkerDelta)| {
        let wakeups = worker.counters.wakeups as f64 / seconds;
        let ms = worker.counters.on_cpu_ns as f64 / 1e6 / seconds;
        let most = servers::idle_design(fleet, worker)
            .map_or(WAKEUPS_PER_SECOND, |design| design.to_per_second * WAKES);
        let wakes = wakeups > most.max(WAKEUPS_PER_SECOND / 5.0);
        if !wakes && ms <= IDLE_MS {
            return None;
        }
        let place =
            if wakes { waking(&idling.profile, worker.tgid) } else { running(&idling.profile, worker.tgid) };
        let place = place.map(|place| format!("; most of it in {place}")).unwrap_or_default();
        Some(Finding {
            severity: Severity::Warning,
            claim: format!(
                "{}: {} {} is busy while there is nothing to do{place}",
                idling.setup.name(),
                worker.role.name(),
                worker.tgid
            ),
            evidence: format!(
                "{wakeups:.1} wake-ups and {ms:.1} ms of CPU time per second, for {seconds:.0} s without a request"
            ),
            advice: "wait for an event instead of looking for it again and again".to_owned(),
        })
    };
    idling.stat.with_fleets().filter_map(finding).collect()
}

/// The function whose sleeps end most often.
fn waking(profile: &Profile, tgid: u32) -> Option<String> {
    let waits =
        profile.blocked.iter().filter(|wait| wait.tgid == tgid).map(|wait| (wait.stack, wait.times.count));
    heaviest(profile, waits)
}

/// The function that runs most.
fn running(profile: &Profile, tgid: u32) -> Option<String> {
    let samples = profile.samples.iter().filter(|sample| sample.tgid == tgid);
    heaviest(profile, samples.map(|sample| (sample.stack, sample.count)))
}

/// The function, and its file, of whom the heaviest stacks are.
fn heaviest(profile: &Profile, stacks: impl Iterator<Item = (Option<StackId>, u64)>) -> Option<String> {
    let mut sums = std::collections::BTreeMap::new();
    for (stack, weight) in stacks {
        if let Some(frame) = plumbing::responsible(profile, stack) {
            *sums.entry((frame.name, frame.file)).or_insert(0) += weight;
        }
    }
    let ((name, file), _) = sums.into_iter().max_by_key(|(_, weight)| *weight)?;
    let file = file.map_or("", |file| profile.string(file));
    Some(location::text(profile.string(name), ShortPaths::of_profile(profile).of(file), 0))
}

fn errors((setup, seen): &Curve) -> Option<Finding> {
    let failed: u64 = seen.iter().map(|seen| seen.point.errors).sum();
    let answered: f64 = seen.iter().flat_map(|seen| &seen.slices).map(|slice| slice.requests).sum();
    (failed as f64 > ERRORS * (answered + failed as f64)).then(|| Finding {
        severity: Severity::Warning,
        claim: format!("{}: requests failed", setup.name()),
        evidence: format!("{failed} of {:.0}", answered + failed as f64),
        advice: "see the runs for what went wrong; numbers per request count answers only".to_owned(),
    })
}

/// Who switches more for a request, if the intervals say so.
fn switches(curves: &[Curve]) -> Option<Finding> {
    let peaks = curves.iter().filter_map(|(setup, seen)| Some((setup.name(), &points::peak(seen)?.point)));
    let switches = |(name, point): (String, &Point)| {
        (name, [point.voluntary_switches_per_request, point.preempted_switches_per_request])
    };
    let mut each: Vec<_> = peaks.map(switches).collect();
    let sum = |kinds: &[Estimate; 2], part: fn(&Estimate) -> f64| kinds.iter().map(part).sum::<f64>();
    each.sort_by(|one, other| sum(&one.1, |kind| kind.value).total_cmp(&sum(&other.1, |kind| kind.value)));
    let (least, most) = (each.first()?, each.last()?);
    let words = |(name, [voluntary, preempted]): &(String, [Estimate; 2])| {
        format!("{name} {:.2} voluntary and {:.2} preempted", voluntary.value, preempted.value)
    };
    (sum(&least.1, |kind| kind.high) < sum(&most.1, |kind| kind.low)).then(|| Finding {
        severity: Severity::Note,
        claim: format!("{} switches least for a request, {} most", least.0, most.0),
        evidence: each.iter().map(words).collect::<Vec<_>>().join("; "),
        advice: String::new(),
    })
}

/// The load generator took CPU time from the server.
fn shared(observed: &Observed) -> Option<Finding> {
    let evidence = observed.shared_cpus.clone()?;
    Some(Finding {
        severity: Severity::Note,
        claim: "the load generator and the workers shared CPUs".to_owned(),
        evidence,
        advice:
            "for absolute numbers, give the server CPUs of its own (taskset), or measure from another machine"
                .to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        audit::fixture::{URL, loaded, setup},
        model::fixture,
    };

    fn claims(observed: &Observed) -> Vec<String> {
        let setups = [setup("gthread", 2), setup("sync", 2)];
        let loaded: Vec<_> = observed.loaded.iter().collect();
        let curves = setups.map(|setup| (setup.clone(), points::curve(&loaded, &setup, 8.0)));
        let findings = findings(observed, &curves, &[Bend::NotReached, Bend::NotReached]);
        assert!(findings.is_sorted_by_key(|finding| std::cmp::Reverse(finding.severity)));
        findings.into_iter().map(|finding| finding.claim).collect()
    }

    #[test]
    fn failures_and_shared_cpus_are_found() {
        let mut observed = Observed::default();
        observed.loaded.push(loaded(&setup("gthread", 2), 4.0, 100.0, 1.0));
        assert_eq!(observed.loaded[0].run.url, URL);
        assert_eq!(claims(&observed), Vec::<String>::new());
        observed.loaded[0].run.load.errors.insert("status 500".to_owned(), 50);
        observed.shared_cpus = Some("both may use CPU 0".to_owned());
        let found = claims(&observed);
        assert!(found[0].ends_with("requests failed") && found[0].contains("gthread"), "{found:?}");
        assert_eq!(found[1], "the load generator and the workers shared CPUs");
    }

    #[test]
    fn who_switches_more_is_named_only_if_it_surely_does() {
        let mut observed = Observed::default();
        for class in ["gthread", "sync"] {
            observed.loaded.extend([100.0, 101.0].map(|rate| loaded(&setup(class, 2), 4.0, rate, 1.0)));
        }
        assert_eq!(claims(&observed), Vec::<String>::new(), "2.50 each");
        for slice in &mut observed.loaded[0].slices {
            slice.voluntary *= 1.2;
        }
        assert_eq!(claims(&observed), Vec::<String>::new(), "one window of two");
        for slice in &mut observed.loaded[1].slices {
            slice.voluntary *= 1.2;
        }
        assert_eq!(claims(&observed), ["sync × 2 switches least for a request, gthread × 2 most"]);
    }

    #[test]
    fn who_is_busy_without_work_is_named_with_its_function() {
        let mut stat = fixture::stat();
        for worker in stat.processes_mut() {
            (worker.counters.wakeups, worker.counters.on_cpu_ns) = (0, 0);
        }
        let quiet =
            Idling { setup: setup("sync", 2), stat: stat.clone(), profile: fixture::recording().profile };
        let mut observed = Observed { idle: vec![quiet], ..Observed::default() };
        assert_eq!(claims(&observed), Vec::<String>::new());
        for worker in observed.idle[0].stat.processes_mut().filter(|worker| worker.tgid == 1234) {
            worker.counters.wakeups = 1_000;
        }
        let found = claims(&observed);
        assert!(
            found.len() == 1 && found[0].contains("worker 1234 is busy while there is nothing to do"),
            "{found:?}"
        );
        assert!(found[0].contains("most of it in SyncWorker.wait (gunicorn/workers/sync.py)"), "{found:?}");
    }
}
