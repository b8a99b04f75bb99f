//! The interpreter in a process: found, versioned, and checked to be walkable, or the reason why it is not.

use std::{iter, ops::Range, path::Path, sync::Arc};

use profiler_common::{
    event,
    python::{Greenlets, Interpreters, PyTarget, Slot},
};

use crate::{
    python::{
        asyncio::Asyncio,
        code::{Code, string},
        debug_offsets,
        image::Image,
        layout::{self, Coroutines, Gil, Instances, Kept, Layout},
        roots::Roots,
        slot, thread_local,
        version::Version,
    },
    sys::memory::{Mapping, Memory},
};

/// Threads of one process that are looked at from outside.
const MAX_THREADS: usize = 4096;

/// Interpreters of one process that are looked at.
const MAX_INTERPRETERS: usize = 256;

/// One of these is exported by whatever holds an interpreter: CPython from 3.7 on, before, and `PyPy`.
const SYMBOLS: [&str; 3] = ["_PyRuntime", "_PyThreadState_Current", "pypy_main_startup"];

/// An interpreter that can be walked.
#[derive(Clone, Debug)]
pub struct Interpreter {
    /// Such as `3.11.7`.
    pub version: String,
    /// What the kernel side needs.
    pub target: PyTarget,
    layout: Layout,
    roots: Roots,
    /// `PyCode_Type` in memory.
    code_type: u64,
    /// `PyUnicode_Type` in memory.
    text_type: u64,
    /// `PyLong_Type` in memory.
    number_type: u64,
    /// `PyCoro_Type` and `PyGen_Type` in memory.
    coroutine_types: [u64; 2],
    /// Where asyncio's tasks are, if it is loaded.
    asyncio: Option<Asyncio>,
    /// Its loop in memory.
    eval: Vec<Range<u64>>,
}

/// What some native code is to Python.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The loop that runs Python functions.
    Eval,
    /// The interpreter, but for its loop.
    Interpreter,
    /// None of it.
    Other,
}

/// Where asyncio's tasks are, if a file that a process maps tells.
fn asyncio(tgid: u32, mappings: &[Mapping]) -> Option<Asyncio> {
    let may_tell = |mapping: &&Mapping| {
        let name = file_name(&mapping.path);
        name.starts_with("_asyncio") || name.contains("python")
    };
    mappings.iter().filter(may_tell).find_map(|mapping| Image::of(mapping.open(tgid)?)?.asyncio())
}

/// Where greenlet keeps which one runs, if a process has it loaded.
fn greenlets(tgid: u32, mappings: &[Mapping]) -> Option<Greenlets> {
    let mapping = mappings.iter().find(|mapping| file_name(&mapping.path).starts_with("_greenlet"))?;
    let image = Image::of(mapping.open(tgid)?)?;
    image.greenlets()?.in_process(Memory::of(tgid), image.bias(mapping)?)
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
    /// What its thread-local words are found from.
    pub thread_pointer: u64,
    /// True for the thread that started the interpreter.
    pub is_main: bool,
}

impl Interpreter {
    /// The interpreter of a process. Of several that are mapped it is the one that runs.
    pub fn of(tgid: u32) -> Result<Self, Unwalkable> {
        let mappings =
            Mapping::executable(tgid).map_err(|_| Unwalkable::not_python("its mappings cannot be read"))?;
        let exe = std::fs::read_link(format!("/proc/{tgid}/exe")).ok();
        let mut result = Err(Unwalkable::not_python("it is not Python"));
        for (mapping, image) in candidates(tgid, &mappings, exe.as_deref()) {
            result = Self::in_mapping(tgid, &mappings, &mapping, &image);
            if result.is_ok() {
                break;
            }
        }
        result
    }

