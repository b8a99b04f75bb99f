//! Runs punchclock, each time bounded: what it says goes to files, so it never waits for a reader.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use crate::sys;

/// More than any run takes under emulation on a busy machine.
const LIMIT: Duration = Duration::from_secs(180);

/// Waits until something holds.
pub fn wait_for(what: &str, mut holds: impl FnMut() -> Result<bool>) -> Result<()> {
    let deadline = Instant::now() + LIMIT;
    while !holds()? {
        ensure!(Instant::now() < deadline, "waited in vain for {what}");
        // Asking all the time would take the CPU from those who are waited for.
        thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

/// The command that is tried.
pub struct Punchclock {
    program: PathBuf,
    folder: PathBuf,
}

impl Punchclock {
    /// The command at this path.
    pub fn new(program: PathBuf) -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("punchclock-guest.{}", std::process::id()));
        fs::create_dir_all(&folder).with_context(|| format!("failed to make {}", folder.display()))?;
        Ok(Self { program, folder })
    }

    /// A file that a run may write and this program read.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Starts it.
    pub fn start(&self, arguments: &[&str]) -> Result<Running> {
        let (stdout, stderr) = (self.file("stdout"), self.file("stderr"));
        let make =
            |path: &Path| File::create(path).with_context(|| format!("failed to make {}", path.display()));
        let mut command = Command::new(&self.program);
        command.args(arguments).current_dir(&self.folder).stdin(Stdio::null());
        let child = command.stdout(make(&stdout)?).stderr(make(&stderr)?).spawn();
        let child = child.with_context(|| format!("failed to start {}", self.program.display()))?;
        Ok(Running { child, stdout, stderr, line: format!("punchclock {}", arguments.join(" ")) })
    }

    /// Runs it to its end.
    pub fn run(&self, arguments: &[&str]) -> Result<Ended> {
        self.start(arguments)?.wait()
    }

    /// Runs it to its end, which must be a good one; the JSON that it printed.
    pub fn json(&self, arguments: &[&str]) -> Result<Value> {
        self.run(arguments)?.well()?.json()
    }
}

impl Drop for Punchclock {
    fn drop(&mut self) {
        // A folder of temporary files: what is left of it harms nobody.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// A run that goes on.
pub struct Running {
    child: Child,
    stdout: PathBuf,
    stderr: PathBuf,
    line: String,
}

impl Running {
    /// Its PID.
    pub fn tgid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until something holds, or it has ended, which is an error.
    pub fn wait_until(&mut self, what: &str, mut holds: impl FnMut(&Self) -> Result<bool>) -> Result<()> {
        wait_for(what, || {
            if self.child.try_wait().context("failed to wait")?.is_some() {
                bail!("it ended at once: {}", self.ended()?.sentence());
            }
            holds(self)
        })
    }

    /// What it has printed so far.
    pub fn said(&self) -> Result<String> {
        fs::read_to_string(&self.stdout).context("failed to read what it printed")
    }

    /// Ends its window, as Ctrl-C does, and waits for its end.
    pub fn interrupt(self) -> Result<Ended> {
        sys::signal(self.child.id(), libc::SIGINT);
        self.wait()
    }

    /// Waits for its end.
    pub fn wait(mut self) -> Result<Ended> {
        let child = &mut self.child;
        wait_for("its end", || Ok(child.try_wait().context("failed to wait")?.is_some()))
            .with_context(|| format!("`{}` does not end", self.line))?;
        self.ended()
    }

    fn ended(&mut self) -> Result<Ended> {
        Ok(Ended {
            status: self.child.wait().context("failed to wait")?,
            stdout: self.said()?,
            stderr: fs::read_to_string(&self.stderr).context("failed to read what it said")?,
            line: self.line.clone(),
        })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Gone already, unless something failed before.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A run that has ended.
pub struct Ended {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
    line: String,
}

impl Ended {
    /// How it ended, in one line that is not too long.
    pub fn sentence(&self) -> String {
        let said: String = self.stderr.trim().chars().take(600).collect();
        format!("`{}` ended with {} and said: {}", self.line, self.status, said.replace('\n', " / "))
    }

    /// Itself, if it ended well.
    pub fn well(self) -> Result<Self> {
        ensure!(self.status.success(), "{}", self.sentence());
        Ok(self)
    }

    /// The last line that it printed, or all of it if that is one document.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.stdout)
            .or_else(|_| serde_json::from_str(self.stdout.trim().lines().last().unwrap_or_default()))
            .with_context(|| format!("`{}` printed no JSON", self.line))
    }
}
