//! The system's allocator, which counts what it has given.
#![expect(unsafe_code, reason = "an allocator")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

static USED: AtomicUsize = AtomicUsize::new(0);

/// Most that may be on it while a bounded run lasts.
#[cfg(fuzzing)]
static LIMIT: AtomicUsize = AtomicUsize::new(usize::MAX);

/// Runs something that may take so many bytes more than are used now: more ends the program, as a panic does.
#[cfg(fuzzing)]
pub fn within(bytes: usize, run: impl FnOnce()) {
    LIMIT.store(used() + bytes, Relaxed);
    run();
    LIMIT.store(usize::MAX, Relaxed);
}

#[cfg(fuzzing)]
fn check_limit(bytes: usize) {
    if used() > LIMIT.load(Relaxed) {
        // The message is allocated, too.
        LIMIT.store(usize::MAX, Relaxed);
        eprintln!("an input takes too much memory: {bytes} bytes more");
        std::process::abort();
    }
}

/// What is on the heap, bytes.
#[must_use]
pub fn used() -> usize {
    USED.load(Relaxed)
}

#[global_allocator]
static HEAP: Heap = Heap;

/// The allocator of this program.
struct Heap;

// SAFETY: all is the system's allocator's; the counts are of no consequence for it.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise.
        count(0, layout.size(), unsafe { System.alloc(layout) })
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise.
        count(0, layout.size(), unsafe { System.alloc_zeroed(layout) })
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller's promise.
        count(layout.size(), size, unsafe { System.realloc(block, layout, size) })
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(block, layout) };
        USED.fetch_sub(layout.size(), Relaxed);
    }
}

/// Counts a block that was given in place of another; without one, nothing was.
fn count(before: usize, now: usize, block: *mut u8) -> *mut u8 {
    if !block.is_null() {
        USED.fetch_add(now, Relaxed);
        USED.fetch_sub(before, Relaxed);
        #[cfg(fuzzing)]
        check_limit(now);
    }
    block
}
