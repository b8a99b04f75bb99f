//! `cargo xtask VERB`: what a developer and CI do with this repository, one file a verb.
//!
//! Every verb runs in the repository's root, says each command before it runs it, and stops at the first that fails.

mod apt;
mod backend;
mod bench;
mod bpf_toolchain;
mod cargo;
mod check;
mod check_docs;
mod ci;
mod circles;
mod demo;
mod dist;
mod exec;
mod floors;
mod fuzz;
mod imports;
mod kernels;
mod licenses;
// The tests' own, whose crate cannot be built without punchclock.
#[path = "../../tests/src/load.rs"]
mod load;
mod machine;
mod python_source;
mod pythons;
mod server;
mod setup;
mod soak;
mod sources;
mod test;
mod venv;

use std::{env, path::Path, process::ExitCode};

use anyhow::{Context as _, Result};
use clap::Parser;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "punchclock's own tools", disable_help_subcommand = true)]
enum Verb {
    /// Install what is missing to build and test; end at once when nothing is
    Setup(setup::Options),
    /// Profile four busy Gunicorn workers, then audit three worker classes; leave a flame graph and a report in target/demo
    Demo,
    /// Gather the interpreters to test with that this machine has not, into target/pythons
    Pythons,
    /// Try punchclock on the kernels of Debian's suites, each in an emulator, and on the host's
    Kernels(kernels::Options),
    /// Set up, build, and run every test; those that load eBPF programs run as root
    Test(test::Options),
    /// Watch a fleet that changes all the time for an hour: what is held must not grow, and the numbers must stay exact
    Soak(soak::Options),
    /// Measure what punchclock costs, beside other tools; write target/bench/report.md
    Bench(bench::Options),
    /// Build what is released: a static binary for each machine, in a .tar.gz and a .deb; see target/dist
    Dist(dist::Options),
    /// Have libFuzzer make up what strangers can put before punchclock; see target/fuzz
    Fuzz(fuzz::Options),
    /// Everything CI asks: format, floors, licences, clippy, docs, and the verbs `dist`, `kernels`, `test` and `fuzz`
    Ci(ci::Options),
    /// What can be said of a change without root: format, floors, doc comments, lints and unit tests
    Check,
    /// Check who imports whom against the table in profiler/src/lib.rs, and that no modules import each other in a circle
    Floors,
    /// Check that doc comments stand alone, and that no two types have one name
    CheckDocs,
    /// Check the licence of every dependency against deny.toml
    Licenses,
}

fn main() -> ExitCode {
    match run(&Verb::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(verb: &Verb) -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    env::set_current_dir(&root).with_context(|| format!("failed to enter {}", root.display()))?;
    match verb {
        Verb::Setup(opts) => setup::run(opts),
        Verb::Demo => demo::run(),
        Verb::Pythons => pythons::run().map(drop),
        Verb::Kernels(opts) => kernels::run(opts),
        Verb::Test(opts) => test::run(opts),
        Verb::Soak(opts) => soak::run(opts),
        Verb::Bench(opts) => bench::run(opts),
        Verb::Dist(opts) => dist::run(opts),
        Verb::Fuzz(opts) => fuzz::run(opts),
        Verb::Ci(opts) => ci::run(opts),
        Verb::Floors => floors::run(),
        Verb::Check => check::run(),
        Verb::CheckDocs => check_docs::run(),
        Verb::Licenses => licenses::run(),
    }
}
