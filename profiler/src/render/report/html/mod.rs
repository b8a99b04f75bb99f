//! An audit's report as one HTML file: it fetches nothing, and works in the light and in the dark.
//!
//! All names are hostile. The template escapes what it inserts; the two things it inserts as they are come from
//! here: plotters' elements, in which it has escaped the texts, and the flame graphs' JSON, in which no `<` is left.

mod axis;
mod chart;
mod flames;
mod plots;
mod routes;

use anyhow::{Context as _, Result};
use askama::Template;
pub use routes::pages;

use crate::{
    model::report::{Finding, Report},
    render::{
        report::{
            html::{flames::Flames, plots::Plot},
            table::ReportTable,
            tables, words,
        },
        term::escape,
    },
};

/// The page.
#[derive(Template)]
#[template(path = "report.html")]
struct Page {
    style: &'static str,
    script: &'static str,
    title: String,
    headline: String,
    /// What was asked for; empty if it is not known.
    url: String,
    /// That fewer rounds were made than asked for.
    rounds: Option<String>,
    margin: Option<String>,
    reason: String,
    summary: Vec<String>,
    findings: Vec<Claim>,
    /// Names of the set-ups, in the order of their colours.
    setups: Vec<String>,
    best: Option<ReportTable>,
    levels: Option<ReportTable>,
    idle: Option<ReportTable>,
    curves: Option<ReportTable>,
    budget: Option<ReportTable>,
    windows: Option<ReportTable>,
    throughput: Option<Plot>,
    plots: Vec<Plot>,
    budgets: Vec<Plot>,
    states: Vec<(usize, &'static str)>,
    /// JSON without a `<`; empty if there is no flame graph.
    flames: String,
    problems: Vec<ProblemView>,
    environment: Vec<(&'static str, String)>,
    commands: Vec<String>,
    quality: Vec<String>,
}

/// A finding, safe to be shown.
struct Claim {
    severity: &'static str,
    what: String,
    evidence: String,
    advice: String,
}

/// A problem, safe to be shown.
struct ProblemView {
    what: String,
    cause: Option<String>,
    last_words: Vec<String>,
}

/// Draws a report.
pub fn html(report: &Report) -> Result<String> {
    let shown = |text: &String| escape::visible(text).into_owned();
    let recommendation = report.recommendation.as_ref();
    let claim = |finding: &Finding| Claim {
        severity: words::severity(finding.severity),
        what: shown(&finding.claim),
        evidence: shown(&finding.evidence),
        advice: shown(&finding.advice),
    };
    let page = Page {
        style: include_str!("../../../../templates/report.css"),
        script: include_str!("../../../../templates/report.js"),
        title: shown(&report.subject),
        headline: words::headline(report),
        url: shown(&report.url),
        rounds: words::rounds(report),
        margin: recommendation.and_then(words::margin),
        reason: recommendation.map(|recommendation| shown(&recommendation.reason)).unwrap_or_default(),
        summary: report.summary.iter().map(shown).collect(),
        findings: report.findings.iter().map(claim).collect(),
        setups: report.series.iter().map(|series| shown(&series.setup.name())).collect(),
        best: tables::best(report),
        levels: tables::levels(report),
        idle: tables::idle(report),
        curves: tables::curves(report),
        budget: tables::budget(report),
        windows: tables::windows(report),
        throughput: plots::throughput(report)?,
        plots: plots::others(report)?,
        budgets: plots::budgets(report)?,
        states: plots::state_legend(report),
        flames: Flames::new(report).map(|flames| island(&flames)).transpose()?.unwrap_or_default(),
        problems: report
            .problems
            .iter()
            .map(|problem| ProblemView {
                what: words::problem(problem),
                cause: words::cause(problem),
                last_words: problem.last_words.iter().map(shown).collect(),
            })
            .collect(),
        environment: words::environment(report),
        commands: report.commands.iter().map(shown).collect(),
        quality: words::quality(report),
    };
    page.render().context("failed to render the report")
}

/// Data for the script, as JSON that cannot end its element: `<` occurs only inside of strings, where `\u003c` means
/// the same.
fn island(data: &impl serde::Serialize) -> Result<String> {
    let json = serde_json::to_string(data).context("failed to write the flame graphs")?;
    Ok(json.replace('<', "\\u003c").replace('>', "\\u003e"))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::model::{fixture, report::Setup, tables::FrameKind};

    /// The flame graphs' JSON, as a browser finds it: up to the first thing that ends a script.
    fn flames_of(page: &str) -> Value {
        let (_, rest) = page.split_once(r#"<script id="flame-data" type="application/json">"#).unwrap();
        serde_json::from_str(rest.split_once("</script").unwrap().0).unwrap()
    }

    #[test]
    fn hostile_names_stay_text_everywhere() {
        const NAME: &str = "</script><img src=x onerror=alert(1)>\"' <!--\u{202e}\x1b[2J{{ 7 }}";
        let mut report = fixture::report();
        let name = || NAME.to_owned();
        report.subject = name();
        report.url = name();
        report.about.command = name();
        report.about.host = name();
        report.commands = vec![name()];
        report.summary = vec![name()];
        report.quality.notes = vec![name()];
        report.problems[0].what = name();
        report.problems[0].cause = Some(name());
        report.problems[0].last_words = vec![name()];
        let finding = &mut report.findings[0];
        (finding.claim, finding.evidence, finding.advice) = (name(), name(), name());
        report.runs[0].load.errors = [(name(), 1)].into();
        let setup = Setup { worker_class: Some(name()), workers: Some(2) };
        report.recommendation.as_mut().unwrap().reason = name();
        report.recommendation.as_mut().unwrap().best = setup.clone();
        let series = &mut report.series[0];
        series.setup = setup;
        series.points[0].load_limited = Some(name());
        let recording = series.recording.as_mut().unwrap();
        recording.stat.fleets[0].workers[1].worker_class = Some(name());
        let frames = [(FrameKind::Python, NAME, "/srv/\"><script>.py", 1)];
        recording.profile.samples[0].stack = fixture::stack(&mut recording.profile, &frames);

        let page = html(&report).unwrap();
        // A tag begins with a `<`, and none of them is the name's.
        assert!(!page.contains("<img") && !page.contains("<!--"), "a tag out of a name");
        assert_eq!(page.matches("<script").count(), 2);
        assert_eq!(page.matches("</script").count(), 2);
        // An attribute ends with a `"`, and none of them is the name's either.
        assert!(page.match_indices("onerror").all(|(at, _)| !page[..at].ends_with("\" ")));
        assert!(!page.contains("onerror=alert(1)>"), "a `>` out of a name");
        assert!(!page.contains("alert(1)&gt;\""), "a quote out of a name");
        assert!(!page.contains(['\u{202e}', '\x1b']), "what acts on a reader");
        // And it is there to be read.
        let shown =
            r"&#60;/script&#62;&#60;img src=x onerror=alert(1)&#62;&#34;&#39; &#60;!--\u{202e}\x1b[2J{{ 7 }}";
        assert!(page.matches(shown).count() > 15, "{} times", page.matches(shown).count());
        let names = flames_of(&page)["names"].to_string();
        assert!(names.contains("</script><img src=x onerror=alert(1)>"), "{names}");
    }

    #[test]
    fn it_fetches_nothing() {
        let page = html(&fixture::report()).unwrap();
        for way in ["src=", "href=\"http", "url(", "@import", "<link", "fetch(", "XMLHttpRequest"] {
            assert!(!page.contains(way), "{way}");
        }
        assert!(page.contains("default-src 'none'"));
    }

    #[test]
    fn what_has_no_data_is_left_out() {
        let whole = html(&fixture::report()).unwrap();
        let nothing = html(&Report::default()).unwrap();
        for section in ["findings", "problems", "plots", "budget", "flames", "numbers"] {
            let id = format!("<section id=\"{section}\"");
            assert!(whole.contains(&id) && !nothing.contains(&id), "{section}");
            assert!(!nothing.contains(&format!("href=\"#{section}\"")), "{section}");
        }
        assert!(!nothing.contains("<table") && !nothing.contains("<svg"));
        assert!(nothing.contains("<h1>Nothing was measured</h1>"));
    }

    #[test]
    fn every_plot_has_a_name_and_its_numbers_in_words() {
        let page = html(&fixture::report()).unwrap();
        let plots = page.matches("<svg ").count();
        // Throughput, latency, CPU and switches of a request, CPUs of fleet and workers, a budget for each of two.
        assert_eq!(plots, 8);
        assert_eq!(page.matches("<title id=\"plot-").count(), plots);
        assert!(
            page.contains(">sync × 2: 800.000 at 10, 1,200.000 at 20; gthread × 2: 640.000 at 10,"),
            "{page}"
        );
    }

    #[test]
    fn every_colour_of_a_plot_is_one_that_the_style_sheet_knows() {
        let page = html(&fixture::report()).unwrap();
        let (style, body) = page.split_once("</style>").unwrap();
        for attribute in ["fill", "stroke"] {
            let begin = format!(" {attribute}=\"");
            let values = body.split(&begin).skip(1).filter_map(|rest| rest.split('"').next());
            for colour in values.filter(|value| *value != "none") {
                assert!(style.contains(&format!("svg [{attribute}=\"{colour}\"]")), "{attribute} {colour}");
            }
        }
        assert!(body.contains("fill=\"#010000\"") && body.contains("fill=\"#020000\""));
    }
}
