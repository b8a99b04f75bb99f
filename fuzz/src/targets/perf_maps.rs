//! A map of code that is made at run time, written in pieces that zeros part, and asked for an address after each.

use profiler::fuzzing;

use crate::targets::{file, parts, show, take};

pub fn run(mut input: &[u8]) {
    let address = u64::from_le_bytes(take(&mut input));
    show(&fuzzing::made_code(&file(&[]), parts(input, 0), address));
}
