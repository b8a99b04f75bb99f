//! `bench`: what punchclock costs, beside other tools, in one run. Profilers and load run on CPU 0, what is
//! profiled on CPU 1; contenders alternate, so what the machine does meanwhile meets all of them.

mod begins;
mod blocked;
mod blocked_table;
mod held;
mod programs;
mod recording;
mod report;
mod samples;
mod spread;
mod switches;
mod throughput;
mod throughput_table;
mod usage;

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{self, Command, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};

use self::held::Held;
use crate::{
    cargo::{self, cargo},
    setup, venv,
};

#[derive(clap::Args)]
pub struct Options {
    /// Few and short rounds: to see that it works, not to quote
    #[arg(long)]
    quick: bool,
}

/// How long and how often.
struct Plan {
    /// Part A: round trips through the pipe, and rounds.
    round_trips: u32,
    switch_rounds: usize,
    /// Part B: what a recording lasts, and rounds.
    busy: Duration,
    sample_rounds: usize,
    /// Part C: for how long switches with off-CPU stacks are counted, and rounds.
    passing: Duration,
    passing_rounds: usize,
    /// Part D: what a window lasts, and rounds.
    window: Duration,
    window_rounds: usize,
    /// Part E: rounds.
    begin_rounds: usize,
}

const FULL: Plan = Plan {
    round_trips: 200_000,
    switch_rounds: 5,
    busy: Duration::from_secs(1),
    sample_rounds: 5,
    passing: Duration::from_millis(1500),
    passing_rounds: 5,
    window: Duration::from_secs(1),
    window_rounds: 20,
    begin_rounds: 10,
};

const QUICK: Plan = Plan {
    round_trips: 60_000,
    switch_rounds: 2,
    busy: Duration::from_millis(800),
    sample_rounds: 1,
    passing: Duration::from_millis(700),
    passing_rounds: 1,
    window: Duration::from_millis(1200),
    window_rounds: 3,
    begin_rounds: 3,
};

/// What is measured, and where it may write.
struct Bench {
    plan: &'static Plan,
    punchclock: PathBuf,
    empty: PathBuf,
    venv: PathBuf,
    out: PathBuf,
}

pub fn run(&Options { quick }: &Options) -> Result<()> {
    ensure!(thread::available_parallelism().is_ok_and(|cpus| cpus.get() > 1), "failed to find a second CPU");
    setup::run(&setup::Options { bench: true, ..setup::Options::default() })?;
    let example = ["build", "--release", "--package", "profiler", "--example", "empty_program"];
    let out = env::current_dir().context("failed to find the current folder")?.join("target/bench");
    fs::create_dir_all(&out).with_context(|| format!("failed to create {}", out.display()))?;
    let bench = Bench {
        plan: if quick { &QUICK } else { &FULL },
        punchclock: cargo::punchclock()?,
        empty: cargo::executables(cargo().args(example))?
            .pop()
            .context("failed to find the empty program")?,
        venv: venv::with("bench")?,
        out,
    };
    let machine = report::machine(quick);
    pin(0)?;
    let statistics = Held::statistics()?;
    let mut sections = vec![switches::measure(&bench)?, samples::measure(&bench)?, blocked::measure(&bench)?];
    // Not free: nobody has it on while recording.
    statistics.end()?;
    sections.push(begins::measure(&bench)?);
    sections.push(throughput::measure(&bench)?);

    let report = report::render(&machine, &sections);
    let path = bench.out.join("report.md");
    fs::write(&path, &report).with_context(|| format!("failed to write {}", path.display()))?;
    println!("{report}");
    eprintln!("bench: written to {}", path.display());
    Ok(())
}

/// Moves us, and with us all that we start from now on, to one CPU.
fn pin(cpu: u32) -> Result<()> {
    let mut taskset = Command::new("taskset");
    taskset.args(["--all-tasks", "--cpu-list", "--pid", &cpu.to_string(), &process::id().to_string()]);
    let status = taskset.stdout(Stdio::null()).status().context("failed to start taskset")?;
    ensure!(status.success(), "failed to move to CPU {cpu}");
    Ok(())
}

/// The contenders in the order of this round: each comes first, last and in between.
fn rotated<T: Copy>(contenders: &[T], round: usize) -> Vec<T> {
    let mut order = contenders.to_vec();
    order.rotate_left(round % contenders.len());
    order
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("failed to read {}", path.display()))
}
