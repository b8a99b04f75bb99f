//! Builds the same source once more, in another folder and at another time, and compares what comes out.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};

use super::Machine;
use crate::{
    cargo::cargo,
    exec::{exec, read},
};

/// Fails unless each package comes out again, byte for byte.
pub fn compare(folder: &Path, machine: Option<Machine>, packages: &[PathBuf], time: &str) -> Result<()> {
    let copy = folder.join("again/in-another-folder");
    if copy.exists() {
        fs::remove_dir_all(&copy).with_context(|| format!("failed to remove {}", copy.display()))?;
    }
    fs::create_dir_all(&copy).with_context(|| format!("failed to make {}", copy.display()))?;
    let files = read(Command::new("git").args(["ls-files", "--cached", "--others", "--exclude-standard"]))?;
    exec(Command::new("cp").args(["--parents", "--target-directory"]).arg(&copy).args(files.lines()))?;
    let mut dist = cargo();
    // As if it were called by hand, so that the xtask of that folder works in it.
    dist.args(["run", "--package", "xtask", "--", "dist"]).current_dir(&copy);
    dist.env("SOURCE_DATE_EPOCH", time).env_remove("CARGO_TARGET_DIR");
    if let Some(machine) = machine {
        dist.arg("--machine").arg(machine.to_string());
    }
    exec(&mut dist)?;
    for package in packages {
        let content =
            |file: &Path| fs::read(file).with_context(|| format!("failed to read {}", file.display()));
        let same = content(package)? == content(&copy.join(package))?;
        ensure!(same, "failed to make {} again: {} differs", package.display(), copy.join(package).display());
        eprintln!("dist: {} is the same when it is made again elsewhere", package.display());
    }
    fs::remove_dir_all(folder.join("again")).context("failed to remove the copy")
}
