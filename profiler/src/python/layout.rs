//! Where the fields of CPython's structs stand, by version: one table up to 3.12, the interpreter's own
//! `_Py_DebugOffsets` from 3.13 on (`debug_offsets`). All in bytes.
//!
//! The numbers are those of builds with the GIL, from the DWARF of real interpreters on `x86_64`. On aarch64 glibc's
//! mutexes are larger, and so what stands behind them in `_PyRuntime` up to 3.11 stands 16 bytes further.

use profiler_common::python::{ABSENT, CodeOffsets, PACKED_FRAME_BYTES, PyOffsets, WINDOW_WORDS};

use crate::python::lines::LineTableFormat;

/// Everything that is read of one version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// What the walk needs.
    pub walk: PyOffsets,
    /// Where the globals are.
    pub globals: Globals,
    /// Where the thread keeps its thread state.
    pub kept: TstateLocation,
    /// Where the GIL is.
    pub gil: GilLocation,
    /// `PyInterpreterState` → `_code_object_generation`, which counts the code objects that died (3.14+).
    pub code_generation: Option<u64>,
    /// Where coroutines keep what they await (3.14+).
    pub coroutines: Option<Coroutines>,
    /// Offset of a frame's local variables.
    pub frame_locals: u64,
    /// Where instances of classes keep their attributes.
    pub instances: Instances,
    /// How code objects write their lines.
    pub lines: LineTableFormat,
}

impl Layout {
    /// True for a build without the GIL.
    #[must_use]
    pub const fn is_free_threaded(&self) -> bool {
        self.walk.code.object_shift != 0
    }
}

/// Where a coroutine or generator keeps its frame and what it awaits; and where a set keeps its entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Coroutines {
    /// `gi_iframe`: the frame itself.
    pub frame: u64,
    /// `gi_frame_state`, one byte, and the values of it that are told apart.
    pub state: u64,
    /// Number of the state of a coroutine that has not run yet.
    pub created: u8,
    /// Number of the state of a generator that yielded.
    pub suspended: u8,
    /// Numbers of the states of a coroutine that awaits; what it awaits is on its stack.
    pub awaiting: [u8; 2],
    /// Offset of a frame's pointer to the end of its stack.
    pub stack_pointer: u64,
    /// How many bytes below that what is awaited lies.
    pub awaited_below: u64,
    /// `PySetObject.table`.
    pub set_table: u64,
    /// `PySetObject.mask`.
    pub set_mask: u64,
}

/// Where instances of classes keep their attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Instances {
    /// In a dict (≤ 3.10).
    Dict,
    /// In values, which a pointer before the instance tells, or else in a dict (3.11).
    Before,
    /// In either, by one pointer before the instance: an odd one is to values, less one (3.12).
    Either,
    /// In values behind the instance, or else in a dict (3.13+). Its type has the keys so many bytes from its start
    /// (`ht_cached_keys`).
    Behind(u64),
}

/// Where the interpreter's global words are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Globals {
    /// Before 3.7: variables of their own.
    Variables,
    /// In `_PyRuntime`, so many bytes from its start: `interpreters.head`, and `gilstate.tstate_current` if it is there.
    Runtime {
        /// Points to the `PyInterpreterState` that was made last.
        interpreters_head: u64,
        /// The thread state that holds the GIL (≤ 3.11).
        gil_holder: Option<u64>,
    },
}

/// Where a thread's thread state is stored, also while the thread does not hold the GIL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TstateLocation {
    /// Under a pthread key, which stands in `_PyRuntime` (`autoTSSkey`), so many bytes from its start; not told, it is
    /// looked for.
    Key(Option<u64>),
    /// In the thread-local variable `_Py_tss_gilstate` (3.15+).
    ThreadLocal,
}

/// Where `struct _gil_runtime_state` is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GilLocation {
    /// There is none, or it is in pieces.
    None,
    /// In `_PyRuntime`, so many bytes from its start: one for all interpreters.
    InRuntime(u64),
    /// Behind a pointer (`ceval.gil`) in each `PyInterpreterState`, so many bytes from its start.
    Behind(u64),
}

const CODE_3_8: CodeOffsets = CodeOffsets {
    object_shift: 0,
    first_line: 40,
    file: 104,
    name: 112,
    line_table: 120,
    version: ABSENT,
    instructions: 0,
    ascii_header: 48,
    // A UTF-8 cache more: length and pointer; and the length of a `wchar_t` cache.
    compact_header: 72,
};

/// Before 3.8: no positional-only parameters, whose count comes before these.
const CODE_3_6: CodeOffsets =
    CodeOffsets { first_line: 36, file: 96, name: 104, line_table: 112, ..CODE_3_8 };

const CODE_3_11: CodeOffsets =
    CodeOffsets { first_line: 72, file: 112, name: 128, line_table: 136, instructions: 184, ..CODE_3_8 };

