//! A user without rights, who may run what he likes beside punchclock.

use std::{
    fs,
    os::unix::{
        fs::{PermissionsExt as _, chown},
        process::CommandExt as _,
    },
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

use crate::{punchclock::NOBODY, workload::Workload, workloads};

/// The user's folder. What runs in it has the lowest priority, lest the tests take as long as it likes.
#[derive(Debug)]
pub struct Mallory {
    folder: TempDir,
}

impl Mallory {
    /// Makes the folder, with a copy of the workloads, which may lie where the user cannot look.
    #[must_use]
    pub fn with_workloads() -> Self {
        let folder = tempfile::tempdir().expect("there is room for a folder");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("it is ours");
        chown(folder.path(), Some(NOBODY), Some(NOBODY)).expect("these tests run as root");
        let scripts = fs::read_dir(workloads()).expect("they are there").flatten();
        for script in scripts.filter(|file| file.path().extension().is_some_and(|end| end == "py")) {
            fs::copy(script.path(), folder.path().join(script.file_name()))
                .expect("there is room for a file");
        }
        Self { folder }
    }

    /// Where it is.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Compiles a C program of `workloads/`.
    #[must_use]
    pub fn compile(&self, source: &str, name: &str, arguments: &[&str]) -> PathBuf {
        let program = self.folder().join(name);
        let mut compiler = Command::new("cc");
        compiler.args(["-O1", "-w", "-o"]).arg(&program).arg(workloads().join(source)).args(arguments);
        let output = compiler.output().expect("there is a compiler");
        assert!(output.status.success(), "{compiler:?}: {}", String::from_utf8_lossy(&output.stderr));
        program
    }

    /// Runs a program, and waits until it is ready.
    #[must_use]
    pub fn run(&self, program: &Path, arguments: &[&str]) -> Workload {
        let mut command = Command::new("nice");
        command.args(["-n", "19"]).arg(program).args(arguments);
        command.current_dir(self.folder()).uid(NOBODY).gid(NOBODY);
        Workload::start(command)
    }

    /// Runs a Python program of `workloads/` with Debian's Python, the only one that every user may run.
    #[must_use]
    pub fn python(&self, script: &str, arguments: &[&str]) -> Workload {
        self.run(Path::new("/usr/bin/python3"), &[&[script], arguments].concat())
    }
}
