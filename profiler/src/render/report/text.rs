//! An audit's report for the terminal: what to run, what each set-up did, what bends its curve.

use crate::{
    model::report::{Finding, Report},
    render::{
        report::{
            table::{ReportTable, TableColumn},
            tables, words,
        },
        term::{
            self, escape,
            grid::{self, Column, RowKind, TableOptions},
        },
    },
};

/// A column's name is broken where it would be wider.
const HEAD_WIDTH: usize = 9;
/// Findings that are shown; the report has all.
const FINDINGS: usize = 5;

/// The summary of a report.
#[must_use]
pub fn text(report: &Report, options: TableOptions) -> String {
    let mut blocks = vec![answer(report, options)];
    let table = tables::levels(report).map(|table| grid(&table, options));
    blocks.extend(table);
    blocks.extend(findings(&report.findings, options));
    let problems = report.problems.iter().map(|problem| {
        let setup = problem.setup.name();
        let last =
            problem.last_words.last().map(|last| format!("\n  its last line: {}", escape::visible(last)));
        let what = format!("{}: {}", escape::visible(&setup), escape::visible(&problem.what));
        format!("{what}{}", last.unwrap_or_default())
    });
    let problems: Vec<_> = problems.collect();
    if !problems.is_empty() {
        blocks.push(problems.join("\n"));
    }
    blocks.push(format!("quality: {}", words::quality(report).join("\n  ")));
    blocks.join("\n\n") + "\n"
}

fn answer(report: &Report, options: TableOptions) -> String {
    let recommendation = report.recommendation.as_ref();
    let mut lines = vec![term::bold(&words::headline(report), options.colour)];
    lines.extend(recommendation.and_then(words::margin));
    let reason =
        recommendation.map(|recommendation| &recommendation.reason).filter(|reason| !reason.is_empty());
    let sentences = reason.into_iter().chain(&report.summary);
    lines.extend(sentences.map(|sentence| escape::visible(sentence).into_owned()));
    if report.interrupted {
        lines.push("ended early by the user".to_owned());
    }
    lines.join("\n")
}

fn findings(findings: &[Finding], options: TableOptions) -> Option<String> {
    let mut lines = Vec::new();
    for finding in findings.iter().take(FINDINGS) {
        lines.push(term::bold(&escape::visible(&finding.claim), options.colour));
        let below = [&finding.evidence, &finding.advice].map(|text| escape::visible(text));
        lines.extend(below.iter().filter(|text| !text.is_empty()).map(|text| format!("  {text}")));
    }
    let more = findings.len().saturating_sub(FINDINGS);
    if more > 0 {
        lines.push(format!("and {more} more in the report"));
    }
    (!lines.is_empty()).then(|| lines.join("\n"))
}

/// A table as a grid that fits the screen: intervals of throughputs only, and the name of a set-up once.
fn grid(table: &ReportTable, options: TableOptions) -> String {
    let shown = |at: &usize| table.columns[*at].name != tables::WINDOWS;
    let shown: Vec<usize> = (0..table.columns.len()).filter(shown).collect();
    let columns = shown.iter().map(|at| &table.columns[*at]);
    let heads: Vec<_> = columns.clone().map(head).collect();
    let height = heads.iter().map(Vec::len).max().unwrap_or(0);
    let columns = columns.zip(heads).map(|(column, head)| Column {
        head: "\n".repeat(height - head.len()) + &head.join("\n"),
        gap: 1,
        is_text: column.is_text,
    });
    let rows = table.rows.iter().map(|row| {
        let text = |at: &usize| match (&row.cells[*at], table.columns[*at].name.as_str()) {
            _ if *at == 0 && !row.begins => String::new(),
            (cell, tables::THROUGHPUT) if !cell.interval.is_empty() => {
                format!("{} ({})", cell.text, cell.interval)
            }
            (cell, _) => cell.text.clone(),
        };
        (RowKind::Process, shown.iter().map(text).collect())
    });
    grid::text(&columns.collect::<Vec<_>>(), rows, options)
}

/// The lines of a column's head.
fn head(column: &TableColumn) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in column.name.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= HEAD_WIDTH => {
                *line = format!("{line} {word}");
            }
            _ => lines.push(word.to_owned()),
        }
    }
    if !column.unit.is_empty() {
        lines.push(column.unit.replace("per ", "/"));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fixture;

    #[test]
    fn three_classes_under_four_loads_fit_the_screen() {
        let mut report = fixture::report();
        let mut series = report.series[0].clone();
        series.points = [10.0, 20.0, 50.0, 100.0]
            .map(|level| crate::model::report::Point { level, ..series.points[1].clone() })
            .to_vec();
        report.series = vec![series; 3];
        let text = text(&report, TableOptions::default());
        let widest = text.lines().map(|line| line.chars().count()).max();
        assert!(text.lines().count() <= 40, "{text}");
        assert!(widest <= Some(120), "{widest:?}\n{text}");
        assert!(text.starts_with("Run sync × 2\n"), "{text}");
        // In the head line, and once for each set-up.
        assert_eq!(text.matches("sync × 2").count(), 4, "{text}");
        assert_eq!(text.matches("1,200 (1,150–1,250)").count(), 12, "{text}");
    }

    #[test]
    fn only_a_willing_terminal_gets_escapes() {
        let mut report = fixture::report();
        report.findings[0].claim = "\x1b[2Jevil".to_owned();
        report.problems[0].last_words = vec!["\x1b[2Jworse\n".to_owned()];
        report.series[0].setup.worker_class = Some("\x1b[2Jclass".to_owned());
        assert!(!text(&report, TableOptions::default()).contains('\x1b'));
        let coloured = text(&report, TableOptions { colour: true, ..TableOptions::default() });
        assert!(coloured.contains("\x1b[1m") && !coloured.contains("\x1b[2J"), "{coloured}");
    }

    #[test]
    fn nothing_is_said() {
        let text = text(&Report::default(), TableOptions::default());
        assert!(text.starts_with("Nothing was measured\n\nquality: "), "{text}");
    }
}
