//! The heap, counted: an input that takes more than its share ends the program, as a panic does.
#![expect(unsafe_code, reason = "an allocator")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    process::abort,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

/// Bytes that are taken, and most that may be.
static TAKEN: AtomicUsize = AtomicUsize::new(0);
static LIMIT: AtomicUsize = AtomicUsize::new(usize::MAX);

/// The system's allocator.
pub struct Counted;

/// Runs something that may take so many bytes more than are taken now.
pub fn within(bytes: usize, run: impl FnOnce()) {
    LIMIT.store(TAKEN.load(Relaxed) + bytes, Relaxed);
    run();
    LIMIT.store(usize::MAX, Relaxed);
}

fn take(bytes: usize) {
    if TAKEN.fetch_add(bytes, Relaxed) + bytes > LIMIT.load(Relaxed) {
        LIMIT.store(usize::MAX, Relaxed);
        eprintln!("an input takes too much memory: {bytes} bytes more");
        abort();
    }
}

fn give(bytes: usize) {
    TAKEN.fetch_sub(bytes, Relaxed);
}

// SAFETY: the system's allocator does it all; this counts.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        take(layout.size());
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        take(layout.size());
        // SAFETY: as the caller promises.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        take(bytes);
        give(layout.size());
        // SAFETY: as the caller promises.
        unsafe { System.realloc(place, layout, bytes) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        give(layout.size());
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(place, layout) }
    }
}
