//! `soak`: a session that lasts, under a fleet that changes all the time.

use anyhow::{Context as _, Result};

use crate::{
    cargo::{self, cargo},
    exec::exec,
    setup, test,
};

#[derive(clap::Args)]
pub struct Options {
    /// How long
    #[arg(long, default_value_t = 60)]
    minutes: u32,
}

pub fn run(opts: &Options) -> Result<()> {
    setup::run(&setup::Options::default())?;
    let punchclock = cargo::punchclock()?;
    let mut build = cargo();
    build.args(["test", "--no-run", "--package", "profiler-tests", "--test", "soak"]);
    let programs = cargo::executables(&mut build)?;
    let program = programs.first().context("failed to build the soak")?;
    let minutes = ("PUNCHCLOCK_SOAK_MINUTES", opts.minutes.to_string());
    exec(test::as_root_test(program, &punchclock, &[minutes]).arg("--nocapture"))
}
