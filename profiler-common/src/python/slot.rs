//! The path from a thread pointer to the word that holds the thread's Python thread state.
#![expect(clippy::inline_always, reason = "the walk is one eBPF function")]

use bytemuck::{Pod, Zeroable};

/// The path from a thread's thread pointer to a word of thread-local storage: up to three steps, each an offset added to what
/// the step before has read; the last step's sum is the word's address.
///
/// glibc's pthread keys take one step (the first 32) or two; musl's two; thread-local variables one where the linker laid them
/// out at the start, else three, by way of the dynamic thread vector.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
pub struct TlsPath {
    /// What is added in each step.
    pub offsets: [i64; TlsPath::STEPS],
    /// How many steps there are.
    pub steps: u64,
}

impl TlsPath {
    /// Most steps.
    pub const STEPS: usize = 3;

    /// A path of these steps, at least one.
    #[must_use]
    pub fn new(steps: &[i64]) -> Self {
        let mut slot = Self { steps: steps.len().min(Self::STEPS) as u64, ..Self::default() };
        for (offset, step) in slot.offsets.iter_mut().zip(steps) {
            *offset = *step;
        }
        slot
    }

    /// The word, read by `read`; `None` if a step cannot be read. A block of thread-local memory that the thread has not
    /// used yet is marked by the address −1: its words would be 0.
    #[inline(always)]
    pub fn load(&self, thread_pointer: u64, mut read: impl FnMut(u64) -> Option<u64>) -> Option<u64> {
        let mut word = thread_pointer;
        for (step, offset) in self.offsets.iter().enumerate() {
            if step as u64 >= self.steps {
                break;
            }
            if word == 0 || word == u64::MAX {
                return Some(0);
            }
            word = read(word.wrapping_add_signed(*offset))?;
        }
        Some(word)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::collections::HashMap;

    use super::*;

    #[test]
    fn a_slot_is_found_step_by_step() {
        let words = HashMap::from([(108, 500u64), (516, 700), (724, 42)]);
        let load = |steps: &[i64]| TlsPath::new(steps).load(100, |address| words.get(&address).copied());
        assert_eq!(load(&[8]), Some(500));
        assert_eq!(load(&[8, 16, 24]), Some(42));
        assert_eq!(load(&[9, 16]), None);
        // Thread-local memory that the thread has not used yet.
        let unused = TlsPath::new(&[8, 16]).load(100, |_| Some(u64::MAX));
        assert_eq!(unused, Some(0));
    }
}
