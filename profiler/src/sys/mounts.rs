//! Tells file systems that the kernel serves from those in user space (FUSE), which may never answer: then nothing, not even
//! SIGKILL, ends a read.

use std::{
    collections::HashSet,
    fs::{self, File},
    io::Read as _,
    os::unix::fs::MetadataExt as _,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Types of file systems that no user can serve. One that lies over others may lie over one that a user serves.
const ANSWERING: [&str; 22] = [
    "bcachefs",
    "btrfs",
    "cramfs",
    "devtmpfs",
    "erofs",
    "exfat",
    "ext2",
    "ext3",
    "ext4",
    "f2fs",
    "hugetlbfs",
    "iso9660",
    "jfs",
    "nilfs2",
    "ramfs",
    "rootfs",
    "squashfs",
    "tmpfs",
    "udf",
    "vfat",
    "xfs",
    "zfs",
];
/// Types whose servers, or lower layers, only root can choose, unless they are mounted in a user's own namespace.
const CHOSEN_BY_ROOT: [&str; 9] =
    ["9p", "aufs", "ceph", "cifs", "nfs", "nfs4", "ntfs3", "overlay", "virtiofs"];

/// Devices are looked for anew no sooner than this: containers come and go.
const AGE: Duration = Duration::from_secs(1);

/// Most bytes of a table of mounts: anybody can have a hundred thousand, at paths of thousands of bytes.
const MAX_BYTES: u64 = 8 << 20;

/// The host's, and when they were read.
static HOST: Mutex<Option<(Instant, HashSet<u64>)>> = Mutex::new(None);
/// Those where a process is that was asked for last, and when they were read.
static BELOW: Mutex<Option<(u32, Instant, HashSet<u64>)>> = Mutex::new(None);

/// True of the device of a file system that answers by itself, as a process sees it.
#[must_use]
pub fn answers(tgid: u32, device: u64) -> bool {
    of_host(device) || is_answering_below(tgid, device)
}

/// One that is mounted where we are, where init is, or inside the kernel alone.
fn of_host(device: u64) -> bool {
    let mut host = HOST.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((read, devices)) = host.as_ref()
        && (devices.contains(&device) || read.elapsed() < AGE)
    {
        return devices.contains(&device);
    }
    let mounted = ["self", "1"].into_iter().flat_map(|process| mounts(process, true));
    let devices: HashSet<_> = mounted.chain(memory_files()).collect();
    let answers = devices.contains(&device);
    *host = Some((Instant::now(), devices));
    answers
}

fn is_answering_below(tgid: u32, device: u64) -> bool {
    let mut below = BELOW.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((of, read, devices)) = below.as_ref()
        && *of == tgid
        && read.elapsed() < AGE
    {
        return devices.contains(&device);
    }
    let namespace =
        |process: &str| fs::metadata(format!("/proc/{process}/ns/user")).map(|user| user.ino()).ok();
    let process = tgid.to_string();
    let is_ours = namespace(&process).is_some_and(|theirs| namespace("self") == Some(theirs));
    let devices = mounts(&process, is_ours);
    let answers = devices.contains(&device);
    *below = Some((tgid, Instant::now(), devices));
    answers
}

/// Devices of what is mounted where a process is, and answers.
fn mounts(process: &str, by_root: bool) -> HashSet<u64> {
    let mut table = Vec::new();
    // Of who is gone nothing can be read.
    let _ = File::open(format!("/proc/{process}/mountinfo"))
        .and_then(|file| file.take(MAX_BYTES).read_to_end(&mut table));
    table.split(|byte| *byte == b'\n').filter_map(|line| answering(line, by_root)).collect()
}

/// The device of a line `ID PARENT MAJOR:MINOR ROOT POINT OPTIONS TAG… - TYPE SOURCE OPTIONS`, if its type answers.
fn answering(line: &[u8], by_root: bool) -> Option<u64> {
    let mut words = line.split(|byte| *byte == b' ').map(|word| str::from_utf8(word).unwrap_or_default());
    let (major, minor) = words.nth(2)?.split_once(':')?;
    // Blanks in names are escaped: the mark is the first word of its kind.
    let kind = words.skip_while(|word| *word != "-").nth(1)?;
    let answers = ANSWERING.contains(&kind) || by_root && CHOSEN_BY_ROOT.contains(&kind);
    answers.then(|| Some(libc::makedev(major.parse().ok()?, minor.parse().ok()?)))?
}

/// The device of files that are in memory only (`memfd_create`), which is mounted nowhere; none where it cannot be had.
fn memory_files() -> Option<u64> {
    let file = rustix::fs::memfd_create("punchclock", rustix::fs::MemfdFlags::CLOEXEC).ok()?;
    Some(rustix::fs::fstat(file).ok()?.st_dev)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_answers_or_somebody_must_be_trusted() {
        let line = |kind: &str| format!("36 35 98:5 /mnt1 /a\\040- rw,noatime shared:1 - {kind} none rw");
        let device = Some(libc::makedev(98, 5));
        assert_eq!(answering(line("ext4").as_bytes(), false), device);
        assert_eq!(answering(line("overlay").as_bytes(), true), device);
        for (kind, by_root) in
            [("overlay", false), ("fuse", true), ("fuse.sshfs", true), ("fuseblk", true), ("ext4x", true)]
        {
            assert_eq!(answering(line(kind).as_bytes(), by_root), None, "{kind}");
        }
        assert_eq!(answering(b"36 35 98:5 /mnt1", true), None);
    }

    #[test]
    fn what_we_run_from_answers_and_no_device_does_not() {
        let us = std::process::id();
        let mut devices = vec![memory_files().unwrap()];
        crate::sys::maps::each(us, |line| devices.extend((line.inode != 0).then_some(line.device))).unwrap();
        assert!(devices.len() > 1);
        assert!(devices.into_iter().all(|device| answers(us, device)));
        assert!(!answers(us, libc::makedev(4095, 77)));
    }
}
