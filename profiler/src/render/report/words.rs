//! What an audit's report says in words: the same in HTML, in Markdown and on the terminal. All of it is safe for a
//! terminal.

use std::time::Duration;

use crate::{
    model::{
        budget_state::BudgetState,
        estimate::Estimate,
        report::{Problem, Recommendation, Report, Rounds, Setup, Severity},
    },
    render::{reason, stat::quality, term::escape},
    units,
};

/// Measured throughputs that differ by less are called no difference where chance is not excluded.
const ALIKE: f64 = 0.1;

/// The answer in a few words.
#[must_use]
pub fn headline(report: &Report) -> String {
    let served = || report.series.iter().filter(|series| !series.points.is_empty());
    let Some(recommendation) = &report.recommendation else {
        let answer = if served().count() == 0 { "Nothing was measured" } else { "No recommendation" };
        return answer.to_owned();
    };
    let Recommendation { best, second, margin, is_real, equals, .. } = recommendation;
    let name = |setup: &Setup| escape::visible(&setup.name()).into_owned();
    let alone = second.is_none() && report.problems.iter().all(|problem| problem.setup == *best);
    if alone {
        return alone_headline(report, best);
    }
    if *is_real {
        return format!("Run {}", name(best));
    }
    let are_alike = margin.is_some_and(|margin| (margin.value - 1.0).abs() <= ALIKE);
    let verdict = if are_alike { "No difference" } else { "Not decided" };
    if served().all(|series| series.setup == *best || equals.contains(&series.setup)) {
        return format!("{verdict}: keep what you have");
    }
    let names: Vec<_> = std::iter::once(best).chain(equals).map(name).collect();
    format!("Run {}: {} between them", names.join(" or "), verdict.to_lowercase())
}

/// What a set-up does that is compared with none.
fn alone_headline(report: &Report, setup: &Setup) -> String {
    let points =
        report.series.iter().filter(|series| series.setup == *setup).flat_map(|series| &series.points);
    let most = points.map(|point| point.throughput.value).fold(0.0, f64::max);
    format!("{}: up to {} requests per second", escape::visible(&setup.name()), units::decimal(most, 0))
}

/// How the best compares with the one that comes closest; absent if there is none, or nothing to compare by.
#[must_use]
pub fn margin(recommendation: &Recommendation) -> Option<String> {
    let [best, second] = [&recommendation.best, recommendation.second.as_ref()?].map(Setup::name);
    let (best, second) = (escape::visible(&best), escape::visible(&second));
    let ratio = ratio(recommendation.margin?);
    Some(if recommendation.is_real {
        format!("{ratio} the throughput of the second best, {second}")
    } else {
        format!("{best} compared with {second}: {ratio} the throughput")
    })
}

/// That fewer rounds were made than asked for, and why; absent if they were not.
#[must_use]
pub fn rounds(report: &Report) -> Option<String> {
    let Rounds { made, asked, limit_ns } = report.rounds;
    let rounds = units::counted(asked.into(), "round");
    match (report.interrupted, made < asked) {
        (true, true) => Some(format!("{made} of {rounds}: ended early by the user")),
        (true, false) => {
            Some(format!("ended early by the user, after {}", units::counted(made.into(), "round")))
        }
        (false, true) if report.runs.is_empty() => {
            Some(format!("{made} of {rounds}: nothing was measured in it"))
        }
        (false, true) => Some(format!("{made} of {rounds}: the time limit of {} s", limit_ns as f64 / 1e9)),
        (false, false) => None,
    }
}

/// A problem in a sentence, with how often it came up.
#[must_use]
pub fn problem(problem: &Problem) -> String {
    let times = if problem.times > 1 { format!(" ({} times)", problem.times) } else { String::new() };
    format!("{}: {}{times}", escape::visible(&problem.setup.name()), escape::visible(&problem.what))
}

/// What is behind a problem: the line that says why or, if none does, the last one; absent if nothing was written.
#[must_use]
pub fn cause(problem: &Problem) -> Option<String> {
    let last = || problem.last_words.last().map(|last| format!("its last line: {}", escape::visible(last)));
    problem.cause.as_ref().map(|cause| escape::visible(cause).into_owned()).or_else(last)
}

/// `1.32× (1.28–1.36)`.
fn ratio(Estimate { value, low, high }: Estimate) -> String {
    let [value, low, high] = [value, low, high].map(|number| units::decimal(number, 2));
    format!("{value}× ({low}–{high})")
}

/// Whether measuring changed the throughput; absent if it was not tried.
fn measuring(report: &Report) -> Option<String> {
    let Estimate { value, low, high } = report.throughput_while_measured?;
    let [value, low, high] = [value, low, high].map(|number| units::decimal(number, 3));
    Some(format!(
        "throughput while measured was {value} of that without ({low}–{high}), in windows that took turns"
    ))
}

/// What a level is.
#[must_use]
pub fn level(report: &Report) -> &'static str {
    let latencies = || report.runs.iter().filter_map(|run| run.load.latency);
    if latencies().any(|latency| latency.from_due_time) { "requests sent per second" } else { "concurrency" }
}

