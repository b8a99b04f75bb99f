//! Files that appear whole or not at all.
//!
//! Whether an output can be written is tried before anything is attached. It is written under a name of its own
//! beside the final one, which it takes only when all its bytes are on the disk: until then an older file of that
//! name stays as it is, and between the two nothing is there that a `kill -9` could leave behind. As we often run as
//! root, no symbolic link is followed where others may place one.

use std::{
    fs::{self, File, Permissions},
    io::{self, Write},
    os::unix::fs::{MetadataExt, PermissionsExt, fchown},
    path::{Path, PathBuf},
};

use tempfile::NamedTempFile;

use crate::{
    failure::Failure,
    sys::{caller::caller, links},
};

/// A file that can be written, and is not there yet.
#[derive(Debug)]
pub struct OutputFile {
    /// The name as the user gave it.
    path: PathBuf,
    /// Where it leads.
    target: PathBuf,
}

impl OutputFile {
    /// Tries whether a file can be written that will be called `path`. It will get the mode that the umask leaves of
    /// 0666 and, under `sudo`, belong to whoever called `sudo`.
    pub fn prepare(path: &Path) -> Result<Self, Failure> {
        let refused = |error: io::Error| Failure::Output { path: path.to_owned(), why: clause(&error) };
        let target = links::resolve(path).map_err(refused)?;
        open_beside(&target).and_then(NamedTempFile::close).map_err(refused)?;
        Ok(Self { path: path.to_owned(), target })
    }

    /// The name as the user gave it.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the file, with these contents, in place of an older one.
    pub fn commit(self, contents: &[u8]) -> Result<(), Failure> {
        let Self { path, target } = self;
        let write = || {
            let mut temporary = open_beside(&target)?;
            temporary.write_all(contents)?;
            temporary.as_file().sync_all()?;
            temporary.persist(&target).map_err(|error| error.error)
        };
        write().map(|_| ()).map_err(|error| Failure::Output { path, why: clause(&error) })
    }
}

/// Checks what is there, and opens a file with a name of its own beside it.
fn open_beside(target: &Path) -> io::Result<NamedTempFile> {
    match fs::symlink_metadata(target) {
        Ok(there) if there.is_dir() => return Err(io::Error::other("it is a folder")),
        Ok(there) if !there.is_file() => return Err(io::Error::other("it is not a regular file")),
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let folder = target.parent().unwrap_or(target);
    if !folder.is_dir() {
        return Err(io::Error::other(format!("there is no folder `{}`", folder.display())));
    }
    let temporary = tempfile::Builder::new()
        .prefix(".punchclock-")
        .suffix(".part")
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(folder)?;
    hand_over(temporary.as_file())?;
    Ok(temporary)
}

/// Under `sudo`, gives a file to whoever called it.
fn hand_over(file: &File) -> io::Result<()> {
    match new_owner(file.metadata()?.uid(), caller()) {
        Some((uid, gid)) => fchown(file, Some(uid), Some(gid)),
        None => Ok(()),
    }
}

/// Who gets a file that `made_by` made: its maker keeps it, unless root made it for `caller`.
fn new_owner(made_by: u32, caller: Option<(u32, u32)>) -> Option<(u32, u32)> {
    if made_by == 0 { caller } else { None }
}

/// An error as the end of a sentence: without its number, and without the path that tempfile puts behind it.
fn clause(error: &io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error") {
        Some((message, _)) => message.to_lowercase(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    /// What a folder holds, in order.
    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn refusal(path: &Path) -> String {
        OutputFile::prepare(path).unwrap_err().to_string()
    }

    #[test]
    fn a_file_appears_when_it_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.svg");
        let file = OutputFile::prepare(&path).unwrap();
        assert!(!path.exists());
        file.commit(b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        OutputFile::prepare(&path).unwrap().commit(b"newer").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"newer");
        assert_eq!(names(folder.path()), ["out.svg"]);
    }

    #[test]
    fn nothing_is_there_meanwhile() {
        let folder = tempfile::tempdir().unwrap();
        let _file = OutputFile::prepare(&folder.path().join("out.svg")).unwrap();
        assert!(names(folder.path()).is_empty());
    }

    #[test]
    fn the_umask_rules() {
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let umask = status.lines().find_map(|line| line.strip_prefix("Umask:")).unwrap();
        let umask = u32::from_str_radix(umask.trim(), 8).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.svg");
        OutputFile::prepare(&path).unwrap().commit(b"").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o666 & !umask);
    }

    #[test]
    fn sudo_gives_the_file_to_its_caller() {
        assert_eq!(new_owner(0, Some((1000, 100))), Some((1000, 100)));
        assert_eq!(new_owner(0, None), None);
        assert_eq!(new_owner(1000, Some((0, 0))), None);
    }

    #[test]
    fn what_cannot_become_a_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        assert!(refusal(path).ends_with("it is a folder"), "{}", refusal(path));
        assert!(refusal(&path.join("..")).ends_with("it is a folder"), "{}", refusal(path));
        assert!(refusal(Path::new("/dev/null")).ends_with("it is not a regular file"));
        let nowhere = path.join("no/such/out.svg");
        assert!(refusal(&nowhere).contains("there is no folder `"), "{}", refusal(&nowhere));
        assert_eq!(refusal(Path::new("")), "cannot write ``: cannot make an empty path absolute");
        let long = path.join("x".repeat(300));
        assert!(refusal(&long).ends_with(": file name too long"), "{}", refusal(&long));
        let readonly = Path::new("/proc/out.svg");
        assert!(!refusal(readonly).contains("/proc/."), "{}", refusal(readonly));
    }

    /// A file system of 64 KiB, gone when dropped.
    struct SmallDisk(tempfile::TempDir);

    impl SmallDisk {
        fn new() -> Option<Self> {
            let folder = tempfile::tempdir().unwrap();
            let mount = ["-t", "tmpfs", "-o", "size=64k", "tmpfs"];
            let mut mount =
                Command::new("mount").args(mount).arg(folder.path()).stderr(Stdio::null()).spawn().ok()?;
            mount.wait().ok()?.success().then_some(Self(folder))
        }
    }

    impl Drop for SmallDisk {
        fn drop(&mut self) {
            let unmounted = Command::new("umount").arg(self.0.path()).status();
            assert!(unmounted.is_ok_and(|status| status.success()));
        }
    }

    #[test]
    fn a_full_disk_leaves_the_old_file_whole() {
        let Some(disk) = SmallDisk::new() else {
            eprintln!("skipped: mounting a small file system needs root");
            assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "CI must not skip tests");
            return;
        };
        let path = disk.0.path().join("out.svg");
        OutputFile::prepare(&path).unwrap().commit(b"old").unwrap();
        let file = OutputFile::prepare(&path).unwrap();
        let failure = file.commit(&vec![b'x'; 1 << 20]).unwrap_err();
        assert!(failure.to_string().ends_with(": no space left on device"), "{failure}");
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(names(disk.0.path()), ["out.svg"]);
    }
}
