//! `punchclock stat` over a window whose edges the test chooses.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{punchclock::punchclock, workload::signal};

/// A `stat` at work.
pub struct Watch {
    child: Child,
    /// What it prints, read as soon as it does: whoever writes to a full pipe waits.
    lines: Receiver<String>,
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
        Self::at_intervals("0.1", pid, options)
    }

    /// Starts watching a process, at intervals of so many seconds.
    #[must_use]
    pub fn at_intervals(seconds: &str, pid: &str, options: &[&str]) -> Self {
        let mut command = punchclock(&["stat", "--json", "-d", "300", "-i", seconds, "-p", pid]);
        command.args(options);
        let mut child =
            command.stdout(Stdio::piped()).spawn().expect("punchclock is built: cargo xtask test");
        let stdout = BufReader::new(child.stdout.take().expect("it is piped"));
        let (told, lines) = mpsc::channel();
        thread::spawn(move || {
            let lines = stdout.lines().map(|line| line.expect("it speaks UTF-8"));
            // Nobody listens once the window is over.
            lines.for_each(|line| drop(told.send(line)));
        });
        let watch = Self { child, lines };
        // The first interval is over, so the window has begun.
        assert!(watch.line().is_some(), "punchclock stat ended at once");
        watch
    }

    /// Waits for an interval that shows something.
    pub fn wait_for(&self, what: &str, holds: impl Fn(&Value) -> bool) {
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

    fn line(&self) -> Option<String> {
        self.lines.recv().ok()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // Gone already, unless the test failed before the window's end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