/// Before 3.11: one `PyFrameObject` on the heap per call.
const HEAP_FRAMES: PyOffsets = PyOffsets {
    tstate_frame: 24,
    cframe_frame: ABSENT,
    tstate_cframe: ABSENT,
    tstate_datastack: ABSENT,
    read_bytes: 8 * WINDOW_WORDS as u32,
    frame_previous: 24,
    frame_code: 32,
    frame_instr: 104,
    frame_instr_bytes: 4,
    frame_owner: ABSENT,
    native_owner: 0,
    frame_is_entry: ABSENT,
    code_tag: 0,
    tstate_gil: ABSENT,
    gil_mask: 0,
    tstate_thread_id: 176,
    tstate_next: 8,
    tstate_interpreter: 16,
    interpreter_next: 0,
    interpreter_threads: 8,
    code: CODE_3_8,
};

/// 3.11: frames are packed on a stack of their own.
const PACKED_FRAMES: PyOffsets = PyOffsets {
    tstate_frame: 56,
    cframe_frame: 8,
    tstate_cframe: 56,
    tstate_datastack: 296,
    read_bytes: PACKED_FRAME_BYTES,
    frame_previous: 48,
    frame_code: 32,
    frame_instr: 56,
    frame_instr_bytes: 8,
    frame_owner: 69,
    native_owner: 3,
    frame_is_entry: 68,
    tstate_thread_id: 152,
    interpreter_threads: 16,
    code: CODE_3_11,
    ..HEAP_FRAMES
};

/// How much larger glibc's `pthread_mutex_t` makes the two that stand in `_PyRuntime` before `gilstate`.
const MUTEXES: u64 = if cfg!(target_arch = "aarch64") { 16 } else { 0 };

/// In `_PyRuntime`; `gilstate` stands behind the mutexes.
const fn runtime(interpreters_head: u64, tstate_current: u64) -> Globals {
    Globals::Runtime { interpreters_head, gil_holder: Some(tstate_current + MUTEXES) }
}

const fn key(auto_tss_key: u64) -> TstateLocation {
    TstateLocation::Key(Some(auto_tss_key + MUTEXES))
}

/// The layout of a version up to 3.12, by its minor and patch numbers.
#[must_use]
pub fn of_version(minor: u32, patch: Option<u32>) -> Option<Layout> {
    let heap = Layout {
        walk: HEAP_FRAMES,
        globals: runtime(32, 568),
        kept: key(584),
        gil: GilLocation::InRuntime(352),
        code_generation: None,
        coroutines: None,
        frame_locals: 360,
        instances: Instances::Dict,
        lines: LineTableFormat::Lnotab,
    };
    Some(match minor {
        // Neither key nor GIL stands where a symbol that survives `strip` tells.
        6 => Layout {
            walk: PyOffsets { frame_instr: 120, tstate_thread_id: 152, code: CODE_3_6, ..HEAP_FRAMES },
            globals: Globals::Variables,
            kept: TstateLocation::Key(None),
            gil: GilLocation::None,
            frame_locals: 376,
            ..heap
        },
        // Later 3.7's have a larger garbage collector's state.
        7 if patch.is_some_and(|patch| patch < 4) => Layout {
            walk: PyOffsets { code: CODE_3_6, ..HEAP_FRAMES },
            globals: runtime(24, 1392),
            kept: key(1416),
            gil: GilLocation::None,
            ..heap
        },
        7 => Layout {
            walk: PyOffsets { code: CODE_3_6, ..HEAP_FRAMES },
            globals: runtime(24, 1480),
            kept: key(1504),
            gil: GilLocation::InRuntime(1264),
            ..heap
        },
        8 => {
            Layout { globals: runtime(32, 1368), kept: key(1392), gil: GilLocation::InRuntime(1152), ..heap }
        }
        9 => heap,
        10 => Layout {
            walk: PyOffsets { frame_instr: 96, tstate_cframe: 48, ..HEAP_FRAMES },
            frame_locals: 352,
            lines: LineTableFormat::Linetable,
            ..heap
        },
        11 => Layout {
            walk: PACKED_FRAMES,
            globals: runtime(40, 576),
            kept: key(592),
            gil: GilLocation::InRuntime(360),
            frame_locals: 72,
            instances: Instances::Before,
            lines: LineTableFormat::Locations,
            ..heap
        },
        12 => Layout {
            walk: PyOffsets {
                cframe_frame: 0,
                tstate_cframe: ABSENT,
                tstate_datastack: 232,
                frame_previous: 8,
                frame_code: 0,
                frame_owner: 70,
                frame_is_entry: ABSENT,
                // `_status.active`: set while it is the current thread state, and so holds its GIL.
                tstate_gil: 24,
                gil_mask: 1 << 4,
                tstate_thread_id: 136,
                interpreter_threads: 72,
                // Strings lost their `wchar_t` cache.
                code: CodeOffsets {
                    first_line: 68,
                    version: 92,
                    instructions: 192,
                    ascii_header: 40,
                    compact_header: 56,
                    ..CODE_3_11
                },
                ..PACKED_FRAMES
            },
            globals: Globals::Runtime { interpreters_head: 40, gil_holder: None },
            // No libc object stands before it any more.
            kept: TstateLocation::Key(Some(1544)),
            gil: GilLocation::Behind(384),
            frame_locals: 72,
            instances: Instances::Either,
            lines: LineTableFormat::Locations,
            ..heap
        },
        _ => return None,
    })
}
