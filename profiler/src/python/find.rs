//! Finds the interpreter of a process and checks that it can be walked, or says why not.

use std::{cmp::Reverse, collections::HashMap, path::Path, sync::Arc};

use profiler_common::python::{Greenlets, Interpreters, PyTarget, TlsPath, Unwalked};

use crate::{
    python::{
        asyncio::Asyncio,
        debug_offsets,
        image::Image,
        interpreter::Interpreter,
        known,
        layout::{self, GilLocation, Layout, TstateLocation},
        roots::Roots,
        slot, thread_local,
        version::Version,
    },
    sys::{
        budget,
        memory::{Mapping, Memory},
        tids,
    },
};

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

impl Unwalkable {
    fn not_python(reason: &str) -> Self {
        // A process that has just called exec may become Python once its loader has run.
        Self { version: None, reason: reason.to_owned(), transient: true }
    }

    fn foreign(reason: &str) -> Self {
        Self { transient: false, ..Self::not_python(reason) }
    }

    fn python(version: &Version, reason: &str, transient: bool) -> Self {
        Self { version: Some(version.to_string()), reason: reason.to_owned(), transient }
    }
}

impl Interpreter {
    /// The interpreter of a process. Of several that run it is the one with the most threads, of as many the one that was
    /// there first: the program's own, or the one that lies highest, for the kernel maps files from the top down. The second
    /// is told.
    pub fn of(tgid: u32) -> Result<Self, Unwalkable> {
        Self::like(tgid, None)
    }

    /// The interpreter of a process as it is by now: no other one than was found before, while that runs.
    pub fn again(tgid: u32, before: &Self) -> Result<Self, Unwalkable> {
        Self::like(tgid, Some(before))
    }

    fn like(tgid: u32, before: Option<&Self>) -> Result<Self, Unwalkable> {
        if let Some(known) = known::recall(tgid) {
            return Ok(known);
        }
        let (mappings, code) =
            Mapping::code(tgid).map_err(|_| Unwalkable::not_python("its mappings cannot be read"))?;
        if let Some(known) = known::find(tgid, code) {
            return Ok(known);
        }
        let exe = std::fs::read_link(format!("/proc/{}/exe", tids::seen_by(tgid))).ok();
        let candidates = candidates(tgid, &mappings, exe.as_deref());
        let is_only = candidates.len() == 1;
        let mut found: Vec<(Self, Mapping)> = Vec::new();
        let mut refused = Unwalkable::not_python("it is not Python");
        for (mapping, image) in candidates {
            match Self::in_mapping(tgid, &mappings, &mapping, &image) {
                // Of one file several parts may be mapped.
                Ok(interpreter) if found.iter().any(|(known, _)| known.is(&interpreter)) => {}
                Ok(interpreter) => found.push((interpreter, mapping)),
                Err(why) => refused = why,
            }
        }
        let memory = Memory::of(tgid);
        found.sort_by_cached_key(|(interpreter, mapping)| {
            let is_known = before.is_some_and(|before| before.is(interpreter));
            let is_own = Some(mapping.path.as_path()) == exe.as_deref();
            Reverse((is_known, interpreter.threads_at_work(memory), is_own, mapping.start))
        });
        let mut found = found.into_iter();
        let Some((mut walked, _)) = found.next() else {
            let too_long = Unwalkable::foreign("its interpreter takes too long to read");
            let is_overdrawn = budget::is_overdrawn(tgid);
            return Err(if is_overdrawn {
                Unwalkable { version: refused.version, ..too_long }
            } else {
                refused
            });
        };
        if let Some((other, mapping)) = found.next() {
            walked.target.unwalked = Unwalked::beside(&walked.target, &other.target);
            walked.unwalked = Some(format!("Python {} ({})", other.version, file_name(&mapping.path)));
        }
        if is_only && walked.is_settled(&mappings) {
            known::keep(tgid, code, &walked);
        }
        Ok(walked)
    }

