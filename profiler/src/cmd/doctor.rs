//! `punchclock doctor`

use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::{
    cli::Doctor,
    cmd::{outputs::print, runtime::block_on},
    collect::preflight::{self, Check, Status},
    fleet::{self, Eyes, Tree},
};

/// Runs every check and tells what was found; exit code 4 if something is missing.
pub fn run(args: &Doctor) -> Result<ExitCode> {
    let fleets = fleet::discover(&Tree::scan()?, &Eyes::real());
    let checks = block_on(async {
        let mut checks = preflight::conditions();
        if !checks.iter().any(is_missing) {
            checks.extend(preflight::smoke());
        }
        checks.extend(preflight::interpreters(&fleets));
        Ok(checks)
    })?;
    let text = if args.json {
        serde_json::to_string_pretty(&checks).context("failed to write JSON")? + "\n"
    } else {
        checks.iter().map(sentence).collect()
    };
    print(&text)?;
    Ok(if checks.iter().any(is_missing) { ExitCode::from(4) } else { ExitCode::SUCCESS })
}

fn is_missing(check: &Check) -> bool {
    matches!(check.status, Status::Missing { .. })
}

fn sentence(check: &Check) -> String {
    let Check { name, found, status } = check;
    match status {
        Status::Ok => format!("✓ {name}: {found}\n"),
        Status::Degraded { lost, fix } => format!("! {name}: {found}\n    lost  {lost}\n    help  {fix}\n"),
        Status::Missing { needed_for, fix } => {
            format!("✗ {name}: {found}\n    needed for  {needed_for}\n    help        {fix}\n")
        }
    }
}
