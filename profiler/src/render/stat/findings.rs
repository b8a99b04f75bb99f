//! Findings as lines above a table.

use crate::{
    model::report::{Finding, Severity},
    render::term::{self, escape, grid::TableOptions, wrap::wrapped},
    units,
};

/// Most findings that are shown; all are in JSON.
const SHOWN: usize = 5;

/// A line for each of the first findings, and one about the others: `! ` before what is wrong, `* ` before what is worth a change.
#[must_use]
pub fn text(findings: &[Finding], options: TableOptions) -> String {
    let mut text = String::new();
    for finding in findings.iter().take(SHOWN) {
        let mark = match finding.severity {
            Severity::Warning => "! ",
            Severity::Advice => "* ",
            Severity::Note => "  ",
        };
        let claim = wrapped(&escape::visible(&finding.claim), 2, options.width);
        let claim =
            if finding.severity == Severity::Warning { term::bold(&claim, options.colour) } else { claim };
        text += &[mark, &claim, "\n"].concat();
    }
    let left = findings.len().saturating_sub(SHOWN);
    if left != 0 {
        let others = units::counted(left as u64, "other finding");
        text += &["  … and ", &others, ": --json has all\n"].concat();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_marked_by_weight_and_fit() {
        let finding =
            |severity, claim: &str| Finding { severity, claim: claim.to_owned(), ..Finding::default() };
        let mut findings = vec![
            finding(Severity::Note, "2 workers use 0.36 of a CPU"),
            finding(
                Severity::Warning,
                "event loop blocked 48 % by sleep in \x1bstall (asgi_app.py:12), longest 201 ms",
            ),
            finding(Severity::Advice, "lock: 4 threads wait 26 % of the time at work"),
        ];
        let expected = "  2 workers use 0.36 of a CPU
! event loop blocked 48 % by sleep in \\x1bstall
  (asgi_app.py:12), longest 201 ms
* lock: 4 threads wait 26 % of the time at work
";
        let options = TableOptions { width: Some(50), ..TableOptions::default() };
        assert_eq!(text(&findings, options), expected);
        findings.extend([findings[0].clone(), findings[0].clone(), findings[0].clone(), findings[0].clone()]);
        assert!(text(&findings, options).ends_with("  … and 2 other findings: --json has all\n"));
    }
}
