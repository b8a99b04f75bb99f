//! Native user and kernel addresses → function names, by blazesym.

use std::{
    collections::HashMap,
    fs::File,
    os::fd::AsRawFd,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use blazesym::symbolize::{
    Input, Symbolized, Symbolizer,
    source::{Elf, Kernel, Source},
};

use crate::sys::memory::Mapping;

/// A place in a file of code: the same in every process that maps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    /// Which of [`Modules`].
    pub module: u32,
    /// Offset in the file, bytes.
    pub offset: u64,
}

/// The files of code that followed processes map, opened at first sight so that they can still be read when the
/// process, or the file, is gone.
#[derive(Debug, Default)]
pub struct Modules {
    files: Vec<(PathBuf, Option<File>)>,
    by_file: HashMap<(u64, u64), u32>,
    mappings: HashMap<u32, Vec<Mapping>>,
}

impl Modules {
    /// Where an address of a process lies; `None` if in no file that is mapped there.
    pub fn locate(&mut self, tgid: u32, address: u64) -> Option<Place> {
        let known = self.mappings.get(&tgid).is_some_and(|mappings| find(mappings, address).is_some());
        if !known {
            self.mappings.insert(tgid, Mapping::executable(tgid).unwrap_or_default());
        }
        let mapping = find(self.mappings.get(&tgid)?, address)?;
        let module = *self.by_file.entry(mapping.file).or_insert_with(|| {
            self.files.push((mapping.path.clone(), File::open(mapping.reachable(tgid)).ok()));
            self.files.len() as u32 - 1
        });
        Some(Place { module, offset: address - mapping.start + mapping.offset })
    }

    /// Forgets the mappings of a process that runs another program now, or none.
    pub fn forget(&mut self, tgid: u32) {
        self.mappings.remove(&tgid);
    }

    /// A module's path, as its processes see it.
    #[must_use]
    pub fn path(&self, module: u32) -> Option<&Path> {
        self.files.get(module as usize).map(|(path, _)| path.as_path())
    }
}

fn find(mappings: &[Mapping], address: u64) -> Option<&Mapping> {
    mappings.iter().find(|mapping| (mapping.start..mapping.end).contains(&address))
}

/// The names of places in modules; those without a symbol are absent.
pub fn names(modules: &Modules, places: &[Place]) -> Result<HashMap<Place, String>> {
    let symbolizer = Symbolizer::new();
    let mut by_module: HashMap<u32, Vec<u64>> = HashMap::new();
    for place in places {
        by_module.entry(place.module).or_default().push(place.offset);
    }
    let mut names = HashMap::new();
    for (module, offsets) in by_module {
        let Some((path, Some(file))) = modules.files.get(module as usize) else { continue };
        let source = Source::Elf(Elf::new(format!("/proc/self/fd/{}", file.as_raw_fd())));
        let symbols = symbolizer
            .symbolize(&source, Input::FileOffset(&offsets))
            .with_context(|| format!("failed to symbolise `{}`", path.display()))?;
        for (offset, symbol) in offsets.into_iter().zip(symbols) {
            if let Symbolized::Sym(symbol) = symbol {
                names.insert(Place { module, offset }, symbol.name.into_owned());
            }
        }
    }
    Ok(names)
}

/// The names of kernel addresses; those without a symbol are absent, which is all where kallsyms hides them.
pub fn kernel_names(addresses: &[u64]) -> Result<HashMap<u64, String>> {
    if addresses.is_empty() {
        return Ok(HashMap::new());
    }
    let symbolizer = Symbolizer::new();
    let symbols = symbolizer
        .symbolize(&Source::Kernel(Kernel::default()), Input::AbsAddr(addresses))
        .context("failed to symbolise kernel addresses")?;
    let named = addresses.iter().zip(symbols).filter_map(|(address, symbol)| match symbol {
        Symbolized::Sym(symbol) => Some((*address, symbol.name.into_owned())),
        Symbolized::Unknown(_) => None,
    });
    Ok(named.collect())
}
