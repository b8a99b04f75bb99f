//! `check`: what can be said of a change without root, in a minute or two on a warm tree.

use anyhow::Result;

use crate::{cargo::cargo, check_docs, exec::exec, floors, test};

/// The packages that are linted together: all but the eBPF side, which has another target.
const LINTED: [&str; 5] = ["clippy", "--workspace", "--exclude", "profiler-ebpf", "--all-targets"];

pub fn run() -> Result<()> {
    format_and_structure()?;
    lint(&[])?;
    test::units(&[])
}

/// The format, who imports whom, and doc comments.
pub fn format_and_structure() -> Result<()> {
    exec(cargo().args(["fmt", "--all", "--check"]))?;
    floors::run()?;
    check_docs::run()
}

/// Lints the user side, with more words for the compiler.
pub fn lint(words: &[&str]) -> Result<()> {
    exec(cargo().args(LINTED).args(["--", "-D", "warnings"]).args(words))
}
