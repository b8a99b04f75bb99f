//! The virtual environments in which Python programs of the demo, the tests and the bench run: under `target/venv`, one
//! for each file of `requirements/` and from that file alone, so that no other's packages stand in for one it lacks.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result};

use crate::exec::exec;

/// The virtual environment of `requirements/NAME.txt`; its folder. Nothing is asked of the network when it is there.
pub fn with(name: &str) -> Result<PathBuf> {
    let requirements = Path::new("requirements").join(name).with_extension("txt");
    let wanted = fs::read_to_string(&requirements)
        .with_context(|| format!("failed to read {}", requirements.display()))?;
    let root = env::current_dir().context("failed to find the current folder")?;
    let venv = root.join("target/venv").join(name);
    let python = venv.join("bin/python");
    // What was installed with success: an environment that was left half-made has none.
    let installed = venv.join("installed.txt");
    if fs::read_to_string(&installed).is_ok_and(|installed| installed == wanted) && runs(&python) {
        return Ok(venv);
    }
    exec(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&venv))?;
    let pip = ["-m", "pip", "--disable-pip-version-check"];
    // The file names all that is needed: nothing is resolved here, so two machines get the same.
    let install = ["install", "--quiet", "--no-deps", "--requirement"];
    exec(Command::new(&python).args(pip).args(install).arg(&requirements))?;
    exec(Command::new(&python).args(pip).arg("check"))?;
    fs::write(&installed, wanted).with_context(|| format!("failed to write {}", installed.display()))?;
    Ok(venv)
}

/// Whether there is an interpreter that starts: the one that it links to may have been removed.
fn runs(python: &Path) -> bool {
    let version = Command::new(python).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    version.is_ok_and(|status| status.success())
}
