//! What the bench starts: tools that run as root, settings of the kernel, and the processes they are tried on.
//!
//! All of it ends with us, even if we are killed: root's side waits for its standard input to end, which needs no
//! signal that an ordinary user could not send, and for the rest the kernel is asked to see to it.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Child, ChildStdout, Command, ExitStatus, Stdio},
};

use anyhow::{Context as _, Result, ensure};

use crate::exec::as_root;

/// Runs a tool until standard input ends. It gets the default signals, and the guard ignores them.
const TOOL: &str = r#"
out=$1; shift
"$@" </dev/null >"$out" 2>"$out.err" &
trap '' HUP INT TERM
exec 2>/dev/null
echo $!
read -r _
kill $!
wait $!
"#;

/// Runs a target that forks on CPU 1 until standard input ends, in a process group of its own, by which it ends whole.
const GROUP: &str = r#"
out=$1; shift
rm -f "$out"
setsid taskset --cpu-list 1 "$@" </dev/null >"$out" 2>"$out.err" &
trap '' HUP INT TERM PIPE
exec 2>/dev/null
echo $!
read -r _
kill -s KILL -- -$! || kill -s KILL $!
wait $!
"#;

/// Lets the kernel count the run time of BPF programs, which is not free.
const STATISTICS: &str = r#"
set -e
trap '' HUP INT TERM
switch=/proc/sys/kernel/bpf_stats_enabled
before=$(cat $switch)
echo 1 >$switch
echo on
read -r _ || :
echo "$before" >$switch
"#;

/// bpftrace reads the formats of tracepoints there.
const TRACEFS: &str = r#"
set -e
trap '' HUP INT TERM
folder=/sys/kernel/tracing
grep -q " $folder tracefs " /proc/mounts || { mount -t tracefs tracefs $folder; ours=yes; }
echo mounted
read -r _ || :
[ -z "$ours" ] || umount $folder
"#;

/// A process that ends once its standard input does, as it does when this is dropped.
pub struct Held {
    child: Child,
    said: String,
}

impl Held {
    /// Starts `command` and waits for its first line, by which it says that all is set.
    pub fn start(command: &mut Command) -> Result<Self> {
        let (child, mut stdout) = piped(command)?;
        let mut held = Self { child, said: String::new() };
        stdout.read_line(&mut held.said).context("failed to read a first line")?;
        ensure!(!held.said.is_empty(), "failed to hear from {command:?}");
        Ok(held)
    }

    /// Starts a tool as root, its output in `out` and, beside it, `out.err`. It is told to end by SIGTERM.
    pub fn tool(tool: &Command, out: &Path) -> Result<Self> {
        let mut guard = as_root("sh");
        guard.args(["-c", TOOL, "sh"]).arg(out).arg(tool.get_program()).args(tool.get_args());
        Self::start(&mut guard)
    }

    /// Starts a target whose children must end with it, which nothing does when only itself is killed: on CPU 1, as the
    /// user that we are, its output in `out` and, beside it, `out.err`.
    pub fn group(words: &[&str], out: &Path) -> Result<Self> {
        Self::start(Command::new("sh").args(["-c", GROUP, "sh"]).arg(out).args(words))
    }

    /// Has the kernel count the run time of BPF programs for as long as this lives.
    pub fn statistics() -> Result<Self> {
        Self::start(as_root("sh").args(["-c", STATISTICS])).context("failed to enable BPF statistics")
    }

    /// Has tracefs mounted for as long as this lives.
    pub fn tracefs() -> Result<Self> {
        Self::start(as_root("sh").args(["-c", TRACEFS])).context("failed to mount tracefs")
    }

    /// The tool's process, not that of its guard.
    pub fn pid(&self) -> Result<u32> {
        self.said.trim().parse().with_context(|| format!("failed to find a PID in {:?}", self.said))
    }

    /// Tells it to end, and does not wait.
    pub fn let_go(&mut self) {
        drop(self.child.stdin.take());
    }

    /// Tells it to end, and waits.
    pub fn end(mut self) -> Result<ExitStatus> {
        self.child.wait().context("failed to wait for a tool")
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // `wait` closes its standard input first.
        let _ = self.child.wait();
    }
}

/// A process to be measured. It runs on CPU 1 as the user that we are, in a process group of its own, which is killed
/// when this is dropped.
pub struct Target {
    child: Child,
    stdout: BufReader<ChildStdout>,
}

impl Target {
    pub fn start(words: &[&str]) -> Result<Self> {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "taskset", "--cpu-list", "1"]).args(words);
        let (child, stdout) = piped(command.process_group(0))?;
        Ok(Self { child, stdout })
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Writes an empty line, which it takes as its cue.
    pub fn cue(&mut self) -> Result<()> {
        let stdin = self.child.stdin.as_mut().context("failed to keep a pipe to a target")?;
        stdin.write_all(b"\n").context("failed to give a target its cue")
    }

    /// Waits for its next line.
    pub fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        self.stdout.read_line(&mut line).context("failed to read what a target says")?;
        Ok(line.trim_end().to_owned())
    }

    /// Stops it, as SIGSTOP does.
    pub fn stop(&self) -> Result<()> {
        self.signal("STOP")
    }

    /// Sends its process group a signal, which std cannot.
    fn signal(&self, signal: &str) -> Result<()> {
        let kill = ["-c", "kill -s $0 -- -$1", signal, &self.pid().to_string()];
        let status = Command::new("sh").args(kill).status().context("failed to start sh")?;
        ensure!(status.success(), "failed to send a target SIG{signal}");
        Ok(())
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        // It may have ended by itself, and its group with it.
        let _ = self.signal("KILL");
        let _ = self.child.wait();
    }
}

fn piped(command: &mut Command) -> Result<(Child, BufReader<ChildStdout>)> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("failed to start {command:?}"))?;
    let stdout = child.stdout.take().context("failed to keep a pipe from a child")?;
    Ok((child, BufReader::new(stdout)))
}
