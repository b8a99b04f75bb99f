//! Where a walk begins: from a thread state to its current frame.
//!
//! In 3.11 and 3.12 the way goes through what belongs to one run of the interpreter's loop, and is published before it is
//! filled in. So the frames of the innermost run are believed when they prove to stand on the frame that called it; if they
//! do not, the walk begins anew with the run that called it, which has told all of its own.
#![expect(
    clippy::inline_always,
    reason = "the walk is one eBPF function: a call would cost more than the step"
)]

use bytemuck::{Pod, Zeroable};

use crate::python::{
    ABSENT, PyOffsets,
    walk::{End, GilState, ReadMemory, UNREADABLE, WINDOW_WORDS, Walk, word},
};

/// Bytes of a thread state that are read; every version's has more.
const TSTATE_BYTES: u32 = 8 * WINDOW_WORDS as u32;
/// Bytes of a `_PyCFrame` that are read: all that it has in 3.11; one word more than it has in 3.12.
const CFRAME_BYTES: u32 = 24;
/// Bytes of a thread state within which its own `_PyCFrame` lies.
pub(super) const ROOT_CFRAME_WITHIN: u64 = 512;

/// A run of the interpreter's loop, by its `_PyCFrame` (3.11 and 3.12): a local variable of the C function, which the thread
/// state points to before it is filled in. Until then it has what some other call left on the C stack.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, Pod, Zeroable)]
pub(super) struct LoopRun {
    /// The `_PyCFrame`; 0 if there is none.
    pub cframe: u64,
    /// Current frame of the run: the one that called the run that follows.
    pub frame: u64,
}

impl Walk {
    /// Finds the current frame of the thread state at `tstate` and makes ready to walk from it;
    /// false if its memory cannot be read.
    #[inline(always)]
    pub fn enter(&mut self, memory: &mut impl ReadMemory, offsets: &PyOffsets, tstate: u64) -> bool {
        self.start(0);
        if !memory.read(tstate, TSTATE_BYTES, &mut self.window) {
            return false;
        }
        self.interpreter = word(&self.window, offsets.tstate_interpreter);
        if offsets.tstate_gil != ABSENT {
            let holds = word(&self.window, offsets.tstate_gil) as u32 & offsets.gil_mask != 0;
            self.gil = if holds { GilState::Held } else { GilState::Released } as u32;
        }
        self.enter_frames(memory, offsets, tstate)
    }

    /// Finds the current frame of the thread state in the window.
    #[inline(always)]
    fn enter_frames(&mut self, memory: &mut impl ReadMemory, offsets: &PyOffsets, tstate: u64) -> bool {
        (self.next, self.tstate) = (word(&self.window, offsets.tstate_frame), tstate);
        offsets.cframe_frame == ABSENT || self.next == 0 || self.follow(memory, offsets, self.next)
    }

    /// Finds the current frame of the run with this `_PyCFrame`, and the run that called it; false if it cannot be read.
    #[inline(always)]
    fn follow(&mut self, memory: &mut impl ReadMemory, offsets: &PyOffsets, cframe: u64) -> bool {
        self.caller = LoopRun::default();
        if !memory.read(cframe, CFRAME_BYTES, &mut self.window) {
            return false;
        }
        self.next = word(&self.window, offsets.cframe_frame);
        // The thread state's own is always filled in.
        if !self.is_thread_states_own(cframe) {
            // `previous` follows.
            let caller = word(&self.window, offsets.cframe_frame.wrapping_add(8));
            let is_read = caller != 0 && memory.read(caller, CFRAME_BYTES, &mut self.window);
            let frame = if is_read { word(&self.window, offsets.cframe_frame) } else { UNREADABLE };
            self.caller = LoopRun { cframe: if is_read { caller } else { UNREADABLE }, frame };
        }
        true
    }

    /// True of the `_PyCFrame` on which the outermost run of the loop stands.
    #[inline(always)]
    const fn is_thread_states_own(&self, cframe: u64) -> bool {
        cframe.wrapping_sub(self.tstate) < ROOT_CFRAME_WITHIN
    }

    /// True if nothing called the innermost run but C: only then may it and its caller have no frames.
    #[inline(always)]
    pub(super) const fn is_outermost_run(&self) -> bool {
        self.is_thread_states_own(self.caller.cframe)
    }

    /// Joins the frames that the thread has in another interpreter, after [`Walk::enter`]: those that called the ones
    /// entered, or those that they called.
    #[inline(always)]
    pub fn join(
        &mut self,
        memory: &mut impl ReadMemory,
        offsets: &PyOffsets,
        tstate: u64,
        are_callers: bool,
    ) {
        let entered = self.next;
        let is_read = memory.read(tstate, TSTATE_BYTES, &mut self.window);
        let frame = if is_read { self.current_frame(memory, offsets) } else { UNREADABLE };
        if frame == 0 {
            return;
        }
        // Each counts its own dead code objects: one of the counts tells nothing of these frames.
        self.interpreter = 0;
        if are_callers || frame == UNREADABLE {
            self.below = frame;
            return;
        }
        // It is the one that runs: what runs may not have told its frame yet.
        (self.below, self.caller) = (entered, LoopRun::default());
        if !memory.read(tstate, TSTATE_BYTES, &mut self.window) || !self.enter_frames(memory, offsets, tstate)
        {
            self.next = UNREADABLE;
        }
    }

    /// The current frame of the thread state in the window, which does not run; one that is nowhere if it cannot be read.
    #[inline(always)]
    fn current_frame(&mut self, memory: &mut impl ReadMemory, offsets: &PyOffsets) -> u64 {
        let frame = word(&self.window, offsets.tstate_frame);
        if offsets.cframe_frame == ABSENT || frame == 0 {
            return frame;
        }
        let is_read = memory.read(frame, CFRAME_BYTES, &mut self.window);
        if is_read { word(&self.window, offsets.cframe_frame) } else { UNREADABLE }
    }

    /// After a step that found no frame where one must be: gives up what was found of a run of the loop that has not told
    /// its own yet, and goes on with the run that called it. Returns false if the walk is at its end.
    #[inline(always)]
    pub fn step_back(&mut self, memory: &mut impl ReadMemory, offsets: &PyOffsets) -> bool {
        if self.end != End::Unreadable as u32 {
            return false;
        }
        let cframe = self.caller.cframe;
        if cframe != 0 || self.next == self.lap {
            // None of them is known to be one.
            (self.len, self.hash) = (0, 0);
        }
        if cframe == 0 || self.is_back != 0 || !self.follow(memory, offsets, cframe) {
            return false;
        }
        self.end = End::None as u32;
        (self.is_back, self.lap, self.steps) = (1, 0, 0);
        true
    }
}
