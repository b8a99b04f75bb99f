//! `punchclock stat` over a window whose edges the test chooses.

use std::{
    io::{BufRead, BufReader},
    process::{Child, ChildStdout, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{punchclock::punchclock, workload::signal};

/// A `stat` at work.
pub struct Watch {
    child: Child,
    stdout: BufReader<ChildStdout>,
}

impl Watch {
    /// Starts watching a process; on return the window has begun.
    #[must_use]
    pub fn start(pid: &str) -> Self {
        Self::with(pid, &[])
    }

    /// Starts watching a process with more options.
    #[must_use]
    pub fn with(pid: &str, options: &[&str]) -> Self {
        let mut command = punchclock(&["stat", "--json", "-d", "300", "-i", "0.1", "-p", pid]);
        command.args(options);
        let mut child =
            command.stdout(Stdio::piped()).spawn().expect("punchclock is built: cargo xtask test");
        let stdout = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut watch = Self { child, stdout };
        // The first interval is over, so the window has begun.
        assert!(watch.line().is_some(), "punchclock stat ended at once");
        watch
    }

    /// Waits for an interval that shows something.
    pub fn wait_for(&mut self, what: &str, holds: impl Fn(&Value) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(120);
        loop {
            let line = self.line().expect("punchclock stat goes on");
            if holds(&serde_json::from_str(&line).expect("each line is JSON")) {
                return;
            }
            assert!(Instant::now() < deadline, "waited in vain for {what}");
        }
    }

    /// Ends the window now; what happened in all of it.
    #[must_use]
    pub fn end(mut self) -> Value {
        signal(self.child.id(), libc::SIGINT);
        let mut last = None;
        while let Some(line) = self.line() {
            last = Some(line);
        }
        let status = self.child.wait().expect("it is our child");
        assert!(status.success(), "punchclock stat failed: {status}");
        serde_json::from_str(&last.expect("it speaks")).expect("each line is JSON")
    }

    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        (self.stdout.read_line(&mut line).expect("it speaks UTF-8") != 0).then_some(line)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // Gone already, unless the test failed before the window's end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
