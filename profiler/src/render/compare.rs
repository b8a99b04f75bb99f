//! A comparison of recordings as text and as Markdown: the numbers of each group, a sentence for each real difference,
//! the functions that changed most, and what could not be told.

use crate::{
    model::diff::{Diff, FunctionDiff, GroupDiff, NumberDiff},
    render::{
        location::{self, ShortPaths},
        markdown,
        term::{
            escape,
            grid::{self, Column, RowKind, TableOptions},
        },
    },
    units,
};

/// Functions that are shown; JSON has all.
const FUNCTIONS: usize = 10;

/// For a terminal.
#[must_use]
pub fn text(diff: &Diff, options: TableOptions) -> String {
    let mut blocks = vec![headline(diff)];
    for group in &diff.groups {
        let rows = shown(group).map(|number| {
            (
                if number.is_real == Some(true) { RowKind::Sum } else { RowKind::Process },
                cells(number).to_vec(),
            )
        });
        blocks.push(format!("{}\n{}", title(group), grid::text(&columns(&NUMBERS), rows, options)));
    }
    blocks.push(sentences(diff).join("\n"));
    if !diff.functions.is_empty() {
        let rows = functions(diff).into_iter().map(|cells| (RowKind::Process, cells));
        let table = grid::text(&columns(&FUNCTION), rows, options);
        blocks.push(format!("functions, ms of on-CPU time per {}\n{table}", diff.per.name()));
    }
    blocks.extend(diff.notes.iter().map(|note| format!("note: {}", escape::visible(note))));
    blocks.join("\n\n") + "\n"
}

/// For a pull request.
#[must_use]
pub fn markdown(diff: &Diff) -> String {
    let mut blocks = vec![format!("## {}", markdown::line(&headline(diff)))];
    blocks.extend(sentences(diff).iter().map(|sentence| format!("- {}", markdown::line(sentence))));
    for group in &diff.groups {
        let rows = shown(group).map(|number| cells(number).to_vec()).collect();
        blocks.push(format!("### {}\n\n{}", markdown::line(&title(group)), table(&NUMBERS, rows)));
    }
    if !diff.functions.is_empty() {
        let table = table(&FUNCTION, functions(diff));
        blocks.push(format!("### Functions, ms of on-CPU time per {}\n\n{table}", diff.per.name()));
    }
    blocks.extend(diff.notes.iter().map(|note| markdown::line(&escape::visible(note))));
    blocks.join("\n\n") + "\n"
}

fn headline(diff: &Diff) -> String {
    let side = |side: &crate::model::diff::Side| {
        let requests = side.requests.map(|count| format!(", {}", units::counted(count, "request")));
        let (name, requests) = (escape::visible(&side.name), requests.unwrap_or_default());
        format!("{name} ({}{requests})", units::seconds(side.duration_ns))
    };
    format!("{} → {}", side(&diff.before), side(&diff.after))
}

fn title(group: &GroupDiff) -> String {
    let [before, after] = [0, 1]
        .map(|side| group.worker_class[side].as_deref().map(|class| format!(" {class}")).unwrap_or_default());
    let class = if before == after { before } else { format!("{before} →{after}") };
    let [old, new] = group.processes;
    let count = if old == new { format!("× {old}") } else { format!("× {old} → × {new}") };
    escape::visible(&format!("{} · {}{class} {count}", group.fleet, group.role.name())).into_owned()
}

/// Numbers of a group that are not zero in both recordings.
fn shown(group: &GroupDiff) -> impl Iterator<Item = &NumberDiff> {
    group.numbers.iter().filter(|number| number.before > 0.0 || number.after > 0.0)
}

/// A column's name, and whether it has words.
type Head = (&'static str, bool);

const NUMBERS: [Head; 7] = [
    ("number", true),
    ("before", false),
    ("after", false),
    ("difference", false),
    ("95 %", false),
    ("ratio", false),
    ("95 % ", false),
];

const FUNCTION: [Head; 7] = [
    ("function", true),
    ("own before", false),
    ("own after", false),
    ("change", false),
    ("95 %", false),
    ("total before", false),
    ("total after", false),
];

fn columns(heads: &[Head]) -> Vec<Column> {
    heads
        .iter()
        .map(|(head, is_text)| Column { head: (*head).to_owned(), gap: 2, is_text: *is_text })
        .collect()
}

fn cells(number: &NumberDiff) -> [String; 7] {
    let interval = |interval: Option<[f64; 2]>| {
        interval.map_or_else(|| "-".to_owned(), |[low, high]| format!("{}…{}", figure(low), figure(high)))
    };
    let mark = if number.is_real == Some(true) { " *" } else { "" };
    [
        format!("{}{mark}", number.name),
        figure(number.before),
        figure(number.after),
        figure(number.difference),
        interval(number.difference_interval),
        number.ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.3}")),
        number.ratio_interval.map_or_else(|| "-".to_owned(), |[low, high]| format!("{low:.3}–{high:.3}")),
    ]
}

