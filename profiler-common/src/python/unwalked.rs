//! Another interpreter of a process, which is not walked: only whether a thread runs its Python is known.
#![expect(
    clippy::inline_always,
    reason = "the walk is one eBPF function: a call would cost more than the step"
)]

use bytemuck::{Pod, Zeroable};

use crate::python::{ABSENT, PyOffsets, PyTarget, TlsPath, entry::ROOT_CFRAME_WITHIN};

/// Where the other interpreter keeps what its threads run; the zeroed value means that there is none.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
pub struct Unwalked {
    /// Thread pointer → its GIL-state slot.
    pub slot: TlsPath,
    /// `PyThreadState` → a word that points elsewhere than into it while the thread runs a Python function.
    pub frame: TlsPath,
    /// Its main `PyInterpreterState`, if its slot is where the walked one's is: with a C library of its own (`dlmopen`) it
    /// has the same key. Else 0.
    pub main: u64,
    /// `PyThreadState` → its `PyInterpreterState`.
    pub interpreter: u64,
    /// Address of the other interpreter's GIL structure; 0 if there is none.
    pub gil: u64,
}

impl Unwalked {
    /// An interpreter that could be walked, beside the one that is.
    #[must_use]
    pub fn beside(walked: &PyTarget, other: &PyTarget) -> Self {
        let PyOffsets { tstate_frame, cframe_frame, frame_owner, frame_previous, .. } = other.offsets;
        let frame = if cframe_frame == ABSENT && frame_owner != ABSENT {
            // The outermost frame is the interpreter's own (3.13+), and from 3.15 on there all the time.
            TlsPath::new(&[i64::from(tstate_frame), i64::from(frame_previous)])
        } else {
            // Outside of its loop the `_PyCFrame` is the thread state's own (3.11 and 3.12).
            TlsPath::new(&[i64::from(tstate_frame)])
        };
        Self {
            slot: other.slot,
            frame,
            main: if other.slot == walked.slot { other.interpreters.main } else { 0 },
            interpreter: u64::from(other.offsets.tstate_interpreter),
            gil: other.gil,
        }
    }

    /// True if there is none.
    #[inline(always)]
    #[must_use]
    pub const fn is_none(&self) -> bool {
        self.slot.steps == 0
    }

    /// True if a thread runs a Python function there.
    #[inline(always)]
    pub fn runs(&self, thread_pointer: u64, mut read: impl FnMut(u64) -> Option<u64>) -> bool {
        if self.is_none() {
            return false;
        }
        let tstate = self.slot.load(thread_pointer, &mut read).unwrap_or(0);
        if tstate == 0 || (self.main != 0 && !self.owns(tstate, &mut read)) {
            return false;
        }
        let frame = self.frame.load(tstate, read).unwrap_or(0);
        frame != 0 && frame.wrapping_sub(tstate) >= ROOT_CFRAME_WITHIN
    }

    /// True if a thread state that stands in the slot of both is not the walked interpreter's.
    #[inline(always)]
    pub fn owns(&self, tstate: u64, read: impl FnOnce(u64) -> Option<u64>) -> bool {
        self.main != 0 && read(tstate.wrapping_add(self.interpreter)) == Some(self.main)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::collections::HashMap;

    use super::*;
    use crate::python::Interpreters;

    /// An interpreter whose slot is 8 bytes behind the thread pointer, beside one that has it elsewhere.
    fn interpreter(cframe_frame: u32, frame_owner: u32) -> Unwalked {
        Unwalked::beside(&PyTarget::default(), &target(cframe_frame, frame_owner))
    }

    fn target(cframe_frame: u32, frame_owner: u32) -> PyTarget {
        let offsets = PyOffsets {
            tstate_frame: 16,
            tstate_interpreter: 32,
            cframe_frame,
            frame_owner,
            frame_previous: 24,
            ..PyOffsets::default()
        };
        let interpreters = Interpreters { main: 500, ..Interpreters::default() };
        PyTarget { slot: TlsPath::new(&[8]), interpreters, offsets, ..PyTarget::default() }
    }

    #[test]
    fn of_a_slot_that_two_share_the_interpreter_tells() {
        let target = target(ABSENT, ABSENT);
        let shared = Unwalked::beside(&target, &target);
        for (interpreter, is_other) in [(500, true), (600, false)] {
            let words = HashMap::from([(108, 200), (216, 3000), (232, interpreter)]);
            let read = |address| words.get(&address).copied();
            assert_eq!(shared.owns(200, read), is_other);
            assert_eq!(shared.runs(100, read), is_other);
        }
        assert!(!interpreter(ABSENT, ABSENT).owns(200, |_| Some(0)));
    }

    #[test]
    fn a_thread_runs_it_while_it_has_a_frame_there() {
        let before_3_11 = interpreter(ABSENT, ABSENT);
        let by_cframe = interpreter(0, 70);
        let from_3_13 = interpreter(ABSENT, 70);
        let runs = |interpreter: &Unwalked, words: &[(u64, u64)]| {
            let words: HashMap<_, _> = words.iter().copied().collect();
            interpreter.runs(100, |address| words.get(&address).copied())
        };
        // Thread state 200, frame or cframe 3000.
        let enters = [(108, 200), (216, 3000)];
        let is_called_by = |frame| [enters[0], enters[1], (3024, frame)];
        assert!(runs(&before_3_11, &enters) && runs(&by_cframe, &enters));
        assert!(!runs(&by_cframe, &[(108, 200), (216, 260)]), "it is the thread state's own");
        assert!(runs(&from_3_13, &is_called_by(4000)) && !runs(&from_3_13, &is_called_by(0)));
        for interpreter in [before_3_11, by_cframe, from_3_13] {
            for none in [&[][..], &[(108, 0)], &[(108, 200)], &[(108, 200), (216, 0)]] {
                assert!(!runs(&interpreter, none), "{none:?}");
            }
        }
        assert!(!runs(&Unwalked::default(), &enters));
    }
}
