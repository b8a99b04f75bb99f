//! Drops privileges once everything is done that needs them.

use std::{io, panic::resume_unwind, thread};

use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities, set_no_new_privs};

use crate::sys::{kernel, seccomp};

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

/// Gives up, for good, what is not read with, for this thread and those that it starts from then on; and, for all threads, that
/// a program is started, and what else is not needed any more ([`seccomp`]). With `overriding` we keep what writes anywhere.
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
    set_capabilities(None, sets)?;
    seccomp::confine()
}

/// Gives up, for good, every capability of this thread, and that a program that is started can have more.
pub fn keep_nothing() -> io::Result<()> {
    set_no_new_privs(true)?;
    let none = CapabilitySet::empty();
    Ok(set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none })?)
}

/// Room for the deepest of what is parsed without privileges; musl's threads have little.
const STACK_BYTES: usize = 8 << 20;

/// Runs something that is at work on what others made, in a thread without any capability, and waits for it.
pub fn without_any<T: Send>(run: impl FnOnce() -> T + Send) -> io::Result<T> {
    let confined = || keep_nothing().map(|()| run());
    thread::scope(|scope| {
        let thread = thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, confined)?;
        thread.join().unwrap_or_else(|panic| resume_unwind(panic))
    })
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
