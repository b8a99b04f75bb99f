//! `punchclock record` over a window that the test ends, or the target by its own end.

use std::{
    fs,
    path::PathBuf,
    process::{Child, Output, Stdio},
    rc::Rc,
    thread,
};

use tempfile::TempDir;

use crate::{
    attached::Attached,
    books::Books,
    punchclock::punchclock,
    recording::Recording,
    wait_for,
    workload::{bound_to_us, kill, signal},
};

/// A `record` at work, in a folder of its own.
#[derive(Debug)]
pub struct Record {
    child: Option<Child>,
    place: Rc<Place>,
}

/// Its folder, and its process group: what it started is in it, too.
#[derive(Debug)]
struct Place {
    folder: TempDir,
    group: u32,
}

impl Drop for Place {
    fn drop(&mut self) {
        kill(self.group, libc::SIGKILL);
    }
}

/// What it left.
#[derive(Debug)]
pub struct Recorded {
    /// What it said, and how it ended.
    pub output: Output,
    /// `all.punch`.
    pub recording: Recording,
    place: Rc<Place>,
}

impl Record {
    /// Starts recording processes; on return the window has begun. `all.punch` is always written.
    #[must_use]
    pub fn start(targets: &[u32], arguments: &[&str]) -> Self {
        let targets: Vec<_> = targets.iter().map(ToString::to_string).collect();
        let targets = targets.join(",");
        let mut record = Self::with(&[&["-d", "300", "-p", &targets], arguments].concat());
        record.wait_until_it_samples();
        record
    }

    /// Starts it with these arguments, and does not wait.
    #[must_use]
    pub fn with(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("there is room for a folder");
        let mut command = punchclock(&[&["record", "-o", "all.punch"], arguments].concat());
        command.current_dir(folder.path()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = bound_to_us(&mut command).spawn().expect("punchclock is built: cargo xtask test");
        Self { place: Rc::new(Place { folder, group: child.id() }), child: Some(child) }
    }

    /// Waits until a clock ticks on each CPU: punchclock starts them after its window has begun.
    pub fn wait_until_it_samples(&mut self) {
        let cpus = thread::available_parallelism().map_or(1, usize::from);
        let child = self.child.as_mut().expect("it runs");
        wait_for("the sampling clock", || {
            let over = child.try_wait().expect("it is our child");
            assert!(over.is_none(), "punchclock record ended at once: {over:?}");
            Attached::to(child.id()).clocks() >= cpus
        });
    }

    /// Its PID.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.as_ref().map(Child::id).expect("it runs")
    }

    /// Where it writes.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.place.folder.path().join(name)
    }

    /// Waits until each of these processes has used so much CPU time more than it has now, and ends the window.
    #[must_use]
    pub fn end_after(self, tgids: &[u32], milliseconds: u64) -> Recorded {
        let used = |tgid: u32| Books::of_process(tgid).values().map(|books| books.on_cpu_ns).sum::<u64>();
        let until: Vec<_> =
            tgids.iter().map(|tgid| (*tgid, used(*tgid) + milliseconds * 1_000_000)).collect();
        wait_for("the CPU time to pass", || until.iter().all(|(tgid, until)| used(*tgid) >= *until));
        self.end()
    }

    /// Ends the window, as Ctrl-C does.
    #[must_use]
    pub fn end(self) -> Recorded {
        signal(self.pid(), libc::SIGINT);
        self.wait()
    }

    /// Waits for its end, which must be a good one.
    #[must_use]
    pub fn wait(mut self) -> Recorded {
        let child = self.child.take().expect("it runs");
        let output = child.wait_with_output().expect("it is our child");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "punchclock record failed: {stderr}");
        let recording = Recording::read(&self.path("all.punch"));
        Recorded { output, recording, place: Rc::clone(&self.place) }
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // Gone already, unless the test failed before the window's end.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Recorded {
    /// A file that it wrote.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.place.folder.path().join(name)
    }

    /// A file that it wrote, as text.
    #[must_use]
    pub fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// Its folded stacks: frames, the root first, and a value.
    #[must_use]
    pub fn folded(&self, name: &str) -> Vec<(Vec<String>, u64)> {
        folded(&self.text(name))
    }

    /// Its conversation.
    #[must_use]
    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.output.stderr).into_owned()
    }
}

/// Folded stacks, taken apart.
#[must_use]
pub fn folded(text: &str) -> Vec<(Vec<String>, u64)> {
    let line = |line: &str| {
        let (stack, value) = line.rsplit_once(' ').expect("a value");
        (stack.split(';').map(str::to_owned).collect(), value.parse().expect("a number"))
    };
    text.lines().map(line).collect()
}
