//! The tables of a comparison: the numbers of its groups and its functions, the most important ones or all.

use crate::{
    model::diff::{Diff, FunctionDiff, GroupDiff, Judgement, NumberDiff},
    render::{
        compare::{
            percent::{Percents, signed},
            sentence::{figure, places, title},
        },
        location::{self, ShortPaths},
        term::escape,
    },
    units,
};

/// Rows that are shown unless all are asked for.
const NUMBERS: usize = 5;
const FUNCTIONS: usize = 4;

/// A table, and what it leaves out.
#[derive(Clone, Debug)]
pub struct Table {
    /// Whose numbers these are, if the table does not show those of all.
    pub title: Option<String>,
    /// Names of the columns; the first holds words.
    pub heads: Vec<String>,
    /// Its rows.
    pub rows: Vec<Row>,
    /// What is not in it, in a sentence.
    pub rest: Option<String>,
}

/// A row.
#[derive(Clone, Debug)]
pub struct Row {
    /// Whether this is a difference.
    pub is_real: bool,
    /// Its cells.
    pub cells: Vec<String>,
}

/// The numbers: those that are in a verdict, and then those that differ; or all, a table a group.
#[must_use]
pub fn numbers(diff: &Diff, all: bool) -> Vec<Table> {
    let heads = || ["number", "", "before", "after", "change", "95 %"].map(str::to_owned).to_vec();
    if all {
        let tables = diff.groups.iter().map(|group| Table {
            title: Some(title(group)),
            heads: heads(),
            rows: group
                .numbers
                .iter()
                .filter(|number| is_shown(number))
                .map(|number| number_row(number, ""))
                .collect(),
            rest: None,
        });
        return tables.filter(|table| !table.rows.is_empty()).collect();
    }
    let numbers =
        diff.groups.iter().flat_map(|group| group.numbers.iter().map(move |number| (group, number)));
    let mut numbers: Vec<_> = numbers.filter(|(_, number)| is_shown(number)).collect();
    let is_said = |group: &GroupDiff, number: &NumberDiff| {
        let mut verdicts = diff.verdicts.iter();
        verdicts.any(|verdict| {
            (&verdict.fleet, verdict.role, &verdict.number) == (&group.fleet, group.role, &number.name)
        })
    };
    numbers
        .sort_by_key(|(group, number)| (!is_said(group, number), number.outcome != Some(Judgement::Differs)));
    let important = |(group, number): &&(&GroupDiff, &NumberDiff)| {
        is_said(group, number) || number.outcome == Some(Judgement::Differs)
    };
    let shown = numbers.iter().filter(important).count().min(NUMBERS.max(diff.verdicts.len()));
    let (shown, rest) = numbers.split_at(shown);
    let first = diff.groups.first();
    let rows = shown.iter().map(|(group, number)| {
        let is_same = |first: &GroupDiff| first.fleet == group.fleet && first.role == group.role;
        let whose = if first.is_some_and(is_same) { String::new() } else { format!(", {}", title(group)) };
        number_row(number, &whose)
    });
    let rest: Vec<_> = rest.iter().map(|(_, number)| *number).collect();
    vec![Table { title: None, heads: heads(), rows: rows.collect(), rest: left_out(&rest) }]
}

/// Whether it is not zero in both recordings.
fn is_shown(number: &NumberDiff) -> bool {
    number.before > 0.0 || number.after > 0.0
}

/// How many numbers are not shown, by what they did.
fn left_out(numbers: &[&NumberDiff]) -> Option<String> {
    let kinds = [
        (Some(Judgement::Differs), "differ"),
        (Some(Judgement::Same), "without a difference"),
        (Some(Judgement::Undecided), "undecided"),
        (None, "up to the host"),
    ];
    let kinds = kinds.into_iter().filter_map(|(outcome, words)| {
        let count = numbers.iter().filter(|number| number.outcome == outcome).count();
        (count > 0).then(|| format!("{count} {words}"))
    });
    let counted = units::counted(numbers.len() as u64, "more number");
    (!numbers.is_empty()).then(|| format!("… {counted}, {}: -v", kinds.collect::<Vec<_>>().join(", ")))
}

