//! The parts of processes' memory that can be read without waiting for anybody: those of no file, and of files on file
//! systems that answer by themselves.
//!
//! A read of any other page can last for ever. What a process maps can change at any time: between a look and a read, too,
//! so this keeps us from what is there by intent or by accident, and not from who wins that race (`SECURITY.md`).
//!
//! To read all mappings of a thousand workers takes a good part of a second, so a look is believed for a while, and for longer while
//! as much is mapped as was.

use std::{
    collections::HashMap,
    hash::{BuildHasher as _, Hash as _, Hasher as _, RandomState},
    io,
    sync::{LazyLock, Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::sys::{
    clock,
    mapped::Mapped,
    maps::{self, MapsLine},
    mounts,
};

/// What is known is believed so long, and while as much is mapped so much longer.
const AGE: Duration = Duration::from_secs(1);
const MAX_AGE: Duration = Duration::from_secs(16);
/// To look takes no larger part of a CPU than one in so many.
const PART: u32 = 10;
/// Most processes that are remembered.
const MAX_PROCESSES: usize = 4096;

static KNOWN: Mutex<Option<HashMap<u32, Readable>>> = Mutex::new(None);
/// Gives numbers to code, which nobody can choose.
static CODE: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// One process's, by address; no two touch.
#[derive(Debug)]
struct Readable {
    parts: Vec<(u64, u64)>,
    /// Number of what it has mapped as code, and where.
    code: u64,
    mapped: Option<Mapped>,
    looked: Instant,
    /// When it was last found that as much is mapped as was.
    confirmed: Instant,
    /// CPU time: whoever takes the CPU from us meanwhile must not make us blind.
    took: Duration,
}

impl Readable {
    /// What is readable of a process, of which `see` is shown all mappings. Who is gone, or may not be looked at, has none.
    fn look(tgid: u32, mut see: impl FnMut(&MapsLine)) -> (Self, io::Result<()>) {
        let (looked, began_ns) = (Instant::now(), clock::thread_cpu_ns());
        let mapped = Mapped::of(tgid);
        let mut parts: Vec<(u64, u64)> = Vec::new();
        let (mut devices, mut code) = (HashMap::new(), CODE.build_hasher());
        let result = maps::each(tgid, |line| {
            see(line);
            if line.is_executable && line.inode != 0 {
                (line.start, line.end, line.offset, line.device, line.inode).hash(&mut code);
            }
            let is_ours = line.inode == 0
                || *devices.entry(line.device).or_insert_with(|| mounts::answers(tgid, line.device));
            match parts.last_mut() {
                _ if !is_ours => {}
                Some((_, end)) if *end == line.start => *end = line.end,
                _ => parts.push((line.start, line.end)),
            }
        });
        let (code, took) = (code.finish(), Duration::from_nanos(clock::thread_cpu_ns() - began_ns));
        (Self { parts, code, mapped, looked, confirmed: looked, took }, result)
    }

    /// True if the look is not old, and as much is mapped as was.
    fn is_as_it_was(&mut self, tgid: u32) -> bool {
        let is_young = self.mapped.is_some() && self.looked.elapsed() < MAX_AGE;
        let is_same = is_young && Mapped::of(tgid) == self.mapped;
        if is_same {
            self.confirmed = Instant::now();
        }
        is_same
    }

    /// True if to look again takes too much of a CPU.
    fn is_costly(&self) -> bool {
        self.looked.elapsed() < self.took * PART
    }

    fn contains(&self, address: u64, bytes: u64) -> bool {
        let next = self.parts.partition_point(|(start, _)| *start <= address);
        let part = next.checked_sub(1).and_then(|last| self.parts.get(last));
        part.is_some_and(|(_, end)| address.checked_add(bytes).is_some_and(|behind| behind <= *end))
    }
}

/// Forgets a process that has ended.
pub fn forget(tgid: u32) {
    KNOWN.lock().unwrap_or_else(PoisonError::into_inner).as_mut().and_then(|known| known.remove(&tgid));
}

/// True if so many bytes of a process can be read at an address.
#[must_use]
pub fn is_readable(tgid: u32, address: u64, bytes: usize) -> bool {
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let known = known.get_or_insert_default();
    if let Some(readable) = known.get_mut(&tgid) {
        let contains = readable.contains(address, bytes as u64);
        let is_believed = contains && (readable.confirmed.elapsed() < AGE || readable.is_as_it_was(tgid));
        if is_believed || readable.is_costly() {
            return contains;
        }
    }
    let (readable, _) = Readable::look(tgid, |_| {});
    let contains = readable.contains(address, bytes as u64);
    remember(known, tgid, readable);
    contains
}

/// A number of the code that a process has mapped, and where: as it was read before, if as much is mapped now.
#[must_use]
pub fn code(tgid: u32) -> Option<u64> {
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let readable = known.as_mut()?.get_mut(&tgid)?;
    readable.is_as_it_was(tgid).then_some(readable.code)
}

/// Shows a process's mappings, by address, and remembers what is readable; returns the number of its code.
pub fn each_mapping(tgid: u32, see: impl FnMut(&MapsLine)) -> io::Result<u64> {
    let (readable, result) = Readable::look(tgid, see);
    let code = readable.code;
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    remember(known.get_or_insert_default(), tgid, readable);
    result.map(|()| code)
}

fn remember(known: &mut HashMap<u32, Readable>, tgid: u32, readable: Readable) {
    if known.len() >= MAX_PROCESSES {
        known.clear();
    }
    known.insert(tgid, readable);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_told_from_what_lies_between() {
        let parts = vec![(0x1000, 0x3000), (0x5000, 0x6000)];
        let (looked, took) = (Instant::now(), Duration::ZERO);
        let readable = Readable { parts, code: 0, mapped: None, looked, confirmed: looked, took };
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
