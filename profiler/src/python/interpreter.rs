//! The interpreter in a process: found, versioned, and checked to be walkable, or the reason why it is not.

use std::path::Path;

use profiler_common::python::PyTarget;

use crate::{
    python::{
        code::Code,
        image::Image,
        layout::{self, DEBUG_OFFSETS_3_13, Gil, Layout},
        slot,
    },
    sys::memory::{Mapping, Memory},
};

/// Threads of one process that are looked at from outside.
const MAX_THREADS: usize = 4096;

/// Bytes of an interpreter's zeroed data that are searched.
const MAX_BSS: u64 = 8 << 20;

/// An interpreter that can be walked.
#[derive(Clone, Debug)]
pub struct Interpreter {
    /// Such as `3.11.7`.
    pub version: String,
    /// What the kernel side needs.
    pub target: PyTarget,
    layout: Layout,
    /// `_PyRuntime` in memory.
    runtime: u64,
    /// `PyCode_Type` in memory.
    code_type: u64,
}

/// Why a process cannot be walked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unwalkable {
    /// The version, if it is Python at all and tells.
    pub version: Option<String>,
    /// The reason, as a clause.
    pub reason: String,
    /// True if it may become walkable: it is starting.
    pub transient: bool,
}

/// One of an interpreter's threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThreadState {
    /// Of its `PyThreadState`.
    pub address: u64,
    /// `pthread_self()`: on `x86_64` the thread pointer.
    pub thread_id: u64,
    /// True for the thread that started the interpreter.
    pub is_main: bool,
}

impl Interpreter {
    /// The interpreter of a process.
    pub fn of(tgid: u32) -> Result<Self, Unwalkable> {
        let mappings =
            Mapping::executable(tgid).map_err(|_| Unwalkable::not_python("its mappings cannot be read"))?;
        let exe = std::fs::read_link(format!("/proc/{tgid}/exe")).ok();
        let (mapping, image) = candidate(tgid, &mappings, exe.as_deref())
            .ok_or_else(|| Unwalkable::not_python("it is not Python"))?;
        let memory = Memory::of(tgid);
        let bias = image
            .bias(&mapping)
            .ok_or_else(|| Unwalkable::not_python("its interpreter is mapped in an unknown way"))?;
        let version = version(memory, &mapping, &image, bias)
            .ok_or_else(|| Unwalkable::not_python("its Python version cannot be told"))?;
        let unwalkable =
            |reason: String, transient| Unwalkable { version: Some(version.clone()), reason, transient };

        let address = |name| image.symbol(name).map(|symbol| symbol.wrapping_add(bias));
        let (Some(runtime), Some(code_type)) = (address("_PyRuntime"), address("PyCode_Type")) else {
            return Err(unwalkable("its interpreter exports no `_PyRuntime`".to_owned(), false));
        };
        let layout = layout_of(memory, &version, &mapping.path, runtime)
            .map_err(|reason| unwalkable(reason, false))?;
        let text_end =
            mappings.iter().filter(|other| other.file == mapping.file).map(|other| other.end).max();
        let mut interpreter = Self {
            target: PyTarget {
                slot: 0,
                text_start: mapping.start,
                text_end: text_end.unwrap_or(mapping.end),
                gil: 0,
                offsets: layout.walk,
            },
            version: version.clone(),
            layout,
            runtime,
            code_type,
        };
        interpreter.target.gil = interpreter.gil(memory).unwrap_or(0);
        let states = interpreter.thread_states(memory);
        let key = interpreter.slot_key(memory);
        let starting = states.is_empty() || key.is_none();
        interpreter.target.slot = slot::find(memory, tgid, &mappings, key, &states)
            .map_err(|reason| unwalkable(reason, starting))?;
        Ok(interpreter)
    }

    /// The main interpreter's threads, by the interpreter's own list. A list that changes meanwhile may miss some.
    #[must_use]
    pub fn thread_states(&self, memory: Memory) -> Vec<ThreadState> {
        let layout = &self.layout;
        let mut states = Vec::new();
        let mut next =
            self.first(memory).and_then(|interpreter| memory.u64(interpreter + layout.threads_head));
        while let Some(address) = next.filter(|address| *address != 0 && states.len() < MAX_THREADS) {
            let Some(thread_id) = memory.u64(address + layout.tstate_thread_id) else { break };
            next = memory.u64(address + layout.tstate_next);
            // New threads are put in front: the last one is the first there was.
            let is_main = next == Some(0);
            states.push(ThreadState { address, thread_id, is_main });
        }
        states
    }

    /// The `PyInterpreterState` that was made last; the only one, mostly.
    fn first(&self, memory: Memory) -> Option<u64> {
        memory.u64(self.runtime + self.layout.interpreters_head).filter(|address| *address != 0)
    }