/// The rows of the functions that changed most.
fn functions(diff: &Diff) -> Vec<Vec<String>> {
    let shown = || diff.functions.iter().take(FUNCTIONS);
    let paths = ShortPaths::new(shown().map(|function| function.file.as_str()));
    shown().map(|one| function(one, &paths).to_vec()).collect()
}

fn function(function: &FunctionDiff, paths: &ShortPaths<'_>) -> [String; 7] {
    let name = location::text(&function.name, paths.of(&function.file), 0);
    let [low, high] = function.self_change_interval_ms;
    [
        escape::visible(&name).into_owned(),
        figure(function.self_before_ms),
        figure(function.self_after_ms),
        figure(function.self_after_ms - function.self_before_ms),
        format!("{}…{}", figure(low), figure(high)),
        figure(function.total_before_ms),
        figure(function.total_after_ms),
    ]
}

/// Four significant digits, with the sign of what is less than nothing.
fn figure(number: f64) -> String {
    if number == 0.0 {
        return "0".to_owned();
    }
    let places = (3.0 - number.abs().log10().floor()).clamp(0.0, 6.0) as usize;
    format!("{number:.places$}")
}

/// One for each real difference; else that there is none.
fn sentences(diff: &Diff) -> Vec<String> {
    let mut sentences = Vec::new();
    for group in &diff.groups {
        for number in group.numbers.iter().filter(|number| number.is_real == Some(true)) {
            let (word, sign) = if number.difference > 0.0 { ("rose", 1.0) } else { ("fell", -1.0) };
            let by = match (number.ratio, number.ratio_interval) {
                (Some(ratio), Some(interval)) => {
                    let percent = |ratio: f64| (ratio - 1.0) * 100.0 * sign;
                    let [one, other] = interval.map(percent);
                    let percents = [percent(ratio), one.min(other), one.max(other)];
                    let [by, least, most] = percents.map(|percent| units::decimal(percent, 1));
                    format!(" by {by} % ({least} to {most} %)")
                }
                _ => String::new(),
            };
            let values = format!("from {} to {}", figure(number.before), figure(number.after));
            sentences.push(format!("{}: {} {word}{by}, {values}", title(group), number.name));
        }
    }
    if sentences.is_empty() {
        let judged =
            diff.groups.iter().flat_map(|group| &group.numbers).any(|number| number.is_real.is_some());
        let none = if judged {
            "no difference that is more than chance, all numbers considered; longer recordings tell more"
        } else {
            "the windows do not tell what is more than chance"
        };
        sentences.push(none.to_owned());
    }
    sentences
}

fn table(heads: &[Head], rows: Vec<Vec<String>>) -> String {
    let heads = heads.iter().map(|(head, is_text)| (head.trim().to_owned(), *is_text));
    markdown::table(heads, rows.into_iter())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{diff::diff, fixture};

    #[test]
    fn what_is_equal_is_not_told_as_different() {
        let one = fixture::recording();
        let diff = diff(("a.punch", &one), ("b|<i>.punch", &one), None);
        let text = text(&diff, TableOptions::default());
        assert!(text.starts_with("a.punch ("), "{text}");
        assert!(text.contains("cpu_ms_per_second") && text.contains("application"), "{text}");
        assert!(text.contains("loads (json/__init__.py)"), "{text}");
        assert!(text.contains("the windows do not tell") && text.contains("note: no intervals"), "{text}");
        let markdown = markdown(&diff);
        assert!(markdown.contains("b\\|\\<i\\>.punch"), "{markdown}");
        let rows: Vec<_> = markdown.lines().filter(|line| line.starts_with("| ")).collect();
        assert!(rows.iter().all(|row| row.replace("\\|", "").matches('|').count() == 8), "{markdown}");
    }

    #[test]
    fn figures_have_four_digits() {
        let figures = [0.0, 12345.6, 1.23456, 0.012_345_6, -2.5].map(figure);
        assert_eq!(figures, ["0", "12346", "1.235", "0.01235", "-2.500"]);
    }
}