/// A state of a budget as people say it.
#[must_use]
pub const fn state(state: BudgetState) -> &'static str {
    match state {
        BudgetState::OnCpu => "on CPU",
        BudgetState::RunQueue => "run queue",
        BudgetState::Blocked(reason) => reason::title(reason),
    }
}

/// How much a finding matters.
#[must_use]
pub const fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Note => "note",
        Severity::Advice => "advice",
        Severity::Warning => "warning",
    }
}

/// Where and how it was made: names and what they stand for.
#[must_use]
pub fn environment(report: &Report) -> Vec<(&'static str, String)> {
    let about = &report.about;
    let took = if report.interrupted { " (ended early by the user)" } else { "" };
    let mut facts = vec![
        ("audited", report.subject.clone()),
        ("URL", report.url.clone()),
        ("began", units::utc(Duration::from_nanos(report.started_unix_ns))),
        ("took", format!("{}{took}", units::minutes(report.duration_ns))),
        ("host", about.host.clone()),
        ("CPUs", about.cpus.to_string()),
        ("kernel", about.kernel.clone()),
        ("punchclock", about.version.clone()),
        ("command", about.command.clone()),
    ];
    facts.retain(|(_, fact)| !fact.is_empty());
    for (_, fact) in &mut facts {
        *fact = escape::visible(fact).into_owned();
    }
    facts
}

/// How good the numbers are, a sentence each.
#[must_use]
pub fn quality(report: &Report) -> Vec<String> {
    let mut sentences = quality::sentences(&report.quality, report.duration_ns);
    sentences.splice(0..0, measuring(report));
    sentences
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{fixture, report::Series};

    #[test]
    fn the_answer_says_what_to_run_and_how_sure_it_is() {
        let mut report = fixture::report();
        assert_eq!(headline(&report), "Run sync × 2");
        let recommendation = report.recommendation.as_mut().unwrap();
        let better = "1.25× (1.20–1.30) the throughput of the second best, gthread × 2";
        assert_eq!(margin(recommendation).as_deref(), Some(better));
        (recommendation.is_real, recommendation.equals) =
            (false, recommendation.second.clone().into_iter().collect());
        let equal = "sync × 2 compared with gthread × 2: 1.25× (1.20–1.30) the throughput";
        assert_eq!(margin(recommendation).as_deref(), Some(equal));
        recommendation.margin = Some(Estimate { value: 1.02, low: 0.95, high: 1.1 });
        assert_eq!(headline(&report), "No difference: keep what you have");
        // A third is surely behind these two.
        let setup = Setup { worker_class: Some("eventlet".to_owned()), workers: Some(2) };
        report.series.push(Series { setup, ..report.series[0].clone() });
        assert_eq!(headline(&report), "Run sync × 2 or gthread × 2: no difference between them");
        report.series.pop();
        for margin in [None, Some(Estimate { value: 1.6, low: 0.4, high: 6.0 })] {
            report.recommendation.as_mut().unwrap().margin = margin;
            assert_eq!(headline(&report), "Not decided: keep what you have");
        }
        report.recommendation = None;
        assert_eq!(headline(&report), "No recommendation");
    }

    #[test]
    fn one_alone_is_recommended_only_over_those_that_did_not_serve() {
        let mut report = fixture::report();
        let recommendation = report.recommendation.as_mut().unwrap();
        recommendation.second = None;
        assert_eq!(margin(recommendation), None);
        assert_eq!(headline(&report), "Run sync × 2");
        report.problems.clear();
        assert_eq!(headline(&report), "sync × 2: up to 1,200 requests per second");
    }

    #[test]
    fn fewer_rounds_than_asked_are_said_with_why() {
        let mut report = fixture::report();
        assert_eq!(rounds(&report), None);
        report.rounds = Rounds { made: 2, asked: 3, limit_ns: 100_000_000_000 };
        assert_eq!(rounds(&report).as_deref(), Some("2 of 3 rounds: the time limit of 100 s"));
        report.interrupted = true;
        assert_eq!(rounds(&report).as_deref(), Some("2 of 3 rounds: ended early by the user"));
        report.rounds.made = 4;
        assert_eq!(rounds(&report).as_deref(), Some("ended early by the user, after 4 rounds"));
    }

    #[test]
    fn a_problem_is_a_sentence_and_its_cause_another() {
        let mut told = fixture::report().problems.remove(0);
        assert_eq!(problem(&told), "tornado × 2: the server did not come up (2 times)");
        assert_eq!(cause(&told).as_deref(), Some("ModuleNotFoundError: No module named 'tornado'"));
        (told.times, told.cause) = (1, None);
        assert_eq!(problem(&told), "tornado × 2: the server did not come up");
        assert_eq!(cause(&told).as_deref(), Some("its last line: [4711] [INFO] Shutting down: Master"));
        told.last_words.clear();
        assert_eq!(cause(&told), None);
    }

    #[test]
    fn an_open_loop_is_known_by_its_latencies() {
        let mut report = fixture::report();
        assert_eq!(level(&report), "concurrency");
        report.runs[0].load.latency.as_mut().unwrap().from_due_time = true;
        assert_eq!(level(&report), "requests sent per second");
    }
}
