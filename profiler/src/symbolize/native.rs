//! Functions of native user and kernel addresses.

use std::{collections::HashMap, fs::File};

use anyhow::{Context, Result};
use blazesym::symbolize::{
    Input, Symbolized, Symbolizer,
    source::{Kernel, Source},
};

use crate::{
    elf::{BuildId, Segments, debug_file::DebugFile, functions},
    symbolize::{
        modules::{FileOffset, Modules},
        readable::readable,
    },
    sys::privileges,
};

/// A function of a module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NativeFunction {
    /// Name of the function.
    pub name: String,
    /// Offset in the module's file at which it begins, bytes.
    pub start: u64,
}

/// The functions that places in modules are in; of those without a symbol there is none.
#[must_use]
pub fn functions(modules: &Modules, places: &[FileOffset]) -> HashMap<FileOffset, NativeFunction> {
    let mut by_module: HashMap<u32, Vec<u64>> = HashMap::new();
    let mut functions = HashMap::new();
    for place in places {
        match modules.vdso_function(place) {
            Some((name, start)) => {
                functions.insert(*place, NativeFunction { name: name.to_owned(), start });
            }
            None => by_module.entry(place.module).or_default().push(place.offset),
        }
    }
    for (module, offsets) in by_module {
        let Some(file) = modules.file(module) else { continue };
        // What cannot be named is a frame without a name.
        let named = privileges::without_any(|| functions_in(file, &offsets)).unwrap_or_default();
        functions
            .extend(named.into_iter().map(|(offset, function)| (FileOffset { module, offset }, function)));
    }
    functions
}

/// The build-id of a module; `None` if it has none, or cannot be read.
#[must_use]
pub fn build_id(modules: &Modules, module: u32) -> Option<BuildId> {
    if let Some(build_id) = modules.vdso_build_id(module) {
        return Some(build_id.clone());
    }
    let file = modules.file(module)?;
    // What cannot be read is a file of no known build.
    privileges::without_any(|| BuildId::of_file(file)).ok()?
}

/// The functions that offsets in a file are in.
pub(crate) fn functions_in(file: &File, offsets: &[u64]) -> Vec<(u64, NativeFunction)> {
    // Installed symbols are more than those that are left in the file itself.
    let installed = DebugFile::of(file);
    let segments = Segments::of_file(file).unwrap_or_default();
    let addresses = offsets.iter().filter_map(|offset| Some((*offset, segments.address(*offset)?)));
    let addresses: Vec<_> = addresses.collect();
    let sought: Vec<_> = addresses.iter().map(|(_, address)| *address).collect();
    let source = installed.as_ref().map_or(file, DebugFile::file);
    let found = functions::around(source, &sought);
    let function = |(offset, address): (u64, u64)| {
        let function = found.get(&address)?;
        // It is in one part of the file: what makes up files may say that it begins before the first byte.
        let start = offset.saturating_sub(address - function.start);
        Some((offset, NativeFunction { name: readable(function.name.clone()), start }))
    };
    addresses.into_iter().filter_map(function).collect()
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
