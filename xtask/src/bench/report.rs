//! The report: what was measured, and whether it reached what was set. Nothing is left out because it looks bad.

use std::{
    fmt::Write as _,
    fs,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result};

/// A report that grows by a part at a time.
pub struct Report {
    machine: String,
    /// Headings, with what was measured by now and how long that took.
    parts: Vec<(&'static str, Option<(Section, Duration)>)>,
}

impl Report {
    /// Without any part.
    pub fn new(machine: String, headings: impl IntoIterator<Item = &'static str>) -> Self {
        Self { machine, parts: headings.into_iter().map(|heading| (heading, None)).collect() }
    }

    /// Adds the next part, which is returned as it stands in the report.
    pub fn add(&mut self, section: Section, took: Duration) -> Option<String> {
        let (heading, part) = self.parts.iter_mut().find(|(_, part)| part.is_none())?;
        let text = written(heading, part.insert((section, took)));
        Some(text)
    }

    /// Headings of parts that were not measured.
    pub fn missing(&self) -> Vec<&'static str> {
        self.parts.iter().filter(|(_, part)| part.is_none()).map(|&(heading, _)| heading).collect()
    }

    /// What was to be reached.
    pub fn verdicts(&self) -> String {
        let sections = self.parts.iter().filter_map(|(_, part)| part.as_ref());
        let verdicts = sections.flat_map(|(section, _)| &section.targets).map(|target| {
            let verdict = if target.reached { "yes" } else { "**no**" };
            vec![target.what.clone(), target.measured.clone(), verdict.to_owned()]
        });
        table(&["to reach", "measured", "reached"], verdicts)
    }

    /// Writes all of it.
    pub fn write(&self, path: &Path) -> Result<()> {
        let Self { machine, parts } = self;
        let mut text = format!("# What punchclock costs\n\n{machine}\n\n{}", self.verdicts());
        for (heading, part) in parts {
            text += &part.as_ref().map_or_else(
                || format!("\n## {heading}\n\nNot measured: this run was not finished.\n"),
                |part| written(heading, part),
            );
        }
        fs::write(path, text).with_context(|| format!("failed to write {}", path.display()))
    }
}

/// A part as it stands in the report.
fn written(heading: &str, (section, took): &(Section, Duration)) -> String {
    format!("\n## {heading}\n\n{}\nMeasured in {:.0} s.\n", section.markdown, took.as_secs_f64())
}

/// One of the report's parts.
pub struct Section {
    pub markdown: String,
    pub targets: Vec<Target>,
}

/// Something to reach.
pub struct Target {
    pub what: String,
    /// The measured value, with its unit.
    pub measured: String,
    pub reached: bool,
}

impl Target {
    pub fn at_most(what: &str, limit: f64, measured: f64, unit: &str) -> Self {
        Self::new(format!("{what} ≤ {limit}{unit}"), measured, unit, measured <= limit)
    }

    pub fn at_least(what: &str, limit: f64, measured: f64) -> Self {
        Self::new(format!("{what} ≥ {limit}"), measured, "", measured >= limit)
    }

    fn new(what: String, measured: f64, unit: &str, reached: bool) -> Self {
        Self { what, measured: format!("{measured:.3}{unit}"), reached }
    }
}

/// A Markdown table that is also one to the eye.
pub fn table(head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let head = head.iter().map(|&cell| cell.to_owned()).collect::<Vec<_>>();
    let mut rows = rows.into_iter().collect::<Vec<_>>();
    rows.insert(0, head);
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths = (0..rows[0].len()).map(width).collect::<Vec<_>>();
    let rule = widths.iter().map(|&width| "-".repeat(width)).collect();
    rows.insert(1, rule);
    let mut text = String::new();
    for row in rows {
        for (cell, width) in row.iter().zip(&widths) {
            // Writing to a string cannot fail.
            let _ = write!(text, "| {cell:width$} ");
        }
        text += "|\n";
    }
    text
}

/// Where it was measured, read before anything ran.
pub fn machine(quick: bool) -> String {
    let word = |path: &str| fs::read_to_string(path).unwrap_or_default().trim().to_owned();
    let cpus = word("/proc/cpuinfo");
    let model =
        cpus.lines().find_map(|line| line.strip_prefix("model name")?.trim_start().strip_prefix(": "));
    let count = cpus.lines().filter(|line| line.starts_with("processor")).count();
    let virtual_ = if cpus.contains(" hypervisor") { ", a virtual machine" } else { "" };
    let clock = word("/sys/devices/system/clocksource/clocksource0/current_clocksource");
    let load = word("/proc/loadavg");
    let load = load.split(' ').next().unwrap_or_default();
    let tools = said(Command::new("dpkg-query").args([
        "--show",
        "--showformat=${Package} ${Version}, ",
        "bpftool",
        "bpftrace",
        "libbpf-tools",
        "linux-perf",
    ]));
    format!(
        "By `cargo xtask bench{}`: Linux {} on {count} × {}{virtual_}, clock source {clock}, load average before \
         {load}; {}. Every number is a median over rounds that alternate between all contenders, with the smallest \
         and the largest behind it; ratios and differences are taken within a round first.",
        if quick { " --quick" } else { "" },
        word("/proc/sys/kernel/osrelease"),
        model.unwrap_or("an unnamed CPU"),
        tools.trim_end_matches(','),
    )
}

/// What a command that may be missing says.
pub fn said(command: &mut Command) -> String {
    let output = command.stderr(Stdio::null()).output();
    output.map_or_else(|_| String::new(), |output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_says_what_is_missing() {
        let mut report = Report::new("Somewhere.".to_owned(), ["One", "Another"]);
        let targets = vec![Target::at_least("x", 0.99, 1.0)];
        let part = report.add(Section { markdown: "Done.\n".to_owned(), targets }, Duration::from_secs(7));
        assert_eq!(part.as_deref(), Some("\n## One\n\nDone.\n\nMeasured in 7 s.\n"));
        assert_eq!(report.missing(), ["Another"]);
        assert!(report.verdicts().contains("| x ≥ 0.99 | 1.000    | yes     |"));
    }

    #[test]
    fn a_table_lines_up() {
        let rows = [vec!["ä".to_owned(), "12".to_owned()]];
        assert_eq!(table(&["a", "b"], rows), "| a | b  |\n| - | -- |\n| ä | 12 |\n");
    }

    #[test]
    fn a_target_that_was_missed_says_so() {
        assert!(Target::at_most("x", 6.0, 6.0, " µs").reached);
        assert!(!Target::at_least("x", 0.99, 0.989).reached);
        let missed = Target::at_most("x", 6.0, 6.5, " µs");
        assert_eq!(
            (missed.what.as_str(), missed.measured.as_str(), missed.reached),
            ("x ≤ 6 µs", "6.500 µs", false)
        );
    }
}
