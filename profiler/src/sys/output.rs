//! Files that appear whole or not at all.
//!
//! Whether an output can be written is tried before anything is attached. It takes its name only when all its bytes are on the
//! disk: until then an older file of that name stays as it is. Under `sudo` it is written with the rights of who called it,
//! and is his. Where these do not do it is root's, unless a link of his led there.

use std::{
    fs,
    io::{self, Write},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use crate::{
    failure::Failure,
    sys::{
        caller,
        draft::Draft,
        links::{self, Way},
        privileges::{may_replace_any, without_overriding},
    },
};

/// The bit of a folder in which only owners may replace files.
const STICKY: u32 = 0o1000;

/// Who may read a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Only the file's owner may read it.
    Owner,
    /// Those may read it whom the umask allows to.
    Umask,
}

/// With whose rights a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Writer {
    /// The file is written as the user who called `sudo`, or as this process's user if nobody did.
    Caller,
    /// Ours, as far as owners allow it.
    Us,
    /// Root's to write anywhere.
    Anywhere,
}

/// A file that can be written, and is not there yet.
#[derive(Debug)]
pub struct OutputFile {
    /// The name as the user gave it.
    path: PathBuf,
    /// Path that the output leads to.
    target: PathBuf,
    access: Access,
    writer: Writer,
}

impl OutputFile {
    /// Tries whether a file can be written that will be called `path`.
    pub fn prepare(path: &Path, access: Access) -> Result<Self, Failure> {
        let refused = |error: io::Error| Failure::Output { path: path.to_owned(), why: clause(&error) };
        let Way { end: target, was_led } = links::resolve(path, caller::uid()).map_err(refused)?;
        let is_his = caller::is_known();
        let writers = match (is_his, was_led) {
            (true, true) => &[Writer::Caller][..],
            (true, false) => &[Writer::Caller, Writer::Us, Writer::Anywhere],
            (false, _) => &[Writer::Us, Writer::Anywhere],
        };
        let mut denied = io::Error::from(io::ErrorKind::PermissionDenied);
        for &writer in writers {
            match writer.write(|| open_beside(&target, access).map(drop)) {
                Ok(()) => return Ok(Self { path: path.to_owned(), target, access, writer }),
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => denied = error,
                Err(error) => return Err(refused(error)),
            }
        }
        Err(refused(denied))
    }

    /// The name as the user gave it.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// True if it is where only those who may write anywhere can leave it.
    #[must_use]
    pub fn is_overriding(&self) -> bool {
        self.writer == Writer::Anywhere
    }

    /// A file beside it, for what there is before it is whole: `x.punch.part`.
    pub fn part(&self) -> Result<Self, Failure> {
        let mut path = self.path.clone().into_os_string();
        path.push(".part");
        Self::prepare(Path::new(&path), self.access)
    }

    /// Makes the file, with these contents, in place of an older one.
    pub fn commit(&self, contents: &[u8]) -> Result<(), Failure> {
        self.replace(contents, fs::File::sync_all)
    }

    /// Makes the file, of contents that are written anew all the time: it does not wait for the disk.
    pub fn keep(&self, contents: &[u8]) -> Result<(), Failure> {
        self.replace(contents, |_| Ok(()))
    }

    fn replace(
        &self,
        contents: &[u8],
        settle: impl FnOnce(&fs::File) -> io::Result<()>,
    ) -> Result<(), Failure> {
        self.write(|| {
            let mut draft = open_beside(&self.target, self.access)?;
            draft.file().write_all(contents)?;
            settle(draft.file())?;
            draft.publish(&self.target)
        })
    }

    /// Takes the file away.
    pub fn remove(&self) -> Result<(), Failure> {
        self.write(|| fs::remove_file(&self.target))
    }

    fn write(&self, write: impl FnOnce() -> io::Result<()>) -> Result<(), Failure> {
        let refused = |error| Failure::Output { path: self.path.clone(), why: clause(&error) };
        self.writer.write(write).map_err(refused)
    }
}

impl Writer {
    fn write<T>(self, write: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        match self {
            Self::Caller => caller::with_his_rights(write),
            Self::Us => without_overriding(write),
            Self::Anywhere => write(),
        }
    }
}

/// Checks what is there, and opens a file that can take its place.
fn open_beside(target: &Path, access: Access) -> io::Result<Draft> {
    let there = match fs::symlink_metadata(target) {
        Ok(there) if there.is_dir() => return Err(io::Error::other("it is a folder")),
        Ok(there) if !there.is_file() => return Err(io::Error::other("it is not a regular file")),
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        there => there.ok(),
    };
    let folder = target.parent().unwrap_or(target);
    if !folder.is_dir() {
        return Err(io::Error::other(format!("there is no folder `{}`", folder.display())));
    }
    let mode = match access {
        Access::Owner => 0o600,
        Access::Umask => 0o666,
    };
    let mut draft = Draft::open(folder, mode)?;
    let about = fs::metadata(folder)?;
    let (ours, owner) = (draft.file().metadata()?.uid(), about.uid());
    let is_anothers = there.is_some_and(|there| there.uid() != ours);
    if is_anothers && about.mode() & STICKY != 0 && owner != ours && !may_replace_any() {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    Ok(draft)
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
    use std::{
        os::unix::fs::PermissionsExt as _,
        process::{Command, Stdio},
    };

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
        OutputFile::prepare(path, Access::Umask).unwrap_err().to_string()
    }

    #[test]
    fn a_file_appears_when_it_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.svg");
        let file = OutputFile::prepare(&path, Access::Umask).unwrap();
        assert!(!path.exists());
        file.commit(b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        OutputFile::prepare(&path, Access::Umask).unwrap().commit(b"newer").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"newer");
        assert_eq!(names(folder.path()), ["out.svg"]);
    }

    #[test]
    fn nothing_is_there_meanwhile() {
        let folder = tempfile::tempdir().unwrap();
        let _file = OutputFile::prepare(&folder.path().join("out.svg"), Access::Umask).unwrap();
        assert!(names(folder.path()).is_empty());
    }

    #[test]
    fn the_umask_rules() {
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let umask = status.lines().find_map(|line| line.strip_prefix("Umask:")).unwrap();
        let umask = u32::from_str_radix(umask.trim(), 8).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.svg");
        OutputFile::prepare(&path, Access::Umask).unwrap().commit(b"").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o666 & !umask);
    }

    #[test]
    fn what_is_the_owner_s_is_read_by_nobody_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("all.punch");
        fs::write(&path, "old, and read by all").unwrap();
        OutputFile::prepare(&path, Access::Owner).unwrap().commit(b"").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
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
        OutputFile::prepare(&path, Access::Umask).unwrap().commit(b"old").unwrap();
        let file = OutputFile::prepare(&path, Access::Umask).unwrap();
        let failure = file.commit(&vec![b'x'; 1 << 20]).unwrap_err();
        assert!(failure.to_string().ends_with(": no space left on device"), "{failure}");
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(names(disk.0.path()), ["out.svg"]);
    }
}
