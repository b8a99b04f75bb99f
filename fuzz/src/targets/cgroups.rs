//! A process's control groups, the mounts beside them, and what a group tells of its quota: apart by zeros.

use profiler::fuzzing;

use crate::targets;

pub fn run(input: &[u8]) {
    let mut parts = targets::parts(input, 0);
    let mut part = || parts.next().unwrap_or_default();
    let groups = part();
    let (bound, _) = fuzzing::control_groups(groups, part(), part());
    assert!(bound < targets::parts(groups, b'/').count());
}
