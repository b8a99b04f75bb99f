//! Memory that stands in for a process's: what was once read of one, or what a fuzzer makes of that.

use std::{cell::RefCell, collections::BTreeMap};

/// Parts of memory, by address. A read lies within one, or fails.
pub type Parts = BTreeMap<u64, Vec<u8>>;

thread_local! {
    static STAND_IN: RefCell<StandIn> = const { RefCell::new(StandIn::None) };
}

/// What this thread reads instead of processes.
#[derive(Debug)]
enum StandIn {
    /// Nothing: it reads them.
    None,
    /// These parts.
    Parts(Parts),
    /// It reads them, and keeps what it has read.
    Kept(Vec<(u64, Vec<u8>)>),
}

/// From now on each process that this thread reads has this memory, and no other.
pub fn replace(parts: Parts) {
    STAND_IN.set(StandIn::Parts(parts));
}

/// Keeps what this thread reads meanwhile of processes, and returns it in as few parts as it has.
pub fn keep(run: impl FnOnce()) -> Parts {
    STAND_IN.set(StandIn::Kept(Vec::new()));
    run();
    let StandIn::Kept(mut read) = STAND_IN.replace(StandIn::None) else { return Parts::new() };
    read.sort();
    let mut parts = Parts::new();
    for (address, bytes) in read {
        if let Some(mut last) = parts.last_entry()
            && address - last.key() <= last.get().len() as u64
        {
            let known = last.get().len() - (address - last.key()) as usize;
            last.get_mut().extend(bytes.get(known..).unwrap_or_default());
        } else {
            parts.insert(address, bytes);
        }
    }
    parts
}

/// Fills a buffer from what stands in for a process, or else by reading it.
pub(super) fn fill(
    address: u64,
    buffer: &mut [u8],
    read: impl FnOnce(&mut [u8]) -> Option<()>,
) -> Option<()> {
    STAND_IN.with_borrow_mut(|stand_in| match stand_in {
        StandIn::None => read(buffer),
        StandIn::Parts(parts) => {
            let (start, part) = parts.range(..=address).next_back()?;
            let part = part.get(usize::try_from(address - start).ok()?..)?.get(..buffer.len())?;
            buffer.copy_from_slice(part);
            Some(())
        }
        StandIn::Kept(kept) => {
            read(buffer)?;
            kept.push((address, buffer.to_vec()));
            Some(())
        }
    })
}
