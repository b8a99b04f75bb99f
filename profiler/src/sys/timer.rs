//! A timer that is exact to some microseconds, as a file descriptor that becomes readable. (tokio's own timers count whole milliseconds.)
#![expect(unsafe_code, reason = "timerfd, which std does not offer")]

use std::{
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd},
    ptr,
};

/// Becomes readable at an instant of `CLOCK_MONOTONIC`.
pub struct Timer(OwnedFd);

impl Timer {
    /// A timer that is not set. Fails if this process has too many files.
    pub fn new() -> io::Result<Self> {
        let flags = libc::TFD_NONBLOCK | libc::TFD_CLOEXEC;
        // SAFETY: no memory is passed.
        let fd = unsafe { libc::timerfd_create(libc::CLOCK_MONOTONIC, flags) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor was just made, and nobody else has it.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Sets it to an instant, ns, which may have passed; what it was set to before is forgotten.
    pub fn set(&self, at_ns: u64) -> io::Result<()> {
        // All zeros would mean never.
        let at_ns = at_ns.max(1).cast_signed();
        let at = libc::timespec { tv_sec: at_ns / 1_000_000_000, tv_nsec: at_ns % 1_000_000_000 };
        let once = libc::itimerspec { it_interval: libc::timespec { tv_sec: 0, tv_nsec: 0 }, it_value: at };
        let fd = self.0.as_raw_fd();
        // SAFETY: `once` outlives the call; the old setting is not asked for.
        let result =
            unsafe { libc::timerfd_settime(fd, libc::TFD_TIMER_ABSTIME, &raw const once, ptr::null_mut()) };
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }
}

impl AsFd for Timer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for Timer {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::{fs::File, io::Read};

    use super::*;
    use crate::sys::clock::monotonic_ns;

    #[test]
    fn goes_off_once_and_not_too_early() {
        let timer = Timer::new().unwrap();
        let mut file = File::from(timer.0.try_clone().unwrap());
        let mut went_off = || file.read(&mut [0; 8]);
        let due_ns = monotonic_ns() + 2_000_000;
        timer.set(due_ns).unwrap();
        assert_eq!(went_off().unwrap_err().kind(), io::ErrorKind::WouldBlock);
        while went_off().is_err() {
            std::thread::yield_now();
        }
        assert!(monotonic_ns() >= due_ns);
        timer.set(0).unwrap();
        went_off().unwrap();
        assert!(went_off().is_err(), "it goes off once");
    }
}
