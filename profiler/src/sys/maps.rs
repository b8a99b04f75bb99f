//! Parses `/proc/PID/maps`. Names in it are bytes, of which others choose all but the newline.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read as _},
};

use crate::sys::{budget, tids};

/// Most lines that are read: twice what the kernel lets a process have by default (`vm.max_map_count`).
const MAX_LINES: usize = 1 << 17;
/// Most bytes: each line has a path, which may be as long as somebody likes to nest folders. So many are 190 for each mapping
/// that the kernel allows by default, and take some 0.2 s to read.
const MAX_BYTES: u64 = 12 << 20;

/// One mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MapsLine<'a> {
    /// First address.
    pub start: u64,
    /// The address behind it.
    pub end: u64,
    /// True if code may run there.
    pub is_executable: bool,
    /// Where in its file it begins, bytes.
    pub offset: u64,
    /// The device of its file; 0 if it has none.
    pub device: u64,
    /// The file's inode; 0 if it has none.
    pub inode: u64,
    /// The file's path, ` (deleted)` behind it if it is gone; or what the kernel calls the mapping, or nothing.
    pub path: &'a [u8],
}

impl<'a> MapsLine<'a> {
    /// `START-END PERMS OFFSET MAJOR:MINOR INODE          PATH`, numbers in hexadecimal but for the inode.
    fn parse(line: &'a [u8]) -> Option<Self> {
        let mut words = line.splitn(6, |byte| *byte == b' ');
        let mut word = || str::from_utf8(words.next()?).ok();
        let hex = |text: &str| u64::from_str_radix(text, 16).ok();
        let (start, end) = word()?.split_once('-')?;
        let permissions = word()?;
        let offset = hex(word()?)?;
        let (major, minor) = word()?.split_once(':')?;
        let inode = word()?.parse().ok()?;
        let path = words.next().unwrap_or_default().trim_ascii_start();
        Some(Self {
            start: hex(start)?,
            end: hex(end)?,
            is_executable: permissions.as_bytes().get(2) == Some(&b'x'),
            offset,
            device: libc::makedev(u32::try_from(hex(major)?).ok()?, u32::try_from(hex(minor)?).ok()?),
            inode,
            path,
        })
    }
}

/// Shows a process's mappings, by address; of too many, or of too long names, the first ones.
pub fn each(tgid: u32, see: impl FnMut(&MapsLine)) -> io::Result<()> {
    let maps = File::open(format!("/proc/{}/maps", tids::seen_by(tgid)))?;
    let mut maps = BufReader::new(maps.take(MAX_BYTES));
    each_in(&mut maps, see)?;
    if maps.get_ref().limit() == 0 {
        budget::cut(tgid);
    }
    Ok(())
}

/// Shows the mappings of a table.
pub(crate) fn each_in(mut maps: impl BufRead, mut see: impl FnMut(&MapsLine)) -> io::Result<()> {
    let mut line = Vec::new();
    for _ in 0..MAX_LINES {
        line.clear();
        maps.read_until(b'\n', &mut line)?;
        let Some(whole) = line.strip_suffix(b"\n") else { break };
        if let Some(line) = MapsLine::parse(whole) {
            see(&line);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_bytes() {
        let line = b"7f00a000-7f00b000 r-xp 00001000 fe:01 1234                       /tmp/ \xff a (deleted)";
        let parsed = MapsLine::parse(line).unwrap();
        assert_eq!(parsed.path, b"/tmp/ \xff a (deleted)");
        assert_eq!((parsed.start, parsed.end, parsed.offset), (0x7f00_a000, 0x7f00_b000, 0x1000));
        assert_eq!((parsed.device, parsed.inode), (libc::makedev(0xfe, 1), 1234));
        assert!(parsed.is_executable);
        let anonymous = MapsLine::parse(b"7ffc0000-7ffd0000 rw-p 00000000 00:00 0 ").unwrap();
        assert_eq!((anonymous.path, anonymous.device, anonymous.inode), (&b""[..], 0, 0));
        assert_eq!(MapsLine::parse(b"7ffc0000 rw-p"), None);
    }

    #[test]
    fn our_own_code_is_ours() {
        let mut found = false;
        let here = our_own_code_is_ours as fn() as usize as u64;
        each(std::process::id(), |line| {
            found |= line.is_executable && (line.start..line.end).contains(&here);
        })
        .unwrap();
        assert!(found);
    }
}
