//! `punchclock doctor`: what works on this host, and what helps where it does not.

use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::{
    cli::Doctor,
    cmd::{outputs::print, runtime::block_on},
    collect::preflight::{self, Check, CheckStatus},
    fleet::{self, ProcessProbe, Tree},
};

/// Runs every check and tells what was found, and which verbs work; exit code 4 if one does not.
pub fn run(args: &Doctor) -> Result<ExitCode> {
    let fleets = fleet::discover(&Tree::scan()?, &ProcessProbe::real());
    let checks = block_on(async {
        let mut checks = preflight::conditions();
        let verbs = if checks.iter().any(Check::is_missing) { Vec::new() } else { preflight::verbs() };
        checks.extend(verbs);
        checks.extend(preflight::interpreters(&fleets));
        Ok(checks)
    })?;
    let text = if args.json {
        serde_json::to_string_pretty(&checks).context("failed to write JSON")? + "\n"
    } else {
        let sentences: String = checks.iter().map(sentence).collect();
        sentences + &preflight::summary(&checks) + "\n"
    };
    print(&text)?;
    Ok(if checks.iter().any(Check::is_missing) { ExitCode::from(4) } else { ExitCode::SUCCESS })
}

fn sentence(check: &Check) -> String {
    let Check { name, found, status } = check;
    match status {
        CheckStatus::Ok => format!("✓ {name}: {found}\n"),
        CheckStatus::Degraded { lost, fix } => {
            format!("! {name}: {found}\n    lost  {lost}\n    help  {fix}\n")
        }
        CheckStatus::Missing { needed_for, fix } => {
            format!("✗ {name}: {found}\n    needed for  {needed_for}\n    help        {fix}\n")
        }
    }
}
