//! How much a process has mapped, which is cheap to ask for and tells whether to look at its mappings again.

use crate::sys::tids;

/// How much a process has mapped, in pages: a new library changes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mapped {
    /// In all.
    pub all: u64,
    /// What of it is its own to be written.
    pub written: u64,
}

impl Mapped {
    /// How much a process has mapped, from `/proc/PID/statm`; `None` if it is gone. A zombie maps nothing.
    #[must_use]
    pub fn of(tgid: u32) -> Option<Self> {
        if !tids::exists(tgid) {
            return None;
        }
        let statm =
            procfs::process::Process::new(tgid.cast_signed()).and_then(|process| process.statm()).ok()?;
        Some(Self { all: statm.size, written: statm.data })
    }
}
