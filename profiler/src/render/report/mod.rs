//! The report of an audit as a page, as Markdown and for the terminal: the words and the tables are the same in all three.

pub mod html;
pub mod markdown;
pub mod table;
pub mod tables;
pub mod text;
pub mod words;

use crate::model::report::{Problem, Report};

/// The texts of all reports of an audit, one below the other. Each is given the problems that none before it has told.
#[must_use]
pub fn joined(reports: &[Report], text: impl Fn(&Report, &[&Problem]) -> String) -> String {
    let is_new =
        |at: usize, problem: &&Problem| reports[..at].iter().all(|before| !before.problems.contains(problem));
    let one = |(at, report): (usize, &Report)| {
        let problems: Vec<_> = report.problems.iter().filter(|problem| is_new(at, problem)).collect();
        text(report, &problems)
    };
    reports.iter().enumerate().map(one).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fixture;

    #[test]
    fn a_problem_of_two_routes_is_told_once() {
        let mut reports = vec![fixture::report(), fixture::report()];
        reports[1].problems.push(Problem { what: "another".to_owned(), ..Problem::default() });
        let told = joined(&reports, |_, problems| format!("{} problems", problems.len()));
        assert_eq!(told, "1 problems\n1 problems");
    }
}
