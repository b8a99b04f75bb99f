//! Reads `_Py_DebugOffsets`, the layout that an interpreter publishes at the start of `_PyRuntime` from 3.13 on.
//!
//! The table's own layout changes with each minor version, and holds within one. What it says is hostile like all that is
//! read from a target: each value is bounded before it is believed.

use profiler_common::python::{ABSENT, CODE_WORDS, CodeOffsets, PACKED_FRAME_BYTES, PyOffsets, WINDOW_WORDS};

use crate::python::{
    layout::{Coroutines, GilLocation, Globals, Instances, Layout, TstateLocation},
    lines::LineTableFormat,
};

/// Bytes of the largest table (3.15's).
pub const TABLE_BYTES: usize = 888;

/// What the table begins with.
const COOKIE: &[u8; 8] = b"xdebugpy";

/// Largest structs that are believed: an interpreter's state and its runtime, and all others.
const LARGE: u64 = 1 << 20;
const SMALL: u64 = 4096;

/// Where a minor version's table has what is needed, in bytes from its start.
struct Positions {
    minor: u32,
    /// True if builds without the GIL are walked: later ones give each thread instructions of its own then, and mark reference
    /// counts in other ways.
    free_threaded: bool,
    threads_head: usize,
    code_generation: Option<usize>,
    /// `next`; `interp` and `current_frame` follow.
    tstate: usize,
    tstate_thread_id: usize,
    tstate_datastack: usize,
    tstate_status: usize,
    /// `previous`; `executable`, `instr_ptr`, `localsplus` and `owner` follow.
    frame: usize,
    /// `filename`; `name`, `qualname`, `linetable` and `firstlineno` follow.
    code: usize,
    /// `co_code_adaptive`.
    instructions: usize,
    /// Place of `str`'s offsets: `state`; `length` and `asciiobject_size` follow.
    string: usize,
    /// What is not in the table: `_PyRuntime` → the thread's key.
    kept: TstateLocation,
    /// How `PyThreadState._status` and what follows it tells who holds the GIL: so many bytes behind it, these bits.
    gil: (u64, u32),
    awaits: Option<Awaits>,
    /// What is not in the table: the bits that mark a `_PyStackRef` as borrowed or immortal, and where a type has the keys of
    /// its instances.
    code_tag: u32,
    cached_keys: u64,
}

/// What is needed to follow what coroutines await.
struct Awaits {
    /// `stackpointer` of a frame.
    stack_pointer: usize,
    /// `table` of a set; `mask` follows.
    set_table: usize,
    /// `gi_iframe`; `gi_frame_state` follows.
    generator: usize,
    /// What is not in the table (`pycore_frame.h`, and the interpreter's `SEND`): the values of `gi_frame_state`, and how
    /// far below the stack's end the awaited object lies.
    created: u8,
    suspended: u8,
    awaiting: [u8; 2],
    awaited_below: u64,
}

static POSITIONS: [Positions; 3] = [
    Positions {
        minor: 13,
        free_threaded: true,
        code_tag: 0,
        cached_keys: 880,
        threads_head: 72,
        code_generation: None,
        tstate: 168,
        tstate_thread_id: 192,
        tstate_datastack: 208,
        tstate_status: 216,
        frame: 232,
        code: 280,
        instructions: 344,
        string: 544,
        kept: TstateLocation::Key(Some(2160)),
        // `_status.holds_gil`.
        gil: (0, 1 << 5),
        awaits: None,
    },
    Positions {
        minor: 14,
        free_threaded: false,
        code_tag: 3,
        cached_keys: 880,
        threads_head: 72,
        code_generation: Some(160),
        tstate: 192,
        tstate_thread_id: 216,
        tstate_datastack: 232,
        tstate_status: 240,
        frame: 256,
        code: 320,
        instructions: 384,
        string: 624,
        kept: TstateLocation::Key(Some(2336)),
        // `int holds_gil`, behind `_status`.
        gil: (4, u32::MAX),
        awaits: Some(Awaits {
            stack_pointer: 296,
            set_table: 512,
            generator: 680,
            // −3, −2 and −1.
            created: 253,
            suspended: 254,
            awaiting: [255; 2],
            awaited_below: 8,
        }),
    },
    Positions {
        minor: 15,
        free_threaded: false,
        code_tag: 3,
        cached_keys: 888,
        threads_head: 72,
        code_generation: Some(160),
        tstate: 192,
        tstate_thread_id: 240,
        tstate_datastack: 256,
        tstate_status: 264,
        frame: 320,
        code: 384,
        instructions: 448,
        string: 720,
        kept: TstateLocation::ThreadLocal,
        gil: (4, u32::MAX),
        awaits: Some(Awaits {
            stack_pointer: 360,
            set_table: 608,
            generator: 808,
            created: 0,
            suspended: 1,
            // The second while another thread looks at it.
            awaiting: [2, 3],
            awaited_below: 16,
        }),
    },
];

