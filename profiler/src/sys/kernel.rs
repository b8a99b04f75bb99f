//! The running kernel's name.

use std::fs;

/// Its release, as `uname -r` says it; empty if `/proc` does not tell.
#[must_use]
pub fn release() -> String {
    fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned()
}
