//! `test`: every test there is. Those of the package `profiler-tests` load eBPF programs, so they run as root;
//! all that is built is built as the user who asked.

use std::{
    env, fs,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Command, ExitStatus, Stdio},
};

use anyhow::{Context as _, Result, ensure};

use crate::{
    cargo::{self, cargo},
    exec::{as_root, exec, line},
    pythons, setup, venv,
};

#[derive(clap::Args, Default)]
pub struct Options {
    /// Run the tests of one file in `tests/tests` alone, and no unit tests
    #[arg(long, value_name = "NAME")]
    file: Option<String>,
    /// For the test programs: a part of the wanted tests' names, --nocapture, …
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<String>,
}

pub fn run(Options { file, args }: &Options) -> Result<()> {
    setup::run(&setup::Options { test: true, ..setup::Options::default() })?;
    pythons::run()?;
    if file.is_none() {
        units(args)?;
    }

    let punchclock = cargo::punchclock()?;
    let venv = venv::with("tests")?;
    let mut build = cargo();
    build.args(["test", "--no-run", "--package", "profiler-tests"]);
    let mut args = args.clone();
    if let Some(file) = file {
        build.args(["--test", &topic(file)?]);
        // As libtest calls the tests of a module.
        args = vec![format!("{file}::{}", args.join(" "))];
    }
    let tests = cargo::executables(&mut build)?;
    let mut unsteady = Vec::new();
    for test in tests {
        let command = || {
            let venv = ("PUNCHCLOCK_VENV", venv.display().to_string());
            let mut command = as_root_test(&test, &punchclock, &[venv]);
            // One at a time: they measure CPU time to the nanosecond, and neighbours would queue for it.
            command.arg("--test-threads=1");
            command
        };
        unsteady.extend(
            pass(command, &args)
                .with_context(|| format!("failed to pass the tests in {}", test.display()))?,
        );
    }
    for name in unsteady {
        eprintln!("test: {name} failed, and passed when it was run again");
    }
    Ok(())
}

/// A test program as root, which finds punchclock and what else it needs in its environment.
pub fn as_root_test(test: &Path, punchclock: &Path, more: &[(&str, String)]) -> Command {
    // sudo clears the environment, so what the tests need is named.
    let mut command = as_root("env");
    command.current_dir(Path::new("tests"));
    command.arg(format!("PUNCHCLOCK={}", punchclock.display()));
    command.args(more.iter().map(|(name, value)| format!("{name}={value}")));
    for name in ["CI", "HOME", "PATH", "PYENV_ROOT", "RUST_BACKTRACE"] {
        if let Ok(value) = env::var(name) {
            command.arg(format!("{name}={value}"));
        }
    }
    command.arg(test);
    command
}

/// The test program, a folder of `tests/tests`, that has a file.
fn topic(file: &str) -> Result<String> {
    let folders = fs::read_dir("tests/tests").context("failed to list tests/tests")?;
    let folders = folders.collect::<Result<Vec<_>, _>>().context("failed to list tests/tests")?;
    let folder = folders.iter().find(|folder| folder.path().join(format!("{file}.rs")).is_file());
    let folder = folder.with_context(|| format!("failed to find {file}.rs below tests/tests"))?;
    Ok(folder.file_name().to_string_lossy().into_owned())
}

/// Runs the unit tests, which need no root.
pub fn units(args: &[String]) -> Result<()> {
    let packages = ["--package", "profiler", "--package", "profiler-common", "--package", "xtask"];
    exec(cargo().arg("test").args(packages).arg("--").args(args))
}

/// Runs a test program. These tests measure a machine on which others work too, whose neighbours now and then take a
/// CPU or a second away; so the ones that fail are run once more, by themselves. Their names are what is returned:
/// a test that needed it twice is one to look at.
fn pass(command: impl Fn() -> Command, args: &[String]) -> Result<Vec<String>> {
    let first = run_tests(command().args(args))?;
    if first.status.success() {
        return Ok(Vec::new());
    }
    // Without a failed test it is the program that failed, which is no test's outcome.
    ensure!(!first.failed.is_empty(), "failed to run to the end ({})", first.status);
    eprintln!("test: once more, by themselves: {}", first.failed.join(", "));
    let again = run_tests(command().arg("--exact").args(&first.failed))?;
    ensure!(again.status.success(), "failed twice ({})", again.status);
    Ok(first.failed)
}

/// How a test program ended.
struct Outcome {
    status: ExitStatus,
    failed: Vec<String>,
}

/// Runs a test program and shows what it writes.
fn run_tests(command: &mut Command) -> Result<Outcome> {
    eprintln!("+ {}", line(command));
    let mut child = command.stdout(Stdio::piped()).spawn().context("failed to start it")?;
    let mut failed = Vec::new();
    for line in BufReader::new(child.stdout.take().context("failed to hear it")?).lines() {
        let line = line.context("failed to read what it writes")?;
        println!("{line}");
        // As libtest words it.
        let name = line.strip_prefix("test ").and_then(|rest| rest.strip_suffix(" ... FAILED"));
        failed.extend(name.map(str::to_owned));
    }
    Ok(Outcome { status: child.wait().context("failed to wait for it")?, failed })
}