    /// True if all that can be known of it with these mappings is.
    fn is_settled(&self, mappings: &[Mapping]) -> bool {
        let has_patch = self.version.matches('.').count() == 2;
        has_patch && (!self.target.greenlets.is_none() || !mappings.iter().any(is_greenlet))
    }

    /// True if both are of one place in a process.
    fn is(&self, other: &Self) -> bool {
        self.roots.interpreters == other.roots.interpreters
    }

    /// Threads that have their thread states where this interpreter's threads keep them.
    fn threads_at_work(&self, memory: Memory) -> usize {
        self.thread_states(memory).iter().filter(|state| self.is_kept(memory, state)).count()
    }

    pub(super) fn in_mapping(
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
        let starting = |reason| Unwalkable::python(&version, reason, true);
        let address = |name| image.symbol(name).map(|symbol| symbol.wrapping_add(bias));
        let layout = layout_of(memory, &version, mapping, address("_PyRuntime"))?;
        let roots = Roots::find(memory, &layout, image, bias)
            .ok_or_else(|| starting("its interpreter is not started yet"))?;
        let asyncio = layout.coroutines.and_then(|_| asyncio(tgid, mappings));
        // A file may be loaded twice (`dlmopen`).
        let is_part = |other: &&Mapping| other.file == mapping.file && image.bias(other) == Some(bias);
        let text_end = mappings.iter().filter(is_part).map(|other| other.end).max();
        let mut interpreter = Self {
            target: PyTarget {
                slot: TlsPath::default(),
                text_start: mapping.start,
                text_end: text_end.unwrap_or(mapping.end),
                gil: 0,
                gil_pointer: match layout.gil {
                    GilLocation::Behind(offset) => offset,
                    GilLocation::None | GilLocation::InRuntime(_) => 0,
                },
                gil_holder: roots.gil_holder,
                interpreters: Interpreters::default(),
                keeps_frame_pointers: u64::from(image.eval().keeps_frame_pointers),
                running_task: asyncio.map_or(0, |asyncio| asyncio.running_task),
                code_generation: layout.code_generation.unwrap_or(0),
                greenlets: greenlets(tgid, mappings).unwrap_or_default(),
                unwalked: Unwalked::default(),
                offsets: layout.walk,
            },
            // As `python3.13t` calls itself.
            version: format!("{version}{}", if layout.is_free_threaded() { "t" } else { "" }),
            unwalked: None,
            layout,
            roots,
            code_type: address("PyCode_Type").unwrap_or(0),
            text_type: address("PyUnicode_Type").unwrap_or(0),
            number_type: address("PyLong_Type").unwrap_or(0),
            coroutine_types: ["PyCoro_Type", "PyGen_Type"].map(|name| address(name).unwrap_or(0)),
            asyncio,
            eval: image
                .eval()
                .parts
                .iter()
                .map(|part| part.start.wrapping_add(bias)..part.end.wrapping_add(bias))
                .collect(),
        };
        interpreter.target.interpreters = Interpreters {
            main: interpreter.interpreters(memory).last().copied().unwrap_or(0),
            newest: if interpreter.roots.gil_holder == 0 { 0 } else { interpreter.roots.interpreters },
            descriptor_bytes: slot::descriptor_bytes(tgid, mappings),
        };
        let states = interpreter.thread_states(memory);
        if states.is_empty() {
            return Err(starting("it has no threads yet"));
        }
        if interpreter.code_type == 0 {
            interpreter
                .learn_types(memory, &states)
                .ok_or_else(|| starting("its interpreter has no symbols, and runs nothing that tells"))?;
        }
        let slot = match interpreter.layout.kept {
            TstateLocation::ThreadLocal => {
                thread_local::find(memory, image, &states, address("PyGILState_GetThisThreadState"))
            }
            TstateLocation::Key(_) => {
                slot::find(memory, tgid, mappings, interpreter.roots.key(memory), &states)
            }
        };
        // While it starts, a thread state is listed before the thread keeps it.
        interpreter.target.slot =
            slot.map_err(|reason| Unwalkable::python(&version, &reason, states.len() == 1))?;
        interpreter.target.gil = interpreter.gil(memory).unwrap_or(0);
        Ok(interpreter)
    }
}

