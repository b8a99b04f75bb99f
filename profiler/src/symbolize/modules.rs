//! Finds the file, and the offset in it, of a code address in a process.

use std::{
    cell::OnceCell,
    collections::{BTreeSet, HashMap},
    fs::File,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    elf::BuildId,
    symbolize::{
        perf_map::PerfMap,
        vdso::{self, Vdso},
    },
    sys::{limits, mapped::Mapped, memory::Mapping},
};

/// What a process has mapped is believed so long though an address is in none of it.
const AGE: Duration = Duration::from_secs(1);
/// To look takes no larger part of the time than one in so many.
const PART: u32 = 10;

/// Whether there is a perf map by now is asked so often.
const SEEK_EVERY: Duration = Duration::from_millis(100);

/// A place in a file of code: the same in every process that maps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileOffset {
    /// Index of the module in [`Modules`].
    pub module: u32,
    /// Offset in the file, bytes.
    pub offset: u64,
}

/// A part of a module that a process has mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MappedModule {
    /// The process.
    pub tgid: u32,
    /// Index of the module in [`Modules`].
    pub module: u32,
    /// First address.
    pub start: u64,
    /// Address behind the last one.
    pub end: u64,
    /// Offset in the file of the first address, bytes.
    pub offset: u64,
}

/// Where the code at an address comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CodeLocation {
    /// A file's code, which is named at the end.
    File(FileOffset),
    /// Code that was made at run time: its name, which may be another's later.
    Jit(String),
}

/// The modules that followed processes map, opened at first sight so that they can still be read when the process, or the
/// file, is gone.
#[derive(Debug, Default)]
pub struct Modules {
    known: Vec<Module>,
    /// How many of the modules are not open because enough others are.
    closed: usize,
    by_file: HashMap<(u64, u64), u32>,
    vdso: Option<(u32, Vdso)>,
    processes: HashMap<u32, MappedProcess>,
    /// Where code was found.
    mapped: BTreeSet<MappedModule>,
}

#[derive(Debug)]
struct Module {
    path: PathBuf,
    file: Option<File>,
}

/// What one process has mapped.
#[derive(Debug)]
struct MappedProcess {
    /// Executable mappings by address, which those that are forked share.
    mappings: Arc<[Mapping]>,
    /// How much it had mapped then, when that was, and how long it took to look.
    mapped: Option<Mapped>,
    looked: Instant,
    took: Duration,
    /// Asked for, as what follows, when an address is in no file.
    vdso: OnceCell<Option<u64>>,
    /// `None` until there is one.
    perf_map: Option<PerfMap>,
    sought: Option<Instant>,
}

impl MappedProcess {
    fn look(tgid: u32) -> Self {
        let looked = Instant::now();
        let mapped = Mapped::of(tgid);
        let mappings = Mapping::executable(tgid).unwrap_or_default().into();
        let took = looked.elapsed();
        Self { mappings, mapped, looked, took, vdso: OnceCell::new(), perf_map: None, sought: None }
    }

    /// Looks anew, if something was mapped since or that was a while ago; but not all the time.
    fn look_again(&mut self, tgid: u32) {
        let age = self.looked.elapsed();
        if age >= self.took * PART && (age >= AGE || Mapped::of(tgid) != self.mapped) {
            let Self { mappings, mapped, looked, took, .. } = Self::look(tgid);
            (self.mappings, self.mapped, self.looked, self.took) = (mappings, mapped, looked, took);
        }
    }

    /// The name of code that was made at run time.
    fn jit_name(&mut self, tgid: u32, address: u64) -> Option<String> {
        if self.perf_map.is_none() && self.sought.is_none_or(|sought| sought.elapsed() >= SEEK_EVERY) {
            self.sought = Some(Instant::now());
            self.perf_map = PerfMap::of(tgid);
        }
        self.perf_map.as_mut()?.name(address).map(str::to_owned)
    }

    fn find(&self, address: u64) -> Option<&Mapping> {
        let next = self.mappings.partition_point(|mapping| mapping.start <= address);
        self.mappings.get(next.checked_sub(1)?).filter(|mapping| address < mapping.end)
    }
}

