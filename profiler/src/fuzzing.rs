//! The doors of `fuzz/`: what its targets enter by where strangers' bytes come in. Only a build for it has them.

use std::{fs::File, os::unix::fs::FileExt as _};

use crate::{
    python::{image::Image, stand_in},
    symbolize::{native, perf_map::PerfMap},
    sys::{budget, cgroup, maps},
};

pub use stand_in::{InterpreterFacts, capture, interpreter_without_memory, layout, names_of};

/// The names of what is at some offsets of a file, which may also be an interpreter.
#[must_use]
pub fn file_of_code(file: &File, offsets: &[u64]) -> Vec<String> {
    // What it says is looked at, where it is kept or not.
    drop(Image::parse(file));
    native::functions_in(file, offsets).into_iter().map(|(_, function)| function.name).collect()
}

/// All names that an interpreter tells, of memory that stands in for a process's.
#[must_use]
pub fn interpreter(facts: &InterpreterFacts) -> Vec<String> {
    budget::renew();
    stand_in::names(facts).unwrap_or_default()
}

/// How many mappings a process has, as `/proc/PID/maps` tells.
#[must_use]
pub fn mappings(table: &[u8]) -> usize {
    let mut count = 0;
    // Bytes can always be read.
    let _ = maps::each_in(table, |_| count += 1);
    count
}

/// How many control groups bind a process, by its own table and the mounts', and how long one says that it was throttled.
#[must_use]
pub fn control_groups(groups: &[u8], mounts: &[u8], stat: &[u8]) -> (usize, Option<u64>) {
    (cgroup::find(groups, mounts).len(), cgroup::throttled_ns(&String::from_utf8_lossy(stat)))
}

/// What a map of code that is made at run time says of an address, after each piece that is written of it to an empty file.
#[must_use]
pub fn made_code<'a>(file: &File, pieces: impl Iterator<Item = &'a [u8]>, address: u64) -> Vec<String> {
    let Ok(read) = file.try_clone() else { return Vec::new() };
    let mut map = PerfMap::over(0, read);
    let (mut names, mut end) = (Vec::new(), 0);
    for piece in pieces {
        if file.write_all_at(piece, end).is_ok() {
            end += piece.len() as u64;
            names.extend(map.name(address).map(str::to_owned));
        }
    }
    names
}
