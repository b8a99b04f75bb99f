//! `/proc/PID/maps`: names in it are bytes that the process chooses.

use profiler::fuzzing;

use crate::targets::parts;

pub fn run(input: &[u8]) {
    assert!(fuzzing::mappings(input) <= parts(input, b'\n').count());
}
