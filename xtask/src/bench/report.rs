//! The report: what was measured, and whether it reached what was set. Nothing is left out because it looks bad.

use std::{
    fmt::Write as _,
    fs,
    process::{Command, Stdio},
};

/// One of the report's five parts.
pub struct Section {
    pub markdown: String,
    pub targets: Vec<Target>,
}

/// Something to reach.
pub struct Target {
    pub what: String,
    /// As measured, with its unit.
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

/// The whole report.
pub fn render(machine: &str, sections: &[Section]) -> String {
    let verdicts = sections.iter().flat_map(|section| &section.targets).map(|target| {
        let verdict = if target.reached { "yes" } else { "**no**" };
        vec![target.what.clone(), target.measured.clone(), verdict.to_owned()]
    });
    let verdicts = table(&["to reach", "measured", "reached"], verdicts);
    let mut text = format!("# What punchclock costs\n\n{machine}\n\n{verdicts}");
    for section in sections {
        text += "\n";
        text += &section.markdown;
    }
    text
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
