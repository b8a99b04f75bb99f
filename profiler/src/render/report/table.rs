//! A table of an audit's report, as texts, and how it comes of what was measured.
//!
//! A table without rows is no table. A column has as many decimals as its largest number leaves room for, so that
//! its digits line up.

use crate::{
    model::{estimate::Estimate, report::Report},
    render::term::escape,
    units,
};

/// A table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportTable {
    /// What it shows.
    pub title: &'static str,
    /// Columns of the table.
    pub columns: Vec<TableColumn>,
    /// Rows of the table, of as many cells as there are columns.
    pub rows: Vec<TableRow>,
}

/// A column's head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableColumn {
    /// What it is.
    pub name: String,
    /// In which unit; empty if it needs none.
    pub unit: &'static str,
    /// True for words, which stand to the left.
    pub is_text: bool,
}

/// A row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableRow {
    /// The set-up's place in [`Report::series`]: its colour. Absent if it is not there.
    pub series: Option<usize>,
    /// True for the first row of a set-up.
    pub begins: bool,
    /// Cells of the row.
    pub cells: Vec<Cell>,
}

/// A cell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cell {
    /// Number or words of the cell, safe for a terminal; `-` if there is nothing to show.
    pub text: String,
    /// The number's 95 % interval, `low–high`; empty if there is none.
    pub interval: String,
}

/// A column of numbers: its name, its unit, and what may be told of a row.
pub(super) type Numbers<'a, T> = (&'static str, &'static str, &'a dyn Fn(&T) -> Option<Estimate>);

/// A column of words: its name, and the text of a row.
pub(super) type Words<'a, T> = (&'static str, &'a dyn Fn(&T) -> String);

/// A table with a row for each of `sources`, each with its set-up's place in the report's series.
pub(super) fn build<T>(
    title: &'static str,
    report: &Report,
    sources: &[(usize, T)],
    words: &[Words<T>],
    numbers: &[Numbers<T>],
) -> Option<ReportTable> {
    // A column in which nothing is told is left out, as are columns of latencies if nobody told any.
    let told = |number: &&Numbers<T>| sources.iter().any(|(_, source)| number.2(source).is_some());
    let numbers: Vec<_> = numbers.iter().filter(told).collect();
    let named = |name: &str, unit, is_text| TableColumn { name: name.to_owned(), unit, is_text };
    let mut columns = vec![named("set-up", "", true)];
    columns.extend(numbers.iter().map(|(name, unit, _)| named(name, unit, false)));
    columns.extend(words.iter().map(|(name, _)| named(name, "", true)));
    let place = |number: &&Numbers<T>| places(sources.iter().filter_map(|(_, source)| number.2(source)));
    let places: Vec<_> = numbers.iter().map(place).collect();
    let mut rows: Vec<TableRow> = Vec::new();
    for (at, source) in sources {
        let series = report.series.get(*at);
        let name = series.map(|series| series.setup.name()).unwrap_or_default();
        let mut cells = vec![Cell::words(&name)];
        let texts = numbers.iter().zip(&places);
        cells.extend(texts.map(|(number, places)| Cell::number(number.2(source), *places)));
        cells.extend(words.iter().map(|(_, text)| Cell::words(&text(source))));
        let series = series.is_some().then_some(*at);
        rows.push(TableRow { series, begins: rows.last().is_none_or(|last| last.series != series), cells });
    }
    (!rows.is_empty()).then_some(ReportTable { title, columns, rows })
}

/// A number that has no interval.
pub(super) const fn exact(value: f64) -> Estimate {
    Estimate { value, low: value, high: value }
}

/// Decimals for a column of numbers: three digits for the largest, none if all are counts.
fn places(numbers: impl Iterator<Item = Estimate>) -> usize {
    let numbers: Vec<_> = numbers.filter(|number| number.value.is_finite()).collect();
    if numbers.iter().all(|number| number.value.fract() == 0.0 && *number == exact(number.value)) {
        return 0;
    }
    let largest = numbers.iter().map(|number| number.value.abs()).fold(0.0, f64::max);
    (2 - largest.log10().floor() as i32).clamp(0, 6) as usize
}

/// A number with its sign, if it has one.
pub(super) fn signed(number: f64, places: usize) -> String {
    let text = units::decimal(number.abs(), places);
    let is_zero = text.chars().all(|c| "0.".contains(c));
    if number < 0.0 && !is_zero { format!("−{text}") } else { text }
}

impl Cell {
    fn words(text: &str) -> Self {
        let text = if text.is_empty() { "-".into() } else { escape::visible(text) };
        Self { text: text.into_owned(), interval: String::new() }
    }

    fn number(number: Option<Estimate>, places: usize) -> Self {
        let Some(Estimate { value, low, high }) = number else { return Self::words("") };
        let told = low < high && low.is_finite() && high.is_finite();
        let interval =
            if told { format!("{}–{}", signed(low, places), signed(high, places)) } else { String::new() };
        Self { text: signed(value, places), interval }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_a_column_have_the_same_decimals() {
        let places_of = |values: &[f64]| places(values.iter().copied().map(exact));
        assert_eq!(places_of(&[3.0, 1000.0]), 0);
        assert_eq!(places_of(&[0.5, 1000.0]), 0);
        assert_eq!(places_of(&[0.5, 12.0]), 1);
        assert_eq!(places_of(&[0.000_041]), 6);
        assert_eq!(places_of(&[f64::NAN]), 0);
        assert_eq!(signed(-0.001, 2), "0.00");
        assert_eq!(signed(-1234.5, 1), "−1,234.5");
    }
}
