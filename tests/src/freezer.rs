//! A control group of version 2 that holds what is in it, as `docker pause` and `systemctl freeze` do.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use crate::{cannot_run, wait_for};

/// A group with a process in it, which dies with the group.
#[derive(Debug)]
pub struct Freezer(PathBuf);

impl Freezer {
    /// Moves a process into a group of its own; says why not if there is no version 2 here.
    #[must_use]
    pub fn of(tgid: u32) -> Option<Self> {
        let mounts = fs::read_to_string("/proc/self/mountinfo").expect("/proc is there");
        let mount = mounts.lines().find_map(|line| {
            let (place, kind) = line.split_once(" - ")?;
            kind.starts_with("cgroup2 ").then(|| place.split(' ').nth(4).map(PathBuf::from))?
        });
        let Some(mount) = mount else {
            cannot_run("no cgroup2 is mounted");
            return None;
        };
        let group = mount.join(format!("punchclock-test-{tgid}"));
        if let Err(error) = fs::create_dir(&group) {
            cannot_run(&format!("{}: {error}", group.display()));
            return None;
        }
        let freezer = Self(group);
        freezer.write("cgroup.procs", &tgid.to_string());
        Some(freezer)
    }

    /// Holds its process; on return all threads of that stand still.
    pub fn freeze(&self) {
        self.turn(1);
    }

    /// Holds its process for a time; how long all threads of it stood still, at least.
    #[must_use]
    pub fn freeze_for(&self, time: Duration) -> Duration {
        self.freeze();
        let began = Instant::now();
        std::thread::sleep(time);
        let held = began.elapsed();
        self.turn(0);
        held
    }

    fn turn(&self, frozen: u32) {
        self.write("cgroup.freeze", &frozen.to_string());
        let events = self.0.join("cgroup.events");
        let state = format!("frozen {frozen}");
        wait_for("the freezer", || fs::read_to_string(&events).is_ok_and(|events| events.contains(&state)));
    }

    fn write(&self, file: &str, text: &str) {
        fs::write(self.0.join(file), text).expect("these tests run as root");
    }
}

impl Drop for Freezer {
    fn drop(&mut self) {
        // A frozen process can be killed, but must be gone before its group can be.
        let _ = fs::write(self.0.join("cgroup.kill"), "1");
        let is_gone = |group: &Path| fs::remove_dir(group).is_ok() || !group.exists();
        let deadline = Instant::now() + Duration::from_secs(10);
        while !is_gone(&self.0) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}
