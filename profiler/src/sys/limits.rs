//! What this process may have.
#![expect(unsafe_code, reason = "getrlimit and setrlimit")]

use std::io;

/// Runs something while this process can open no file; what is open stays so. For a process of one thread: another one
/// could not open any either.
pub fn without_files<T>(run: impl FnOnce() -> T) -> io::Result<T> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: all three calls take a value of ours.
    succeed(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) })?;
    let none = libc::rlimit { rlim_cur: 0, ..limit };
    succeed(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const none) })?;
    let result = run();
    succeed(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) })?;
    Ok(result)
}

fn succeed(returned: libc::c_int) -> io::Result<()> {
    if returned == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
