//! Programs that load an interpreter's library at run time (`workloads/late.c`).

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{interpreters::Interpreter, workloads};

/// The program, compiled into a folder.
#[must_use]
pub fn compile(folder: &Path) -> PathBuf {
    let program = folder.join("late");
    let mut compiler = Command::new("cc");
    compiler.arg("-o").arg(&program).arg(workloads().join("late.c")).arg("-ldl");
    let output = compiler.output().unwrap_or_else(|error| panic!("{compiler:?}: {error}"));
    assert!(output.status.success(), "{compiler:?}: {}", String::from_utf8_lossy(&output.stderr));
    program
}

/// Beside an executable of pyenv's: its prefix, and its library.
#[must_use]
pub fn prefix_and_library(python: &Interpreter) -> Option<(PathBuf, PathBuf)> {
    let prefix = python.path.parent()?.parent()?;
    let library = fs::read_dir(prefix.join("lib")).ok()?.flatten().map(|file| file.path()).find(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with(&format!("libpython3.{}", python.minor)) && name.ends_with(".so.1.0")
    });
    Some((prefix.to_owned(), library?))
}
