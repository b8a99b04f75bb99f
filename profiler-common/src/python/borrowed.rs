//! Finds the thread state that a thread runs instead of the one that is stored for it (≤ 3.11).
//!
//! Any thread can run any thread state there (`PyThreadState_Swap`), as it does that calls into a subinterpreter: its slot
//! goes on to hold its own, and the other's `thread_id` is that of the thread which made it. What runs it is told by the C
//! stack. From 3.10 on a thread state points into it, to what belongs to the innermost run of the interpreter's loop. Before,
//! the loop keeps the frame that it runs in a register or on the stack, so the frame's address is looked for there.
#![expect(
    clippy::inline_always,
    reason = "the walk is one eBPF function: a call would cost more than the step"
)]

use crate::python::{ABSENT, Interpreters, PyOffsets, walk::UNREADABLE};

/// Words of registers and C stack in which a frame's address is looked for, the leaf's first.
pub const C_STACK_WORDS: usize = 512;

/// Where a thread's C stack is.
#[derive(Clone, Copy, Debug)]
pub struct CStack {
    /// The stack pointer, where the part that is in use begins.
    pub pointer: u64,
    /// The thread pointer, above the stack of every thread but the first.
    pub thread_pointer: u64,
}

impl CStack {
    /// True if an address is in it. Nothing that a process allocates lies above its first thread's.
    #[inline(always)]
    const fn has(&self, address: u64) -> bool {
        address >= self.pointer && (self.thread_pointer < self.pointer || address < self.thread_pointer)
    }
}

/// A search for it among the thread states of subinterpreters.
#[derive(Clone, Copy, Debug)]
pub struct Borrowed {
    stack: CStack,
    /// The interpreter whose thread states are looked at.
    interpreter: u64,
    /// The thread state that is looked at next.
    next: u64,
    /// The interpreter that was first.
    main: u64,
    /// The interpreter of the thread state that the thread keeps.
    own: u64,
    /// Where on the stack the frame is that the kept thread state runs.
    place: u32,
    /// 1 if a thread state has frames whose place was not found.
    is_other_missed: u32,
    /// What was found.
    found: u64,
}

impl Borrowed {
    /// Most steps.
    pub const STEPS: u32 = 256;

    /// What `place_of` returns of what is not there.
    pub const NOWHERE: u32 = u32::MAX;

    /// Begins a search. `kept` is the address of the stored thread state, or 0, and its interpreter.
    #[inline(always)]
    pub fn begin(
        (offsets, interpreters): (&PyOffsets, &Interpreters),
        stack: CStack,
        (kept, own): (u64, u64),
        mut read: impl FnMut(u64) -> Option<u64>,
        place_of: impl FnOnce(u64) -> u32,
    ) -> Self {
        let interpreter = read(interpreters.newest).unwrap_or(UNREADABLE);
        let mut search = Self {
            stack,
            interpreter,
            next: 0,
            main: interpreters.main,
            own,
            place: Self::NOWHERE,
            is_other_missed: 0,
            found: UNREADABLE,
        };
        if offsets.tstate_cframe == ABSENT && kept != 0 {
            let frame = read(kept.wrapping_add(u64::from(offsets.tstate_frame))).unwrap_or(0);
            search.place = if frame == 0 { Self::NOWHERE } else { place_of(frame) };
        }
        search.next = search.first_of(offsets, interpreter, read);
        search
    }

    /// Makes that nothing was found.
    #[inline(always)]
    pub const fn forget(&mut self) {
        self.found = 0;
    }

    /// Takes one step. Returns false when it is over.
    #[inline(always)]
    pub fn step(
        &mut self,
        offsets: &PyOffsets,
        mut read: impl FnMut(u64) -> Option<u64>,
        place_of: impl FnOnce(u64) -> u32,
    ) -> bool {
        let field = |of: u64, offset: u32| of.wrapping_add(u64::from(offset));
        if self.interpreter == 0 || self.interpreter == UNREADABLE || self.next == UNREADABLE {
            if self.interpreter == 0 {
                let is_unsure = self.is_other_missed != 0 && self.place == Self::NOWHERE;
                self.found = if is_unsure { UNREADABLE } else { 0 };
            }
            return false;
        }
        if self.next == 0 {
            self.interpreter = read(field(self.interpreter, offsets.interpreter_next)).unwrap_or(UNREADABLE);
            self.next = self.first_of(offsets, self.interpreter, read);
            return true;
        }
        let tstate = self.next;
        self.next = read(field(tstate, offsets.tstate_next)).unwrap_or(UNREADABLE);
        let is_run = if offsets.tstate_cframe == ABSENT {
            let frame = read(field(tstate, offsets.tstate_frame)).unwrap_or(0);
            let place = if frame == 0 { Self::NOWHERE } else { place_of(frame) };
            self.is_other_missed |= u32::from(frame != 0 && place == Self::NOWHERE);
            place < self.place
        } else {
            self.stack.has(read(field(tstate, offsets.tstate_cframe)).unwrap_or(0))
        };
        if is_run {
            self.found = tstate;
        }
        !is_run
    }