fn number_row(number: &NumberDiff, whose: &str) -> Row {
    let percents = number.ratio.zip(number.joint_ratio_interval);
    let percents = percents.map(|(ratio, interval)| Percents::new(ratio, interval));
    let change = match (percents, number.ratio) {
        (Some(percents), _) => percents.change(),
        (None, Some(ratio)) => format!("{} %", signed((ratio - 1.0) * 100.0, 1)),
        (None, None) => "new".to_owned(),
    };
    let interval = match (percents, number.joint_difference_interval) {
        (Some(percents), _) => percents.interval(),
        // Too rare for a ratio: the difference itself.
        (None, Some(ends)) => {
            let [low, high] = ends.map(|end| signed(end, places(end).min(3)));
            format!("{low} to {high}")
        }
        (None, None) => "-".to_owned(),
    };
    let mark = match number.outcome {
        Some(Judgement::Differs) => "*",
        Some(Judgement::Same) => "=",
        Some(Judgement::Undecided) => "?",
        None => "",
    };
    let name = format!("{}{whose}", number.name);
    let [before, after] = [number.before, number.after].map(figure);
    Row {
        is_real: number.outcome == Some(Judgement::Differs),
        cells: vec![name, mark.to_owned(), before, after, change, interval],
    }
}

/// What the marks mean.
#[must_use]
pub fn legend(diff: &Diff) -> String {
    let margin = units::decimal(diff.margin * 100.0, 0);
    format!("* differs   = same within {margin} % (a wait: of the CPU time)   ? undecided")
}

/// The functions whose own time changed, or all that have any; `None` if there are none. With their total times if there is room.
#[must_use]
pub fn functions(diff: &Diff, all: bool, is_wide: bool) -> Option<Table> {
    let has_own = |function: &&FunctionDiff| function.self_before_ms > 0.0 || function.self_after_ms > 0.0;
    let functions: Vec<_> = diff.functions.iter().filter(has_own).collect();
    let (changed, others): (Vec<_>, Vec<_>) = functions.iter().partition(|function| function.is_real);
    if functions.is_empty() {
        return None;
    }
    let shown: Vec<_> = if all { functions } else { changed.iter().copied().take(FUNCTIONS).collect() };
    // The digits of a column line up; four of the largest are shown.
    let largest = shown.iter().map(|function| function.total_before_ms.max(function.total_after_ms));
    let places = places(largest.fold(0.0, f64::max));
    let paths = ShortPaths::new(shown.iter().map(|function| function.file.as_str()));
    let own = format!("function, own ms per {}", diff.per.name());
    let mut heads = vec![own.as_str(), "", "before", "after", "change", "95 %"];
    if is_wide {
        heads.extend(["total before", "after"]);
    }
    let rest = match (changed.len() - changed.len().min(FUNCTIONS), others.len()) {
        _ if all => None,
        (0, others) if changed.is_empty() => {
            let counted = units::counted(others as u64, "function");
            Some(format!("no function changed by more than chance ({counted}: -v)"))
        }
        (0, 0) => None,
        (0, others) => {
            Some(format!("… {} without a difference: -v", units::counted(others as u64, "more function")))
        }
        (more, others) => {
            let counted = units::counted((more + others) as u64, "more function");
            Some(format!("… {counted}, {more} changed: -v"))
        }
    };
    Some(Table {
        title: None,
        heads: heads.into_iter().map(str::to_owned).collect(),
        rows: shown.into_iter().map(|one| function_row(one, &paths, places, is_wide)).collect(),
        rest,
    })
}

fn function_row(function: &FunctionDiff, paths: &ShortPaths<'_>, places: usize, is_wide: bool) -> Row {
    let name = location::text(&function.name, paths.of(&function.file), 0);
    let ms = |ms: f64| units::decimal(ms, places);
    let [low, high] = function.self_change_interval_ms.map(|end| signed(end, places));
    let mut cells = vec![
        escape::visible(&name).into_owned(),
        if function.is_real { "*" } else { "" }.to_owned(),
        ms(function.self_before_ms),
        ms(function.self_after_ms),
        signed(function.self_after_ms - function.self_before_ms, places),
        format!("{low} to {high}"),
    ];
    if is_wide {
        cells.extend([function.total_before_ms, function.total_after_ms].map(ms));
    }
    Row { is_real: function.is_real, cells }
}
