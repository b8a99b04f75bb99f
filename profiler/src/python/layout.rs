//! Where the fields of CPython's structs stand, by version: one table up to 3.12, the interpreter's own
//! `_Py_DebugOffsets` from 3.13 on. All in bytes.
//!
//! The numbers are those of `x86_64` builds with the GIL, from the DWARF of real interpreters.

use profiler_common::python::{ABSENT, PACKED_FRAME_BYTES, PyOffsets, WINDOW_WORDS};

use crate::python::lines::Format;

/// Everything that is read of one version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// What the walk needs.
    pub walk: PyOffsets,
    /// `_PyRuntime` → `interpreters.head`.
    pub interpreters_head: u64,
    /// `PyInterpreterState` → its first thread state.
    pub threads_head: u64,
    /// `PyThreadState.next`.
    pub tstate_next: u64,
    /// `PyThreadState.thread_id`: `pthread_self()`, which is the thread pointer.
    pub tstate_thread_id: u64,
    /// `_PyRuntime` → `autoTSSkey`, the pthread key of the GIL-state slot.
    pub slot_key: u64,
    /// Where the GIL is.
    pub gil: Gil,
    /// Code objects and strings.
    pub code: CodeLayout,
}

/// Where `struct _gil_runtime_state` stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gil {
    /// In `_PyRuntime`, so many bytes from its start: one for all interpreters.
    InRuntime(u64),
    /// Behind a pointer (`ceval.gil`) in the main `PyInterpreterState`, so many bytes from its start.
    Behind(u64),
}

/// Of code objects and the objects that they point to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodeLayout {
    /// `co_firstlineno`.
    pub first_line: usize,
    /// `co_filename`.
    pub file: usize,
    /// `co_qualname` where there is one, else `co_name`.
    pub name: usize,
    /// `co_linetable`, or `co_lnotab` up to 3.9.
    pub line_table: usize,
    /// `co_code_adaptive`, where the instructions begin (3.11+).
    pub instructions: u64,
    /// How `line_table` is written.
    pub format: Format,
    /// Header of a compact ASCII string; one of other characters has 8 bytes of UTF-8 cache more each for
    /// length and pointer.
    pub ascii_header: u64,
    /// Header of a compact string of other characters.
    pub compact_header: u64,
}

/// Before 3.11: one `PyFrameObject` on the heap per call.
const HEAP_FRAMES: PyOffsets = PyOffsets {
    tstate_frame: 24,
    cframe_frame: ABSENT,
    tstate_datastack: ABSENT,
    read_bytes: 8 * WINDOW_WORDS as u32,
    frame_previous: 24,
    frame_code: 32,
    frame_instr: 104,
    frame_instr_bytes: 4,
    frame_owner: ABSENT,
    native_owner: 0,
};

const CODE_3_8: CodeLayout = CodeLayout {
    first_line: 40,
    file: 104,
    name: 112,
    line_table: 120,
    instructions: 0,
    format: Format::Lnotab,
    ascii_header: 48,
    compact_header: 72,
};