/// Where asyncio's tasks are, if a file that a process maps tells.
pub(super) fn asyncio(tgid: u32, mappings: &[Mapping]) -> Option<Asyncio> {
    let may_tell = |mapping: &&Mapping| {
        let name = file_name(&mapping.path);
        name.starts_with("_asyncio") || name.contains("python")
    };
    mappings.iter().filter(may_tell).find_map(|mapping| Image::mapped(tgid, mapping)?.asyncio())
}

fn is_greenlet(mapping: &Mapping) -> bool {
    file_name(&mapping.path).starts_with("_greenlet")
}

/// Where greenlet keeps which one runs, if a process has it loaded.
fn greenlets(tgid: u32, mappings: &[Mapping]) -> Option<Greenlets> {
    let mapping = mappings.iter().find(|mapping| is_greenlet(mapping))?;
    let image = Image::mapped(tgid, mapping)?;
    image.greenlets()?.in_process(Memory::of(tgid), image.bias(mapping)?)
}

/// What may hold the interpreter: the libpythons, the executable itself, and, if none of these does, any other file: an
/// interpreter may be a part of a program's own library.
fn candidates(tgid: u32, mappings: &[Mapping], exe: Option<&Path>) -> Vec<(Mapping, Arc<Image>)> {
    let is_named = |mapping: &&Mapping| is_library(&mapping.path);
    let is_exe = |mapping: &&Mapping| Some(mapping.path.as_path()) == exe;
    // To open a file takes far longer than to look at what is known of it, and some have thousands of parts mapped.
    let mut images = HashMap::new();
    let mut holding = |mapping: &Mapping| {
        let image = images.entry(mapping.file).or_insert_with(|| Image::mapped(tgid, mapping)).clone()?;
        image.holds_interpreter().then(|| (mapping.clone(), image))
    };
    let named = mappings.iter().filter(is_named);
    let executable = mappings.iter().filter(|mapping| is_exe(mapping) && !is_named(mapping));
    let likely: Vec<_> = named.chain(executable).filter_map(&mut holding).collect();
    if !likely.is_empty() {
        return likely;
    }
    mappings.iter().filter(|mapping| !is_named(mapping) && !is_exe(mapping)).filter_map(holding).collect()
}

/// True of a file that is called as an interpreter's library.
#[must_use]
pub fn is_library(path: &Path) -> bool {
    file_name(path).starts_with("libpython")
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The layout of a version. What a process tells of its layout may be told when its loader has run.
fn layout_of(
    memory: Memory,
    version: &Version,
    mapping: &Mapping,
    runtime: Option<u64>,
) -> Result<Layout, Unwalkable> {
    let never = |reason: &str| Unwalkable::python(version, reason, false);
    let unsupported =
        |why: &str| never(&format!("Python {version}{why} is not supported (3.6 to 3.15 are, and 3.13t)"));
    if let Some(layout) = layout::of_version(version.minor, version.patch) {
        // Up to 3.12 nothing but its name tells a debug build, whose objects have more fields.
        if version.is_debug(&file_name(&mapping.path)) {
            return Err(unsupported(" as a debug build"));
        }
        return Ok(layout);
    }
    if !debug_offsets::is_known(version.minor) {
        return Err(unsupported(""));
    }
    let runtime = runtime.ok_or_else(|| never("its interpreter exports no `_PyRuntime`"))?;
    let table = memory
        .bytes(runtime, debug_offsets::TABLE_BYTES)
        .ok_or_else(|| Unwalkable::python(version, "its `_PyRuntime` cannot be read", true))?;
    debug_offsets::read(&table).ok_or_else(|| {
        if debug_offsets::is_free_threaded(&table) {
            unsupported(" without the GIL")
        } else {
            Unwalkable::python(version, "its `_Py_DebugOffsets` hold impossible values", true)
        }
    })
}
