//! What we may do: less, once everything is done that needs more.

use std::io;

use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities, set_no_new_privs};

use crate::sys::kernel;

/// What is read with: other processes' memory and links, files of any owner, the mappings' own links, and the addresses of the
/// kernel's symbols.
const READS: CapabilitySet = CapabilitySet::SYS_PTRACE
    .union(CapabilitySet::DAC_READ_SEARCH)
    .union(CapabilitySet::CHECKPOINT_RESTORE)
    .union(CapabilitySet::SYSLOG);

/// What writes where the owner did not mean us to.
const WRITES: CapabilitySet = CapabilitySet::DAC_OVERRIDE.union(CapabilitySet::FOWNER);

/// From here on maps that are open can be read without `CAP_BPF`, whatever `kernel.unprivileged_bpf_disabled` says (commit
/// c8644cd0efe7 of Linux).
const MAPS_ARE_FREE: (u32, u32) = (5, 19);

/// Gives up, for good, what is not read with, and that a program that is started can have more than we have: for this thread
/// and those that it starts from then on. With `overriding` we keep what writes anywhere.
pub fn keep_to_read(overriding: bool) -> io::Result<()> {
    let mut kept = READS;
    if kernel::version() < MAPS_ARE_FREE {
        kept |= CapabilitySet::BPF;
    }
    if overriding {
        kept |= WRITES;
    }
    set_no_new_privs(true)?;
    let CapabilitySets { effective, permitted, .. } = capabilities(None)?;
    let sets = CapabilitySets {
        effective: effective & kept,
        permitted: permitted & kept,
        inheritable: CapabilitySet::empty(),
    };
    Ok(set_capabilities(None, sets)?)
}

/// Does something without the right to write where the owner did not mean us to.
pub fn without_overriding<T>(run: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    let before = capabilities(None)?;
    set_capabilities(None, CapabilitySets { effective: before.effective - WRITES, ..before })?;
    let result = run();
    set_capabilities(None, before)?;
    result
}

/// True if we may replace what is another user's in a sticky folder.
#[must_use]
pub fn may_replace_any() -> bool {
    capabilities(None).is_ok_and(|sets| sets.effective.contains(CapabilitySet::FOWNER))
}
