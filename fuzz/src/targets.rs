//! The targets, one a file, and what their inputs are made into.

mod answers;
mod cgroups;
mod elf;
mod events;
mod frames;
mod lines;
mod logs;
mod maps;
mod memory;
mod perf_maps;
mod recordings;
pub mod snapshot;

use std::{fs::File, io::Write as _};

use profiler::render::term::escape;
use rustix::fs::{MemfdFlags, memfd_create};

use crate::inert;

/// The target with a name: that of its corpus.
pub fn named(name: &str) -> Option<fn(&[u8])> {
    Some(match name {
        "answers" => answers::run,
        "cgroups" => cgroups::run,
        "elf" => elf::run,
        "events" => events::run,
        "frames" => frames::run,
        "lines" => lines::run,
        "logs" => logs::run,
        "maps" => maps::run,
        "memory" => memory::run,
        "perf_maps" => perf_maps::run,
        "recordings" => recordings::run,
        _ => return None,
    })
}

/// A file with these bytes.
fn file(bytes: &[u8]) -> File {
    let file = memfd_create("input", MemfdFlags::CLOEXEC).expect("the kernel has files in memory");
    let mut file = File::from(file);
    file.write_all(bytes).expect("there is room");
    file
}

/// The parts of an input between the bytes that none of them has.
fn parts(input: &[u8], between: u8) -> impl Iterator<Item = &[u8]> {
    input.split(move |byte| *byte == between)
}

/// The next bytes of an input, zeros behind its end.
fn take<const N: usize>(input: &mut &[u8]) -> [u8; N] {
    let (now, later) = input.split_at(input.len().min(N));
    *input = later;
    let mut bytes = [0; N];
    bytes[..now.len()].copy_from_slice(now);
    bytes
}

/// Shows names that a target chose, as every verb does.
fn show<'a>(names: impl IntoIterator<Item = &'a String>) {
    for name in names {
        inert::check(&escape::visible(name));
        inert::check(&escape::frame(name));
    }
}
