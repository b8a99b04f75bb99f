//! Release and version of the running kernel.

use std::fs;

/// Release of the running kernel, as `uname -r` prints it; empty if `/proc` does not have it.
#[must_use]
pub fn release() -> String {
    fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned()
}

/// The first two numbers of its release; 0 for what is none.
#[must_use]
pub fn version() -> (u32, u32) {
    let release = release();
    let mut numbers = release.split(['.', '-']).map_while(|number| number.parse().ok());
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}
