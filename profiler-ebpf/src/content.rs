//! Numbers stacks by what they say, so that one which many threads have is described once.
//!
//! Frames are named by their definitions, whose numbers all processes share. What user space reads from a process to name the
//! rest (native code, a code object without a definition, an asyncio task) is that process's alone, and so is the number then.
//! It has a key, for else one process could make a stack with another's number.

use aya_ebpf::{macros::map, maps::LruHashMap};
use profiler_common::{
    event::{KnownStackRecord, RecordKind},
    loss_cause::LossCause,
    python::BY_ADDRESS,
    siphash::SipHash,
};

use crate::{
    definition,
    maps::{RING, wake_up},
    native,
    scratch::Scratch,
};

/// Number of a stack's content → present if user space has its description. Used in this file alone.
#[map]
static DESCRIBED: LruHashMap<u64, u32> = LruHashMap::with_max_entries(32768, 0);

/// The hash of a stack's frames under way.
#[repr(C)]
pub struct Content {
    hash: SipHash,
    /// Not 0 if a frame has no definition.
    by_address: u64,
}

impl Content {
    /// Begins with no frames.
    #[inline(always)]
    pub fn begin(&mut self) {
        *self = Self { hash: SipHash::new(definition::key()), by_address: 0 };
    }
}

/// Goes on with a frame, as [`profiler_common::python::FrameRef`] has it. Apart from its caller, which has no room on its stack.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn add_frame(content: *mut Content, tagged_code: u64, instr: u64) -> u32 {
    // SAFETY: the caller's, live; the verifier wants it compared.
    let Some(content) = (unsafe { content.as_mut() }) else { return 0 };
    content.hash.add(tagged_code);
    content.hash.add(instr);
    content.by_address |= tagged_code & BY_ADDRESS;
    1
}

/// The number of the content of the stack in the scratch, all of whose frames are in it.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn number(scratch: *mut Scratch) -> u64 {
    // SAFETY: the caller's, live; the verifier wants it compared.
    let Some(scratch) = (unsafe { scratch.as_mut() }) else { return 0 };
    let Scratch { walk, stack, definition, .. } = scratch;
    let is_private =
        walk.len == 0 || stack.user_len != 0 || walk.task != 0 || definition.content.by_address != 0;
    let key = &stack.key;
    let mut hash = definition.content.hash;
    hash.add(if is_private { u64::from(key.tgid) } else { 0 });
    // What a wait without Python frames is for depends on whether the thread is its process's first.
    hash.add(u64::from(key.tid == key.tgid));
    hash.add(u64::from(key.reason) << 32 | u64::from(key.syscall));
    hash.add(u64::from(walk.end) << 32 | u64::from(walk.gil) << 1 | u64::from(walk.in_greenlet));
    hash.add(walk.task);
    hash.add(native::hash(0, &stack.user, stack.user_len));
    hash.add(native::hash(0, &stack.kernel, stack.kernel_len));
    hash.finish()
}

/// True if user space has the description of a content.
#[inline(always)]
pub fn is_described(content: u64) -> bool {
    // SAFETY: not kept.
    unsafe { DESCRIBED.get(content) }.is_some()
}

/// Notes that the description of a content was sent. If it is not kept it is sent again.
#[inline(always)]
pub fn note_described(content: u64) {
    let _ = DESCRIBED.insert(content, 0, 0);
}

/// Sends that the stack in the scratch is new for its thread, but has a content that was described.
#[inline(always)]
pub fn send_known(scratch: &Scratch) -> Result<(), LossCause> {
    let mut record = RING.reserve::<KnownStackRecord>(0).ok_or(LossCause::RingFull)?;
    let stack = &scratch.stack;
    let (kind, key) = (RecordKind::KnownStack as u32, stack.key);
    record.write(KnownStackRecord { kind, reserved: 0, key, content: stack.content, on_cpu: stack.on_cpu });
    record.submit(wake_up());
    Ok(())
}
