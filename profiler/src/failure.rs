//! The failures that a caller can tell apart: each has its exit code and its advice (`cli::hint`).

use std::{fmt, path::PathBuf};

/// Why a command could not do what it was asked.
#[derive(Debug)]
pub enum Failure {
    /// No fleet on this host is called that.
    NoSuchFleet(String),
    /// There are no fleets at all, and none was named.
    NoFleets,
    /// There is no such process.
    NoSuchProcess(u32),
    /// The kernel or the privileges do not suffice; `fix` is the command that helps.
    Unable {
        /// What is missing, as a clause.
        what: String,
        /// The one command that helps.
        fix: String,
    },
    /// This kernel's verifier refuses a program.
    Refused {
        /// Which.
        program: String,
        /// The kernel's release.
        kernel: String,
        /// The verifier's reason, as a clause.
        why: String,
        /// The file with all that it says.
        log: PathBuf,
    },
    /// A file cannot be written.
    Output {
        /// Which.
        path: PathBuf,
        /// Why, as a clause.
        why: String,
    },
    /// A file is not a recording that can be read.
    Recording {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        why: Unreadable,
    },
    /// The command line does not say what can be done.
    Usage(String),
    /// Nothing was seen: there is no data to show.
    Incomplete(String),
    /// Interrupted before there was any data.
    Interrupted,
}

/// What is wrong with a recording.
#[derive(Debug)]
pub enum Unreadable {
    /// Not a recording at all.
    Foreign,
    /// The file ends too early.
    Truncated,
    /// The file's checksum or contents do not hold.
    Corrupt(String),
    /// Written by a later punchclock, in this version of the format.
    Newer(u32),
}

impl Failure {
    /// None of the processes was there to be seen.
    #[must_use]
    pub fn all_ended() -> Self {
        Self::Incomplete("every process had ended before anything could be seen".to_owned())
    }

    /// The sentence, and the file that has more to say, if there is one.
    #[must_use]
    pub fn with_its_log(&self) -> String {
        match self {
            Self::Refused { log, .. } => format!("{self}; all of it is in {}", log.display()),
            _ => self.to_string(),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchFleet(name) => write!(f, "no fleet on this host matches `{name}`"),
            Self::NoFleets => write!(f, "no fleet of Python workers runs on this host"),
            Self::NoSuchProcess(pid) => write!(f, "no process has the PID {pid}"),
            Self::Unable { what, .. } => write!(f, "{what}"),
            Self::Refused { program, kernel, why, .. } => {
                write!(f, "kernel {kernel} refuses the program {program}: {why}")
            }
            Self::Output { path, why } => write!(f, "cannot write `{}`: {why}", path.display()),
            Self::Recording { path, why } => write!(f, "cannot read `{}`: {why}", path.display()),
            Self::Usage(why) | Self::Incomplete(why) => write!(f, "{why}"),
            Self::Interrupted => write!(f, "interrupted before there was anything to show"),
        }
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Foreign => write!(f, "it is not a punchclock recording"),
            Self::Truncated => write!(f, "it ends too early: the file was cut short"),
            Self::Corrupt(why) => write!(f, "it is damaged ({why})"),
            Self::Newer(version) => write!(f, "it was written by a newer punchclock (format {version})"),
        }
    }
}

impl std::error::Error for Failure {}
