//! Packs a binary with its licences, by `tar` and `dpkg-deb`, so that the same files make the same package: sorted,
//! root's, of one time, with modes that do not depend on the umask.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use super::Machine;
use crate::exec::exec;

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What goes with the binary.
const PAPERS: [&str; 5] = ["LICENSE-APACHE", "LICENSE-GPL2", "LICENSE-MIT", "NOTICE", "README.md"];

/// A `.tar.gz` with one folder: the binary and what goes with it.
pub fn archive(folder: &Path, machine: Machine, binary: &Path, time: &str) -> Result<PathBuf> {
    let name = format!("punchclock-{VERSION}-{machine}");
    let stage = Stage::new(folder, &name)?;
    stage.put(binary, "punchclock")?;
    for paper in PAPERS {
        stage.put(Path::new(paper), paper)?;
    }
    stage.finish()?;
    let archive = folder.join(format!("{name}.tar.gz"));
    let same = [
        "--format=ustar",
        "--sort=name",
        "--owner=root:0",
        "--group=root:0",
        "--use-compress-program=gzip -9n",
    ];
    let mut tar = Command::new("tar");
    tar.args(same).arg(format!("--mtime=@{time}")).arg("--directory").arg(folder);
    exec(tar.arg("--create").arg("--file").arg(&archive).arg(&name))?;
    stage.remove()?;
    Ok(archive)
}

/// A `.deb` that depends on nothing and runs nothing when it is installed.
pub fn debian(folder: &Path, machine: Machine, binary: &Path, time: &str) -> Result<PathBuf> {
    let architecture = machine.debian();
    let name = format!("punchclock_{VERSION}_{architecture}");
    let stage = Stage::new(folder, &name)?;
    stage.put(binary, "usr/bin/punchclock")?;
    for paper in PAPERS {
        // Debian's name of the file that says what the licences are.
        let to = if paper == "NOTICE" { "copyright" } else { paper };
        stage.put(Path::new(paper), &format!("usr/share/doc/punchclock/{to}"))?;
    }
    let control = format!(
        "Package: punchclock\nVersion: {VERSION}\nArchitecture: {architecture}\n\
         Maintainer: the punchclock authors\nSection: utils\nPriority: optional\n\
         Description: clocks every Python worker on and off the CPU\n \
         An eBPF profiler for fleets of Python workers: exact CPU time, waits and\n \
         context switches of each worker, and where its time goes.\n"
    );
    stage.write("DEBIAN/control", &control)?;
    stage.finish()?;
    let package = folder.join(format!("{name}.deb"));
    let mut build = Command::new("dpkg-deb");
    build.env("SOURCE_DATE_EPOCH", time).args(["--root-owner-group", "-Zgzip", "--build"]);
    exec(build.arg(&stage.0).arg(&package))?;
    stage.remove()?;
    Ok(package)
}

/// A folder that is packed, and gone afterwards.
struct Stage(PathBuf);

impl Stage {
    fn new(folder: &Path, name: &str) -> Result<Self> {
        let stage = Self(folder.join(name));
        if stage.0.exists() {
            stage.remove()?;
        }
        Ok(stage)
    }

    fn put(&self, from: &Path, to: &str) -> Result<()> {
        let to = self.place(to)?;
        fs::copy(from, &to)
            .with_context(|| format!("failed to copy {} to {}", from.display(), to.display()))?;
        Ok(())
    }

    fn write(&self, to: &str, content: &str) -> Result<()> {
        let to = self.place(to)?;
        fs::write(&to, content).with_context(|| format!("failed to write {}", to.display()))
    }

    /// The path of a file in it, whose folder is there.
    fn place(&self, name: &str) -> Result<PathBuf> {
        let file = self.0.join(name);
        let folder = file.parent().context("failed to find the folder of a file")?;
        fs::create_dir_all(folder).with_context(|| format!("failed to make {}", folder.display()))?;
        Ok(file)
    }

    /// Everybody may read it, and run what is a program.
    fn finish(&self) -> Result<()> {
        exec(Command::new("chmod").args(["--recursive", "a=rX,u+w"]).arg(&self.0))
    }

    fn remove(&self) -> Result<()> {
        fs::remove_dir_all(&self.0).with_context(|| format!("failed to remove {}", self.0.display()))
    }
}
