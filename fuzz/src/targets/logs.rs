//! An access log that is appended to, cut, renamed and made anew, a byte for each; and never counts lines it has not.

use std::{
    fs::{self, File, OpenOptions},
    io::Write as _,
};

use profiler::sys::lines::LineCounter;

use crate::targets::{parts, take};

/// Most that happens to one.
const MAX_STEPS: usize = 64;

pub fn run(mut input: &[u8]) {
    let folder = tempfile::tempdir_in("/dev/shm").expect("there is a folder in memory");
    let path = folder.path().join("access.log");
    let mut log = File::create(&path).expect("it can be made");
    let mut lines = LineCounter::watch(&path).expect("it is a file");
    let (mut written, mut counted) = (0, 0);
    for _ in 0..MAX_STEPS {
        if input.is_empty() {
            break;
        }
        match u8::from_le_bytes(take(&mut input)) {
            0 => log.set_len(0).expect("it can be cut"),
            1 => fs::rename(&path, folder.path().join("access.log.1")).unwrap_or_default(),
            2 => log = OpenOptions::new().append(true).create(true).open(&path).expect("it can be opened"),
            3 => fs::remove_file(&path).unwrap_or_default(),
            length => {
                let (text, rest) = input.split_at(input.len().min(usize::from(length)));
                log.write_all(text).expect("there is room");
                written += parts(text, b'\n').count() as u64 - 1;
                input = rest;
            }
        }
        let now = lines.count().expect("it is short");
        assert!((counted..=written).contains(&now), "{now} lines of {written}, before {counted}");
        counted = now;
    }
}
