//! The command line's words. No verb's work is done here.

pub mod hint;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Clocks every Python worker on and off the CPU.
#[derive(Debug, Parser)]
#[command(name = "punchclock", version, propagate_version = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// List the fleets of Python workers on this host
    Ps(Ps),
    /// Show exact on-CPU time, waits and context switches of each worker
    Stat(Stat),
    /// Sample Python stacks as well, and write flame graphs and recordings
    Record(Record),
    /// Render a recording again
    Report(Report),
    /// Check what this host, this kernel and these privileges allow
    Doctor(Doctor),
}

/// Which processes.
#[derive(Clone, Debug, Default, Args)]
pub struct Target {
    /// A server or an application as `punchclock ps` shows it, or a glob over these [default: all fleets]
    pub fleet: Vec<String>,
    /// Processes; a master stands for its whole tree
    #[arg(short, long, value_name = "PID", value_delimiter = ',', value_parser = parse_pid)]
    pub pid: Vec<u32>,
    /// All fleets on this host
    #[arg(short, long, conflicts_with_all = ["fleet", "pid"])]
    pub all: bool,
}

/// `punchclock ps`
#[derive(Debug, Args)]
pub struct Ps {
    /// Also tell how each process was recognised
    #[arg(short, long)]
    pub verbose: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `punchclock stat`
#[derive(Debug, Args)]
pub struct Stat {
    /// Which processes.
    #[command(flatten)]
    pub target: Target,
    /// Seconds to watch
    #[arg(short, long, default_value_t = 10.0, value_name = "SECONDS", value_parser = parse_seconds)]
    pub duration: f64,
    /// Show the numbers of each interval of so many seconds, and then those of the whole window
    #[arg(short, long, value_name = "SECONDS", value_parser = parse_seconds)]
    pub interval: Option<f64>,
    /// Show each thread
    #[arg(short, long)]
    pub threads: bool,
    /// Print JSON: one document, or with --interval one a line, the last of the whole window
    #[arg(long)]
    pub json: bool,
}

/// `punchclock record`
#[derive(Debug, Args)]
pub struct Record {
    /// Which processes.
    #[command(flatten)]
    pub target: Target,
    /// Seconds to record [default: 30; with a command: until it ends]
    #[arg(short, long, value_name = "SECONDS", value_parser = parse_seconds)]
    pub duration: Option<f64>,
    /// Samples per second and CPU
    #[arg(short, long, default_value_t = 99, value_name = "HZ", value_parser = clap::value_parser!(u64).range(1..=10_000))]
    pub rate: u64,
    /// Write here; repeatable. The extension says what: .svg, .folded, .json or .punch
    #[arg(short, long, value_name = "FILE")]
    pub output: Vec<PathBuf>,
    /// How stacks become pictures.
    #[command(flatten)]
    pub shape: Shape,
    /// Print the numbers as JSON
    #[arg(long)]
    pub json: bool,
    /// Start this command, and record it
    #[arg(last = true, value_name = "CMD", conflicts_with_all = ["fleet", "pid", "all"])]
    pub command: Vec<String>,
}

/// `punchclock report`
#[derive(Debug, Args)]
pub struct Report {
    /// A recording
    #[arg(value_name = "REC")]
    pub recording: PathBuf,
    /// Write here; repeatable. The extension says what: .svg, .folded, .json or .punch [default: print the numbers]
    #[arg(short, long, value_name = "FILE")]
    pub output: Vec<PathBuf>,
    /// How stacks become pictures.
    #[command(flatten)]
    pub shape: Shape,
    /// Show each thread
    #[arg(short, long)]
    pub threads: bool,
    /// Print the numbers as JSON
    #[arg(long)]
    pub json: bool,
}

/// How stacks become pictures.
#[derive(Clone, Copy, Debug, Default, Args)]
pub struct Shape {
    /// Put this at the root of each stack
    #[arg(long, value_enum, default_value_t)]
    pub by: By,
    /// Count this
    #[arg(long, value_enum, default_value_t)]
    pub weight: Weight,
    /// Show native frames of Python processes too
    #[arg(short, long)]
    pub native: bool,
    /// Show kernel frames too
    #[arg(short, long)]
    pub kernel: bool,
}

/// What stands at the root.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum By {
    /// The fleet's name.
    Fleet,
    /// Role and PID.
    #[default]
    Worker,
    /// Role, PID, and the thread's name and TID.
    Thread,
    /// The worker class.
    Class,
}

/// What is counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Weight {
    /// Nanoseconds: each worker's exact on-CPU time, divided by its samples.
    #[default]
    Cpu,
    /// Samples, raw.
    Samples,
}

/// `punchclock doctor`
#[derive(Debug, Args)]
pub struct Doctor {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// A PID as people type it: decimal, or hexadecimal behind 0x.
fn parse_pid(text: &str) -> Result<u32, String> {
    let parsed = match text.strip_prefix("0x") {
        Some(hex) => u32::from_str_radix(hex, 16),
        None => text.parse(),
    };
    parsed.ok().filter(|pid| *pid != 0).ok_or_else(|| "not a PID".to_owned())
}

/// Seconds: more than nothing, a day at most.
fn parse_seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if seconds > 0.0 && seconds <= 86_400.0 => Ok(seconds),
        _ => Err("not a number of seconds between 0 and 86400".to_owned()),
    }
}
