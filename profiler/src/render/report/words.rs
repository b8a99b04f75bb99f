//! What an audit's report says in words: the same in HTML, in Markdown and on the terminal. All of it is safe for a
//! terminal.

use std::time::Duration;

use crate::{
    model::{
        budget_state::BudgetState,
        estimate::Estimate,
        report::{Recommendation, Report, Setup, Severity},
    },
    render::{reason, stat::quality, term::escape},
    units,
};

/// The answer in a few words.
#[must_use]
pub fn headline(report: &Report) -> String {
    match &report.recommendation {
        None if report.series.iter().all(|series| series.points.is_empty()) => {
            "Nothing was measured".to_owned()
        }
        None => "No recommendation".to_owned(),
        Some(recommendation) if recommendation.second.is_some() && !recommendation.is_real => {
            "No difference measured".to_owned()
        }
        Some(recommendation) => match recommendation.best.name() {
            name if recommendation.best == Setup::default() => escape::visible(&name).into_owned(),
            name => format!("Run {}", escape::visible(&name)),
        },
    }
}

/// How the best compares with the second best; absent if there is no second.
#[must_use]
pub fn margin(recommendation: &Recommendation) -> Option<String> {
    let [best, second] = [&recommendation.best, recommendation.second.as_ref()?].map(Setup::name);
    let (best, second) = (escape::visible(&best), escape::visible(&second));
    let ratio = recommendation.margin.map(|margin| format!(" {}", ratio(margin)));
    Some(match (ratio, recommendation.is_real) {
        (Some(ratio), true) => {
            format!("{ratio} the throughput of the second best, {second}").trim().to_owned()
        }
        (Some(ratio), false) => format!("{best} and {second} may as well be equal:{ratio}"),
        (None, true) => format!("the second best is {second}"),
        (None, false) => format!("{best} and {second} may as well be equal"),
    })
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
    use crate::model::fixture;

    #[test]
    fn the_answer_says_what_to_run_and_how_sure_it_is() {
        let mut report = fixture::report();
        assert_eq!(headline(&report), "Run sync × 2");
        let recommendation = report.recommendation.as_mut().unwrap();
        let better = "1.25× (1.20–1.30) the throughput of the second best, gthread × 2";
        assert_eq!(margin(recommendation).as_deref(), Some(better));
        recommendation.is_real = false;
        let equal = "sync × 2 and gthread × 2 may as well be equal: 1.25× (1.20–1.30)";
        assert_eq!(margin(recommendation).as_deref(), Some(equal));
        assert_eq!(headline(&report), "No difference measured");
        let recommendation = report.recommendation.as_mut().unwrap();
        recommendation.second = None;
        assert_eq!(margin(recommendation), None);
        assert_eq!(headline(&report), "Run sync × 2");
        report.recommendation = None;
        assert_eq!(headline(&report), "No recommendation");
    }

    #[test]
    fn an_open_loop_is_known_by_its_latencies() {
        let mut report = fixture::report();
        assert_eq!(level(&report), "concurrency");
        report.runs[0].load.latency.as_mut().unwrap().from_due_time = true;
        assert_eq!(level(&report), "requests sent per second");
    }
}
