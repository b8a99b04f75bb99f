//! Native user and kernel addresses → function names, by blazesym.

use std::{collections::HashMap, os::fd::AsRawFd as _};

use anyhow::{Context, Result};
use blazesym::symbolize::{
    Input, Sym, Symbolized, Symbolizer,
    source::{Elf, Kernel, Source},
};

use crate::{
    python::debug_file::DebugFile,
    symbolize::{
        modules::{Modules, Place},
        readable::readable,
    },
};

/// The names of places in modules; those without a symbol are absent.
pub fn names(modules: &Modules, places: &[Place]) -> Result<HashMap<Place, String>> {
    let mut by_module: HashMap<u32, Vec<u64>> = HashMap::new();
    let mut names = HashMap::new();
    for place in places {
        match modules.vdso_name(place) {
            Some(name) => drop(names.insert(*place, name.to_owned())),
            None => by_module.entry(place.module).or_default().push(place.offset),
        }
    }
    let symbolizer = Symbolizer::new();
    for (module, offsets) in by_module {
        let Some(file) = modules.file(module) else { continue };
        // Installed symbols are more than those that are left in the file itself.
        let installed = DebugFile::of(file);
        let addresses = installed.as_ref().and_then(|installed| {
            offsets.iter().map(|offset| installed.address(*offset)).collect::<Option<Vec<_>>>()
        });
        let (source, input) = match (&installed, &addresses) {
            (Some(installed), Some(addresses)) => (installed.file(), Input::VirtOffset(addresses.as_slice())),
            _ => (file, Input::FileOffset(offsets.as_slice())),
        };
        let path = format!("/proc/self/fd/{}", source.as_raw_fd());
        let symbols = symbolizer.symbolize(&Source::Elf(Elf::new(path)), input).with_context(|| {
            format!("failed to symbolise `{}`", modules.path(module).unwrap_or("?".as_ref()).display())
        })?;
        for (offset, symbol) in offsets.into_iter().zip(symbols) {
            if let Symbolized::Sym(symbol) = symbol
                && reaches(&symbol)
            {
                names.insert(Place { module, offset }, readable(symbol.name.into_owned()));
            }
        }
    }
    Ok(names)
}

/// True unless a symbol is a mere label, somewhere before the address: blazesym takes those as reaching to the next one.
fn reaches(symbol: &Sym<'_>) -> bool {
    symbol.size.is_some() || symbol.offset == 0
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
