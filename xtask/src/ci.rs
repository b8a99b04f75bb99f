//! `ci`: what must hold before a change is taken, from the quickest check to the slowest.

use std::{env, process::Command};

use anyhow::{Context as _, Result};

use crate::{bpf_toolchain, cargo::cargo, exec::exec, floors, licenses, setup, test};

pub fn run() -> Result<()> {
    exec(cargo().args(["fmt", "--all", "--check"]))?;
    floors::run()?;
    licenses::run()?;
    setup::run(&setup::Options { lint: true, ..setup::Options::default() })?;
    clippy()?;
    other_architecture()?;
    let docs = ["doc", "--no-deps", "--workspace", "--exclude", "profiler-ebpf"];
    exec(cargo().args(docs).env("RUSTDOCFLAGS", "-D warnings"))?;
    test::run(&test::Options::default())
}

/// The loader is compiled for aarch64 too, where nothing of it is run: rustup has that target's standard library.
fn other_architecture() -> Result<()> {
    const TARGET: &str = "aarch64-unknown-linux-gnu";
    exec(Command::new("rustup").args(["target", "add", TARGET]))?;
    exec(cargo().args(["check", "--package", "profiler", "--target", TARGET]))
}

/// Two runs, because cargo unifies features over all that one run builds: together, profiler-common would get the
/// user side's features for BPF too, and pass here in a shape that is never built. They also have different targets.
fn clippy() -> Result<()> {
    let user = ["clippy", "--workspace", "--exclude", "profiler-ebpf", "--all-targets"];
    exec(cargo().args(user).args(["--", "-D", "warnings"]))?;
    let (compiler, linker) = bpf_toolchain::find().context("failed to find the BPF toolchain")?;
    exec(compiler.cargo("clippy", &linker, env::consts::ARCH).args(["--", "--no-deps", "-D", "warnings"]))
}
