//! Running other programs: say the command line, run it, and let the error be that line.

use std::{
    env,
    ffi::OsStr,
    fs,
    os::unix::fs::MetadataExt as _,
    path::PathBuf,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};

/// Runs `command` with our input and output; any end but success is an error.
pub fn exec(command: &mut Command) -> Result<()> {
    let line = line(command);
    eprintln!("+ {line}");
    let status = command.status().with_context(|| format!("failed to start `{line}`"))?;
    ensure!(status.success(), "failed to run `{line}` ({status})");
    Ok(())
}

/// Runs `command` and returns what it wrote to stdout; stderr stays visible.
pub fn read(command: &mut Command) -> Result<String> {
    let line = line(command);
    let output =
        command.stderr(Stdio::inherit()).output().with_context(|| format!("failed to start `{line}`"))?;
    ensure!(output.status.success(), "failed to run `{line}` ({})", output.status);
    String::from_utf8(output.stdout).with_context(|| format!("failed to read the output of `{line}`"))
}

/// `program`, through sudo unless we are root already: nothing else is ever run as another user.
pub fn as_root(program: impl AsRef<OsStr>) -> Command {
    // The owner of /proc/self is our effective user: std has no geteuid.
    if fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0) {
        return Command::new(program);
    }
    let mut sudo = Command::new("sudo");
    sudo.arg(program);
    sudo
}

/// The path of `program`: on PATH, or where system tools live that an ordinary user's PATH leaves out.
pub fn which(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

pub fn line(command: &Command) -> String {
    let words = [command.get_program()].into_iter().chain(command.get_args());
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}