fn positions(minor: u32) -> Option<&'static Positions> {
    POSITIONS.iter().find(|positions| positions.minor == minor)
}

/// True of a version whose table is known.
#[must_use]
pub fn is_known(minor: u32) -> bool {
    positions(minor).is_some()
}

/// Reads a layout from the first [`TABLE_BYTES`] of `_PyRuntime`; `None` if they are no such table, of no known version, or
/// hold what cannot be.
#[must_use]
pub fn read(table: &[u8]) -> Option<Layout> {
    let at = |position: usize| {
        let bytes = table.get(position..position + 8)?;
        Some(u64::from_ne_bytes(bytes.try_into().ok()?))
    };
    if table.get(..8)? != COOKIE || at(8)? >> 24 != 3 {
        return None;
    }
    let positions = positions(u32::try_from(at(8)? >> 16 & 0xff).ok()?)?;
    let is_free_threaded = is_free_threaded(table);
    if is_free_threaded && !positions.free_threaded {
        return None;
    }
    let object_shift = if is_free_threaded { 16 } else { 0 };
    let within = |position, limit| at(position).filter(|offset| *offset < limit && offset % 4 == 0);
    // The walk reads a frame's fields within one read.
    let in_frame = |position| u32::try_from(at(position)?).ok().filter(|offset| *offset < PACKED_FRAME_BYTES);
    let in_code = |position| u32::try_from(within(position, 8 * CODE_WORDS as u64)?).ok();
    let (behind_status, gil_mask) = positions.gil;
    let tstate_gil = within(positions.tstate_status, SMALL)? + behind_status;
    let tstate_gil = u32::try_from(tstate_gil).ok().filter(|offset| *offset < 8 * WINDOW_WORDS as u32)?;
    let coroutines = match &positions.awaits {
        Some(awaits) => Some(Coroutines {
            frame: within(awaits.generator, SMALL)?,
            state: at(awaits.generator + 8).filter(|offset| *offset < SMALL)?,
            created: awaits.created,
            suspended: awaits.suspended,
            awaiting: awaits.awaiting,
            stack_pointer: within(awaits.stack_pointer, SMALL)?,
            awaited_below: awaits.awaited_below,
            set_table: within(awaits.set_table, SMALL)?,
            set_mask: within(awaits.set_table + 8, SMALL)?,
        }),
        None => None,
    };
    let ascii_header = u32::try_from(within(positions.string + 16, SMALL)?).ok()?;
    Some(Layout {
        walk: PyOffsets {
            tstate_frame: u32::try_from(within(positions.tstate + 16, 8 * WINDOW_WORDS as u64)?).ok()?,
            cframe_frame: ABSENT,
            tstate_cframe: ABSENT,
            tstate_datastack: u32::try_from(within(positions.tstate_datastack, SMALL)?).ok()?,
            read_bytes: PACKED_FRAME_BYTES,
            frame_previous: in_frame(positions.frame)?,
            frame_code: in_frame(positions.frame + 8)?,
            frame_instr: in_frame(positions.frame + 16)?,
            frame_instr_bytes: 8,
            frame_owner: in_frame(positions.frame + 32)?,
            native_owner: 3,
            frame_is_entry: ABSENT,
            code_tag: positions.code_tag,
            // Without the GIL it may be there, and be held, but is not used.
            tstate_gil: if is_free_threaded { ABSENT } else { tstate_gil },
            gil_mask,
            tstate_thread_id: u32::try_from(within(positions.tstate_thread_id, SMALL)?).ok()?,
            tstate_next: u32::try_from(within(positions.tstate, SMALL)?).ok()?,
            tstate_interpreter: 16,
            interpreter_next: u32::try_from(within(64, LARGE)?).ok()?,
            interpreter_threads: u32::try_from(within(positions.threads_head, LARGE)?).ok()?,
            code: CodeOffsets {
                object_shift,
                file: in_code(positions.code)?,
                name: in_code(positions.code + 16)?,
                line_table: in_code(positions.code + 24)?,
                first_line: in_code(positions.code + 32)?,
                // Not in the table; the same in all three versions.
                version: 92 + object_shift as u32,
                instructions: u32::try_from(within(positions.instructions, SMALL)?).ok()?,
                ascii_header,
                compact_header: ascii_header + 16,
            },
        },
        globals: Globals::Runtime { interpreters_head: within(40, LARGE)?, gil_holder: None },
        kept: positions.kept,
        // `ceval` begins the struct's second word, `ceval.gil` its third.
        gil: if is_free_threaded { GilLocation::None } else { GilLocation::Behind(16) },
        code_generation: match positions.code_generation {
            Some(position) => Some(within(position, LARGE)?),
            None => None,
        },
        coroutines,
        frame_locals: at(positions.frame + 24)?,
        instances: Instances::Behind(positions.cached_keys),
        lines: LineTableFormat::Locations,
    })
}

