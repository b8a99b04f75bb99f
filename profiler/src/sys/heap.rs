//! Counts this process's heap against a limit. Whoever keeps for good what targets show asks here first.

use std::{
    collections::HashMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use crate::sys::{allocator::used, budget};

/// What was used when the first window began: the kernel's types, the fleets, the interpreters.
static BEFORE: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(256 << 20);
/// What is kept of each process, bytes.
static KEPT: Mutex<Option<HashMap<u32, usize>>> = Mutex::new(None);

/// Bounds what is kept of targets, and what is made of it.
pub fn bound(bytes: usize) {
    MOST.store(bytes, Relaxed);
}

/// Notes that a window begins: what is there already is no part of what is bounded. Only the first time, for an audit keeps
/// what it found in each window.
pub fn begin() {
    let _ = BEFORE.compare_exchange(0, used(), Relaxed, Relaxed);
}

/// How much more may be kept, bytes. The other half is for what is made of that in the end: names, pictures, and the copy
/// that a table makes of itself when it grows.
#[must_use]
pub fn room() -> usize {
    let found = used().saturating_sub(BEFORE.load(Relaxed));
    (MOST.load(Relaxed) / 2).saturating_sub(found)
}

/// Asks to keep so many more bytes of what a process shows. False if there is no room, or if the process has more than it
/// leaves to all others: then it is noted that something is missing of it.
#[must_use]
pub fn keep(tgid: u32, bytes: usize) -> bool {
    let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    let of_process = kept.get_or_insert_default().entry(tgid).or_default();
    let fits = of_process.saturating_add(bytes) <= room();
    if fits {
        *of_process += bytes;
    } else {
        budget::cut(tgid);
    }
    fits
}

/// Notes that so many bytes of what a process showed are not kept any more.
pub fn give_back(tgid: u32, bytes: usize) {
    let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(of_process) = kept.as_mut().and_then(|kept| kept.get_mut(&tgid)) {
        *of_process = of_process.saturating_sub(bytes);
    }
}

/// Forgets a process that has ended, for its PID is used again.
pub fn forget(tgid: u32) {
    KEPT.lock().unwrap_or_else(PoisonError::into_inner).as_mut().and_then(|kept| kept.remove(&tgid));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_leaves_as_much_as_it_takes() {
        let (greedy, honest) = (u32::MAX - 2, u32::MAX - 3);
        // Not while it is measured.
        begin();
        let before = room();
        let taken: Vec<_> =
            (0..1000).map_while(|_| keep(greedy, 1 << 20).then(|| vec![1_u8; 1 << 20])).collect();
        let share = taken.len() << 20;
        assert!(share >= before / 3 && share <= before * 2 / 3, "{share} of {before}");
        assert!(budget::forget(greedy).is_some_and(|missing| missing.is_cut));
        assert!(keep(honest, 1 << 20), "another has room");
        drop(taken);
    }
}
