//! A file that a process maps: four offsets in it, then the file.

use profiler::fuzzing;

use crate::targets::{file, show, take};

pub fn run(mut input: &[u8]) {
    let offsets = [(); 4].map(|()| u64::from_le_bytes(take(&mut input)));
    show(&fuzzing::file_of_code(&file(input), &offsets));
}
