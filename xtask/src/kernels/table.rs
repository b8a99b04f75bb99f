//! `docs/kernels.md`: what ran on which kernel.

use std::{fs, path::Path};

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::{findings::Finding, trial::Outcome};

const PATH: &str = "docs/kernels.md";

const HEAD: &str = "# Kernels

Written by `cargo xtask kernels --thorough --write`, which boots each kernel in an emulator with two processors and a file system
that has the static binary, `punchclock-guest` (the workload and the judge, `guest/`) and a few Pythons: nothing else is needed.
Kernels are the newest that Debian's suites have, by rule; the host's own is a row, too.

- **loads**: `doctor` finds nothing missing, so every program passes this kernel's verifier.
- **exact**: eight threads in seven processes, stopped at both edges of a window: on-CPU and run-queue time, switches of both kinds and
  migrations by `stat`, `stat --counters-only` and `record` are what `/proc` says, to the nanosecond and the switch.
- **budget**: on-CPU, run queue and blocked add up to the wall for each thread; the most that is missing.
- **lives**: `record -- COMMAND` tells twenty children that are born and end, their exit status, and their CPU time as their parent was told it.
- **frames**: samples whose Python frames are a known chain of calls, of all samples, by the version of CPython.
- **off-CPU**, **dump**, **idle**: sleeps are on the stack that slept; each waiting thread is told with its reason and its function; those who
  wait cost nothing.
- **log**: the kernel has logged neither a bug nor a warning.

✓ passed, ✗ failed, – not run. A kernel that cannot is to be *refused*: exit code 4, one sentence and one line of help from each verb, and
`ps` works.

| rule | kernel | set-up | loads | exact | budget | lives | frames | off-CPU | dump | idle | log | seconds |
|---|---|---|---|---|---|---|---|---|---|---|---|---|
";

/// Writes it.
pub fn write(outcomes: &[Outcome]) -> Result<()> {
    let rows: Vec<_> = outcomes.iter().map(row).collect();
    fs::write(Path::new(PATH), HEAD.to_owned() + &rows.concat())
        .with_context(|| format!("failed to write {PATH}"))
}

fn row(outcome: &Outcome) -> String {
    let checks = outcome.findings.as_ref().map_or(&[][..], |findings| &findings.checks);
    let all = |name| passed(checks, &[name]);
    let cells = [
        outcome.names.join(", "),
        outcome.kernel.clone(),
        outcome.set_up.clone(),
        if checks.iter().any(|finding| finding.check == "refused") {
            format!("refused {}", passed(checks, &["refused", "ps"]))
        } else {
            all("loads")
        },
        passed(checks, &["exact", "record"]),
        budget(checks),
        all("lives"),
        frames(checks),
        all("off-cpu"),
        all("dump"),
        all("idle"),
        all("complaints"),
        outcome.seconds.to_string(),
    ];
    format!("| {} |\n", cells.join(" | "))
}

/// Checks of a name, each with the version of the Python that it is of.
fn named<'a>(checks: &'a [Finding], name: &str) -> impl Iterator<Item = (&'a Finding, &'a str)> {
    checks.iter().filter_map(move |finding| {
        let version = finding.check.strip_prefix(name)?;
        (version.is_empty() || version.starts_with(' ')).then_some((finding, version.trim_start()))
    })
}

fn passed(checks: &[Finding], names: &[&str]) -> String {
    let mut found = names.iter().flat_map(|name| named(checks, name)).peekable();
    if found.peek().is_none() {
        return "–".to_owned();
    }
    if found.all(|(finding, _)| finding.why.is_none()) { "✓" } else { "✗" }.to_owned()
}

fn budget(checks: &[Finding]) -> String {
    named(checks, "budget").next().map_or("–".to_owned(), |(finding, _)| {
        let worst = finding.numbers["worst_percent"].as_f64().unwrap_or(f64::NAN);
        format!("{} {worst:.3} %", mark(finding))
    })
}

fn frames(checks: &[Finding]) -> String {
    let number = |value: &Value| value.as_u64().map_or("–".to_owned(), |number| number.to_string());
    let cells: Vec<_> = named(checks, "frames")
        .map(|(finding, version)| {
            let [whole, samples] = ["whole", "samples"].map(|name| number(&finding.numbers[name]));
            format!("{version} {} {whole}/{samples}", mark(finding))
        })
        .collect();
    if cells.is_empty() { "–".to_owned() } else { cells.join(", ") }
}

fn mark(finding: &Finding) -> &'static str {
    if finding.why.is_none() { "✓" } else { "✗" }
}
