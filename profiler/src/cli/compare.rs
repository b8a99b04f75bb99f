//! Arguments of `punchclock compare`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::{formats, model::diff::threshold::Threshold};

/// `punchclock compare`
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch on the command line")]
pub struct Compare {
    /// Recordings: the first is what the others are compared with
    #[arg(value_name = "REC", required = true, num_args = 2..)]
    pub recordings: Vec<PathBuf>,
    /// What functions and the flame graph are counted by [default: request, if requests are known; else wall]
    #[arg(long, value_enum)]
    pub per: Option<Per>,
    /// Requests that were answered in each recording, where it does not know itself
    #[arg(long, value_name = "NUMBERS", value_delimiter = ',')]
    pub requests: Vec<u64>,
    /// Exit with 10 if this is so, for the workers: a number, > or <, and a change in per cent that is more than chance, or a value;
    /// the number is judged by itself, at 95 %; repeatable: `cpu_ms_per_request>+5%`
    #[arg(long, value_name = "CONDITION")]
    pub fail_if: Vec<Threshold>,
    /// Write here. The extension says what
    #[arg(short, long, value_name = "FILE", help = format!("Write here: {}", formats::list(formats::COMPARISON)))]
    pub output: Option<PathBuf>,
    /// Draw the root of the flame graph at the bottom; without this it is on top
    #[arg(long, requires = "output")]
    pub inverted: bool,
    /// Show all numbers and functions, not a page of the most important ones
    #[arg(short, long)]
    pub verbose: bool,
    /// Print JSON
    #[arg(long, conflicts_with = "markdown")]
    pub json: bool,
    /// Print Markdown
    #[arg(long)]
    pub markdown: bool,
}

/// What is counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Per {
    /// Seconds on a CPU: how the time divides.
    Cpu,
    /// Seconds.
    Wall,
    /// Requests.
    Request,
}
