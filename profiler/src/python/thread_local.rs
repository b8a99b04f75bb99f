//! The GIL-state slot in a thread-local variable (3.15+, `_Py_tss_gilstate`).
//!
//! The variable has no symbol that survives `strip`, so it is looked for by value in the interpreter's own thread-local
//! block: where every thread has its thread state. A thread that holds the GIL has it in a second variable too
//! (`_Py_tss_tstate`); where only such threads were seen, the function that returns the first one tells the two apart.

use profiler_common::python::TlsPath;

use crate::{
    python::{
        image::Image,
        interpreter::ThreadState,
        slot::Listed,
        thread_vector::{MAX_MODULES, way_to_module},
    },
    sys::memory::Memory,
};

/// Bytes of one module's thread-local block that are looked through.
const MAX_BLOCK: u64 = 1 << 16;

/// Most variables that are asked whether they are it; there are two, and what extension modules keep for themselves.
const MAX_PLACES: usize = 64;

/// The slot, checked; the error says why there is none, as a clause. `getter` are the first bytes of
/// `PyGILState_GetThisThreadState`, which is at the address `getter_at`.
pub fn find(
    memory: Memory,
    image: &Image,
    states: &[ThreadState],
    getter_at: Option<u64>,
) -> Result<TlsPath, String> {
    let (bytes, align) = image
        .thread_local()
        .filter(|(bytes, _)| *bytes <= MAX_BLOCK)
        .ok_or_else(|| "its interpreter has no thread-local variables".to_owned())?;
    let first = states.first().ok_or_else(|| "it has no threads yet".to_owned())?;
    let blocks = if image.is_executable() {
        // The executable's own block lies right below the thread pointer, on aarch64 above it.
        let align = align.max(1);
        let start = if cfg!(target_arch = "aarch64") {
            16u64.next_multiple_of(align).cast_signed()
        } else {
            bytes.next_multiple_of(align).wrapping_neg().cast_signed()
        };
        vec![TlsBlock { way: vec![], start }]
    } else {
        (1..MAX_MODULES)
            .filter_map(|module| Some(TlsBlock { way: way_to_module(module)?.to_vec(), start: 0 }))
            .collect()
    };
    let listed = Listed::new(states);
    let slots = blocks.into_iter().flat_map(|block| {
        let words = block.words(memory, first, bytes).unwrap_or_default();
        let offsets: Vec<_> = listed.places(&words, block.start, first.thread_pointer).collect();
        offsets.into_iter().map(move |offset| (offset, block.slot(offset)))
    });
    let hits: Vec<_> = slots.take(MAX_PLACES).filter(|(_, slot)| listed.are_at(memory, slot)).collect();
    match hits.as_slice() {
        [] => Err("no thread-local variable of its interpreter points to its thread states".to_owned()),
        [(_, slot)] => Ok(*slot),
        several => {
            let told = getter_at.and_then(|address| returned(memory, address));
            let (_, slot) = several.iter().find(|(offset, _)| Some(*offset) == told).ok_or_else(|| {
                "two thread-local variables of its interpreter point to its thread states".to_owned()
            })?;
            Ok(*slot)
        }
    }
}

/// A module's thread-local variables in one thread.
struct TlsBlock {
    /// Steps from the thread pointer to the word that points to the block; empty if the block lies beside the thread pointer.
    way: Vec<i64>,
    /// Start of the block, from the end of `way` or from the thread pointer.
    start: i64,
}

impl TlsBlock {
    fn slot(&self, offset: i64) -> TlsPath {
        let steps: Vec<_> = self.way.iter().copied().chain([offset]).collect();
        TlsPath::new(&steps)
    }

    fn words(&self, memory: Memory, state: &ThreadState, bytes: u64) -> Option<Vec<u8>> {
        let base = match self.way.as_slice() {
            [] => state.thread_pointer,
            way => TlsPath::new(way).load(state.thread_pointer, |address| memory.u64(address))?,
        };
        if base == 0 || base == u64::MAX {
            return None;
        }
        memory.bytes(base.wrapping_add_signed(self.start), usize::try_from(bytes).ok()?)
    }
}

/// Which variable a function returns that does nothing else: its offset from the thread pointer, or in its module's block.
#[cfg(target_arch = "x86_64")]
fn returned(memory: Memory, function: u64) -> Option<i64> {
    const BYTES: usize = 48;
    let code = memory.bytes(function, BYTES)?;
    let i32_at = |at: usize| Some(i32::from_le_bytes(*code.get(at..)?.first_chunk()?));
    let find = |wanted: &[u8]| code.windows(wanted.len()).position(|bytes| bytes == wanted);
    // mov %fs:disp32,%rax
    if let Some(at) = find(&[0x64, 0x48, 0x8b, 0x04, 0x25]) {
        return i32_at(at + 5).map(i64::from);
    }
    // lea GOT(%rip),%rdi; call __tls_get_addr; mov disp(%rax),%rax. The GOT's second word is added to the displacement.
    let lea = find(&[0x48, 0x8d, 0x3d])?;
    let got = function.wrapping_add(lea as u64 + 7).wrapping_add_signed(i64::from(i32_at(lea + 3)?));
    let in_block = memory.u64(got.wrapping_add(8))?.cast_signed();
    let load = lea + 7 + code.get(lea + 7..)?.windows(2).position(|bytes| bytes == [0x48, 0x8b])?;
    let displacement = match code.get(load + 2)? {
        0x00 => 0,
        0x40 => i64::from(code.get(load + 3)?.cast_signed()),
        0x80 => i64::from(i32_at(load + 3)?),
        _ => return None,
    };
    Some(in_block.wrapping_add(displacement))
}

/// Not run there yet.
#[cfg(target_arch = "aarch64")]
fn returned(_: Memory, _: u64) -> Option<i64> {
    None
}
