//! Errors of a request.

use std::{error::Error, fmt, io};

/// Why a request was not answered as it should.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RequestError {
    /// The answer has a status of 400 or more, or switches protocols, which it was not asked to.
    Status(u16),
    /// Nobody listens there.
    Refused,
    /// The server cut the connection off (RST).
    Reset,
    /// The server closed the connection before the answer was complete.
    ClosedEarly,
    /// No complete answer in time.
    Timeout,
    /// The answer is not HTTP/1.
    Malformed,
    /// The generator's host has no port left for a new connection.
    NoPort,
    /// The generator may not open more files.
    NoFiles,
    /// Anything else that the kernel said.
    Other(io::ErrorKind),
}

impl RequestError {
    /// True if it is the generator, or its host, that could not do more.
    #[must_use]
    pub fn is_own(self) -> bool {
        matches!(self, Self::NoPort | Self::NoFiles)
    }

    /// True if it is an answer: the server is there and was given work.
    pub(super) fn is_from_server(self) -> bool {
        matches!(self, Self::Status(_))
    }

    pub(super) fn of_io(error: &io::Error) -> Self {
        match (error.raw_os_error(), error.kind()) {
            (Some(libc::EMFILE | libc::ENFILE), _) => Self::NoFiles,
            (_, io::ErrorKind::AddrNotAvailable) => Self::NoPort,
            (_, io::ErrorKind::ConnectionRefused) => Self::Refused,
            (_, io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe) => Self::Reset,
            (_, io::ErrorKind::UnexpectedEof) => Self::ClosedEarly,
            (_, io::ErrorKind::TimedOut) => Self::Timeout,
            (_, kind) => Self::Other(kind),
        }
    }

    pub(super) fn of_http(error: &hyper::Error) -> Self {
        let mut cause = error.source();
        while let Some(source) = cause {
            if let Some(error) = source.downcast_ref() {
                return Self::of_io(error);
            }
            cause = source.source();
        }
        // An unasked-for answer (`is_parse`) is one too many, which is no HTTP either.
        if error.is_parse() { Self::Malformed } else { Self::ClosedEarly }
    }
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::Status(status) => return write!(f, "status {status}"),
            Self::Other(kind) => return write!(f, "{kind}"),
            Self::Refused => "refused",
            Self::Reset => "reset",
            Self::ClosedEarly => "closed early",
            Self::Timeout => "timeout",
            Self::Malformed => "malformed answer",
            Self::NoPort => "no free port",
            Self::NoFiles => "too many open files",
        };
        f.write_str(name)
    }
}

impl Error for RequestError {}
