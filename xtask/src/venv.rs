//! The virtual environment under `target/` in which the demo's and the tests' Python programs run.

use std::{
    env, fs,
    path::PathBuf,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result};

use crate::exec::exec;

/// A virtual environment that has `packages`; its folder. Nothing is asked of the network when they are there.
pub fn with(packages: &[&str]) -> Result<PathBuf> {
    let venv = env::current_dir().context("failed to find the current folder")?.join("target/venv");
    let python = venv.join("bin/python");
    let runs = Command::new(&python).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !runs.is_ok_and(|status| status.success()) {
        // Also one whose interpreter was removed: what is there is cleared.
        exec(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&venv))?;
    }
    // Names what pip has installed with success, so an environment left half-made is completed.
    let list = venv.join("installed");
    let mut installed = fs::read_to_string(&list).unwrap_or_default();
    let missing = |package: &&&str| !installed.lines().any(|line| line == **package);
    let missing = packages.iter().filter(missing).copied().collect::<Vec<_>>();
    if !missing.is_empty() {
        exec(Command::new(&python).args(["-m", "pip", "install", "--quiet"]).args(&missing))?;
        installed.extend(missing.iter().flat_map(|package| [package, "\n"]));
        fs::write(&list, installed).with_context(|| format!("failed to write {}", list.display()))?;
    }
    Ok(venv)
}
