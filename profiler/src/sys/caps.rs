//! Effective capabilities, from `/proc/self/status`.

use crate::sys::status::ProcStatus;

/// A capability: its name and its bit (include/uapi/linux/capability.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capability {
    /// Name of the capability, without `CAP_`.
    pub name: &'static str,
    bit: u32,
}

/// Includes `BPF`, `PERFMON` and `CHECKPOINT_RESTORE`.
pub const SYS_ADMIN: Capability = Capability { name: "SYS_ADMIN", bit: 21 };
/// Loads programs and makes maps.
pub const BPF: Capability = Capability { name: "BPF", bit: 39 };
/// Attaches programs to tracepoints and opens perf events on all processes.
pub const PERFMON: Capability = Capability { name: "PERFMON", bit: 38 };
/// Reads other processes' memory and links in `/proc`.
pub const SYS_PTRACE: Capability = Capability { name: "SYS_PTRACE", bit: 19 };

/// The capabilities of this process.
#[derive(Clone, Copy, Debug)]
pub struct Effective(u64);

impl Effective {
    /// Reads them; none if `/proc` does not tell.
    #[must_use]
    pub fn read() -> Self {
        let status = ProcStatus::of(std::process::id());
        let mask = status.and_then(|status| u64::from_str_radix(status.value("CapEff")?, 16).ok());
        Self(mask.unwrap_or(0))
    }

    /// True if it is there, or included in one that is.
    #[must_use]
    pub const fn has(self, capability: Capability) -> bool {
        let included = matches!(capability.bit, 38 | 39) && self.0 >> SYS_ADMIN.bit & 1 == 1;
        included || self.0 >> capability.bit & 1 == 1
    }
}
