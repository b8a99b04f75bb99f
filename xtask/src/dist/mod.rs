//! `dist`: what is released, in `target/dist`. For each machine a static binary that needs nothing of a host, in a
//! `.tar.gz` and a `.deb`; and made again elsewhere it is the same byte for byte.

mod again;
mod package;
mod proof;

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};
use clap::ValueEnum as _;

use crate::{
    bpf_toolchain,
    cargo::{cargo, executables},
    exec::{exec, read},
    machine::Machine,
    setup,
};

#[derive(clap::Args, Default)]
pub struct Options {
    /// For this machine only
    #[arg(long)]
    machine: Option<Machine>,
    /// Build once more, elsewhere, and compare
    #[arg(long)]
    check: bool,
}

pub fn run(Options { machine, check }: &Options) -> Result<()> {
    let machines = machine.as_ref().map_or(Machine::value_variants(), std::slice::from_ref);
    setup::run(&setup::Options::default())?;
    let folder = Path::new("target/dist");
    fs::create_dir_all(folder).with_context(|| format!("failed to make {}", folder.display()))?;
    let time = time()?;
    let mut packages = Vec::new();
    for &machine in machines {
        let binary = binary(machine)?;
        packages.push(package::archive(folder, machine, &binary, &time)?);
        packages.push(package::debian(folder, machine, &binary, &time)?);
    }
    for package in &packages {
        let bytes =
            fs::metadata(package).with_context(|| format!("failed to find {}", package.display()))?.len();
        eprintln!("dist: {} ({:.1} MB)", package.display(), bytes as f64 / 1e6);
    }
    if *check { again::compare(folder, *machine, &packages, &time) } else { Ok(()) }
}

/// Builds the static, stripped `punchclock` for a machine, proves that it is what it should be, and returns its path.
pub fn binary(machine: Machine) -> Result<PathBuf> {
    let binary = build(machine, "profiler")?;
    proof::of(&binary, machine).with_context(|| format!("failed to accept {}", binary.display()))?;
    Ok(binary)
}

/// Builds a package's one program for a machine, static and stripped, and returns its path.
pub fn build(machine: Machine, package: &str) -> Result<PathBuf> {
    let target = format!("{machine}-unknown-linux-musl");
    exec(Command::new("rustup").args(["target", "add", &target]))?;
    // rustc's own linker, C library and start-up code: no compiler for another machine, and none of this host's files.
    let mut flags = vec!["-Clinker=rust-lld".to_owned(), "-Ctarget-feature=+crt-static".to_owned()];
    flags.extend(bpf_toolchain::without_paths());
    let build = ["build", "--locked", "--profile", "stripped", "--package", package, "--target", &target];
    let mut command = cargo();
    command.args(build).env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f")).env_remove("RUSTFLAGS");
    let built = executables(&mut command)?.into_iter().next();
    built.with_context(|| format!("failed to find the program of {package} in cargo's messages"))
}

/// When what is released was last changed, in seconds of Unix time: everything packed is of that time.
fn time() -> Result<String> {
    let said = env::var("SOURCE_DATE_EPOCH").ok();
    let committed = || read(Command::new("git").args(["log", "-1", "--format=%ct"]));
    Ok(said.map_or_else(committed, Ok)?.trim().to_owned())
}