impl Modules {
    /// What an address of a process is of; `None` if of no code that is known there.
    pub fn locate(&mut self, tgid: u32, address: u64) -> Option<CodeLocation> {
        let process = self.processes.entry(tgid).or_insert_with(|| MappedProcess::look(tgid));
        if process.find(address).is_none() {
            if let Some(start) = *process.vdso.get_or_init(|| vdso::start(tgid)) {
                let known = &mut self.known;
                let (module, vdso) = self.vdso.get_or_insert_with(|| {
                    known.push(Module { path: PathBuf::from(vdso::NAME), file: None });
                    (known.len() as u32 - 1, Vdso::own())
                });
                if let Some(offset) = vdso.offset(start, address) {
                    let (module, end) = (*module, start.saturating_add(vdso.mapped_bytes()));
                    self.mapped.insert(MappedModule { tgid, module, start, end, offset: 0 });
                    return Some(CodeLocation::File(FileOffset { module, offset }));
                }
            }
            if let Some(name) = process.jit_name(tgid, address) {
                return Some(CodeLocation::Jit(name));
            }
            process.look_again(tgid);
        }
        let mapping = process.find(address)?;
        let Mapping { start, end, offset, .. } = *mapping;
        let module = *self.by_file.entry(mapping.file).or_insert_with(|| {
            let has_room = self.known.len() - self.closed < limits::files_of_code();
            self.closed += usize::from(!has_room);
            let file = if has_room { mapping.open(tgid) } else { None };
            self.known.push(Module { path: mapping.path.clone(), file });
            self.known.len() as u32 - 1
        });
        self.mapped.insert(MappedModule { tgid, module, start, end, offset });
        Some(CodeLocation::File(FileOffset { module, offset: address - start + offset }))
    }

    /// Notes that a process was forked: it maps what its parent did.
    pub fn inherit(&mut self, tgid: u32, parent_tgid: u32) {
        if let Some(MappedProcess { mappings, mapped, looked, took, vdso, .. }) =
            self.processes.get(&parent_tgid)
        {
            let (mappings, vdso, mapped) = (Arc::clone(mappings), vdso.clone(), *mapped);
            let (looked, took) = (*looked, *took);
            let forked = MappedProcess { mappings, mapped, looked, took, vdso, perf_map: None, sought: None };
            self.processes.insert(tgid, forked);
        }
    }

    /// Forgets what a process maps that runs another program now, or none.
    pub fn forget(&mut self, tgid: u32) {
        self.processes.remove(&tgid);
    }

    /// Counts what a process had mapped for the one that takes its place.
    pub fn join(&mut self, tgid: u32, into: u32) {
        let least = |tgid| MappedModule { tgid, module: 0, start: 0, end: 0, offset: 0 };
        let of_process: Vec<_> = self.mapped.range(least(tgid)..least(tgid + 1)).copied().collect();
        for mapped in of_process {
            self.mapped.remove(&mapped);
            self.mapped.insert(MappedModule { tgid: into, ..mapped });
        }
    }

    /// Where code of modules was found in processes, in order.
    pub fn mapped(&self) -> impl Iterator<Item = &MappedModule> {
        self.mapped.iter()
    }

    /// A module's path, as its processes see it.
    #[must_use]
    pub fn path(&self, module: u32) -> Option<&Path> {
        self.known.get(module as usize).map(|module| module.path.as_path())
    }

    /// A module's file; `None` if it could not be opened.
    #[must_use]
    pub fn file(&self, module: u32) -> Option<&File> {
        self.known.get(module as usize)?.file.as_ref()
    }

    /// How many files have no names because enough others are open.
    #[must_use]
    pub const fn closed(&self) -> usize {
        self.closed
    }

    /// The vDSO's function at a place, and the offset at which it begins; `None` if the place is in another module.
    #[must_use]
    pub fn vdso_function(&self, place: &FileOffset) -> Option<(&str, u64)> {
        self.vdso_at(place.module)?.function(place.offset)
    }

    /// The vDSO's build-id; `None` of another module.
    #[must_use]
    pub fn vdso_build_id(&self, module: u32) -> Option<&BuildId> {
        self.vdso_at(module)?.build_id()
    }

    fn vdso_at(&self, module: u32) -> Option<&Vdso> {
        self.vdso.as_ref().filter(|(at, _)| *at == module).map(|(_, vdso)| vdso)
    }
}
