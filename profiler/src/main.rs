//! The command `punchclock`.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser;
use profiler::{
    cli::{Cli, Verb, hint},
    cmd::{self, outputs::say},
    sys::{caller, limits},
};

fn main() -> ExitCode {
    let verb = Cli::parse().verb;
    let begun = caller::learn()
        .context("failed to become one who can write for who called sudo")
        .and_then(|()| limits::raise_files().context("failed to raise the limit of open files"));
    let result = begun.and_then(|()| match verb {
        Verb::Ps(args) => cmd::ps::run(&args),
        Verb::Stat(args) => cmd::stat::run(&args),
        Verb::Record(args) => cmd::record::run(&args),
        Verb::Dump(args) => cmd::dump::run(&args),
        Verb::Report(args) => cmd::report::run(&args),
        Verb::Compare(args) => cmd::compare::run(&args),
        Verb::Audit(args) => cmd::audit::run(&args),
        Verb::Doctor(args) => cmd::doctor::run(&args),
    });
    match result {
        Ok(code) => code,
        Err(error) => {
            say(&format!("punchclock: {error:#}"));
            if let Some(advice) = hint::advice(&error) {
                say(&format!("  help: {advice}"));
            }
            ExitCode::from(hint::exit_code(&error))
        }
    }
}