    fn in_mapping(
        tgid: u32,
        mappings: &[Mapping],
        mapping: &Mapping,
        image: &Image,
    ) -> Result<Self, Unwalkable> {
        let memory = Memory::of(tgid);
        if image.symbol("pypy_main_startup").is_some() {
            return Err(Unwalkable::foreign("it is PyPy, whose stacks are not CPython's"));
        }
        let bias = image
            .bias(mapping)
            .ok_or_else(|| Unwalkable::not_python("its interpreter is mapped in an unknown way"))?;
        let version = Version::of(memory, mapping, image, bias)
            .ok_or_else(|| Unwalkable::not_python("its Python version cannot be told"))?;
        let unwalkable =
            |reason: String, transient| Unwalkable { version: Some(version.to_string()), reason, transient };
        let address = |name| image.symbol(name).map(|symbol| symbol.wrapping_add(bias));
        let code_type = address("PyCode_Type")
            .ok_or_else(|| unwalkable("its interpreter exports no `PyCode_Type`".to_owned(), false))?;
        let layout = layout_of(memory, &version, mapping, address("_PyRuntime"))
            .map_err(|reason| unwalkable(reason, false))?;
        let roots = Roots::find(memory, &layout, image, bias, slot::descriptor_bytes(tgid, mappings))
            .ok_or_else(|| unwalkable("its interpreter is not started yet".to_owned(), true))?;
        let asyncio = if version.minor >= 14 { asyncio(tgid, mappings) } else { None };
        let text_end =
            mappings.iter().filter(|other| other.file == mapping.file).map(|other| other.end).max();
        let mut interpreter = Self {
            target: PyTarget {
                slot: Slot::default(),
                text_start: mapping.start,
                text_end: text_end.unwrap_or(mapping.end),
                gil: 0,
                gil_holder: roots.gil_holder,
                interpreters: Interpreters::default(),
                keeps_frame_pointers: u64::from(image.eval().keeps_frame_pointers),
                running_task: asyncio.map_or(0, |asyncio| asyncio.running_task),
                code_generation: layout.code_generation.unwrap_or(0),
                greenlets: greenlets(tgid, mappings).unwrap_or_default(),
                offsets: layout.walk,
            },
            // As `python3.13t` calls itself.
            version: format!("{version}{}", if layout.is_free_threaded() { "t" } else { "" }),
            layout,
            roots,
            code_type,
            text_type: address("PyUnicode_Type").unwrap_or(0),
            number_type: address("PyLong_Type").unwrap_or(0),
            coroutine_types: ["PyCoro_Type", "PyGen_Type"].map(|name| address(name).unwrap_or(0)),
            asyncio,
            eval: image.eval().parts.iter().map(|part| part.start + bias..part.end + bias).collect(),
        };
        interpreter.target.interpreters = Interpreters {
            main: interpreter.interpreters(memory).last().copied().unwrap_or(0),
            newest: if interpreter.roots.gil_holder == 0 { 0 } else { interpreter.roots.interpreters },
            descriptor_bytes: interpreter.roots.descriptor_bytes,
        };
        let states = interpreter.thread_states(memory);
        if states.is_empty() {
            return Err(unwalkable("it has no threads yet".to_owned(), true));
        }
        let slot = match interpreter.layout.kept {
            Kept::ThreadLocal => {
                thread_local::find(memory, image, &states, address("PyGILState_GetThisThreadState"))
            }
            Kept::Key(_) => slot::find(memory, tgid, mappings, interpreter.roots.key(memory), &states),
        };
        // While it starts, a thread state is listed before the thread keeps it.
        interpreter.target.slot = slot.map_err(|reason| unwalkable(reason, states.len() == 1))?;
        interpreter.target.gil = interpreter.gil(memory).unwrap_or(0);
        Ok(interpreter)
    }

    /// The interpreters of the process, the one that was made last first; that is the only one, mostly.
    fn interpreters(&self, memory: Memory) -> Vec<u64> {
        let next = |address| memory.u64(address).filter(|address| *address != 0);
        let first = next(self.roots.interpreters);
        let after = |address: &u64| next(address.wrapping_add(self.layout.interpreter_next));
        iter::successors(first, after).take(MAX_INTERPRETERS).collect()
    }

