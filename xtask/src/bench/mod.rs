//! `bench`: what punchclock costs, beside other tools, in one run. Profilers and load run on CPU 0, what is
//! profiled on CPU 1; contenders alternate, so what the machine does meanwhile meets all of them.

mod begins;
mod blocked;
mod blocked_table;
mod crowd;
mod held;
mod interrupt;
mod pieces;
mod profilers;
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
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};

use self::report::{Report, Section};
use crate::{
    cargo::{self, cargo},
    setup, venv,
};

#[derive(clap::Args)]
pub struct Options {
    /// Few and short rounds: to see that it works, not to quote
    #[arg(long)]
    quick: bool,
    /// Only the parts with this in their headings
    #[arg(long, value_name = "WORDS", default_value = "")]
    only: String,
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

/// Less than eleven minutes in all, on a quiet machine: rounds are few where they hardly differ.
const FULL: Plan = Plan {
    round_trips: 200_000,
    switch_rounds: 3,
    busy: Duration::from_secs(1),
    sample_rounds: 3,
    passing: Duration::from_millis(1500),
    passing_rounds: 3,
    window: Duration::from_secs(1),
    window_rounds: 10,
    begin_rounds: 10,
};

const QUICK: Plan = Plan {
    round_trips: 60_000,
    switch_rounds: 2,
    busy: Duration::from_millis(800),
    sample_rounds: 1,
    passing: Duration::from_millis(700),
    passing_rounds: 1,
    window: Duration::from_millis(500),
    window_rounds: 2,
    begin_rounds: 3,
};

/// What is measured, and where it may write.
struct Bench {
    plan: &'static Plan,
    punchclock: PathBuf,
    /// Examples of the crate `profiler`.
    empty: PathBuf,
    symbolize: PathBuf,
    venv: PathBuf,
    out: PathBuf,
}

/// A heading of the report, and what measures the part below it.
type Part = (&'static str, fn(&Bench) -> Result<Section>);

const PARTS: [Part; 6] = [
    ("A context switch", switches::measure),
    ("A sample", samples::measure),
    ("A switch with off-CPU stacks", blocked::measure),
    ("Beginnings", begins::measure),
    ("Work beside a profiler", throughput::measure),
    ("A thousand workers", crowd::measure),
];

pub fn run(Options { quick, only }: &Options) -> Result<()> {
    let parts: Vec<_> = PARTS.into_iter().filter(|(heading, _)| heading.contains(only.as_str())).collect();
    ensure!(!parts.is_empty(), "failed to find a part with `{only}` in its heading");
    ensure!(thread::available_parallelism().is_ok_and(|cpus| cpus.get() > 1), "failed to find a second CPU");
    setup::run(&setup::Options { bench: true, ..setup::Options::default() })?;
    let out = env::current_dir().context("failed to find the current folder")?.join("target/bench");
    fs::create_dir_all(&out).with_context(|| format!("failed to create {}", out.display()))?;
    let bench = Bench {
        plan: if *quick { &QUICK } else { &FULL },
        punchclock: cargo::punchclock()?,
        empty: example("empty_program")?,
        symbolize: example("symbolize_frames")?,
        venv: venv::with("bench")?,
        out,
    };
    pin(0)?;
    interrupt::listen()?;
    let mut report = Report::new(report::machine(*quick), parts.iter().map(|(heading, _)| *heading));
    let measured = measure(&bench, &parts, &mut report);

    println!("\n{}", report.verdicts());
    eprintln!("bench: written to {}", report_path(&bench).display());
    if measured.is_err() && interrupt::has_come() {
        eprintln!("bench: interrupted, without: {}", report.missing().join(", "));
        process::exit(130);
    }
    measured
}

/// Measures one part after the other. What there is by then is written after each, and before the first, when there may be
/// another run's.
fn measure(bench: &Bench, parts: &[Part], report: &mut Report) -> Result<()> {
    report.write(&report_path(bench))?;
    for (heading, measure) in parts {
        let start = Instant::now();
        let section = measure(bench).with_context(|| format!("failed to measure: {heading}"))?;
        print!("{}", report.add(section, start.elapsed()).unwrap_or_default());
        report.write(&report_path(bench))?;
    }
    Ok(())
}

fn report_path(bench: &Bench) -> PathBuf {
    bench.out.join("report.md")
}

/// Builds an example of the crate `profiler`; its path.
fn example(name: &str) -> Result<PathBuf> {
    let build = ["build", "--release", "--package", "profiler", "--example", name];
    let built = cargo::executables(cargo().args(build))?.pop();
    built.with_context(|| format!("failed to find the example {name} in cargo's messages"))
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
