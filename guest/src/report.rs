//! What was found: a line of JSON for each check, as it ends.

use std::{
    fs::{self, File},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    time::Instant,
};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Map, Value, json};

/// Begins each line, so that it is told from what a kernel writes on the same console.
const MARK: &str = "punchclock-guest: ";

/// The numbers behind a check, by name.
#[derive(Default)]
pub struct Numbers(Map<String, Value>);

impl Numbers {
    /// Keeps one.
    pub fn set(&mut self, name: &str, value: impl Into<Value>) {
        self.0.insert(name.to_owned(), value.into());
    }
}

/// The lines of one run.
pub struct Report {
    kernel_log: File,
    checks: usize,
}

impl Report {
    /// Says which kernel this is.
    pub fn new() -> Result<Self> {
        let log = File::options().read(true).custom_flags(libc::O_NONBLOCK).open("/dev/kmsg");
        let mut kernel_log = log.context("failed to open the kernel's log")?;
        // What it wrote before is not about us.
        kernel_log.seek(SeekFrom::End(0)).context("failed to find the end of the kernel's log")?;
        let release =
            fs::read_to_string("/proc/sys/kernel/osrelease").context("failed to ask for the kernel")?;
        line(&json!({ "kernel": release.trim() }))?;
        Ok(Self { kernel_log, checks: 0 })
    }

    /// Runs a check and says what came of it; what it returned, if it passed.
    pub fn check<T>(&mut self, name: &str, check: impl FnOnce(&mut Numbers) -> Result<T>) -> Option<T> {
        self.checks += 1;
        let (began, mut numbers) = (Instant::now(), Numbers::default());
        let found = check(&mut numbers);
        let why = found.as_ref().err().map(|error| format!("{error:#}"));
        let seconds = began.elapsed().as_secs_f64();
        let said = line(&json!({
            "check": name, "ok": found.is_ok(), "numbers": numbers.0, "why": why, "seconds": seconds,
        }));
        // Without a console there is nobody to tell; the number of lines in the end shows it.
        said.ok().and(found.ok())
    }

    /// The last check, and the line that says how many there were.
    pub fn end(mut self) -> Result<()> {
        let complaints = self.complaints();
        self.check("complaints", |numbers| {
            let complaints = complaints?;
            numbers.set("lines", complaints.len());
            ensure!(complaints.is_empty(), "the kernel's log has: {}", complaints.join(" | "));
            Ok(())
        });
        line(&json!({ "checks": self.checks }))
    }

    /// What the kernel has logged since, of bugs and warnings.
    fn complaints(&mut self) -> Result<Vec<String>> {
        let mut complaints = Vec::new();
        let mut record = [0; 8192];
        loop {
            match self.kernel_log.read(&mut record) {
                Ok(length) => {
                    let text = String::from_utf8_lossy(&record[..length]).into_owned();
                    let words = ["BUG", "WARNING", "Call Trace"];
                    if words.iter().any(|word| text.contains(word)) {
                        complaints.push(text.trim().to_owned());
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(complaints),
                // Records were dropped before they were read; the next read goes on behind them.
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                    complaints.push("more than it has room for".to_owned());
                }
                Err(error) => return Err(error).context("failed to read the kernel's log"),
            }
        }
    }
}

/// Writes a line at once, lest the kernel's own come between.
fn line(value: &Value) -> Result<()> {
    let line = format!("{MARK}{value}\n");
    io::stdout().write_all(line.as_bytes()).and_then(|()| io::stdout().flush()).context("failed to speak")
}