/// The layout of a minor version up to 3.12.
#[must_use]
pub fn of_version(minor: u32) -> Option<Layout> {
    let heap = Layout {
        walk: HEAP_FRAMES,
        interpreters_head: 32,
        threads_head: 8,
        tstate_next: 8,
        tstate_thread_id: 176,
        slot_key: 584,
        gil: Gil::InRuntime(352),
        code: CODE_3_8,
    };
    Some(match minor {
        8 => Layout { slot_key: 1392, gil: Gil::InRuntime(1152), ..heap },
        9 => heap,
        10 => Layout {
            walk: PyOffsets { frame_instr: 96, ..HEAP_FRAMES },
            code: CodeLayout { format: Format::Linetable, ..CODE_3_8 },
            ..heap
        },
        11 => Layout {
            walk: PyOffsets {
                tstate_frame: 56,
                cframe_frame: 8,
                tstate_datastack: 296,
                read_bytes: PACKED_FRAME_BYTES,
                frame_previous: 48,
                frame_code: 32,
                frame_instr: 56,
                frame_instr_bytes: 8,
                frame_owner: 69,
                native_owner: 3,
            },
            interpreters_head: 40,
            threads_head: 16,
            tstate_thread_id: 152,
            slot_key: 592,
            gil: Gil::InRuntime(360),
            code: CodeLayout {
                first_line: 72,
                file: 112,
                name: 128,
                line_table: 136,
                instructions: 184,
                format: Format::Locations,
                ..CODE_3_8
            },
            ..heap
        },
        12 => Layout {
            walk: PyOffsets {
                tstate_frame: 56,
                cframe_frame: 0,
                tstate_datastack: 232,
                read_bytes: PACKED_FRAME_BYTES,
                frame_previous: 8,
                frame_code: 0,
                frame_instr: 56,
                frame_instr_bytes: 8,
                frame_owner: 70,
                native_owner: 3,
            },
            interpreters_head: 40,
            threads_head: 72,
            tstate_thread_id: 136,
            slot_key: 1544,
            gil: Gil::Behind(384),
            code: CodeLayout {
                first_line: 68,
                file: 112,
                name: 128,
                line_table: 136,
                instructions: 192,
                format: Format::Locations,
                ascii_header: 40,
                compact_header: 56,
            },
            ..heap
        },
        _ => return None,
    })
}

/// Bytes of 3.13's `_Py_DebugOffsets`, at the start of `_PyRuntime`.
pub const DEBUG_OFFSETS_3_13: usize = 584;

/// Reads 3.13's layout from `_Py_DebugOffsets`; `None` if it is not that, or holds what cannot be.
#[must_use]
pub fn of_debug_offsets(table: &[u8]) -> Option<Layout> {
    let at = |position: usize| {
        let bytes = table.get(position..position + 8)?;
        Some(u64::from_ne_bytes(bytes.try_into().ok()?))
    };
    // The walk reads these fields within one frame's bytes.
    let in_window =
        |position| u32::try_from(at(position)?).ok().filter(|offset| *offset < PACKED_FRAME_BYTES);
    let within = |position, limit| at(position).filter(|offset| *offset < limit && offset % 4 == 0);
    if table.get(..8)? != b"xdebugpy" || at(8)? >> 16 != 0x030d {
        return None;
    }
    Some(Layout {
        walk: PyOffsets {
            tstate_frame: in_window(184)?,
            cframe_frame: ABSENT,
            tstate_datastack: u32::try_from(within(208, 4096)?).ok()?,
            read_bytes: PACKED_FRAME_BYTES,
            frame_previous: in_window(232)?,
            frame_code: in_window(240)?,
            frame_instr: in_window(248)?,
            frame_instr_bytes: 8,
            frame_owner: in_window(264)?,
            native_owner: 3,
        },
        interpreters_head: within(40, 1 << 20)?,
        threads_head: within(72, 1 << 20)?,
        tstate_next: within(168, 4096)?,
        tstate_thread_id: within(192, 4096)?,
        // Not in the table; the same in every 3.13.
        slot_key: 2160,
        // `ceval` begins the struct's second word, `ceval.gil` its third.
        gil: Gil::Behind(16),
        code: CodeLayout {
            first_line: within(312, CODE_BYTES as u64)? as usize,
            file: within(280, CODE_BYTES as u64)? as usize,
            name: within(296, CODE_BYTES as u64)? as usize,
            line_table: within(304, CODE_BYTES as u64)? as usize,
            instructions: within(344, 4096)?,
            format: Format::Locations,
            ascii_header: within(560, 4096)?,
            compact_header: within(560, 4096)? + 16,
        },
    })
}

/// Bytes of a code object that are read at once: every field above lies within.
pub const CODE_BYTES: usize = 192;

/// True for a build without the GIL, by the flag in `_Py_DebugOffsets`.
#[must_use]
pub fn is_free_threaded(table: &[u8]) -> bool {
    table.get(16..24).is_some_and(|flag| flag.iter().any(|byte| *byte != 0))
}
