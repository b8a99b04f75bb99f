//! The threads of a process by their numbers, and by which of them it is seen.

use std::{fs, io};

/// The tids of a process; none if it is gone.
#[must_use]
pub fn all_of(tgid: u32) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{tgid}/task")).into_iter().flatten().flatten();
    tasks.filter_map(|task| task.file_name().to_str()?.parse().ok()).collect()
}

/// The TID by which a process's memory and files are seen. `/proc` shows those of a process as long as its first thread lives;
/// then, those of any other that lives on.
#[must_use]
pub fn seen_by(tgid: u32) -> u32 {
    let shows = |tid: &u32| {
        let exe = fs::read_link(format!("/proc/{tid}/exe"));
        !exe.is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
    };
    if shows(&tgid) { tgid } else { all_of(tgid).into_iter().find(shows).unwrap_or(tgid) }
}
