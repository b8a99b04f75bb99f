//! An audit's report for the terminal: what to run, what each set-up did, what bends its curve.

use crate::{
    model::report::{Finding, Problem, Report},
    render::{
        report::{
            table::{ReportTable, TableColumn},
            tables, words,
        },
        term::{
            self, escape,
            grid::{self, Column, RowKind, TableOptions},
            wrap::{indented, wrapped},
        },
    },
    units,
};

/// A column's name is broken where it would be wider.
const HEAD_WIDTH: usize = 9;
/// Findings that are shown; the report has all.
const FINDINGS: usize = 5;
/// How wide a table may be where no width is set.
const TABLE_WIDTH: usize = 120;

/// How the text looks.
#[derive(Clone, Copy, Debug, Default)]
pub struct TextOptions {
    /// Characters of a line; absent where sentences need not be broken, as in a file.
    pub width: Option<usize>,
    /// Bold and dim, for a terminal whose user has not set `NO_COLOR`.
    pub colour: bool,
    /// The last lines of servers that did not do what they should, too.
    pub verbose: bool,
}

/// The summary of a report, with these of its problems.
#[must_use]
pub fn text(report: &Report, problems: &[&Problem], options: TextOptions) -> String {
    let mut blocks = vec![answer(report, options)];
    blocks.extend(tables::levels(report).map(|table| grid(&table, options)));
    blocks.extend(findings(&report.findings, options));
    if !problems.is_empty() {
        let problems: Vec<_> = problems.iter().map(|told| problem(told, options)).collect();
        blocks.push(problems.join("\n"));
    }
    let quality = format!("quality: {}", words::quality(report).join("\n"));
    let quality: Vec<_> = quality.lines().map(|sentence| indented(sentence, 2, options.width)).collect();
    blocks.push(quality.join("\n").trim_start().to_owned());
    blocks.join("\n\n") + "\n"
}

fn answer(report: &Report, options: TextOptions) -> String {
    let recommendation = report.recommendation.as_ref();
    let mut sentences = Vec::new();
    if !report.url.is_empty() {
        sentences.push(format!("URL: {}", escape::visible(&report.url)));
    }
    sentences.extend(words::rounds(report));
    sentences.extend(recommendation.and_then(words::margin));
    let reason =
        recommendation.map(|recommendation| &recommendation.reason).filter(|reason| !reason.is_empty());
    let told = reason.into_iter().chain(&report.summary);
    sentences.extend(told.map(|sentence| escape::visible(sentence).into_owned()));
    let headline = wrapped(&words::headline(report), 0, options.width);
    let lines = sentences.iter().map(|sentence| wrapped(sentence, 0, options.width));
    std::iter::once(term::bold(&headline, options.colour)).chain(lines).collect::<Vec<_>>().join("\n")
}

fn findings(findings: &[Finding], options: TextOptions) -> Option<String> {
    let mut lines = Vec::new();
    for finding in findings.iter().take(FINDINGS) {
        lines.push(term::bold(&wrapped(&escape::visible(&finding.claim), 0, options.width), options.colour));
        let below = [&finding.evidence, &finding.advice].map(|text| escape::visible(text));
        let below = below.iter().filter(|text| !text.is_empty());
        lines.extend(below.map(|text| indented(text, 2, options.width)));
    }
    let more = findings.len().saturating_sub(FINDINGS);
    if more > 0 {
        lines.push(format!("and {more} more in the report"));
    }
    (!lines.is_empty()).then(|| lines.join("\n"))
}

/// A problem and its cause; behind them the server's last lines or where these are.
fn problem(problem: &Problem, options: TextOptions) -> String {
    let mut lines = vec![term::bold(&wrapped(&words::problem(problem), 0, options.width), options.colour)];
    lines.extend(words::cause(problem).map(|cause| indented(&cause, 2, options.width)));
    if options.verbose {
        lines.extend(problem.last_words.iter().map(|line| format!("    {}", escape::visible(line))));
    } else if problem.last_words.len() > 1 {
        let count = units::counted(problem.last_words.len() as u64, "line");
        lines.push(indented(&format!("its last {count}: in the report, or with -v"), 2, options.width));
    }
    lines.join("\n")
}

