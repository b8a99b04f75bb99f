//! A Python in a guest: of its root under `target/pythons` what it takes to start, and no more.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use super::image::Image;
use crate::{exec::read, machine::Machine};

/// The roots that they come from.
pub const ROOTS: [&str; 3] = ["3.13", "3.14", "arm64"];

/// The versions that go into a guest, and which of the roots has each.
pub fn versions(machine: Machine) -> [(&'static str, &'static str); 2] {
    match machine {
        Machine::X86_64 => [("3.13", "3.13"), ("3.14", "3.14")],
        Machine::Aarch64 => [("3.13", "arm64"), ("3.14", "arm64")],
    }
}

/// Packs one; where it is in the guest.
pub fn pack(image: &mut Image, machine: Machine, root: &Path, version: &str) -> Result<PathBuf> {
    let program = Path::new("/usr/bin").join(format!("python{version}"));
    let binary = root.join("usr/bin").join(format!("python{version}"));
    image.add(&program, &binary)?;
    for (path, file) in libraries(machine, root, &binary)? {
        image.add(&path, &file)?;
    }
    // Modules that are files of their own, and the one package that is imported before anything else.
    let library = Path::new("usr/lib").join(format!("python{version}"));
    for folder in [library.clone(), library.join("encodings")] {
        let place = root.join(&folder);
        let modules = fs::read_dir(&place).with_context(|| format!("failed to list {}", place.display()))?;
        for module in modules {
            let file = module.with_context(|| format!("failed to list {}", place.display()))?.path();
            // Debian's sitecustomize is a link to where the root is none.
            if file.extension().is_some_and(|extension| extension == "py") && file.exists() {
                image.add(&folder.join(file.file_name().unwrap_or_default()), &file)?;
            }
        }
    }
    Ok(program)
}

/// The shared libraries that a program and its libraries need, and what loads them: in the guest, and here.
fn libraries(machine: Machine, root: &Path, program: &Path) -> Result<Vec<(PathBuf, PathBuf)>> {
    let folder = Path::new("usr/lib").join(format!("{machine}-linux-gnu"));
    let loader = match machine {
        Machine::X86_64 => "lib64/ld-linux-x86-64.so.2",
        Machine::Aarch64 => "lib/ld-linux-aarch64.so.1",
    };
    let name = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
    let (mut known, mut files) = (BTreeSet::from([name(loader)]), Vec::new());
    files.push((PathBuf::from(loader), root.join(&folder).join(name(loader))));
    let mut unread = vec![program.to_owned()];
    while let Some(file) = unread.pop() {
        for needed in needed_by(&file)? {
            let (path, file) = (folder.join(&needed), root.join(&folder).join(&needed));
            if known.insert(needed) {
                files.push((path, file.clone()));
                unread.push(file);
            }
        }
    }
    Ok(files)
}

/// The libraries that an ELF file names.
fn needed_by(file: &Path) -> Result<Vec<String>> {
    let text = read(Command::new("readelf").args(["--dynamic", "--wide"]).arg(file))?;
    let needed = text.lines().filter(|line| line.contains("(NEEDED)"));
    Ok(needed.filter_map(|line| Some(line.split_once('[')?.1.strip_suffix(']')?.to_owned())).collect())
}
