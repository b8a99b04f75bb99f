//! Another process's memory and mappings. Everything that comes from there is hostile: reads are bounded, and a
//! failed one is an absence, not an error.
#![expect(unsafe_code, reason = "process_vm_readv takes raw addresses; malloc_trim")]

use std::{
    ffi::OsStr,
    fs::File,
    io,
    os::unix::{ffi::OsStrExt as _, fs::MetadataExt as _},
    path::PathBuf,
};

use profiler_common::python::{ReadMemory, ReadWindow};

#[cfg(fuzzing)]
use crate::sys::stand_in;
use crate::sys::{
    budget, mounts,
    pages::Pages,
    readable::{self, is_readable},
    target_file, tids,
};

/// Most executable mappings of a process that are looked at.
const MAX_MAPPINGS: usize = 1 << 16;

/// The memory of one process, read through `process_vm_readv`, which never stops it.
#[derive(Clone, Copy, Debug)]
pub struct Memory<'a> {
    tgid: u32,
    pages: Option<&'a Pages>,
}

impl Memory<'static> {
    /// The memory of this process.
    #[must_use]
    pub const fn of(tgid: u32) -> Self {
        Self { tgid, pages: None }
    }
}

impl<'a> Memory<'a> {
    /// The memory of this process, as it was when a page of it was first read.
    #[must_use]
    pub const fn in_pages(tgid: u32, pages: &'a Pages) -> Self {
        Self { tgid, pages: Some(pages) }
    }

    /// PID of the process.
    #[must_use]
    pub const fn tgid(&self) -> u32 {
        self.tgid
    }

    /// True if it is read in pages, each once.
    #[must_use]
    pub const fn is_in_pages(&self) -> bool {
        self.pages.is_some()
    }

    /// Fills `buffer` from `address`; `None` unless all of it could be read, without waiting for anybody, and within what may
    /// be read of the process.
    #[must_use]
    pub fn fill(&self, address: u64, buffer: &mut [u8]) -> Option<()> {
        let read = |buffer: &mut [u8]| match self.pages {
            Some(pages) => pages.fill(address, buffer, |page, buffer| self.try_fill(page, buffer)),
            None => self.try_fill(address, buffer),
        };
        #[cfg(fuzzing)]
        let read = |buffer: &mut [u8]| stand_in::fill(address, buffer, read);
        budget::read(self.tgid, buffer.len(), || read(buffer))
    }

    fn try_fill(self, address: u64, buffer: &mut [u8]) -> Option<()> {
        if !is_readable(self.tgid, address, buffer.len()) {
            return None;
        }
        let read = read(self.tgid, address, buffer).or_else(|error| match error.raw_os_error() {
            // There is none, or its first thread has exited.
            Some(libc::ESRCH) => read(tids::seen_by(self.tgid), address, buffer),
            _ => Err(error),
        });
        read.is_ok_and(|read| read == buffer.len()).then_some(())
    }

    /// `len` bytes at `address`.
    #[must_use]
    pub fn bytes(&self, address: u64, len: usize) -> Option<Vec<u8>> {
        let mut buffer = vec![0; len];
        self.fill(address, &mut buffer)?;
        Some(buffer)
    }

    /// Pays for bytes of the process that are gone through, or kept, again; `None` if it has not so much left.
    #[must_use]
    pub fn pay(&self, bytes: usize) -> Option<()> {
        budget::pay(self.tgid, bytes).then_some(())
    }

    /// The u64 at `address`.
    #[must_use]
    pub fn u64(&self, address: u64) -> Option<u64> {
        let mut buffer = [0; 8];
        self.fill(address, &mut buffer)?;
        Some(u64::from_ne_bytes(buffer))
    }

    /// The u32 at `address`.
    #[must_use]
    pub fn u32(&self, address: u64) -> Option<u32> {
        let mut buffer = [0; 4];
        self.fill(address, &mut buffer)?;
        Some(u32::from_ne_bytes(buffer))
    }
}

/// Reads memory that is seen by a thread: how many bytes.
fn read(tid: u32, address: u64, buffer: &mut [u8]) -> io::Result<usize> {
    let local = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    let remote = libc::iovec { iov_base: address as *mut libc::c_void, iov_len: buffer.len() };
    // SAFETY: `local` is exactly `buffer`; `remote` is checked by the kernel.
    let read =
        unsafe { libc::process_vm_readv(tid.cast_signed(), &raw const local, 1, &raw const remote, 1, 0) };
    usize::try_from(read).map_err(|_| io::Error::last_os_error())
}

impl ReadMemory for Memory<'_> {
    fn read(&mut self, address: u64, bytes: u32, window: &mut ReadWindow) -> bool {
        let window = bytemuck::bytes_of_mut(window).get_mut(..bytes as usize);
        window.and_then(|window| self.fill(address, window)).is_some()
    }
}

/// Gives back to the kernel what the allocator keeps of freed memory. Worth it before and after the kernel's types,
/// some 20 MiB of small pieces, are read and dropped. musl's allocator gives back by itself.
pub fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: touches only memory that is free.
    unsafe {
        libc::malloc_trim(0)
    };
}

/// A part of a file that a process has mapped as executable.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Mapping {
    /// First address.
    pub start: u64,
    /// Address behind the last one.
    pub end: u64,
    /// Offset in the file, bytes.
    pub offset: u64,
    /// Path of the file as the kernel names it, without ` (deleted)`.
    pub path: PathBuf,
    /// Device and inode: which file it really is.
    pub file: (u64, u64),
}

impl Mapping {
    /// The executable file mappings of a process, by address.
    pub fn executable(tgid: u32) -> io::Result<Vec<Self>> {
        Ok(Self::code(tgid)?.0)
    }

    /// The executable file mappings of a process, by address, and their number.
    pub fn code(tgid: u32) -> io::Result<(Vec<Self>, u64)> {
        let mut mappings = Vec::new();
        let number = readable::each_mapping(tgid, |line| {
            if line.is_executable && line.path.starts_with(b"/") && mappings.len() < MAX_MAPPINGS {
                mappings.push(Self {
                    start: line.start,
                    end: line.end,
                    offset: line.offset,
                    path: PathBuf::from(OsStr::from_bytes(undeleted(line.path))),
                    file: (line.device, line.inode),
                });
            }
        })?;
        Ok((mappings, number))
    }

    /// Opens this file, whatever its mount namespace and even if it was deleted since: by the kernel's own link to it, else,
    /// where those may not be followed, by its path below the process's root. `None` if it cannot be, or if whoever serves it
    /// may never answer.
    #[must_use]
    pub fn open(&self, tgid: u32) -> Option<File> {
        budget::read(tgid, 0, || self.try_open(tgid))
    }

    fn try_open(&self, tgid: u32) -> Option<File> {
        let (device, inode) = self.file;
        if !mounts::answers(tgid, device) {
            return None;
        }
        let process = PathBuf::from(format!("/proc/{}", tids::seen_by(tgid)));
        let link = process.join(format!("map_files/{:x}-{:x}", self.start, self.end));
        // What is at the path now may be another.
        let is_it = |file: &File| file.metadata().is_ok_and(|about| about.ino() == inode);
        let below_root = || target_file::open_below(&process.join("root"), &self.path).ok().filter(is_it);
        target_file::open(&link).ok().or_else(below_root)
    }
}

/// A path without what the kernel puts behind that of a file that is gone.
fn undeleted(path: &[u8]) -> &[u8] {
    path.strip_suffix(b" (deleted)").unwrap_or(path)
}
