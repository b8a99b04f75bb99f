//! The interpreters of a process. A thread that calls into a subinterpreter has a thread state in each, and frames in both.
#![expect(
    clippy::inline_always,
    reason = "the walk is one eBPF function: a call would cost more than the step"
)]

use bytemuck::{Pod, Zeroable};

use crate::python::{PyOffsets, walk::UNREADABLE};

/// Where a process's interpreters are; the zeroed value means that it is not known.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
pub struct Interpreters {
    /// The one that was there first.
    pub main: u64,
    /// The word that points to the one that was made last, if a thread that is inside one keeps its thread state of another
    /// (≤ 3.11); else 0.
    pub newest: u64,
    /// What is added to a thread's `pthread_self()` for its thread pointer.
    pub descriptor_bytes: u64,
}

impl Interpreters {
    /// `pthread_self()` of the thread with this thread pointer.
    #[inline(always)]
    #[must_use]
    pub const fn thread_id(&self, thread_pointer: u64) -> u64 {
        thread_pointer.wrapping_sub(self.descriptor_bytes)
    }

    /// The thread pointer of the thread with this `pthread_self()`.
    #[must_use]
    pub const fn thread_pointer(&self, thread_id: u64) -> u64 {
        thread_id.wrapping_add(self.descriptor_bytes)
    }

    /// True if a thread may run a thread state that it does not keep: there are several.
    #[inline(always)]
    pub fn may_lend(&self, read: impl FnOnce(u64) -> Option<u64>) -> bool {
        self.newest != 0 && read(self.newest).is_some_and(|newest| newest != self.main)
    }
}

/// A search for a thread's state among those of an interpreter.
#[derive(Clone, Copy, Debug, Default)]
pub struct TstateSearch {
    /// The state that is looked at next.
    next: u64,
    /// The thread's `pthread_self()`.
    thread_id: u64,
    is_over: bool,
}

impl TstateSearch {
    /// Most steps.
    pub const STEPS: u32 = 256;

    /// Begins a search in an interpreter for the thread with this `pthread_self()`.
    #[inline(always)]
    pub fn begin(
        offsets: &PyOffsets,
        interpreter: u64,
        thread_id: u64,
        read: impl FnOnce(u64) -> Option<u64>,
    ) -> Self {
        let threads = interpreter.wrapping_add(u64::from(offsets.interpreter_threads));
        Self { next: read(threads).unwrap_or(UNREADABLE), thread_id, is_over: false }
    }

    /// Takes one step. Returns false when it is over.
    #[inline(always)]
    pub fn step(&mut self, offsets: &PyOffsets, mut read: impl FnMut(u64) -> Option<u64>) -> bool {
        let field = |offset: u32| self.next.wrapping_add(u64::from(offset));
        if self.next == 0 || self.next == UNREADABLE {
            self.is_over = true;
            return false;
        }
        match read(field(offsets.tstate_thread_id)) {
            Some(thread_id) if thread_id == self.thread_id => self.is_over = true,
            Some(_) => self.next = read(field(offsets.tstate_next)).unwrap_or(UNREADABLE),
            None => self.next = UNREADABLE,
        }
        !self.is_over
    }

    /// The thread's state, 0 if it has none, or what cannot be read if it is not known.
    #[inline(always)]
    #[must_use]
    pub const fn result(&self) -> u64 {
        if self.is_over { self.next } else { UNREADABLE }
    }
}
