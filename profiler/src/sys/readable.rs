//! The parts of processes' memory that can be read without waiting for anybody: those of no file, and of files on file
//! systems that answer by themselves.
//!
//! A read of any other page can last for ever. What a process maps can change at any time: between a look and a read, too,
//! so this keeps us from what is there by intent or by accident, and not from who wins that race (`SECURITY.md`).

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::sys::{clock, maps, mounts};

/// What is known is believed so long.
const AGE: Duration = Duration::from_secs(1);
/// To look takes no larger part of a CPU than one in so many.
const PART: u32 = 10;
/// Most processes that are remembered.
const MAX_PROCESSES: usize = 4096;

static KNOWN: Mutex<Option<HashMap<u32, Readable>>> = Mutex::new(None);

/// One process's, by address; no two touch.
#[derive(Debug)]
struct Readable {
    parts: Vec<(u64, u64)>,
    looked: Instant,
    /// CPU time: whoever takes the CPU from us meanwhile must not make us blind.
    took: Duration,
}

impl Readable {
    fn of(tgid: u32) -> Self {
        let (looked, began_ns) = (Instant::now(), clock::thread_cpu_ns());
        let mut parts: Vec<(u64, u64)> = Vec::new();
        let mut devices = HashMap::new();
        // Who is gone, or may not be looked at, has none.
        let _ = maps::each(tgid, |line| {
            let is_ours = line.inode == 0
                || *devices.entry(line.device).or_insert_with(|| mounts::answers(tgid, line.device));
            match parts.last_mut() {
                _ if !is_ours => {}
                Some((_, end)) if *end == line.start => *end = line.end,
                _ => parts.push((line.start, line.end)),
            }
        });
        Self { parts, looked, took: Duration::from_nanos(clock::thread_cpu_ns() - began_ns) }
    }

    fn contains(&self, address: u64, bytes: u64) -> bool {
        let next = self.parts.partition_point(|(start, _)| *start <= address);
        let part = next.checked_sub(1).and_then(|last| self.parts.get(last));
        part.is_some_and(|(_, end)| address.checked_add(bytes).is_some_and(|behind| behind <= *end))
    }
}

/// True if so many bytes of a process can be read at an address.
#[must_use]
pub fn is_readable(tgid: u32, address: u64, bytes: usize) -> bool {
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let known = known.get_or_insert_default();
    if let Some(readable) = known.get(&tgid) {
        let age = readable.looked.elapsed();
        let contains = readable.contains(address, bytes as u64);
        if contains && age < AGE || age < readable.took * PART {
            return contains;
        }
    }
    if known.len() >= MAX_PROCESSES {
        known.clear();
    }
    let readable = Readable::of(tgid);
    let contains = readable.contains(address, bytes as u64);
    known.insert(tgid, readable);
    contains
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_told_from_what_lies_between() {
        let parts = vec![(0x1000, 0x3000), (0x5000, 0x6000)];
        let readable = Readable { parts, looked: Instant::now(), took: Duration::ZERO };
        for (address, bytes, is_in) in [
            (0x1000, 0x2000, true),
            (0x2fff, 1, true),
            (0x2fff, 2, false),
            (0x0fff, 1, false),
            (0x3000, 1, false),
            (0x5ff8, 8, true),
            (u64::MAX, 8, false),
        ] {
            assert_eq!(readable.contains(address, bytes), is_in, "{address:x}+{bytes}");
        }
    }

    #[test]
    fn our_own_memory_is_readable_and_no_address_is_not() {
        let (us, word) = (std::process::id(), Box::new(7_u64));
        assert!(is_readable(us, &raw const *word as u64, 8));
        assert!(!is_readable(us, 8, 8));
    }
}
