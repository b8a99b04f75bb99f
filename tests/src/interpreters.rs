//! The CPythons of this machine.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use crate::cannot_run;

/// An interpreter to test against.
#[derive(Clone, Debug)]
pub struct Interpreter {
    /// 11 for 3.11.
    pub minor: u32,
    /// The executable.
    pub path: PathBuf,
}

/// The minor versions that are supported.
pub const SUPPORTED: std::ops::RangeInclusive<u32> = 8..=13;

/// One interpreter for each supported version, and Debian's static and stripped one besides. A version that is not
/// there is named, and fails in CI.
#[must_use]
pub fn supported() -> Vec<Interpreter> {
    let mut found: Vec<_> = SUPPORTED.filter_map(required).collect();
    let debian = fs::canonicalize("/usr/bin/python3").ok();
    match debian
        .as_deref()
        .and_then(|path| Some(Interpreter { minor: minor_of(path)?, path: path.to_owned() }))
    {
        Some(interpreter) => found.push(interpreter),
        None => cannot_run("there is no /usr/bin/python3"),
    }
    found
}

/// The interpreter of a minor version; says so if there is none.
#[must_use]
pub fn required(minor: u32) -> Option<Interpreter> {
    let found = of_minor(minor);
    if found.is_none() {
        cannot_run(&format!("there is no Python 3.{minor}"));
    }
    found
}

/// The interpreter of a minor version: pyenv's, or one on the path.
#[must_use]
pub fn of_minor(minor: u32) -> Option<Interpreter> {
    let name = format!("python3.{minor}");
    let pyenv = env::var_os("PYENV_ROOT").map(PathBuf::from).or_else(|| Some(home()?.join(".pyenv")));
    let versions =
        pyenv.into_iter().filter_map(|root| fs::read_dir(root.join("versions")).ok()).flatten().flatten();
    let built = versions.map(|entry| entry.path().join("bin").join(&name));
    let on_path = env::var_os("PATH");
    let installed = on_path.iter().flat_map(env::split_paths).map(|folder| folder.join(&name));
    // pyenv's shims are scripts that choose; only a real executable says which version runs.
    let real = |path: &PathBuf| path.is_file() && !path.components().any(|part| part.as_os_str() == "shims");
    built.chain(installed).find(real).map(|path| Interpreter { minor, path })
}

fn home() -> Option<PathBuf> {
    env::var_os("HOME").map(PathBuf::from).or_else(|| Some(PathBuf::from("/root")))
}

fn minor_of(path: &Path) -> Option<u32> {
    path.file_name()?.to_str()?.strip_prefix("python3.")?.parse().ok()
}
