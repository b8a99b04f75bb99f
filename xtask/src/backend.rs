//! The slow backend that one of the demo's routes waits for: `tests/workloads/slow_backend.py`.

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

use anyhow::{Context as _, Result};

/// Seconds that it takes for an answer.
const SECONDS: &str = "0.05";

/// A backend at work; it ends with its standard input, so when this is dropped, or we are gone.
pub struct Backend {
    child: Child,
    address: String,
}

impl Backend {
    /// Starts it with the Python of a virtual environment, and waits until it listens.
    pub fn start(venv: &Path) -> Result<Self> {
        let mut command = Command::new(venv.join("bin/python"));
        command.args(["tests/workloads/slow_backend.py", SECONDS]);
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = child.context("failed to start the backend")?;
        let mut line = String::new();
        let output = child.stdout.take().context("failed to listen to the backend")?;
        BufReader::new(output).read_line(&mut line).context("failed to listen to the backend")?;
        let port = line.trim().strip_prefix("ready ").context("failed to hear that the backend is ready")?;
        let address = format!("127.0.0.1:{port}");
        Ok(Self { child, address })
    }

    /// Where it listens.
    pub fn address(&self) -> &str {
        &self.address
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        // It has nothing left to say, whether it ends well or not.
        let _ = self.child.wait();
    }
}
