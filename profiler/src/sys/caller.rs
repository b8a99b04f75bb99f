//! Who called `sudo`.
#![expect(unsafe_code, reason = "std does not tell who we are")]

use std::env;

/// The user and group that `sudo` was called by, if we run as root.
#[must_use]
pub fn caller() -> Option<(u32, u32)> {
    // SAFETY: no arguments, cannot fail.
    let is_root = unsafe { libc::geteuid() } == 0;
    let id = |name| env::var(name).ok()?.parse().ok();
    id("SUDO_UID").zip(id("SUDO_GID")).filter(|_| is_root)
}
