//! `test`: every test there is. Those of the package `profiler-tests` load eBPF programs, so they run as root;
//! all that is built is built as the user who asked.

use std::{env, path::Path};

use anyhow::{Context as _, Result};

use crate::{
    cargo::{self, cargo},
    exec::{as_root, exec},
    setup, venv,
};

/// What the tests run, besides the standard library.
const PACKAGES: [&str; 13] = [
    "gunicorn[gevent,setproctitle]",
    "tornado",
    "uvicorn",
    "uvicorn-worker",
    "uvloop",
    "hypercorn",
    "granian",
    "waitress",
    "pyuwsgi",
    "celery",
    "rq",
    "requests",
    "selenium",
];

#[derive(clap::Args, Default)]
pub struct Options {
    /// For the test programs: a part of the wanted tests' names, --nocapture, …
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<String>,
}

pub fn run(Options { args }: &Options) -> Result<()> {
    setup::run(&setup::Options { test: true, ..setup::Options::default() })?;
    let packages = ["--package", "profiler", "--package", "profiler-common", "--package", "xtask"];
    exec(cargo().arg("test").args(packages).arg("--").args(args))?;

    let punchclock = cargo::punchclock()?;
    let venv = venv::with(&PACKAGES)?;
    let tests = cargo::executables(cargo().args(["test", "--no-run", "--package", "profiler-tests"]))?;
    for test in tests {
        // sudo clears the environment, so what the tests need is named.
        let mut command = as_root("env");
        command.current_dir(Path::new("tests"));
        command.arg(format!("PUNCHCLOCK={}", punchclock.display()));
        command.arg(format!("PUNCHCLOCK_VENV={}", venv.display()));
        for name in ["CI", "HOME", "PATH", "PYENV_ROOT", "RUST_BACKTRACE"] {
            if let Ok(value) = env::var(name) {
                command.arg(format!("{name}={value}"));
            }
        }
        // One at a time: they measure CPU time to the nanosecond, and neighbours would queue for it.
        exec(command.arg(&test).arg("--test-threads=1").args(args))
            .with_context(|| format!("failed to pass the tests in {}", test.display()))?;
    }
    Ok(())
}
