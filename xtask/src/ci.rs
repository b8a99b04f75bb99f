//! `ci`: what must hold before a change is taken, from the quickest check to the slowest.

use std::env;

use anyhow::{Context as _, Result};

use crate::{bpf_toolchain, cargo::cargo, dist, exec::exec, floors, kernels, licenses, setup, test};

pub fn run() -> Result<()> {
    exec(cargo().args(["fmt", "--all", "--check"]))?;
    floors::run()?;
    licenses::run()?;
    setup::run(&setup::Options { lint: true, ..setup::Options::default() })?;
    clippy()?;
    let docs = ["doc", "--no-deps", "--workspace", "--exclude", "profiler-ebpf"];
    exec(cargo().args(docs).env("RUSTDOCFLAGS", "-D warnings"))?;
    dist::run(&dist::Options::default())?;
    kernels::run(&kernels::Options::default())?;
    test::run(&test::Options::default())
}

/// Two runs, because cargo unifies features over all that one run builds: together, profiler-common would get the
/// user side's features for BPF too, and pass here in a shape that is never built. They also have different targets.
fn clippy() -> Result<()> {
    let user = ["clippy", "--workspace", "--exclude", "profiler-ebpf", "--all-targets"];
    exec(cargo().args(user).args(["--", "-D", "warnings"]))?;
    let (compiler, linker) = bpf_toolchain::find().context("failed to find the BPF toolchain")?;
    exec(compiler.cargo("clippy", &linker, env::consts::ARCH).args(["--", "--no-deps", "-D", "warnings"]))
}
