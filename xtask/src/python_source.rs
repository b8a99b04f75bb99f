//! CPython without the GIL, which Debian does not build, from the source that Debian has of it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
};

use anyhow::{Context as _, Result};

use crate::exec::exec;

/// Builds the source whose archive is in a folder, and installs it into `made`, from where it can be moved.
pub fn build(folder: &Path, made: &Path) -> Result<()> {
    let archive = archive(folder)?;
    let source = folder.join("source");
    fs::create_dir_all(&source).with_context(|| format!("failed to make {}", source.display()))?;
    exec(in_folder("tar", &source).args(["--strip-components=1", "--extract", "--file"]).arg(archive))?;
    // What no test runs is left out. No optimizations: with them it would take half an hour.
    let options = ["--disable-gil", "--disable-test-modules", "--without-ensurepip", "--quiet"];
    exec(in_folder("./configure", &source).arg(format!("--prefix={}", made.display())).args(options))?;
    let jobs = thread::available_parallelism().map_or(1, usize::from);
    for target in ["all", "altinstall"] {
        let mut make = in_folder("make", &source);
        let arguments = ["--silent", "EXTRA_CFLAGS=-w", &format!("--jobs={jobs}"), target];
        exec(make.args(arguments).stdout(Stdio::null()))?;
    }
    Ok(())
}

/// The archive of a source among what was downloaded into a folder.
fn archive(folder: &Path) -> Result<PathBuf> {
    let files = fs::read_dir(folder).with_context(|| format!("failed to list {}", folder.display()))?;
    let mut paths = files.flatten().map(|file| file.path());
    let is_source = |path: &PathBuf| path.to_string_lossy().ends_with(".orig.tar.xz");
    paths.find(is_source).with_context(|| format!("failed to find a source in {}", folder.display()))
}

fn in_folder(program: &str, folder: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(folder);
    command
}
