//! `kernels`: the static punchclock on the kernels that people have, each booted in an emulator, and on the host's own.
//!
//! A guest has two programs, `punchclock-guest` as its `/init` and punchclock, and for the thorough part a few Pythons. What
//! the former finds is read from the console.

mod boot;
mod findings;
mod get;
mod image;
mod interpreter;
mod list;
mod table;
mod trial;

use std::{env, path::PathBuf};

use anyhow::{Context as _, Result, ensure};

use self::{
    get::Kernels,
    list::ROWS,
    trial::{Boot, Programs},
};
use crate::{machine::Machine, setup};

/// The row that is no guest.
const HOST: &str = "host";

#[derive(clap::Args, Default)]
pub struct Options {
    /// Rows by name, or kernels by the beginning of their version: host, trixie-rt, 6.1, 7.3-rt [default: all]
    names: Vec<String>,
    /// Run the thorough part on each, not only on those that CI runs it on
    #[arg(long)]
    thorough: bool,
    /// Write what ran into docs/kernels.md
    #[arg(long, conflicts_with = "names")]
    write: bool,
    /// Only tell which kernels there are
    #[arg(long)]
    list: bool,
    /// Take punchclock-x86_64 and punchclock-aarch64 from this folder instead of building them
    #[arg(long, value_name = "FOLDER")]
    binaries: Option<PathBuf>,
}

pub fn run(opts: &Options) -> Result<()> {
    setup::run(&setup::Options { kernels: true, ..setup::Options::default() })?;
    let folder = env::current_dir().context("failed to find the current folder")?.join("target/kernels");
    let kernels = Kernels::new(&folder)?;
    let boots = boots(&kernels, &opts.names)?;
    if opts.names.is_empty() {
        kernels.keep_only(&boots.iter().map(|boot| &boot.package).collect::<Vec<_>>())?;
    }
    if opts.list {
        for Boot { names, package, .. } in boots {
            println!("{:<26} {:<12} {}", names.join(", "), package.version, package.release);
        }
        return Ok(());
    }
    let is_host_meant = opts.names.is_empty() || opts.names.iter().any(|name| name == HOST);
    let machines = boots.iter().map(|boot| boot.row.machine());
    let programs = Programs::of(opts, folder, machines.chain(is_host_meant.then_some(Machine::here()?)))?;
    let mut outcomes = Vec::new();
    if is_host_meant {
        outcomes.push(programs.try_here());
    }
    // Before any boots: apt lets nobody else in.
    let prepared = boots.into_iter().map(|boot| Ok((kernels.get(&boot.package)?, boot)));
    let prepared = prepared.collect::<Result<Vec<_>>>()?;
    outcomes.extend(programs.try_all_twice(&prepared)?);
    ensure!(!outcomes.is_empty(), "no kernel is called {}", opts.names.join(", "));
    if opts.write {
        table::write(&outcomes)?;
    }
    let failed = outcomes.iter().filter(|outcome| !outcome.is_good());
    let failed: Vec<_> = failed.map(|outcome| outcome.names.join(", ")).collect();
    ensure!(failed.is_empty(), "failed on {}", failed.join("; "));
    Ok(())
}

/// All that is meant, each once.
fn boots(kernels: &Kernels, names: &[String]) -> Result<Vec<Boot>> {
    let mut boots: Vec<Boot> = Vec::new();
    for row in ROWS {
        let package = kernels.resolve(&row)?;
        if !names.is_empty() && !names.iter().any(|name| row.is_meant(name, &package.version)) {
            continue;
        }
        match boots.iter_mut().find(|boot| boot.package == package && boot.row.set_up() == row.set_up()) {
            Some(boot) => {
                boot.names.push(row.name);
                boot.row.deep |= row.deep;
            }
            None => boots.push(Boot { names: vec![row.name], row, package }),
        }
    }
    Ok(boots)
}
