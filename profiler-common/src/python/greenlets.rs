//! Finds out which greenlet a thread runs.
#![expect(
    clippy::inline_always,
    reason = "the walk is one eBPF function: a call would cost more than the step"
)]

use bytemuck::{Pod, Zeroable};

use crate::python::{OBJECT_TYPE, TlsPath};

/// Where greenlet keeps which greenlet a thread runs; the zeroed value means that it is not loaded.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
pub struct Greenlets {
    /// Thread pointer → greenlet's state of the thread, which begins with its main greenlet and its current one.
    pub state: TlsPath,
    /// The type that every main greenlet has.
    pub main_type: u64,
}

impl Greenlets {
    /// True if greenlet is not loaded.
    #[inline(always)]
    #[must_use]
    pub const fn is_none(&self) -> bool {
        self.main_type == 0
    }

    /// True if a thread runs a greenlet that is not its main one. A thread that has made none has 0 or 1 in place of a state,
    /// one that is older than greenlet may have anything: the type tells.
    #[inline(always)]
    pub fn is_one_running(&self, thread_pointer: u64, mut read: impl FnMut(u64) -> Option<u64>) -> bool {
        if self.is_none() {
            return false;
        }
        let state = self.state.load(thread_pointer, &mut read).unwrap_or(0);
        if state <= 1 {
            return false;
        }
        let (main, current) = (read(state).unwrap_or(0), read(state.wrapping_add(8)).unwrap_or(0));
        main != current && current != 0 && read(main.wrapping_add(OBJECT_TYPE)) == Some(self.main_type)
    }
}
