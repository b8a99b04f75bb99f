//! Arguments of the command line. No verb's work is done here.

pub mod audit;
pub mod compare;
pub mod hint;

use std::{ffi::OsString, path::PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::formats::{self, Format};

/// Clocks every Python worker on and off the CPU.
#[derive(Debug, Parser)]
#[command(name = "punchclock", version, propagate_version = true, after_help = TERMS)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// Where words are explained.
const TERMS: &str = "Terms are explained in docs/glossary.md.";

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// List the fleets of Python workers on this host
    Ps(Ps),
    /// Show exact on-CPU time, waits and context switches of each worker
    Stat(Stat),
    /// Sample Python stacks as well, and write flame graphs and recordings
    Record(Record),
    /// Show one stack of each thread, running or blocked, as it is now
    Dump(Dump),
    /// Render a recording again
    Report(Report),
    /// Tell what differs between recordings, and whether that is more than chance
    Compare(compare::Compare),
    /// Measure what a server costs idle and under rising load, which worker class to take, and how many workers to run
    Audit(audit::Audit),
    /// Check what this host, this kernel and these privileges allow
    Doctor(Doctor),
}

/// Which processes.
#[derive(Clone, Debug, Default, Args)]
pub struct Target {
    /// A server or an application as `punchclock ps` shows it, or a glob over these; with an address behind it,
    /// `shop:app@:8001`, the fleet that listens there [default: all fleets]
    pub fleet: Vec<String>,
    /// Processes; a master stands for its whole tree
    #[arg(short, long, value_name = "PID", value_delimiter = ',', value_parser = parse_pid)]
    pub pid: Vec<u32>,
    /// All fleets on this host
    #[arg(short, long, conflicts_with_all = ["fleet", "pid"])]
    pub all: bool,
}

/// How much is kept.
#[derive(Clone, Copy, Debug, Args)]
pub struct Bounds {
    /// Use so much memory at most for what is found: 64M, 1G; what does not fit is counted
    #[arg(long, value_name = "SIZE", default_value = "256M", value_parser = parse_bytes)]
    pub max_memory: usize,
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
#[expect(clippy::struct_excessive_bools, reason = "each is a switch on the command line")]
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
    /// Show only the kernel's own counters, not what threads wait for: then a switch costs next to nothing
    #[arg(long, conflicts_with = "idle")]
    pub counters_only: bool,
    /// Show what processes cost that have nothing to do: CPU time and wake-ups per second, who wakes them, where they
    /// sleep, and whether that is how their server means it
    #[arg(long, conflicts_with_all = ["interval", "threads"])]
    pub idle: bool,
    /// How much is kept.
    #[command(flatten)]
    pub bounds: Bounds,
    /// Show each thread
    #[arg(short, long)]
    pub threads: bool,
    /// Show a table of context switches, migrations and wake-ups, too
    #[arg(short, long, conflicts_with = "idle")]
    pub switches: bool,
    /// Show memory and disks, too: what each process has, reads and writes
    #[arg(long, conflicts_with = "idle")]
    pub memory: bool,
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
    /// Keep the stacks of waits that are at least so long: 10us, 2ms, 1s; 0 for all
    #[arg(long, default_value = "10us", value_name = "TIME", value_parser = parse_ns)]
    pub min_block: u64,
    /// Keep so many distinct stacks between two looks, ten a second [default: 8192 for each CPU]
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=1 << 20))]
    pub max_stacks: Option<u32>,
    /// How much is kept.
    #[command(flatten)]
    pub bounds: Bounds,
    /// Count requests by the lines that are appended to this file, one each: what a request costs is then told by `compare`
    #[arg(long, value_name = "FILE", conflicts_with = "command")]
    pub access_log: Option<PathBuf>,
    /// Write here; repeatable. The extension says what
    #[arg(short, long, value_name = "FILE", help = written(formats::RECORDING, "a flame graph and a recording"))]
    pub output: Vec<PathBuf>,
    /// How stacks become pictures.
    #[command(flatten)]
    pub graph: GraphOptions,
    /// Keep and show memory and disks, too: what each process has, reads and writes
    #[arg(long)]
    pub memory: bool,
    /// Print the numbers as JSON
    #[arg(long)]
    pub json: bool,
    /// Under sudo, start the command as root, not as the user who called sudo
    #[arg(long, requires = "command")]
    pub as_root: bool,
    /// Start this command, and record it; under sudo it runs as the user who called sudo
    #[arg(last = true, value_name = "CMD", conflicts_with_all = ["fleet", "pid", "all"])]
    pub command: Vec<OsString>,
}

