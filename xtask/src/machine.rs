//! The machines that punchclock is released for, and by which names.

use std::{env::consts::ARCH, fmt};

use anyhow::{Context as _, Result};
use clap::ValueEnum as _;

/// A kind of processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum Machine {
    #[value(name = "x86_64")]
    X86_64,
    Aarch64,
}

impl Machine {
    /// The one that we run on.
    pub fn here() -> Result<Self> {
        let mut all = Self::value_variants().iter().copied();
        all.find(|machine| machine.to_string() == ARCH)
            .with_context(|| format!("punchclock is not released for {ARCH}"))
    }

    /// The architecture's name in Debian.
    pub fn debian(self) -> &'static str {
        match self {
            Self::X86_64 => "amd64",
            Self::Aarch64 => "arm64",
        }
    }
}

/// Writes the architecture as rustc and the kernel name it.
impl fmt::Display for Machine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::X86_64 => "x86_64",
            Self::Aarch64 => "aarch64",
        })
    }
}