    /// The address of the GIL's structure.
    fn gil(&self, memory: Memory) -> Option<u64> {
        match self.layout.gil {
            Gil::InRuntime(offset) => Some(self.runtime + offset),
            Gil::Behind(offset) => memory.u64(self.first(memory)? + offset),
        }
    }

    /// Reads a code object.
    #[must_use]
    pub fn code(&self, memory: Memory, address: u64) -> Option<Code> {
        Code::read(memory, &self.layout.code, address, self.code_type)
    }

    /// `Py_tss_t { int is_initialized; pthread_key_t key; }`.
    fn slot_key(&self, memory: Memory) -> Option<u32> {
        let tss = self.runtime + self.layout.slot_key;
        (memory.u32(tss)? == 1).then(|| memory.u32(tss + 4))?
    }
}

impl Unwalkable {
    fn not_python(reason: &str) -> Self {
        // A process that has just called exec may become Python once its loader has run.
        Self { version: None, reason: reason.to_owned(), transient: true }
    }
}

/// The mapping that holds the interpreter: a libpython, else the executable itself.
fn candidate(
    tgid: u32,
    mappings: &[Mapping],
    exe: Option<&Path>,
) -> Option<(Mapping, std::sync::Arc<Image>)> {
    let is_library = |mapping: &Mapping| file_name(&mapping.path).starts_with("libpython");
    let is_exe = |mapping: &Mapping| Some(mapping.path.as_path()) == exe;
    let libraries = mappings.iter().filter(|mapping| is_library(mapping));
    let executable = mappings.iter().filter(|mapping| is_exe(mapping) && !is_library(mapping));
    libraries.chain(executable).find_map(|mapping| {
        let image = Image::of(&mapping.reachable(tgid))?;
        image.symbol("_PyRuntime")?;
        Some((mapping.clone(), image))
    })
}

/// `3.11.7`: the interpreter's own word from 3.11 on; before that what `sys.version` begins with.
fn version(memory: Memory, mapping: &Mapping, image: &Image, bias: u64) -> Option<String> {
    if let Some([hex, ..]) = image.constant("Py_Version") {
        let (major, minor, patch) = (hex >> 24, hex >> 16 & 0xff, hex >> 8 & 0xff);
        return Some(format!("{major}.{minor}.{patch}"));
    }
    let minor = minor_of(&mapping.path)?;
    Some(
        patch_of(memory, image, bias, minor)
            .map_or_else(|| format!("3.{minor}"), |patch| format!("3.{minor}.{patch}")),
    )
}

/// The patch level before 3.11: `Py_GetVersion` keeps `3.8.18 (…` in a static buffer. A version in other words, which
/// there are, is not followed by a parenthesis.
fn patch_of(memory: Memory, image: &Image, bias: u64, minor: u32) -> Option<u32> {
    let (address, len) = image.bss().filter(|(_, len)| *len <= MAX_BSS)?;
    let data = memory.bytes(address.wrapping_add(bias), usize::try_from(len).ok()?)?;
    let prefix = format!("3.{minor}.");
    let starts = data.windows(prefix.len()).enumerate().filter(|(_, bytes)| *bytes == prefix.as_bytes());
    starts.map(|(start, _)| &data[start + prefix.len()..]).find_map(|rest| {
        let digits = rest.iter().take(3).take_while(|byte| byte.is_ascii_digit()).count();
        rest.get(digits..)?.strip_prefix(b" (").or_else(|| rest.get(digits..)?.strip_prefix(b"+ ("))?;
        std::str::from_utf8(&rest[..digits]).ok()?.parse().ok()
    })
}

/// 11 for `libpython3.11.so.1.0` and `python3.11`.
fn minor_of(path: &Path) -> Option<u32> {
    let name = file_name(path);
    let rest = name.split_once("python3.")?.1;
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The layout of a version; the error says why there is none, as a clause.
fn layout_of(memory: Memory, version: &str, path: &Path, runtime: u64) -> Result<Layout, String> {
    let unsupported = |why: &str| format!("Python {version}{why} is not supported yet (3.8 to 3.13 are)");
    let minor = version.split('.').nth(1).and_then(|minor| minor.parse().ok()).unwrap_or(0);
    let name = file_name(path);
    if name.contains(&format!("3.{minor}d")) {
        return Err(unsupported(" as a debug build"));
    }
    if let Some(layout) = layout::of_version(minor) {
        return Ok(layout);
    }
    if minor != 13 {
        return Err(unsupported(""));
    }
    let table = memory
        .bytes(runtime, DEBUG_OFFSETS_3_13)
        .ok_or_else(|| "its `_PyRuntime` cannot be read".to_owned())?;
    if layout::is_free_threaded(&table) {
        return Err(unsupported(" without the GIL"));
    }
    layout::of_debug_offsets(&table).ok_or_else(|| "its `_Py_DebugOffsets` hold impossible values".to_owned())
}
