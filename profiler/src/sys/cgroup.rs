//! CPU quotas: how long a process's control group was throttled, by the kernel's `cpu.stat`.
//!
//! Version 2 says it in `throttled_usec`, version 1 in `throttled_time` (ns). Neither counts what a group above it
//! was throttled, so those are added.

use std::{
    ffi::OsStr,
    fs,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use crate::sys::tids;

/// The groups whose quotas bind a process: its own and those above it, each as a folder.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Groups(Vec<PathBuf>);

impl Groups {
    /// The control groups of a process; none if it is gone, or in no group.
    #[must_use]
    pub fn of(tgid: u32) -> Self {
        let lines = fs::read(format!("/proc/{}/cgroup", tids::seen_by(tgid))).unwrap_or_default();
        let mounts = fs::read("/proc/self/mountinfo").unwrap_or_default();
        Self(find(&lines, &mounts))
    }

    /// How long they were throttled in all, ns; `None` if none of them has a quota.
    #[must_use]
    pub fn throttled_ns(&self) -> Option<u64> {
        let stats = self.0.iter().filter_map(|folder| fs::read_to_string(folder.join("cpu.stat")).ok());
        let throttled = stats.filter_map(|stat| throttled_ns(&stat));
        throttled.reduce(|sum, more| sum + more)
    }
}

/// The folder of the group of version 2 that we are in, if there is one.
#[must_use]
pub fn own_v2() -> Option<PathBuf> {
    let lines = fs::read("/proc/self/cgroup").ok()?;
    let group = lines.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(b"0::/"))?;
    let mounts = fs::read("/proc/self/mountinfo").ok()?;
    Some(mount_of(&mounts, false)?.join(OsStr::from_bytes(group)))
}

pub(crate) fn find(lines: &[u8], mounts: &[u8]) -> Vec<PathBuf> {
    let groups = || {
        lines.split(|byte| *byte == b'\n').filter_map(|line| {
            let mut parts = line.splitn(3, |byte| *byte == b':').skip(1);
            let controllers = str::from_utf8(parts.next()?).ok()?;
            Some((controllers, Path::new(OsStr::from_bytes(parts.next()?))))
        })
    };
    for (controllers, path) in groups() {
        let is_cpu = controllers.split(',').any(|controller| controller == "cpu");
        if !is_cpu && !controllers.is_empty() {
            continue;
        }
        let Some(mount) = mount_of(mounts, is_cpu) else { continue };
        let mut folders = Vec::new();
        let mut group = path;
        // The root has no quota.
        while let (Some(parent), Ok(below)) = (group.parent(), group.strip_prefix("/")) {
            folders.push(mount.join(below));
            group = parent;
        }
        // Version 1's, if there is one, is the one with the CPU controller; it comes first.
        if is_cpu || !groups().any(|(controllers, _)| controllers.contains("cpu")) {
            return folders;
        }
    }
    Vec::new()
}

/// Where the hierarchy is mounted (proc(5), mountinfo). Anybody's mounts stand beside it.
fn mount_of(mounts: &[u8], is_v1: bool) -> Option<PathBuf> {
    mounts.split(|byte| *byte == b'\n').find_map(|line| {
        // Blanks in names are escaped: the mark is the first word of its kind.
        let mut words = line.split(|byte| *byte == b' ');
        let place = words.nth(4)?;
        let mut kind = words.skip_while(|word| *word != b"-").skip(1);
        let (name, options) = (kind.next()?, kind.nth(1)?);
        let fits = if is_v1 {
            name == b"cgroup" && options.split(|byte| *byte == b',').any(|option| option == b"cpu")
        } else {
            name == b"cgroup2"
        };
        fits.then(|| PathBuf::from(OsStr::from_bytes(place)))
    })
}

/// `None` if the group has no quota: then it has no periods.
pub(crate) fn throttled_ns(stat: &str) -> Option<u64> {
    let number = |key: &str| {
        stat.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.trim().parse::<u64>().ok())
    };
    number("nr_periods").filter(|periods| *periods != 0)?;
    number("throttled_time").or_else(|| number("throttled_usec").map(|usec| usec.saturating_mul(1000)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &[u8] = b"29 23 0:25 / /home/caf\xe9 rw - fuse.server x rw\n\
                            30 23 0:26 / /sys/fs/cgroup/cpu rw shared:9 - cgroup cgroup rw,cpu,cpuacct\n\
                            31 23 0:27 / /sys/fs/cgroup/unified rw shared:10 - cgroup2 cgroup2 rw\n";

    #[test]
    fn the_group_and_those_above_it() {
        let v1 = b"9:cpuset:/x\n2:cpu,cpuacct:/system/app\n0::/\n";
        let folders = ["/sys/fs/cgroup/cpu/system/app", "/sys/fs/cgroup/cpu/system"];
        assert_eq!(find(v1, MOUNTS), folders.map(PathBuf::from));
        assert_eq!(find(b"0::/a.slice\n", MOUNTS), [PathBuf::from("/sys/fs/cgroup/unified/a.slice")]);
        let odd = Path::new("/sys/fs/cgroup/unified").join(OsStr::from_bytes(b"caf\xe9:1"));
        assert_eq!(find(b"1:name=caf\xe9:/x\n0::/caf\xe9:1\n", MOUNTS), [odd]);
        assert!(find(b"2:cpu:/\n", MOUNTS).is_empty() && find(b"", MOUNTS).is_empty());
    }

    #[test]
    fn both_versions_tell_of_a_quota_only() {
        assert_eq!(throttled_ns("nr_periods 9\nnr_throttled 2\nthrottled_time 123\n"), Some(123));
        assert_eq!(throttled_ns("usage_usec 5\nnr_periods 9\nthrottled_usec 123\n"), Some(123_000));
        assert_eq!(throttled_ns("nr_periods 0\nnr_throttled 0\nthrottled_time 0\n"), None);
        assert_eq!(throttled_ns("usage_usec 5\n"), None);
    }
}
