//! An initial file system for a kernel: a "newc" archive, as `Documentation/driver-api/early-userspace/buffer-format.rst`
//! in the kernel's source has it.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

/// File types, in a mode.
const FOLDER: u32 = 0o040_000;
const FILE: u32 = 0o100_000;
const CHARACTERS: u32 = 0o020_000;

/// An archive that grows.
#[derive(Default)]
pub struct Image {
    bytes: Vec<u8>,
    names: BTreeSet<PathBuf>,
    entries: u32,
}

impl Image {
    /// One with the console, by which `/init` speaks before anything is mounted.
    pub fn new() -> Self {
        let mut image = Self::default();
        image.folders_of(Path::new("dev/console"));
        image.entry("dev/console", CHARACTERS | 0o600, &[], (5, 1));
        image
    }

    /// Adds a program or a file that is not there yet, and the folders that it lies in.
    pub fn add(&mut self, path: &Path, from: &Path) -> Result<()> {
        let bytes = fs::read(from).with_context(|| format!("failed to read {}", from.display()))?;
        let path = path.strip_prefix("/").unwrap_or(path);
        if !self.names.insert(path.to_owned()) {
            return Ok(());
        }
        self.folders_of(path);
        self.entry(&path.display().to_string(), FILE | 0o755, &bytes, (0, 0));
        Ok(())
    }

    /// The archive.
    pub fn end(mut self) -> Vec<u8> {
        self.entry("TRAILER!!!", 0, &[], (0, 0));
        self.bytes
    }

    fn folders_of(&mut self, path: &Path) {
        let mut folders: Vec<_> =
            path.ancestors().skip(1).filter(|folder| *folder != Path::new("")).collect();
        folders.reverse();
        for folder in folders {
            if self.names.insert(folder.to_owned()) {
                self.entry(&folder.display().to_string(), FOLDER | 0o755, &[], (0, 0));
            }
        }
    }

    fn entry(&mut self, name: &str, mode: u32, content: &[u8], (major, minor): (u32, u32)) {
        self.entries += 1;
        let (length, name_length) = (content.len() as u32, name.len() as u32 + 1);
        // Inode, mode, owner, group, links, time, size, device, the device it is, length of the name, checksum.
        let numbers = [self.entries, mode, 0, 0, 1, 0, length, 0, 0, major, minor, name_length, 0];
        self.bytes.extend(b"070701");
        for number in numbers {
            self.bytes.extend(format!("{number:08x}").bytes());
        }
        self.bytes.extend(name.bytes());
        self.bytes.push(0);
        self.align();
        self.bytes.extend(content);
        self.align();
    }

    fn align(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_has_its_folders_once_and_is_aligned() {
        let mut image = Image::new();
        image.entry("dev/null", CHARACTERS | 0o666, b"12345", (1, 3));
        let bytes = image.end();
        let text = String::from_utf8_lossy(&bytes);
        assert_eq!(text.matches("070701").count(), 4, "dev, dev/console, dev/null, the trailer");
        assert_eq!(bytes.len() % 4, 0);
        assert!(text.contains("dev/null\0"));
        // The header of the first: 110 bytes, the mode in the second number.
        assert_eq!((&text[14..22], &text[110..114]), ("000041ed", "dev\0"));
    }
}
