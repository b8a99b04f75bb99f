//! An interpreter's memory: it is found, its version's offsets are read, and its threads with all that is told of them.

use profiler::{fuzzing, sys::stand_in};

use crate::targets::{show, snapshot};

pub fn run(input: &[u8]) {
    let (facts, parts) = snapshot::decode(input);
    stand_in::replace(parts);
    show(&fuzzing::interpreter(&facts));
}
