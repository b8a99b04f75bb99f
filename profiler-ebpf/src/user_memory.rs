//! Reads the memory of the current task. A page that is not present fails: a program may not wait for it.

use core::ffi::c_void;

use aya_ebpf::helpers::generated::bpf_probe_read_user;
use profiler_common::python::{PACKED_FRAME_BYTES, ReadMemory, ReadWindow};

/// Bytes of the frame stack that are read at once: a read costs by the call, not by the byte up to here.
const BLOCK_BYTES: usize = 4096;
const BLOCK_WORDS: usize = BLOCK_BYTES / 8;
/// Words of one packed frame.
const FRAME_WORDS: usize = PACKED_FRAME_BYTES as usize / 8;

/// A copy of a part of the thread's frame stack, on which CPython 3.11+ packs its frames, callers below callees.
#[repr(C)]
pub struct FrameCopy {
    /// Start of the chunk of the frame stack that is in use.
    chunk: u64,
    /// End of what the chunk holds.
    top: u64,
    /// Start of what is copied.
    start: u64,
    /// End of what is copied.
    pub end: u64,
    /// The verifier does not know that no frame begins near the end; there is room for one that would.
    pub words: [u64; BLOCK_WORDS + FRAME_WORDS],
}

impl FrameCopy {
    /// Drops what is copied, and of which chunk.
    #[inline(always)]
    pub fn forget(&mut self) {
        (self.chunk, self.top, self.start, self.end) = (0, 0, 0, 0);
    }

    /// Reads where the chunk in use begins and ends: two words of the thread state. If they cannot be read, frames are read
    /// one by one.
    #[inline(always)]
    pub fn read_chunk(&mut self, address: u64) {
        read_user((&raw mut self.chunk).cast(), 16, address);
    }
}

/// The current task's memory, for a walk of Python frames: what lies on the frame stack is read by way of the copy.
pub struct CurrentMemory<'a> {
    pub block: &'a mut FrameCopy,
}

impl CurrentMemory<'_> {
    /// Copies the part of the frame stack that ends behind the frame at `address`; false if it is not there.
    #[inline(always)]
    fn fetch(&mut self, address: u64) -> bool {
        let FrameCopy { chunk, top, start, end, words } = &mut *self.block;
        if address < *chunk || address + u64::from(PACKED_FRAME_BYTES) > *top {
            return false;
        }
        *end = address + u64::from(PACKED_FRAME_BYTES);
        *start = (*end - BLOCK_BYTES as u64).max(*chunk);
        let mut len = *end - *start;
        if len > BLOCK_BYTES as u64 {
            len = BLOCK_BYTES as u64; // Known above; the verifier wants to see it.
        }
        read_user((&raw mut *words).cast(), len as u32, *start)
    }
}

impl ReadMemory for CurrentMemory<'_> {
    #[inline(always)]
    fn read(&mut self, address: u64, bytes: u32, window: &mut ReadWindow) -> bool {
        let copied = |block: &FrameCopy| {
            address >= block.start && address + u64::from(PACKED_FRAME_BYTES) <= block.end
        };
        if !copied(self.block) && !self.fetch(address) {
            self.block.end = 0;
            return read_user((&raw mut *window).cast(), bytes.min(size_of::<ReadWindow>() as u32), address);
        }
        let first = (address - self.block.start) as usize / 8;
        for (index, word) in window.iter_mut().enumerate().take(FRAME_WORDS) {
            // The mask is for the verifier: `first` is below BLOCK_WORDS.
            *word = self.block.words[(first & (BLOCK_WORDS - 1)) + index];
        }
        true
    }
}

/// Copies so many bytes of the current task's memory; false, and zeros, if it cannot.
#[inline(always)]
pub fn read_user(to: *mut c_void, bytes: u32, address: u64) -> bool {
    // SAFETY: the callers own `to`, which has room for `bytes`; the helper checks the source.
    unsafe { bpf_probe_read_user(to, bytes, address as *const c_void) == 0 }
}

/// A word of the current task's memory; `None` if it cannot be read.
#[inline(always)]
pub fn read_word(address: u64) -> Option<u64> {
    let mut word = 0u64;
    read_user((&raw mut word).cast(), 8, address).then_some(word)
}

/// Reads words of the current task's memory; zeros if it cannot.
#[inline(always)]
pub fn read_words<const N: usize>(words: &mut [u64; N], address: u64) {
    read_user(words.as_mut_ptr().cast(), (N * 8) as u32, address);
}