/// A table as a grid that fits the screen: intervals of throughputs only, the name of a set-up once, and of the columns as
/// many as there is room for.
fn grid(table: &ReportTable, options: TextOptions) -> String {
    let limit = options.width.unwrap_or(TABLE_WIDTH);
    // What more there is in words is in the report.
    let is_told = |at: &usize| *at == 0 || !table.columns[*at].is_text;
    let mut columns: Vec<_> =
        (0..table.columns.len()).filter(is_told).map(|at| GridColumn::of(table, at)).collect();
    let mut left_out = Vec::new();
    for name in tables::DISPENSABLE {
        if columns.iter().map(GridColumn::width).sum::<usize>() <= limit + GAP {
            break;
        }
        // That requests failed must not be overlooked.
        let may_go = |column: &GridColumn| {
            column.name == name && (name != tables::ERRORS || column.texts.iter().all(|text| text == "0"))
        };
        if let Some(at) = columns.iter().position(may_go) {
            left_out.push(columns.remove(at).name);
        }
    }
    let excess = columns.iter().map(GridColumn::width).sum::<usize>().saturating_sub(limit + GAP);
    if let Some(names) = columns.first_mut().filter(|_| excess > 0) {
        names.shorten(names.width().saturating_sub(excess + GAP).max(SHORTEST_NAME));
    }
    let height = columns.iter().map(|column| column.head.len()).max().unwrap_or(0);
    let last = columns.len().saturating_sub(1);
    let heads: Vec<_> = columns
        .iter()
        .enumerate()
        .map(|(at, column)| Column {
            head: "\n".repeat(height - column.head.len()) + &column.head.join("\n"),
            gap: if at == last { 0 } else { GAP as u16 - 1 },
            is_text: column.is_text,
        })
        .collect();
    let rows = (0..table.rows.len()).map(|row| {
        let texts = columns.iter().map(|column| column.texts[row].clone()).collect();
        (RowKind::Process, texts)
    });
    let rows: Vec<_> = rows.collect();
    let drawn = grid::text(&heads, rows, TableOptions { colour: options.colour, ..TableOptions::default() });
    left_out.retain(|name| *name != tables::WINDOWS);
    if left_out.is_empty() {
        return drawn;
    }
    let note = format!("in the report, or where there is more room: {}", left_out.join(", "));
    format!("{drawn}\n{}", wrapped(&note, 0, options.width))
}

/// A set-up's name is not cut to less, however narrow the screen is.
const SHORTEST_NAME: usize = 12;
/// Blanks between two columns.
const GAP: usize = 2;

/// A column of the grid.
struct GridColumn<'a> {
    name: &'a str,
    is_text: bool,
    head: Vec<String>,
    texts: Vec<String>,
}

impl<'a> GridColumn<'a> {
    fn of(table: &'a ReportTable, at: usize) -> Self {
        let column = &table.columns[at];
        let texts = table.rows.iter().map(|row| match (&row.cells[at], column.name.as_str()) {
            _ if at == 0 && !row.begins => String::new(),
            (cell, tables::THROUGHPUT) if !cell.interval.is_empty() => {
                format!("{} ({})", cell.text, cell.interval)
            }
            (cell, _) => cell.text.clone(),
        });
        Self { name: &column.name, is_text: column.is_text, head: head(column), texts: texts.collect() }
    }

    /// How wide it is with the blanks behind it, in characters.
    fn width(&self) -> usize {
        let widest = self.head.iter().chain(&self.texts).map(|line| line.chars().count()).max();
        widest.unwrap_or(0) + GAP
    }

    /// Cuts its texts to so many characters, of which the last tell most.
    fn shorten(&mut self, length: usize) {
        for text in &mut self.texts {
            let count = text.chars().count();
            if count > length {
                *text = format!("…{}", text.chars().skip(count - length + 1).collect::<String>());
            }
        }
    }
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

    fn of(report: &Report, options: TextOptions) -> String {
        text(report, &report.problems.iter().collect::<Vec<_>>(), options)
    }

