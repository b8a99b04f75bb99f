//! The CPythons to test against: this machine's, and those that `cargo xtask pythons` unpacked, which run with their own
//! folder as the root.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{cannot_run, workload::Workload, workloads};

/// An interpreter to test against.
#[derive(Clone, Debug)]
pub struct Interpreter {
    /// 11 for 3.11.
    pub minor: u32,
    /// The executable, as it is seen from its root.
    pub path: PathBuf,
    /// What it needs to be the root folder; absent for one of this machine.
    pub root: Option<PathBuf>,
}

/// The minor versions that are supported.
pub const SUPPORTED: std::ops::RangeInclusive<u32> = 6..=15;

/// Runs a program with a folder as the root, in a mount namespace of its own that has /proc and /dev there: like a container. Each
/// step becomes the next.
pub const IN_ROOT: &str =
    r#"mount -t proc proc "$0/proc" && mount --rbind /dev "$0/dev" && exec chroot "$0" "$@""#;

/// Where an unpacked interpreter sees the workloads.
const WORKLOADS: &str = "/workloads";

impl Interpreter {
    /// False for a build without the GIL.
    #[must_use]
    pub fn has_gil(&self) -> bool {
        !self.path.to_string_lossy().ends_with('t')
    }

    /// Starts a program of `workloads/`, and waits until it is ready.
    #[must_use]
    pub fn start(&self, script: &str, arguments: &[&str]) -> Workload {
        let mut command = self.command();
        command.arg(self.workloads().join(script)).args(arguments);
        Workload::start(command)
    }

    /// Its command line, to which arguments can be added. It becomes the interpreter itself: its PID is the child's.
    #[must_use]
    pub fn command(&self) -> Command {
        let Some(root) = &self.root else { return Command::new(&self.path) };
        for folder in ["proc", "dev"] {
            fs::create_dir_all(root.join(folder)).expect("there is room for a folder");
        }
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", IN_ROOT]).arg(root).arg(&self.path);
        // There are no locales.
        command.env("LC_ALL", "C");
        command
    }

    /// Where it sees the workloads.
    #[must_use]
    pub fn workloads(&self) -> PathBuf {
        let Some(root) = &self.root else { return workloads() };
        let inside = root.join(WORKLOADS.trim_start_matches('/'));
        fs::create_dir_all(&inside).expect("there is room for a folder");
        let files = fs::read_dir(workloads()).expect("they are there").flatten();
        for file in files.filter(|file| file.path().is_file()) {
            let copied = fs::copy(file.path(), inside.join(file.file_name()));
            copied.unwrap_or_else(|error| panic!("{}: {error}", file.path().display()));
        }
        PathBuf::from(WORKLOADS)
    }
}

/// Every interpreter of a supported version: this machine's, those that were unpacked, the one that was built, and Debian's
/// own, which is static and stripped. A version that is not there is named, and fails in CI.
#[must_use]
pub fn supported() -> Vec<Interpreter> {
    // First: it yields thousands of times while it starts, which takes its time once the others are busy.
    let mut found: Vec<_> = without_gil().into_iter().collect();
    for minor in SUPPORTED {
        let (here, unpacked) = (of_minor(minor), unpacked(minor));
        if here.is_none() && unpacked.is_none() {
            cannot_run(&format!("there is no Python 3.{minor}: cargo xtask pythons"));
        }
        found.extend(here);
        found.extend(unpacked);
    }
    found.extend(debian());
    found
}

/// The interpreter without the GIL; says so if there is none.
#[must_use]
pub fn without_gil() -> Option<Interpreter> {
    let path = pythons().join("3.13t/bin/python3.13t");
    if !path.exists() {
        cannot_run("there is no Python 3.13t: cargo xtask pythons");
        return None;
    }
    Some(Interpreter { minor: 13, path, root: None })
}

/// Those from a minor version on: for programs that need its library.
#[must_use]
pub fn since(minor: u32) -> Vec<Interpreter> {
    supported().into_iter().filter(|interpreter| interpreter.minor >= minor).collect()
}

/// Debian's interpreter; says so if there is none.
#[must_use]
pub fn debian() -> Option<Interpreter> {
    let path = fs::canonicalize("/usr/bin/python3").ok();
    let found = path.and_then(|path| Some(Interpreter { minor: minor_of(&path)?, path, root: None }));
    if found.is_none() {
        cannot_run("there is no /usr/bin/python3");
    }
    found
}

/// A copy of Debian's interpreter whose name says that it is a debug build, which is not supported, in a folder.
#[must_use]
pub fn unsupported(folder: &Path) -> Option<Interpreter> {
    let debian = debian()?;
    let path = folder.join(format!("python3.{}d", debian.minor));
    fs::copy(&debian.path, &path).expect("there is room for an interpreter");
    Some(Interpreter { path, ..debian })
}

/// `PyPy`; says so if there is none.
#[must_use]
pub fn pypy() -> Option<Interpreter> {
    let root = pythons().join("pypy");
    if !root.exists() {
        cannot_run("there is no PyPy: cargo xtask pythons");
        return None;
    }
    Some(Interpreter { minor: 11, path: PathBuf::from("/usr/bin/pypy3"), root: Some(root) })
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

/// This machine's interpreter of a minor version: pyenv's, or one on the path.
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
    built.chain(installed).find(real).map(|path| Interpreter { minor, path, root: None })
}

/// The unpacked interpreter of a minor version.
#[must_use]
pub fn unpacked(minor: u32) -> Option<Interpreter> {
    let root = pythons().join(format!("3.{minor}"));
    let path = PathBuf::from(format!("/usr/bin/python3.{minor}"));
    root.join(path.strip_prefix("/").ok()?).is_file().then_some(Interpreter { minor, path, root: Some(root) })
}

/// Where `cargo xtask pythons` unpacks.
#[must_use]
pub fn pythons() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/pythons")
}

fn home() -> Option<PathBuf> {
    env::var_os("HOME").map(PathBuf::from).or_else(|| Some(PathBuf::from("/root")))
}

fn minor_of(path: &Path) -> Option<u32> {
    path.file_name()?.to_str()?.strip_prefix("python3.")?.parse().ok()
}
