//! A process's role, slot and end.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A process's part in its fleet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Forked the workers and watches them.
    Master,
    /// Does the work.
    Worker,
    /// A child of a worker, or of a master but not of the workers' kind.
    Helper,
}

impl Role {
    /// The word in tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Master => "master",
            Self::Worker => "worker",
            Self::Helper => "helper",
        }
    }
}

/// A worker's place in its fleet, and the how-manieth process it is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Slot {
    /// Number of the slot, from 1, by age when the fleet was first seen.
    #[serde(rename = "slot")]
    pub number: u32,
    /// 0 for the first that was seen there, one more for each that took its predecessor's place.
    pub generation: u32,
}

/// Writes a slot as tables show it: `3`, or `3.1` for the first successor of the process in slot 3.
impl fmt::Display for Slot {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.generation {
            0 => write!(to, "{}", self.number),
            generation => write!(to, "{}.{generation}", self.number),
        }
    }
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Death {
    /// The process exited with this status.
    ExitStatus(u8),
    /// A signal ended the process.
    Signal(u8),
}

impl Death {
    /// How a process ended, from the kernel's wait status.
    #[must_use]
    pub const fn of(code: u32) -> Self {
        match code & 0x7f {
            0 => Self::ExitStatus((code >> 8) as u8),
            signal => Self::Signal(signal as u8),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_of_wait() {
        assert_eq!(Death::of(0), Death::ExitStatus(0));
        assert_eq!(Death::of(3 << 8), Death::ExitStatus(3));
        assert_eq!(Death::of(9), Death::Signal(9));
        assert_eq!(Death::of(0x8b), Death::Signal(11), "with a core dump");
    }
}
