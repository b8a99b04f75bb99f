//! What the process that started this one wants of signals.
#![expect(unsafe_code, reason = "a call of the kernel that std does not offer")]

use std::{io, ptr};

/// True if a signal is to be ignored, as `nohup` has it for `SIGHUP`.
pub fn is_ignored(signal: libc::c_int) -> io::Result<bool> {
    // SAFETY: all-zero bytes are a valid `sigaction`.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: nothing is set, and the destination is ours.
    if unsafe { libc::sigaction(signal, ptr::null(), &raw mut action) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(action.sa_sigaction == libc::SIG_IGN)
}