    /// The threads of all interpreters of the process, by their own lists. A list that changes meanwhile may miss some.
    #[must_use]
    pub fn thread_states(&self, memory: Memory) -> Vec<ThreadState> {
        let offsets = &self.layout.walk;
        let mut states = Vec::new();
        let interpreters = self.interpreters(memory);
        for interpreter in &interpreters {
            let mut next = memory.u64(interpreter.wrapping_add(u64::from(offsets.interpreter_threads)));
            while let Some(address) = next.filter(|address| *address != 0 && states.len() < MAX_THREADS) {
                let thread_id = address.wrapping_add(u64::from(offsets.tstate_thread_id));
                let Some(thread_id) = memory.u64(thread_id) else { break };
                next = memory.u64(address.wrapping_add(u64::from(offsets.tstate_next)));
                // New ones are put in front: the last of the last interpreter is the first there was.
                let is_main = next == Some(0) && Some(interpreter) == interpreters.last();
                states.push(ThreadState {
                    address,
                    thread_pointer: thread_id.wrapping_add(self.roots.descriptor_bytes),
                    is_main,
                });
            }
        }
        states
    }

    /// The thread state of the thread with this thread pointer; `None` if it has none.
    #[must_use]
    pub fn thread_state(&self, memory: Memory, thread_pointer: u64) -> Option<u64> {
        let slot = &self.target.slot;
        slot.load(thread_pointer, |address| memory.u64(address)).filter(|tstate| *tstate != 0)
    }

    /// The address of the GIL's structure.
    fn gil(&self, memory: Memory) -> Option<u64> {
        match self.layout.gil {
            Gil::None => None,
            Gil::InRuntime(offset) => Some(self.roots.runtime?.wrapping_add(offset)),
            Gil::Behind(offset) => memory.u64(self.target.interpreters.main.wrapping_add(offset)),
        }
    }

    /// What native code is at an address.
    #[must_use]
    pub fn part_at(&self, address: u64) -> Part {
        if self.eval.iter().any(|part| part.contains(&address)) {
            Part::Eval
        } else if self.target.is_interpreter(address) {
            Part::Interpreter
        } else {
            Part::Other
        }
    }

    /// The name of an asyncio task.
    #[must_use]
    pub fn task_name(&self, memory: Memory, task: u64) -> Option<String> {
        self.asyncio?.name(memory, self, task)
    }

    /// Where asyncio's tasks are.
    pub(super) const fn asyncio(&self) -> Option<&Asyncio> {
        self.asyncio.as_ref()
    }

    /// Where coroutines keep what they await.
    pub(super) const fn coroutines(&self) -> Option<&Coroutines> {
        self.layout.coroutines.as_ref()
    }

    /// True for the type of coroutines, and that of generators.
    pub(super) fn is_coroutine_type(&self, address: u64) -> bool {
        address != 0 && self.coroutine_types.contains(&address)
    }

    /// True if a thread runs a greenlet that is not its main one.
    #[must_use]
    pub fn is_in_greenlet(&self, memory: Memory, thread_pointer: u64) -> bool {
        self.target.greenlets.is_one_running(thread_pointer, |address| memory.u64(address))
    }

    /// True if greenlet may have been loaded since: a look at the mappings tells.
    #[must_use]
    pub const fn may_load_greenlet(&self) -> bool {
        self.target.greenlets.is_none()
    }

    /// True if asyncio may have been loaded since: a look at the mappings tells.
    #[must_use]
    pub fn may_load_asyncio(&self) -> bool {
        self.asyncio.is_none() && self.layout.code_generation.is_some()
    }

    /// The first local variable of the frame at an address.
    pub(super) fn first_local(&self, memory: Memory, frame: u64) -> Option<u64> {
        let object = memory.u64(frame.wrapping_add(self.layout.frame_locals))?;
        Some(object & !u64::from(self.layout.walk.code_tag))
    }

    /// Where instances of classes keep their attributes, and how much further objects have their fields than with the GIL.
    pub(super) const fn instances(&self) -> (Instances, u64) {
        (self.layout.instances, self.layout.walk.code.object_shift)
    }

    /// An object's type.
    pub(super) fn type_of(&self, memory: Memory, address: u64) -> Option<u64> {
        memory.u64(address.wrapping_add(u64::from(self.layout.walk.code.object_type())))
    }

