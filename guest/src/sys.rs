//! System calls that std has not, and with them all `unsafe` of this program.
#![expect(unsafe_code, reason = "std has none of these system calls")]

use std::{ffi::CString, io};

use anyhow::{Context as _, Result};

/// Mounts a file system without a device.
pub fn mount(kind: &str, folder: &str, options: &str) -> Result<()> {
    let [kind_c, folder_c, options_c] =
        [kind, folder, options].map(|text| CString::new(text).unwrap_or_default());
    // SAFETY: the four strings end with a zero byte and outlive the call, which only reads them.
    let failed = unsafe {
        libc::mount(kind_c.as_ptr(), folder_c.as_ptr(), kind_c.as_ptr(), 0, options_c.as_ptr().cast())
    };
    if failed == 0 {
        return Ok(());
    }
    Err(io::Error::last_os_error()).with_context(|| format!("failed to mount {kind} on {folder}"))
}

/// Ends the machine; returns only if that failed. QEMU is told to end where a machine starts anew: one that has slept does not
/// hear of its power.
pub fn power_off() {
    // SAFETY: sync and reboot take no memory of ours.
    unsafe {
        libc::sync();
        libc::reboot(libc::RB_AUTOBOOT);
    }
}

/// Sends a signal to one process.
pub fn signal(tgid: u32, signal: libc::c_int) {
    // SAFETY: no memory is passed.
    unsafe { libc::kill(tgid.cast_signed(), signal) };
}

/// Has this process killed when the thread that started it ends.
pub fn die_with_parent() {
    // SAFETY: no memory is passed.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
}

/// User and system time of all children that were waited for, in µs.
pub fn children_cpu_us() -> u64 {
    // SAFETY: all of it are integers, for which zeros are values.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel writes one `rusage`, which is ours.
    unsafe { libc::getrusage(libc::RUSAGE_CHILDREN, &raw mut usage) };
    [usage.ru_utime, usage.ru_stime].iter().map(|time| (time.tv_sec * 1_000_000 + time.tv_usec) as u64).sum()
}
