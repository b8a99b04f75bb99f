//! What strangers can put before punchclock, made up by libFuzzer.
//!
//! An input must be done with in time, within [`MEMORY`], without a panic; and no text that comes of it may act on a
//! terminal. One program has all targets, for to link one for each would take longer than CI runs them.
#![no_main]
// Only what `cargo xtask fuzz` builds has the doors that lead in.
#![cfg(fuzzing)]

mod inert;
mod targets;

use std::{env, io::Write as _, process::exit, sync::LazyLock};

use libfuzzer_sys::fuzz_target;
use profiler::sys::allocator;

/// Bytes that one input may take.
const MEMORY: usize = 64 << 20;

/// The target that `FUZZ_TARGET` names.
static TARGET: LazyLock<fn(&[u8])> = LazyLock::new(|| {
    let name = env::var("FUZZ_TARGET").expect("FUZZ_TARGET names a target");
    targets::named(&name).unwrap_or_else(|| panic!("there is no target `{name}`"))
});

fuzz_target!(init: begin(), |input: &[u8]| {
    allocator::within(MEMORY, || TARGET(input));
});

/// Finds the target; or, if `FUZZ_SNAPSHOT` has a process's number, writes its interpreter as a seed, and ends.
fn begin() {
    let Ok(tgid) = env::var("FUZZ_SNAPSHOT") else {
        LazyLock::force(&TARGET);
        return;
    };
    let tgid = tgid.parse().expect("FUZZ_SNAPSHOT has a number");
    let seed = targets::snapshot::of_process(tgid).expect("the process runs Python");
    std::io::stdout().write_all(&seed).expect("somebody reads it");
    exit(0);
}