    /// A `str`; `None` if it is none.
    pub(super) fn text(&self, memory: Memory, address: u64) -> Option<String> {
        let is_text = self.type_of(memory, address)? == self.text_type;
        is_text.then(|| string(memory, &self.layout.walk.code, address))?
    }

    /// An `int` of one digit, as it is written from 3.12 on; `None` if it is none.
    pub(super) fn small_number(&self, memory: Memory, address: u64) -> Option<u32> {
        let is_number = self.type_of(memory, address)? == self.number_type;
        let address = address.wrapping_add(self.layout.walk.code.object_shift);
        // lv_tag: how many digits, from the fourth bit on.
        let digits = memory.u64(address.wrapping_add(16))? >> 3;
        (is_number && digits <= 1).then(|| memory.u32(address.wrapping_add(24)))?
    }

    /// Reads a code object.
    #[must_use]
    pub fn code(&self, memory: Memory, address: u64) -> Option<Code> {
        Code::read(memory, &self.layout.walk.code, self.layout.lines, address, self.code_type)
    }

    /// A code object as the kernel side told it.
    #[must_use]
    pub fn told_code(&self, memory: Memory, told: &event::Code, lines: Option<&[u8]>) -> Option<Code> {
        Code::told(memory, told, lines, &self.layout.walk.code, self.layout.lines)
    }
}

impl Unwalkable {
    fn not_python(reason: &str) -> Self {
        // A process that has just called exec may become Python once its loader has run.
        Self { version: None, reason: reason.to_owned(), transient: true }
    }

    fn foreign(reason: &str) -> Self {
        Self { transient: false, ..Self::not_python(reason) }
    }
}

/// What may hold the interpreter: the libpythons, the executable itself, and, if none of these does, any other file: an
/// interpreter may be a part of a program's own library.
fn candidates(tgid: u32, mappings: &[Mapping], exe: Option<&Path>) -> Vec<(Mapping, Arc<Image>)> {
    let is_named = |mapping: &&Mapping| file_name(&mapping.path).starts_with("libpython");
    let is_exe = |mapping: &&Mapping| Some(mapping.path.as_path()) == exe;
    let holding = |mapping: &Mapping| {
        let image = Image::of(mapping.open(tgid)?)?;
        SYMBOLS.iter().any(|name| image.symbol(name).is_some()).then(|| (mapping.clone(), image))
    };
    let named = mappings.iter().filter(is_named);
    let executable = mappings.iter().filter(|mapping| is_exe(mapping) && !is_named(mapping));
    let likely: Vec<_> = named.chain(executable).filter_map(holding).collect();
    if !likely.is_empty() {
        return likely;
    }
    mappings.iter().filter(|mapping| !is_named(mapping) && !is_exe(mapping)).filter_map(holding).collect()
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The layout of a version; the error says why there is none, as a clause.
fn layout_of(
    memory: Memory,
    version: &Version,
    mapping: &Mapping,
    runtime: Option<u64>,
) -> Result<Layout, String> {
    let unsupported =
        |why: &str| format!("Python {version}{why} is not supported (3.6 to 3.15 are, and 3.13t)");
    if let Some(layout) = layout::of_version(version.minor, version.patch) {
        // Up to 3.12 nothing but its name tells a debug build, whose objects have more fields.
        if version.is_debug(&file_name(&mapping.path)) {
            return Err(unsupported(" as a debug build"));
        }
        return Ok(layout);
    }
    if version.minor < 13 {
        return Err(unsupported(""));
    }
    let runtime = runtime.ok_or_else(|| "its interpreter exports no `_PyRuntime`".to_owned())?;
    let table = memory
        .bytes(runtime, debug_offsets::TABLE_BYTES)
        .ok_or_else(|| "its `_PyRuntime` cannot be read".to_owned())?;
    debug_offsets::read(&table).ok_or_else(|| {
        if debug_offsets::is_free_threaded(&table) {
            unsupported(" without the GIL")
        } else if version.minor > 15 {
            unsupported("")
        } else {
            "its `_Py_DebugOffsets` hold impossible values".to_owned()
        }
    })
}