    /// Three classes under four loads.
    fn large() -> Report {
        let mut report = fixture::report();
        let mut series = report.series[0].clone();
        series.points = [10.0, 20.0, 50.0, 100.0]
            .map(|level| crate::model::report::Point { level, errors: 0, ..series.points[1].clone() })
            .to_vec();
        report.series = vec![series; 3];
        report
    }

    #[test]
    fn three_classes_under_four_loads_fit_the_screen() {
        let text = of(&large(), TextOptions::default());
        assert!(text.lines().count() <= 40, "{text}");
        assert!(text.starts_with("Run sync × 2\nURL: http://127.0.0.1:8000/\n"), "{text}");
        // In the head line, and once for each set-up.
        assert_eq!(text.matches("sync × 2").count(), 4, "{text}");
        assert_eq!(text.matches("1,200 (1,150–1,250)").count(), 12, "{text}");
    }

    #[test]
    fn every_line_fits_its_screen() {
        for width in 72..=200 {
            let text = of(&large(), TextOptions { width: Some(width), ..TextOptions::default() });
            let widest = text.lines().map(|line| line.chars().count()).max().unwrap();
            assert!(widest <= width, "{widest} of {width}\n{text}");
            assert!(text.contains("throughput") && text.contains("CPU per"), "{width}\n{text}");
        }
    }

    #[test]
    fn more_room_shows_more_columns() {
        let has = |width, column| {
            let text = of(&large(), TextOptions { width: Some(width), ..TextOptions::default() });
            let (_, table) = text.split_once("\n\n").unwrap();
            table.lines().take_while(|line| !line.contains('─')).any(|line| line.contains(column))
        };
        assert!(has(80, "latency") && !has(80, "voluntary") && !has(80, "CPUs busy"));
        assert!(has(120, "voluntary") && has(120, "CPUs busy"));
        assert!(has(200, "windows"));
    }

    #[test]
    fn a_long_name_does_not_widen_the_table() {
        let mut report = large();
        report.series[0].setup.worker_class = Some("gunicorn.workers.sync.SyncWorker".to_owned());
        let text = of(&report, TextOptions { width: Some(80), ..TextOptions::default() });
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        assert!(text.lines().any(|line| line.starts_with('…') && line.contains("Worker × 2 ")), "{text}");
    }

    #[test]
    fn errors_stay_on_a_narrow_screen() {
        let narrow = TextOptions { width: Some(60), ..TextOptions::default() };
        let mut report = large();
        assert!(!of(&report, narrow).contains("  errors\n"));
        report.series[0].points[0].errors = 3;
        assert!(of(&report, narrow).contains("  errors\n"));
    }

    #[test]
    fn a_problem_has_its_cause_and_with_v_all_that_was_said() {
        let report = fixture::report();
        let head = "tornado × 2: the server did not come up (2 times)\n  ModuleNotFoundError: No module named 'tornado'\n";
        let text = of(&report, TextOptions::default());
        assert!(text.contains(&format!("{head}  its last 2 lines: in the report, or with -v\n")), "{text}");
        assert!(!text.contains("Shutting down"), "{text}");
        let verbose = of(&report, TextOptions { verbose: true, ..TextOptions::default() });
        assert!(verbose.contains(head) && verbose.contains("\n    [4711] [INFO] Shutting down"), "{verbose}");
    }

    #[test]
    fn only_a_willing_terminal_gets_escapes() {
        let mut report = fixture::report();
        report.url = "\x1b[2Jurl".to_owned();
        report.findings[0].claim = "\x1b[2Jevil".to_owned();
        report.problems[0].last_words = vec!["\x1b[2Jworse\n".to_owned()];
        report.problems[0].cause = Some("\x1b[2Jworst".to_owned());
        report.series[0].setup.worker_class = Some("\x1b[2Jclass".to_owned());
        let plain = TextOptions { verbose: true, ..TextOptions::default() };
        assert!(!of(&report, plain).contains('\x1b'));
        let coloured = of(&report, TextOptions { colour: true, ..plain });
        assert!(coloured.contains("\x1b[1m") && !coloured.contains("\x1b[2J"), "{coloured}");
    }

    #[test]
    fn nothing_is_said() {
        let text = of(&Report::default(), TextOptions::default());
        assert!(text.starts_with("Nothing was measured\n\nquality: "), "{text}");
    }
}
