//! The map that a compiler at run time writes of the code it makes: `/tmp/perf-PID.map`, as `perf` reads it.
//!
//! Whoever can write there can write anything: a map is believed only if it is a plain file of the process's own user, and
//! read in bounds.

use std::{
    collections::BTreeMap,
    fs::{File, OpenOptions},
    io::{Read as _, Seek as _, SeekFrom},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::PathBuf,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

use crate::sys::{budget, status::ProcStatus, tids};

/// Most bytes of a map that are read, and most that one look reads: what is behind them has no name yet.
const MAX_BYTES: u64 = 16 << 20;
const MAX_AT_ONCE: u64 = 4 << 20;

/// Most bytes that are kept of one map, and of all; and what each may keep however large the others are.
const MAX_OF_ONE: usize = 16 << 20;
const MAX_OF_ALL: usize = 48 << 20;
const SHARE: usize = 128 << 10;
/// What a piece of code takes beside its name.
const ENTRY: usize = 96;

static KEPT: AtomicUsize = AtomicUsize::new(0);

/// Longest line, bytes: what is longer is none.
const MAX_LINE: usize = 64 << 10;

/// Longest name, bytes.
const MAX_NAME: usize = 512;

/// The word of `Uid` in a process's status that is its effective user.
const EFFECTIVE: usize = 1;

/// The code that one process has made.
#[derive(Debug)]
pub struct PerfMap {
    tgid: u32,
    file: File,
    read_to: u64,
    /// A line whose end was not written yet.
    rest: Vec<u8>,
    /// Start → end and name. Of two at one address the later is what is there.
    code: BTreeMap<u64, (u64, String)>,
    kept: usize,
}

impl PerfMap {
    /// The map of a process; `None` if there is none that can be believed.
    #[must_use]
    pub fn of(tgid: u32) -> Option<Self> {
        let status = ProcStatus::of(tgid)?;
        // It is named by the number that the process itself knows.
        let numbers = status.value("NSpid").or_else(|| status.value("Pid"))?;
        let own_number: u32 = numbers.split_whitespace().last()?.parse().ok()?;
        let path = PathBuf::from(format!("/proc/{}/root/tmp/perf-{own_number}.map", tids::seen_by(tgid)));
        let plain = libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC;
        let file = OpenOptions::new().read(true).custom_flags(plain).open(path).ok()?;
        let about = file.metadata().ok()?;
        let is_believed = about.is_file() && status.number("Uid", EFFECTIVE) == Some(about.uid());
        is_believed.then(|| Self::over(tgid, file))
    }

    /// The perf map of a process, read from this file.
    pub(crate) const fn over(tgid: u32, file: File) -> Self {
        Self { tgid, file, read_to: 0, rest: Vec::new(), code: BTreeMap::new(), kept: 0 }
    }

    /// The name of the code at an address, after a look at what was written since the last one: other code may be there now.
    pub fn name(&mut self, address: u64) -> Option<&str> {
        self.read_on();
        let (_, (end, name)) = self.code.range(..=address).next_back()?;
        (address < *end).then_some(name.as_str())
    }

    /// A failed read is one that finds nothing: the code has no name.
    fn read_on(&mut self) {
        let left = MAX_BYTES.saturating_sub(self.read_to).min(MAX_AT_ONCE);
        if left == 0 {
            return;
        }
        let mut bytes = std::mem::take(&mut self.rest);
        let from = self.file.seek(SeekFrom::Start(self.read_to));
        let Ok(read) = from.and_then(|_| (&self.file).take(left).read_to_end(&mut bytes)) else { return };
        self.read_to += read as u64;
        let end = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        for line in bytes[..end].split(|byte| *byte == b'\n') {
            let has_room = KEPT.load(Relaxed) < MAX_OF_ALL && self.kept < MAX_OF_ONE || self.kept < SHARE;
            if !has_room {
                budget::cut(self.tgid);
                self.read_to = MAX_BYTES;
                return;
            }
            if let Some((start, length, name)) = parse(line) {
                self.kept += ENTRY + name.len();
                KEPT.fetch_add(ENTRY + name.len(), Relaxed);
                self.code.insert(start, (start.saturating_add(length), name));
            }
        }
        self.rest = bytes.split_off(end);
        if self.rest.len() > MAX_LINE {
            self.rest = Vec::new();
        }
    }
}

impl Drop for PerfMap {
    fn drop(&mut self) {
        KEPT.fetch_sub(self.kept, Relaxed);
    }
}

/// `START LENGTH name`, the numbers in hexadecimal; `None` of a line that is not so.
fn parse(line: &[u8]) -> Option<(u64, u64, String)> {
    let mut words = line.splitn(3, |byte| *byte == b' ');
    let mut number = || {
        let digits = str::from_utf8(words.next()?).ok()?;
        u64::from_str_radix(digits.strip_prefix("0x").unwrap_or(digits), 16).ok()
    };
    let (start, length) = (number()?, number()?);
    let name = words.next().filter(|name| !name.is_empty())?;
    Some((start, length, String::from_utf8_lossy(&name[..name.len().min(MAX_NAME)]).into_owned()))
}

#[cfg(test)]
mod tests {
    use std::{fs, io::Write as _};

    use super::*;

    /// A map of this process, removed when it is dropped.
    struct Map(PathBuf);

    impl Map {
        fn new() -> Self {
            Self(PathBuf::from(format!("/tmp/perf-{}.map", std::process::id())))
        }

        fn write(&self, text: &str) {
            let mut file = OpenOptions::new().create(true).append(true).open(&self.0).unwrap();
            file.write_all(text.as_bytes()).unwrap();
        }
    }

    impl Drop for Map {
        fn drop(&mut self) {
            let _ = fs::remove_file(&self.0);
        }
    }

    #[test]
    fn code_is_named_as_it_is_made_and_a_bad_line_is_no_code() {
        let map = Map::new();
        assert!(PerfMap::of(std::process::id()).is_none());
        map.write("1000 20 py::first:/srv/app.py\nnonsense\n0x2000 10\n3000 8 cut off");
        let mut read = PerfMap::of(std::process::id()).unwrap();
        assert_eq!(read.name(0x101f), Some("py::first:/srv/app.py"));
        for not_code in [0x1020, 0x2000, 0x3000] {
            assert_eq!(read.name(not_code), None);
        }
        map.write(" no more\nffffffffffffffff 10 the end\n");
        assert_eq!(read.name(0x3007), Some("cut off no more"));
        // What is made anew at the same place is another function.
        map.write("1000 30 second\n");
        assert_eq!(read.name(0x1000), Some("second"));
        assert_eq!(read.name(0x102f), Some("second"));
    }
}
