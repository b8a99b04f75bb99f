//! What `punchclock-guest` found, read from a console or a pipe.

use std::fmt;

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::boot::last_lines;

/// Begins each of its lines.
const MARK: &str = "punchclock-guest: ";

/// One check.
#[derive(Debug)]
pub struct Finding {
    /// The check's name and, with a blank before it, the Python's version.
    pub check: String,
    pub numbers: Value,
    seconds: f64,
    /// What is wrong, if something is.
    pub why: Option<String>,
}

/// All that a run found.
#[derive(Debug)]
pub struct Findings {
    /// The kernel's name for itself.
    pub kernel: String,
    pub checks: Vec<Finding>,
}

impl Findings {
    /// Reads the findings of all that was written; an error if a line is missing.
    pub fn read(text: &str) -> Result<Self> {
        let mut findings = Self { kernel: String::new(), checks: Vec::new() };
        let mut said = None;
        for line in text.lines().filter_map(|line| line.split_once(MARK).map(|(_, json)| json)) {
            let value: Value =
                serde_json::from_str(line).with_context(|| format!("failed to parse {line}"))?;
            let text = |name: &str| value[name].as_str().map(str::to_owned);
            if let Some(check) = text("check") {
                let (numbers, seconds) = (value["numbers"].clone(), value["seconds"].as_f64().unwrap_or(0.0));
                findings.checks.push(Finding { check, numbers, seconds, why: text("why") });
            }
            findings.kernel = text("kernel").unwrap_or(findings.kernel);
            said = value["checks"].as_u64().or(said);
        }
        let count = findings.checks.len() as u64;
        let all = (said == Some(count)).then_some(findings);
        all.with_context(|| format!("failed to read all checks but {count}; {}", last_lines(text)))
    }

    /// What is wrong.
    pub fn failures(&self) -> impl Iterator<Item = &Finding> {
        self.checks.iter().filter(|finding| finding.why.is_some())
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = if self.why.is_some() { '✗' } else { '✓' };
        write!(f, "{mark} {}", self.check)?;
        for (name, number) in
            self.numbers.as_object().into_iter().flatten().filter(|(_, value)| value.is_number())
        {
            write!(f, " {name}={number}")?;
        }
        if self.seconds >= 1.0 {
            write!(f, " in {:.0} s", self.seconds)?;
        }
        self.why.as_ref().map_or(Ok(()), |why| write!(f, ": {why}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_found_between_the_kernels_own() {
        let text = "[    0.1] Linux\npunchclock-guest: {\"kernel\":\"6.1\"}\n\
                    [    1.0] random: punchclock-guest: {\"check\":\"stat\",\"numbers\":{\"threads\":8},\"why\":null}\n\
                    punchclock-guest: {\"check\":\"exact\",\"numbers\":{},\"why\":\"7 threads\"}\n";
        assert!(Findings::read(text).is_err(), "it has not ended");
        let findings = Findings::read(&format!("{text}punchclock-guest: {{\"checks\":2}}\n")).unwrap();
        assert_eq!(findings.kernel, "6.1");
        assert_eq!(findings.checks[0].to_string(), "✓ stat threads=8");
        assert_eq!(findings.failures().map(ToString::to_string).collect::<Vec<_>>(), ["✗ exact: 7 threads"]);
    }
}
