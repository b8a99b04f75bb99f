//! Lines that others append to a file, counted.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::{FileExt, MetadataExt},
    path::{Path, PathBuf},
};

/// So many bytes are read at once.
const CHUNK_BYTES: usize = 64 << 10;

/// A file to which lines are appended.
#[derive(Debug)]
pub struct Lines {
    path: PathBuf,
    file: File,
    /// Up to where its lines are counted.
    offset: u64,
    count: u64,
}

impl Lines {
    /// Counts from the file's end on.
    pub fn watch(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let offset = file.metadata()?.len();
        Ok(Self { path: path.to_owned(), file, offset, count: 0 })
    }

    /// Lines appended so far. A file that was cut is read from its beginning, as is one that has taken the name of a
    /// renamed one, whose last lines are counted first. What cannot be read now is counted when it can be.
    pub fn count(&mut self) -> u64 {
        if self.file.metadata().is_ok_and(|now| now.len() < self.offset) {
            self.offset = 0;
        }
        self.read_on();
        if let (Ok(open), Ok(named)) = (self.file.metadata(), fs::metadata(&self.path))
            && (open.dev(), open.ino()) != (named.dev(), named.ino())
            && let Ok(file) = File::open(&self.path)
        {
            (self.file, self.offset) = (file, 0);
            self.read_on();
        }
        self.count
    }

    fn read_on(&mut self) {
        let mut chunk = vec![0; CHUNK_BYTES];
        while let Ok(length @ 1..) = self.file.read_at(&mut chunk, self.offset) {
            self.offset += length as u64;
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
        let mut lines = Lines::watch(&path).unwrap();
        assert_eq!(lines.count(), 0);
        log.write_all(b"a\nb\nhalf").unwrap();
        assert_eq!(lines.count(), 2);
        log.write_all(b" a line\n").unwrap();
        // Rotated: the last line of the old file, then the new one's.
        log.write_all(b"last\n").unwrap();
        fs::rename(&path, folder.path().join("access.log.1")).unwrap();
        fs::write(&path, "first\nsecond\n").unwrap();
        assert_eq!(lines.count(), 6);
        // Cut.
        fs::write(&path, "x\n").unwrap();
        assert_eq!(lines.count(), 7);
        fs::remove_file(&path).unwrap();
        assert_eq!(lines.count(), 7);
    }
}
