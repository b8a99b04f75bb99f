//! Function names of native user and kernel addresses.

use std::{collections::HashMap, fs::File};

use anyhow::{Context, Result};
use blazesym::symbolize::{
    Input, Symbolized, Symbolizer,
    source::{Kernel, Source},
};

use crate::{
    elf::{Segments, debug_file::DebugFile, functions},
    symbolize::{
        modules::{FileOffset, Modules},
        readable::readable,
    },
    sys::privileges,
};

/// The names of places in modules; those without a symbol are absent.
#[must_use]
pub fn names(modules: &Modules, places: &[FileOffset]) -> HashMap<FileOffset, String> {
    let mut by_module: HashMap<u32, Vec<u64>> = HashMap::new();
    let mut names = HashMap::new();
    for place in places {
        match modules.vdso_name(place) {
            Some(name) => drop(names.insert(*place, name.to_owned())),
            None => by_module.entry(place.module).or_default().push(place.offset),
        }
    }
    for (module, offsets) in by_module {
        let Some(file) = modules.file(module) else { continue };
        // What cannot be named is a frame without a name.
        let named = privileges::without_any(|| names_in(file, &offsets)).unwrap_or_default();
        names.extend(named.into_iter().map(|(offset, name)| (FileOffset { module, offset }, name)));
    }
    names
}

/// The names of offsets in a file.
pub(crate) fn names_in(file: &File, offsets: &[u64]) -> Vec<(u64, String)> {
    // Installed symbols are more than those that are left in the file itself.
    let installed = DebugFile::of(file);
    let segments = Segments::of_file(file).unwrap_or_default();
    let addresses = offsets.iter().filter_map(|offset| Some((*offset, segments.address(*offset)?)));
    let addresses: Vec<_> = addresses.collect();
    let sought: Vec<_> = addresses.iter().map(|(_, address)| *address).collect();
    let source = installed.as_ref().map_or(file, DebugFile::file);
    let names = functions::names(source, &sought);
    let name = |address| Some(readable(names.get(address)?.clone()));
    addresses.iter().filter_map(|(offset, address)| Some((*offset, name(address)?))).collect()
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
