//! `punchclock doctor`: what works on this host, and what helps where it does not.

use std::process::ExitCode;

use anyhow::Result;

use crate::{
    cli::Doctor,
    cmd::{outputs::print, runtime::block_on},
    collect::preflight,
    fleet::{self, ProcessProbe, Tree},
    model::check::Check,
    render::{checks, json},
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
        json::document(&checks)?
    } else {
        checks::text(&checks, &preflight::summary(&checks))
    };
    print(&text)?;
    Ok(if checks.iter().any(Check::is_missing) { ExitCode::from(4) } else { ExitCode::SUCCESS })
}
