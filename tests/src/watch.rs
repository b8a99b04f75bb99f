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
        Self::at_intervals("0.1", &[&["-p", pid], options].concat())
    }

    /// Starts watching what arguments ask for, at intervals of so many seconds.
    #[must_use]
    pub fn at_intervals(seconds: &str, arguments: &[&str]) -> Self {
        let mut command = punchclock(&["stat", "--json", "-d", "86400", "-i", seconds]);
        command.args(arguments);
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
            if holds(&self.next()) {
                return;
            }
            assert!(Instant::now() < deadline, "waited in vain for {what}");
        }
    }

    /// Its PID.
    #[must_use]
    pub fn tgid(&self) -> u32 {
        self.child.id()
    }

    /// What happened in the next interval.
    #[must_use]
    pub fn next(&self) -> Value {
        let line = self.line().expect("punchclock stat goes on");
        serde_json::from_str(&line).expect("each line is JSON")
    }

    /// Ends the window now; what happened in all of it.
    #[must_use]
    pub fn end(self) -> Value {
        self.end_with(|_| {})
    }

    /// Ends the window now; what happened in all of it. `see` is shown the intervals that were not asked for.
    #[must_use]
    pub fn end_with(mut self, mut see: impl FnMut(&Value)) -> Value {
        signal(self.child.id(), libc::SIGINT);
        let mut last: Option<Value> = None;
        while let Some(line) = self.line() {
            last.iter().for_each(&mut see);
            last = Some(serde_json::from_str(&line).expect("each line is JSON"));
        }
        let status = self.child.wait().expect("it is our child");
        assert!(status.success(), "punchclock stat failed: {status}");
        last.expect("it speaks")
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
