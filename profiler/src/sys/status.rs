//! Parses `/proc/PID/status` of a process or of a thread. The name in it is bytes of its own choice, of which the kernel
//! escapes the newline.

use std::{fs, path::Path, str::FromStr};

use crate::sys::tids;

/// Text of a status file.
#[derive(Debug)]
pub struct ProcStatus(String);

impl ProcStatus {
    /// Reads the status file in a folder of `/proc`; `None` if there is none to see.
    #[must_use]
    pub fn read(folder: impl AsRef<Path>) -> Option<Self> {
        let bytes = fs::read(folder.as_ref().join("status")).ok()?;
        Some(Self(String::from_utf8_lossy(&bytes).into_owned()))
    }

    /// The status of a process.
    #[must_use]
    pub fn of(tgid: u32) -> Option<Self> {
        tids::exists(tgid).then(|| Self::read(format!("/proc/{tgid}"))).flatten()
    }

    /// What stands behind a key.
    #[must_use]
    pub fn value(&self, key: &str) -> Option<&str> {
        let value = |line: &'_ str| line.strip_prefix(key).and_then(|rest| rest.strip_prefix(':')).is_some();
        let line = self.0.split('\n').find(|line| value(line))?;
        Some(line[key.len() + 1..].trim())
    }

    /// A word of it, from 0, as a number.
    #[must_use]
    pub fn number<N: FromStr>(&self, key: &str, word: usize) -> Option<N> {
        self.value(key)?.split_whitespace().nth(word)?.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_takes_no_other_key_away() {
        let own = ProcStatus::of(std::process::id()).unwrap();
        assert_eq!(own.number("Tgid", 0), Some(std::process::id()));
        let folder = tempfile::tempdir().unwrap();
        fs::write(
            folder.path().join("status"),
            b"Name:\t\xff\\nTgid: 1\rTgid: 2\nTgid:\t7\nUid:\t1\t2\t3\t4\n",
        )
        .unwrap();
        let status = ProcStatus::read(folder.path()).unwrap();
        assert_eq!((status.number("Tgid", 0), status.number("Uid", 1)), (Some(7), Some(2)));
        assert_eq!(status.value("Ui"), None);
    }
}