/// True for a build without the GIL, by the flag in the table.
#[must_use]
pub fn is_free_threaded(table: &[u8]) -> bool {
    table.get(16..24).is_some_and(|flag| flag.iter().any(|byte| *byte != 0))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use object::{Object as _, ObjectSection as _};

    use super::*;
    use crate::python::unpacked;

    /// The table as it is in an executable, before it runs.
    fn table(root: &str, minor: u32) -> Option<Vec<u8>> {
        let file = fs::read(unpacked(root)?.join(format!("usr/bin/python3.{minor}"))).expect("it is there");
        let elf = object::File::parse(file.as_slice()).expect("it is ELF");
        let section = elf.section_by_name(".PyRuntime").expect("it has its own section");
        Some(section.data().expect("it is in the file")[..TABLE_BYTES].to_vec())
    }

    #[test]
    fn on_aarch64_everything_stands_where_it_does_here() {
        for minor in 13..=15 {
            let Some((here, there)) = table(&format!("3.{minor}"), minor).zip(table("arm64", minor)) else {
                return;
            };
            let layout = read(&here).expect("a table");
            // Except behind the two mutexes of the GIL, which are 8 bytes larger each there.
            let mutexes = layout.code_generation.map(|offset| offset + 16);
            let expected = Layout { code_generation: mutexes, ..layout.clone() };
            assert_eq!(Some(expected), read(&there), "3.{minor}");
            // What the frames of these versions look like: as their headers have it.
            let walk = &layout.walk;
            assert_eq!(
                (walk.tstate_frame, walk.frame_previous, walk.frame_code, walk.frame_instr),
                (72, 8, 0, 56)
            );
            assert_eq!(walk.frame_owner, if minor == 13 { 70 } else { 74 });
        }
    }

    #[test]
    fn tables_that_cannot_be_are_refused() {
        let Some(good) = table("3.14", 14) else { return };
        let with = |position: usize, value: u64| {
            let mut table = good.clone();
            table[position..position + 8].copy_from_slice(&value.to_ne_bytes());
            read(&table)
        };
        assert!(read(&good).is_some() && read(&good[..400]).is_none() && read(&[]).is_none());
        assert_eq!(with(0, 0), None, "no cookie");
        assert_eq!(with(8, 0x0310_00f0), None, "of a version that is not known");
        assert_eq!(with(16, 1), None, "without the GIL, of a version that is not known so");
        // A frame's field outside a frame, a code object's outside what is read of it, a struct as large as memory.
        for (position, value) in [(264, 80), (336, 1 << 20), (40, !3), (640, 1 << 40)] {
            assert_eq!(with(position, value), None, "{value} at {position}");
        }
    }
}
