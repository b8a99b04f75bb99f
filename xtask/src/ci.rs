//! `ci`: what must hold before a change is taken, from the quickest check to the slowest.

use std::env;

use anyhow::{Context as _, Result};

use crate::{bpf_toolchain, cargo::cargo, check, dist, exec::exec, fuzz, kernels, licenses, setup, test};

#[derive(clap::Args)]
pub struct Options {
    /// Seconds that each target of `fuzz` runs
    #[arg(long, default_value_t = 10)]
    fuzz_seconds: u32,
}

pub fn run(opts: &Options) -> Result<()> {
    check::format_and_structure()?;
    licenses::run()?;
    setup::run(&setup::Options { lint: true, ..setup::Options::default() })?;
    clippy()?;
    let docs = ["doc", "--no-deps", "--workspace", "--exclude", "profiler-ebpf"];
    exec(cargo().args(docs).env("RUSTDOCFLAGS", "-D warnings"))?;
    dist::run(&dist::Options::default())?;
    kernels::run(&kernels::Options::default())?;
    test::run(&test::Options::default())?;
    fuzz::run(&fuzz::Options::all(opts.fuzz_seconds))
}

/// Two runs, because cargo unifies features over all that one run builds: together, profiler-common would get the
/// user side's features for BPF too, and pass here in a shape that is never built. They also have different targets.
fn clippy() -> Result<()> {
    // With the doors that only `fuzz` has.
    check::lint(&["--cfg", "fuzzing"])?;
    let (compiler, linker) = bpf_toolchain::find().context("failed to find the BPF toolchain")?;
    exec(compiler.cargo("clippy", &linker, env::consts::ARCH).args(["--", "--no-deps", "-D", "warnings"]))
}
