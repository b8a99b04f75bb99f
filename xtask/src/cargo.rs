//! Cargo, and what it built: paths come from cargo's own messages, never from a guess at its target folder.

use std::{env, path::PathBuf, process::Command};

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::exec::read;

/// The cargo that runs us.
pub fn cargo() -> Command {
    Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Builds the profiler as it is shipped and returns the path of `punchclock`.
pub fn punchclock() -> Result<PathBuf> {
    let built = executables(cargo().args(["build", "--release", "--package", "profiler"]))?;
    built.into_iter().next().context("failed to find punchclock in cargo's messages")
}

/// Runs a building `command` and returns the programs it made or found up to date.
pub fn executables(command: &mut Command) -> Result<Vec<PathBuf>> {
    let messages = read(command.arg("--message-format=json-render-diagnostics"))?;
    let mut executables = Vec::new();
    for line in messages.lines() {
        let message: Value = serde_json::from_str(line).context("failed to parse cargo's message")?;
        executables.extend(message["executable"].as_str().map(PathBuf::from));
    }
    Ok(executables)
}
