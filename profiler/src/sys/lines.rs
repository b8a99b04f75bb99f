//! Counts the lines that others append to a file.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::{FileExt, MetadataExt},
    path::{Path, PathBuf},
};

use crate::sys::target_file;

/// Bytes of one read, and most of one look: no log grows by a gigabyte a second.
const CHUNK_BYTES: usize = 64 << 10;
const LOOK_BYTES: u64 = 256 << 20;

/// Counts the lines that are appended to a file.
#[derive(Debug)]
pub struct LineCounter {
    path: PathBuf,
    file: File,
    /// Offset up to which lines are counted, bytes.
    offset: u64,
    count: u64,
}

impl LineCounter {
    /// Counts from the file's end on. Only a regular file is one.
    pub fn watch(path: &Path) -> io::Result<Self> {
        let file = target_file::open(path)?;
        let offset = file.metadata()?.len();
        Ok(Self { path: path.to_owned(), file, offset, count: 0 })
    }

    /// Lines appended so far; `None` if there is more than one look reads. A file that was cut is read from its beginning, as
    /// is one that has taken the name of a renamed one, whose last lines are counted first. What cannot be read now is counted
    /// when it can be.
    pub fn count(&mut self) -> Option<u64> {
        if self.file.metadata().is_ok_and(|now| now.len() < self.offset) {
            self.offset = 0;
        }
        let mut bytes_left = LOOK_BYTES;
        self.read_on(&mut bytes_left);
        if let (Ok(open), Ok(named)) = (self.file.metadata(), fs::metadata(&self.path))
            && (open.dev(), open.ino()) != (named.dev(), named.ino())
            && bytes_left > 0
            && let Ok(file) = target_file::open(&self.path)
        {
            (self.file, self.offset) = (file, 0);
            self.read_on(&mut bytes_left);
        }
        (bytes_left > 0).then_some(self.count)
    }

    fn read_on(&mut self, bytes_left: &mut u64) {
        let mut chunk = vec![0; CHUNK_BYTES];
        while *bytes_left > 0
            && let Ok(length @ 1..) = self.file.read_at(&mut chunk, self.offset)
        {
            self.offset += length as u64;
            *bytes_left = bytes_left.saturating_sub(length as u64);
            self.count += chunk[..length].split(|byte| *byte == b'\n').count() as u64 - 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn appended_lines_whatever_becomes_of_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("access.log");
        let mut log = File::create(&path).unwrap();
        log.write_all(b"before\n").unwrap();
        let mut lines = LineCounter::watch(&path).unwrap();
        assert_eq!(lines.count(), Some(0));
        log.write_all(b"a\nb\nhalf").unwrap();
        assert_eq!(lines.count(), Some(2));
        log.write_all(b" a line\n").unwrap();
        // Rotated: the last line of the old file, then the new one's.
        log.write_all(b"last\n").unwrap();
        fs::rename(&path, folder.path().join("access.log.1")).unwrap();
        fs::write(&path, "first\nsecond\n").unwrap();
        assert_eq!(lines.count(), Some(6));
        // Cut.
        fs::write(&path, "x\n").unwrap();
        assert_eq!(lines.count(), Some(7));
        fs::remove_file(&path).unwrap();
        assert_eq!(lines.count(), Some(7));
    }

    #[test]
    fn what_is_no_file_is_not_opened() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("access.log");
        fs::write(&path, "").unwrap();
        let mut lines = LineCounter::watch(&path).unwrap();
        fs::remove_file(&path).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RUSR).unwrap();
        assert_eq!(lines.count(), Some(0));
        assert!(LineCounter::watch(&path).is_err());
        assert!(LineCounter::watch(Path::new("/dev/zero")).is_err());
    }

    #[test]
    fn a_look_has_an_end() {
        let mut log = tempfile::NamedTempFile::new().unwrap();
        let mut lines = LineCounter::watch(log.path()).unwrap();
        let hole = LOOK_BYTES + 1;
        log.as_file().set_len(hole).unwrap();
        log.as_file_mut().write_all_at(b"\n", hole).unwrap();
        assert_eq!(lines.count(), None);
        assert_eq!(lines.count(), Some(1));
    }
}