    /// The first thread state of an interpreter that it can be one of; 0 if there is none.
    #[inline(always)]
    fn first_of(
        &self,
        offsets: &PyOffsets,
        interpreter: u64,
        mut read: impl FnMut(u64) -> Option<u64>,
    ) -> u64 {
        if interpreter == 0 || interpreter == self.main || interpreter == self.own {
            return 0;
        }
        read(interpreter.wrapping_add(u64::from(offsets.interpreter_threads))).unwrap_or(UNREADABLE)
    }

    /// The thread state, 0 if there is none, or what cannot be read if it is not known.
    #[inline(always)]
    #[must_use]
    pub const fn result(&self) -> u64 {
        self.found
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::collections::HashMap;

    use bytemuck::Zeroable as _;

    use super::*;

    const MAIN: u64 = 1000;
    const SUB: u64 = 2000;
    /// The thread state that the thread keeps, and that of the subinterpreter.
    const KEPT: u64 = 3000;
    const LENT: u64 = 4000;

    /// What is found by a thread whose C stack is from 5000 to 6000, and of which the words that are known are at their
    /// places; the kept thread state runs the frame 31, the other one 41.
    fn find(cframe: Option<u64>, words: &[u64]) -> u64 {
        let tstate_cframe = if cframe.is_some() { 32 } else { ABSENT };
        let offsets = PyOffsets {
            tstate_cframe,
            tstate_frame: 24,
            tstate_next: 8,
            interpreter_threads: 8,
            ..PyOffsets::zeroed()
        };
        let interpreters = Interpreters { main: MAIN, newest: 900, descriptor_bytes: 0 };
        let memory = HashMap::from([
            (900, SUB),
            (SUB, MAIN),
            (SUB + 8, LENT),
            (LENT + 8, 0),
            (LENT + 24, 41),
            (LENT + 32, cframe.unwrap_or(0)),
            (KEPT + 24, 31),
            (MAIN, 0),
        ]);
        let read = |address| memory.get(&address).copied();
        let place_of = |word| {
            let place = words.iter().position(|other| *other == word);
            place.map_or(Borrowed::NOWHERE, |place| place as u32)
        };
        let stack = CStack { pointer: 5000, thread_pointer: 6000 };
        let mut search = Borrowed::begin((&offsets, &interpreters), stack, (KEPT, MAIN), read, place_of);
        for _ in 0..Borrowed::STEPS {
            if !search.step(&offsets, read, place_of) {
                break;
            }
        }
        search.result()
    }

    #[test]
    fn a_cframe_is_on_the_stack_of_the_thread_that_runs_it() {
        for (cframe, found) in [(5000, LENT), (5992, LENT), (4992, 0), (6000, 0), (LENT + 40, 0)] {
            assert_eq!(find(Some(cframe), &[]), found, "{cframe}");
        }
    }

    #[test]
    fn nothing_that_is_allocated_is_above_the_first_threads_stack() {
        let stack = CStack { pointer: 5000, thread_pointer: 4000 };
        assert!(stack.has(9000) && !stack.has(4500) && !stack.has(3000));
    }

    #[test]
    fn the_frame_that_is_nearest_to_the_leaf_is_the_threads() {
        assert_eq!(find(None, &[7, 41, 31]), LENT);
        assert_eq!(find(None, &[7, 41]), LENT);
        // What it has called and left.
        assert_eq!(find(None, &[7, 31, 41]), 0);
        assert_eq!(find(None, &[7, 31]), 0);
        assert_eq!(find(None, &[7]), UNREADABLE);
    }
}
