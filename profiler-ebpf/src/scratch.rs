//! Memory in which a program builds a stack: more than its own stack holds.

use aya_ebpf::{macros::map, maps::PerCpuArray};
use profiler_common::{
    event::StackRecord,
    python::{Borrowed, MAX_PY_FRAMES, PyFrame, Walk},
};

use crate::{definition::Definition, user_memory::FrameCopy};

/// Room to build a stack in, per CPU: a place for each of those that may interrupt the other, but not themselves.
#[map]
pub static SCRATCH: PerCpuArray<Scratch> = PerCpuArray::with_max_entries(2, 0);

/// The tick's place in `SCRATCH`.
pub const TICK: u32 = 0;
/// The switch's place in `SCRATCH`.
pub const SWITCH: u32 = 1;

/// Where a stack is built: what is kept here needs no room on the programs' own stack. `stack` and `frames` are one ring
/// record.
#[repr(C)]
pub struct Scratch {
    /// Cause of a wait: its reason, its system call, and the user's instruction.
    pub cause: [u64; 3],
    pub walk: Walk,
    pub block: FrameCopy,
    pub borrowed: Borrowed,
    pub definition: Definition,
    pub stack: StackRecord,
    pub frames: [PyFrame; MAX_PY_FRAMES],
}
