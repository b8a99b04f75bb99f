//! `fuzz`: what strangers can put before punchclock, made up by libFuzzer: the targets of `fuzz/`, as many at a time as there
//! are CPUs. New finds, and an input that fails, are left in `target/fuzz`.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    slice::Iter,
    sync::{Mutex, PoisonError},
    thread,
};

use anyhow::{Context as _, Result, bail, ensure};

use crate::{
    cargo::{self, cargo},
    exec::{exec, line},
    setup,
};

/// The folders of its seeds are the targets' names.
const CORPUS: &str = "fuzz/corpus";

/// Where everything is left.
const FOLDER: &str = "target/fuzz";

/// Seconds that one input may take.
const PATIENCE: u32 = 5;

#[derive(clap::Args)]
pub struct Options {
    /// Targets to run: all, if none is named
    targets: Vec<String>,
    /// How long each runs
    #[arg(long, default_value_t = 60)]
    seconds: u32,
    /// Fuzz nothing, but write the interpreter of a process to standard output, as a seed for `memory` and `frames`
    #[arg(long, value_name = "PID")]
    snapshot: Option<u32>,
}

impl Options {
    /// All targets, for so long each.
    pub fn all(seconds: u32) -> Self {
        Self { targets: Vec::new(), seconds, snapshot: None }
    }
}

pub fn run(Options { targets, seconds, snapshot }: &Options) -> Result<()> {
    let known = known()?;
    if let Some(unknown) = targets.iter().find(|target| !known.contains(target)) {
        bail!("there is no target `{unknown}`, but {}", known.join(", "));
    }
    setup::run(&setup::Options { fuzz: true, ..setup::Options::default() })?;
    let wanted = if targets.is_empty() { &known } else { targets };
    let root = env::current_dir().context("failed to find the current folder")?;
    let fuzz = build(&root)?;
    if let Some(tgid) = snapshot {
        return exec(Command::new(fuzz).env("FUZZ_SNAPSHOT", tgid.to_string()));
    }

    let (queue, failed) = (Mutex::new(wanted.iter()), Mutex::new(Vec::new()));
    let work = || {
        while let Some(target) = next(&queue) {
            match fuzz_one(&fuzz, &root, target, *seconds) {
                Ok(inputs) => eprintln!("fuzz: {target}: {inputs} inputs"),
                Err(error) => {
                    eprintln!("fuzz: {target}: {error:#}");
                    failed.lock().unwrap_or_else(PoisonError::into_inner).push(target.as_str());
                }
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
    let failed = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
    ensure!(failed.is_empty(), "failed to bear what was made up for {}", failed.join(", "));
    Ok(())
}

/// The next target that nobody runs yet.
fn next<'a>(queue: &Mutex<Iter<'a, String>>) -> Option<&'a String> {
    queue.lock().unwrap_or_else(PoisonError::into_inner).next()
}

/// Builds the program that has all targets.
fn build(root: &Path) -> Result<PathBuf> {
    let mut build = cargo();
    // Of so many packages that their dependencies have the features which they have for `test`: they are built already.
    build.args(["build", "--bin", "fuzz", "--package", "punchclock-fuzz"]);
    build.args(["--package", "profiler", "--package", "profiler-common", "--package", "xtask"]);
    build.env("RUSTC_WORKSPACE_WRAPPER", root.join("fuzz/rustc"));
    eprintln!("+ {}", line(&build));
    let built = cargo::executables(&mut build)?;
    built.into_iter().next().context("failed to find the fuzzer in cargo's messages")
}

fn known() -> Result<Vec<String>> {
    let folders = fs::read_dir(CORPUS).with_context(|| format!("failed to list {CORPUS}"))?;
    let names = folders.map(|folder| Ok(folder?.file_name().to_string_lossy().into_owned()));
    let mut names = names.collect::<Result<Vec<_>>>().with_context(|| format!("failed to list {CORPUS}"))?;
    names.sort();
    Ok(names)
}

/// Runs one target, which writes to a log; how many inputs it was given.
fn fuzz_one(fuzz: &Path, root: &Path, target: &str, seconds: u32) -> Result<u64> {
    let folder = root.join(FOLDER);
    let found = folder.join(target);
    fs::create_dir_all(&found).with_context(|| format!("failed to make {}", found.display()))?;
    let log = folder.join(format!("{target}.log"));
    let output = fs::File::create(&log).with_context(|| format!("failed to make {}", log.display()))?;
    let status = Command::new(fuzz)
        .env("FUZZ_TARGET", target)
        .env("TMPDIR", &folder)
        .arg(format!("-artifact_prefix={}/{target}-", folder.display()))
        .args([format!("-max_total_time={seconds}"), format!("-timeout={PATIENCE}")])
        .arg("-print_final_stats=1")
        .arg(&found)
        .arg(Path::new(CORPUS).join(target))
        .stdout(output.try_clone().context("failed to share the log")?)
        .stderr(output)
        .status()
        .with_context(|| format!("failed to start {}", fuzz.display()))?;
    ensure!(status.success(), "it does not bear the input that {} names ({status})", log.display());
    let said = fs::read_to_string(&log).with_context(|| format!("failed to read {}", log.display()))?;
    let inputs = said.lines().find_map(|line| line.strip_prefix("stat::number_of_executed_units:"));
    inputs.and_then(|inputs| inputs.trim().parse().ok()).context("it does not say how many inputs it had")
}
