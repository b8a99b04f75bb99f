//! Resource limits of this process.
#![expect(unsafe_code, reason = "getrlimit, setrlimit, and what is done between fork and exec")]

use std::{io, os::unix::process::CommandExt as _, process::Command, sync::OnceLock};

/// How many files this process was to open when it was started.
static GIVEN_FILES: OnceLock<libc::rlimit> = OnceLock::new();

/// Lets this process open as many files as it may.
pub fn raise_files() -> io::Result<()> {
    let given = files()?;
    let _ = GIVEN_FILES.set(given);
    set_files(libc::rlimit { rlim_cur: given.rlim_max, ..given })
}

/// How many files of code may be kept open: half of all, for the kernel side needs some, too.
#[must_use]
pub fn files_of_code() -> usize {
    let most = GIVEN_FILES.get().map_or(1024, |given| given.rlim_max);
    usize::try_from(most / 2).unwrap_or(usize::MAX)
}

/// Has a program start with the limit of files that we were started with: what uses `select` is wrong with a higher one.
pub fn give_files(command: &mut Command) {
    if let Some(given) = GIVEN_FILES.get().copied() {
        // SAFETY: setrlimit is safe to call between fork and exec.
        unsafe { command.pre_exec(move || set_files(given)) };
    }
}

/// Runs something while this process can open no file; what is open stays so. For a process of one thread: another one
/// could not open any either.
pub fn without_files<T>(run: impl FnOnce() -> T) -> io::Result<T> {
    let limit = files()?;
    set_files(libc::rlimit { rlim_cur: 0, ..limit })?;
    let result = run();
    set_files(limit)?;
    Ok(result)
}

fn files() -> io::Result<libc::rlimit> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: takes a value of ours.
    succeed(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) })?;
    Ok(limit)
}

fn set_files(limit: libc::rlimit) -> io::Result<()> {
    // SAFETY: takes a value of ours.
    succeed(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) })
}

fn succeed(returned: libc::c_int) -> io::Result<()> {
    if returned == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
