//! The terminal that shows what is written.

use std::os::fd::AsFd;

/// How many characters a line of it has; `None` if it is no terminal, or does not tell.
#[must_use]
pub fn columns(output: &impl AsFd) -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(output).ok()?;
    Some(usize::from(size.ws_col)).filter(|columns| *columns != 0)
}
