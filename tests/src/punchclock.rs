//! The command under test.

use std::{
    env,
    fs::{self, Permissions},
    os::unix::{
        fs::{PermissionsExt, chown},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;

/// The user and the group of that name, on Debian.
pub const NOBODY: u32 = 65534;

/// `punchclock` with these arguments. The binary is the one that `cargo xtask test` built and names.
#[must_use]
pub fn punchclock(arguments: &[&str]) -> Command {
    let mut command = Command::new(binary());
    command.args(arguments).stdin(Stdio::null());
    by_root(&mut command);
    command
}

/// Has it know of no user: these tests may themselves be run through sudo.
fn by_root(command: &mut Command) {
    for name in ["SUDO_UID", "SUDO_GID", "SUDO_USER"] {
        command.env_remove(name);
    }
}

/// Where the command under test is.
pub fn binary() -> PathBuf {
    let built = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/release/punchclock");
    env::var_os("PUNCHCLOCK").map_or_else(built, PathBuf::from)
}

/// `punchclock` with these arguments as another program runs it: `launcher`'s words come first.
#[must_use]
pub fn under(launcher: &[&str], arguments: &[&str]) -> Command {
    let (program, words) = launcher.split_first().expect("a program");
    let mut command = Command::new(program);
    command.args(words).arg(binary()).args(arguments).stdin(Stdio::null());
    by_root(&mut command);
    command
}

/// A copy of the command in a folder that everybody may enter and leave files in, and that belongs to nobody.
#[derive(Debug)]
pub struct Unprivileged(TempDir);

impl Unprivileged {
    /// Makes the copy.
    #[must_use]
    pub fn copy() -> Self {
        let folder = tempfile::tempdir().expect("there is room for a folder");
        fs::copy(binary(), folder.path().join("punchclock")).expect("punchclock is built: cargo xtask test");
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).expect("it is ours");
        chown(folder.path(), Some(NOBODY), Some(NOBODY)).expect("these tests run as root");
        Self(folder)
    }

    /// Where it is.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.0.path()
    }

    /// Runs it there as the user `nobody`.
    #[must_use]
    pub fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(self.folder().join("punchclock"));
        command.args(arguments).current_dir(self.folder()).stdin(Stdio::null()).uid(NOBODY).gid(NOBODY);
        command.output().expect("it can be started")
    }
}

/// What a run that failed says: one sentence, and what helps. Nothing goes to standard output.
#[must_use]
pub fn refusal(output: &Output, exit_code: i32) -> (String, Option<String>) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(exit_code), "{stderr}");
    assert!(output.stdout.is_empty(), "{}", String::from_utf8_lossy(&output.stdout));
    let mut lines = stderr.lines();
    let sentence = lines.next().and_then(|line| line.strip_prefix("punchclock: ")).expect("a sentence");
    let help = lines.next().map(|line| line.strip_prefix("  help: ").expect("what helps").to_owned());
    assert_eq!(lines.next(), None, "{stderr}");
    (sentence.to_owned(), help)
}

/// Runs it to its end.
#[must_use]
pub fn run(arguments: &[&str]) -> Output {
    punchclock(arguments).output().expect("punchclock is built: cargo xtask test")
}

/// Runs it to its end, which must be a good one, and reads its JSON.
#[must_use]
pub fn json(arguments: &[&str]) -> Value {
    parse(&run(arguments))
}

/// The JSON of a run that must have ended well.
#[must_use]
pub fn parse(output: &Output) -> Value {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "punchclock failed: {stderr}");
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("not JSON: {error}; stderr: {stderr}"))
}

/// All workers of a document of `stat --json`, over its fleets.
#[must_use]
pub fn workers(document: &Value) -> Vec<&Value> {
    let fleets = document["fleets"].as_array().expect("fleets").iter();
    fleets.flat_map(|fleet| fleet["workers"].as_array().expect("workers")).collect()
}

/// The worker with a PID.
#[must_use]
pub fn worker(document: &Value, tgid: u32) -> &Value {
    let found = workers(document).into_iter().find(|worker| worker["tgid"] == tgid);
    found.unwrap_or_else(|| panic!("no worker {tgid} in {document:#}"))
}

/// A counter of a worker or a thread.
#[must_use]
pub fn counter(of: &Value, name: &str) -> u64 {
    of[name].as_u64().unwrap_or_else(|| panic!("no number {name} in {of:#}"))
}
