//! A control group (version 2) for the processes that punchclock starts: whoever is born in it stays in it, also a daemon
//! that left its parent, its session and its process group.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

use crate::sys::{cgroup, tids};

/// What ours are called: this, our PID, and a number.
const PREFIX: &str = "punchclock-";
/// How long the kernel may take to end who is in it.
const GRACE: Duration = Duration::from_secs(10);

/// A group that is gone, with all that is in it, when it is dropped.
#[derive(Debug)]
pub struct OwnGroup(PathBuf);

impl OwnGroup {
    /// Makes one in the group that we are in. Fails where there is no version 2, where it is not ours to write, and before Linux
    /// 5.14, which has no `cgroup.kill`.
    pub fn new() -> io::Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let parent = cgroup::own_v2().ok_or(io::ErrorKind::Unsupported)?;
        remove_abandoned(&parent);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let group = Self(parent.join(format!("{PREFIX}{}-{number}", std::process::id())));
        fs::create_dir(&group.0)?;
        OpenOptions::new().write(true).open(group.0.join("cgroup.kill"))?;
        Ok(group)
    }

    /// Has a program start in it.
    #[expect(unsafe_code, reason = "what is done between fork and exec")]
    pub fn take(&self, command: &mut Command) -> io::Result<()> {
        let members = OpenOptions::new().write(true).open(self.0.join("cgroup.procs"))?;
        // SAFETY: a write to a file that is open. 0 is who writes it.
        unsafe { command.pre_exec(move || (&members).write_all(b"0")) };
        Ok(())
    }

    fn is_populated(&self) -> bool {
        let events = fs::read_to_string(self.0.join("cgroup.events")).unwrap_or_default();
        events.lines().any(|line| line == "populated 1")
    }
}

impl Drop for OwnGroup {
    /// Kills all that is in it. What cannot be removed then is by who starts the next.
    fn drop(&mut self) {
        let kill = OpenOptions::new().write(true).open(self.0.join("cgroup.kill"));
        let _ = kill.and_then(|mut kill: File| kill.write_all(b"1"));
        let deadline = Instant::now() + GRACE;
        while self.is_populated() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(5));
        }
        let _ = fs::remove_dir(&self.0);
    }
}

/// Removes the groups of those of us that were killed. One that is in use cannot be removed.
fn remove_abandoned(parent: &Path) {
    for group in fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = group.file_name();
        let maker = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.split('-').next()?.parse().ok());
        if maker.is_some_and(|maker: u32| !tids::exists(maker)) {
            let _ = fs::remove_dir(group.path());
        }
    }
}
