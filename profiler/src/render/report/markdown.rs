//! An audit's report as Markdown: what the HTML says, without its pictures.

use std::fmt::Write;

use crate::{
    model::report::{Finding, Problem, Report},
    render::{
        markdown::{self, line},
        report::{
            table::{Cell, ReportTable},
            tables, words,
        },
        term::escape,
    },
};

/// Writes a report, with these of its problems.
#[must_use]
pub fn markdown(report: &Report, problems: &[&Problem]) -> String {
    let mut blocks = vec![format!("# {}", line(&words::headline(report)))];
    if !report.url.is_empty() {
        blocks.push(format!("URL: {}", plain(&report.url)));
    }
    blocks.extend(words::rounds(report).map(|rounds| format!("**{}**", line(&rounds))));
    let recommendation = report.recommendation.as_ref();
    blocks.extend(recommendation.and_then(words::margin).map(|margin| format!("**{}**", line(&margin))));
    let reason = recommendation
        .map(|recommendation| recommendation.reason.as_str())
        .filter(|reason| !reason.is_empty());
    blocks.extend(reason.into_iter().chain(report.summary.iter().map(String::as_str)).map(plain));
    blocks.extend(tables::best(report).iter().map(table));
    section(&mut blocks, "Findings", report.findings.iter().map(finding));
    section(&mut blocks, "Problems", problems.iter().map(|told| problem(told)));
    let tables = [tables::levels, tables::curves, tables::idle, tables::budget, tables::windows];
    let tables: Vec<_> = tables.iter().filter_map(|table| table(report)).collect();
    section(&mut blocks, "Numbers", tables.iter().map(table));
    let facts = words::environment(report).into_iter();
    let facts: Vec<_> = facts.map(|(name, fact)| format!("- {name}: {}", line(&fact))).collect();
    blocks.push(format!("## How it was made\n\n{}", facts.join("\n")));
    if !report.commands.is_empty() {
        blocks.push(format!("### Commands\n\n{}", code(&report.commands)));
    }
    let sentences = words::quality(report).into_iter();
    let sentences: Vec<_> = sentences.map(|sentence| format!("- {}", line(&sentence))).collect();
    blocks.push(format!("### Quality\n\n{}", sentences.join("\n")));
    let blocks: Vec<_> = blocks.iter().map(|block| block.trim_end()).collect();
    blocks.join("\n\n") + "\n"
}

/// A head and what is below it, if there is anything.
fn section(blocks: &mut Vec<String>, head: &str, below: impl Iterator<Item = String>) {
    let below: Vec<_> = below.collect();
    if !below.is_empty() {
        blocks.push(format!("## {head}"));
        blocks.extend(below);
    }
}

// Writing to a string cannot fail.
fn finding(finding: &Finding) -> String {
    let mut text = format!("- **{}** ({})", plain(&finding.claim), words::severity(finding.severity));
    if !finding.evidence.is_empty() {
        let _ = write!(text, "\n  {}", plain(&finding.evidence));
    }
    if !finding.advice.is_empty() {
        let _ = write!(text, "\n  **What to do:** {}", plain(&finding.advice));
    }
    text
}

/// A problem and its cause, and the server's last lines where a reader opens them.
fn problem(problem: &Problem) -> String {
    let mut blocks = vec![format!("**{}**", line(&words::problem(problem)))];
    blocks.extend(words::cause(problem).map(|cause| line(&cause)));
    if !problem.last_words.is_empty() {
        let lines = code(&problem.last_words);
        blocks.push(format!("<details><summary>The server's last lines</summary>\n\n{lines}\n\n</details>"));
    }
    blocks.join("\n\n")
}

fn table(table: &ReportTable) -> String {
    let heads = table.columns.iter().map(|column| {
        let unit = if column.unit.is_empty() { String::new() } else { format!(", {}", column.unit) };
        (format!("{}{unit}", column.name), column.is_text)
    });
    let rows = table.rows.iter().map(|row| row.cells.iter().map(cell).collect());
    format!("### {}\n\n{}", line(table.title), markdown::table(heads, rows))
}

fn cell(Cell { text, interval }: &Cell) -> String {
    if interval.is_empty() { text.clone() } else { format!("{text} ({interval})") }
}

/// Lines as they are: indented ones, for no line can end those.
fn code(lines: &[String]) -> String {
    let lines: Vec<_> = lines.iter().map(|line| format!("    {}", escape::visible(line))).collect();
    lines.join("\n")
}

/// Any text in one line, in which nothing is markup.
fn plain(text: &str) -> String {
    line(&escape::visible(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fixture;

    fn of(report: &Report) -> String {
        markdown(report, &report.problems.iter().collect::<Vec<_>>())
    }

    #[test]
    fn a_hostile_name_is_text() {
        let mut report = fixture::report();
        report.subject = "<img src=x onerror=alert(1)>\n# head".to_owned();
        report.findings[0].claim = "- a | b `c` [d](e) ~~f~~".to_owned();
        report.series[0].setup.worker_class = Some("a|b".to_owned());
        report.url = "http://<b>".to_owned();
        report.problems[0].last_words = vec!["</details>".to_owned()];
        report.commands = vec!["```\n</pre><script>".to_owned()];
        let text = of(&report);
        assert!(
            !text.contains(" <img") && text.contains(r"\<img src=x onerror=alert(1)\>\\x0a# head"),
            "{text}"
        );
        assert!(text.contains(r"- **\- a \| b \`c\` \[d\](e) \~\~f\~\~**"), "{text}");
        assert!(text.contains(r"URL: http://\<b\>"), "{text}");
        assert!(text.contains("\n    </details>\n\n</details>"), "{text}");
        assert!(text.contains(r"| a\|b × 2 |"), "{text}");
        assert!(text.contains("\n    ```\\x0a</pre><script>\n"), "{text}");
    }

    #[test]
    fn every_row_has_a_cell_a_column() {
        let text = of(&fixture::report());
        let mut columns = None;
        let mut tables = 0;
        for line in text.lines() {
            let cells = line.starts_with('|').then(|| line.matches('|').count());
            if let (Some(columns), Some(cells)) = (columns, cells) {
                assert_eq!(columns, cells, "{line}");
            }
            tables += u32::from(columns.is_none() && cells.is_some());
            columns = cells;
        }
        assert_eq!(tables, 6, "{text}");
    }

    #[test]
    fn what_is_not_there_has_no_head() {
        let text = of(&Report::default());
        for head in ["Findings", "Problems", "Numbers", "Commands"] {
            assert!(!text.contains(head), "{head} in {text}");
        }
        assert!(text.starts_with("# Nothing was measured\n"), "{text}");
    }
}
