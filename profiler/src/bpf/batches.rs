//! Reads a hash map many entries at a time (`BPF_MAP_LOOKUP_BATCH`, Linux 5.6): one by one, each takes two system calls.
#![expect(unsafe_code, reason = "bpf(2), which aya does not call so")]

use std::{
    io,
    os::fd::{AsFd as _, AsRawFd as _},
};

use anyhow::{Context as _, Result, bail};
use aya::maps::Map;
use bytemuck::Pod;

/// Entries that are asked for at first.
const ENTRIES: usize = 512;
/// Entries in one bucket of a table that are not believed.
const TOO_MANY: usize = 1 << 20;

/// `enum bpf_cmd` (include/uapi/linux/bpf.h).
const BPF_MAP_LOOKUP_BATCH: libc::c_int = 24;

/// The part of `union bpf_attr` for batches (include/uapi/linux/bpf.h).
#[repr(C)]
struct BatchAttr {
    in_batch: u64,
    out_batch: u64,
    keys: u64,
    values: u64,
    count: u32,
    map_fd: u32,
    elem_flags: u64,
    flags: u64,
}

/// A reading of a hash map under way. What is added or removed meanwhile may be in it or not; all else is, once.
#[derive(Debug)]
pub struct Batches<K, V> {
    keys: Vec<K>,
    values: Vec<V>,
    read: usize,
    /// The bucket where the next batch begins; `None` before the first.
    next: Option<u32>,
    is_over: bool,
}

impl<K: Pod, V: Pod> Batches<K, V> {
    /// A reading that begins, of a map with such keys and values.
    #[must_use]
    pub fn new() -> Self {
        let (keys, values) = (vec![K::zeroed(); ENTRIES], vec![V::zeroed(); ENTRIES]);
        Self { keys, values, read: 0, next: None, is_over: false }
    }

    /// Reads the next batch; false if there is none. A batch may be empty.
    pub fn read_next(&mut self, map: &Map) -> Result<bool> {
        let Map::HashMap(map) = map else { bail!("it is no hash map") };
        while !self.is_over {
            let mut behind = 0;
            let mut attr = BatchAttr {
                in_batch: self.next.as_ref().map_or(0, |next| &raw const *next as u64),
                out_batch: &raw mut behind as u64,
                keys: self.keys.as_mut_ptr() as u64,
                values: self.values.as_mut_ptr() as u64,
                count: self.keys.len() as u32,
                map_fd: map.fd().as_fd().as_raw_fd().cast_unsigned(),
                elem_flags: 0,
                flags: 0,
            };
            // SAFETY: there is room for so many keys and values of the map, of whose shape the caller has made sure.
            let result = unsafe {
                libc::syscall(libc::SYS_bpf, BPF_MAP_LOOKUP_BATCH, &raw mut attr, size_of::<BatchAttr>())
            };
            let error = io::Error::last_os_error();
            match error.raw_os_error().filter(|_| result != 0) {
                None => {}
                Some(libc::EINTR) => continue,
                // One bucket has more.
                Some(libc::ENOSPC) if self.keys.len() < TOO_MANY => {
                    self.keys.resize(2 * self.keys.len(), K::zeroed());
                    self.values.resize(self.keys.len(), V::zeroed());
                    continue;
                }
                Some(libc::ENOENT) => self.is_over = true,
                Some(_) => return Err(error).context("failed to read a map"),
            }
            (self.next, self.read) = (Some(behind), attr.count as usize);
            return Ok(true);
        }
        Ok(false)
    }

    /// The entries of the batch.
    pub fn entries(&self) -> impl Iterator<Item = (&K, &V)> {
        self.keys.iter().zip(&self.values).take(self.read)
    }
}