/// `punchclock dump`
#[derive(Debug, Args)]
pub struct Dump {
    /// Which processes.
    #[command(flatten)]
    pub target: Target,
    /// How much is kept.
    #[command(flatten)]
    pub bounds: Bounds,
    /// Show native frames too
    #[arg(short, long)]
    pub native: bool,
    /// Show kernel frames too
    #[arg(short, long)]
    pub kernel: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `punchclock report`
#[derive(Debug, Args)]
pub struct Report {
    /// A recording
    #[arg(value_name = "REC")]
    pub recording: PathBuf,
    /// Write here; repeatable. The extension says what
    #[arg(short, long, value_name = "FILE", help = written(formats::RECORDING, "print the numbers"))]
    pub output: Vec<PathBuf>,
    /// How stacks become pictures.
    #[command(flatten)]
    pub graph: GraphOptions,
    /// Show each thread
    #[arg(short, long)]
    pub threads: bool,
    /// Show a table of context switches, migrations and wake-ups, too
    #[arg(short, long)]
    pub switches: bool,
    /// Print the numbers as JSON
    #[arg(long)]
    pub json: bool,
}

/// How stacks become pictures.
#[derive(Clone, Copy, Debug, Default, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch on the command line")]
pub struct GraphOptions {
    /// Put this at the root of each stack
    #[arg(long, value_enum, default_value_t)]
    pub by: By,
    /// Count this
    #[arg(long, value_enum, default_value_t)]
    pub weight: Weight,
    /// Show where threads were blocked, with the reason at the leaf, instead of where they ran
    #[arg(long)]
    pub off_cpu: bool,
    /// Show both in one graph
    #[arg(long, conflicts_with = "off_cpu")]
    pub wall: bool,
    /// Show time spent waiting for work too
    #[arg(long)]
    pub idle: bool,
    /// Show native frames of Python processes too
    #[arg(short, long)]
    pub native: bool,
    /// Show only samples of threads that held the GIL
    #[arg(short, long)]
    pub gil: bool,
    /// Show kernel frames too; those of a wait are as they were when the thread first waited there
    #[arg(short, long)]
    pub kernel: bool,
    /// Draw the root of the flame graph at the bottom; without this it is on top
    #[arg(long)]
    pub inverted: bool,
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
    /// Role, PID, and the name of the asyncio task that ran, from Python 3.14 on.
    Task,
    /// The worker class.
    Class,
}

/// What is counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Weight {
    /// Nanoseconds: each worker's exact on-CPU time, divided by its samples; waits as they were measured.
    #[default]
    #[value(alias = "cpu")]
    Time,
    /// Samples, raw; waits.
    Samples,
}

/// `punchclock doctor`
#[derive(Debug, Args)]
pub struct Doctor {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// The words of an option that names files, with what is done without it.
fn written<W>(formats: &[Format<W>], default: &str) -> String {
    format!(
        "Write here; repeatable. The extension says what: {} [default: {default}]",
        formats::list(formats)
    )
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

/// A time with its unit, as ns: a minute at most.
fn parse_ns(text: &str) -> Result<u64, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor = match unit {
        "" if number == "0" => Some(1),
        "ns" => Some(1),
        "us" | "µs" => Some(1_000),
        "ms" => Some(1_000_000),
        "s" => Some(1_000_000_000_u64),
        _ => None,
    };
    let ns = number.parse::<u64>().ok().zip(factor).and_then(|(number, factor)| number.checked_mul(factor));
    ns.filter(|ns| *ns <= 60_000_000_000).ok_or_else(|| "not a time like 10us, 2ms or 1s".to_owned())
}

/// A size with its unit, as bytes: 16 MiB at least.
fn parse_bytes(text: &str) -> Result<usize, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let shift = match unit.trim_end_matches("iB").trim_end_matches('B') {
        "K" | "k" => 10,
        "M" => 20,
        "G" => 30,
        _ => return Err("not a size like 64M or 1G".to_owned()),
    };
    let bytes = number.parse::<usize>().ok().and_then(|number| number.checked_mul(1 << shift));
    bytes.filter(|bytes| *bytes >= 16 << 20).ok_or_else(|| "not a size of at least 16M".to_owned())
}
