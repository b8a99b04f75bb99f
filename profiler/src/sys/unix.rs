//! Unix sockets with a path, from `/proc/PID/net/unix`. Paths are bytes: they need not be UTF-8, and may hold newlines, as
//! the kernel writes them.

use std::{
    collections::HashMap,
    fs::File,
    io::{BufRead as _, BufReader},
};

use crate::sys::tids;

/// Most lines that are read.
const MAX_LINES: usize = 1 << 17;
/// Most bytes of one line: a path has at most 108.
const MAX_BYTES: u64 = 512;

/// `SS_UNCONNECTED`, as the kernel tells states.
const UNCONNECTED: u32 = 1;

/// Inode and path of each that has been bound and is not connected, datagrams apart: it listens, or is about to.
#[must_use]
pub fn bound(tgid: u32) -> Vec<(u64, String)> {
    let table = File::open(format!("/proc/{}/net/unix", tids::seen_by(tgid)));
    let mut table = table.map(BufReader::new).into_iter().flat_map(|mut table| {
        std::iter::from_fn(move || {
            let mut line = Vec::new();
            let read = std::io::Read::take(&mut table, MAX_BYTES).read_until(b'\n', &mut line);
            read.is_ok_and(|read| read != 0).then_some(line)
        })
    });
    sockets(table.by_ref().take(MAX_LINES))
}

/// A path may hold what looks like another socket's line. That one has its own line, too, and which of two is true cannot be
/// told: it has no path then.
fn sockets(lines: impl Iterator<Item = Vec<u8>>) -> Vec<(u64, String)> {
    let mut sockets: Vec<(SocketLine, Vec<u8>)> = Vec::new();
    let mut lines_of: HashMap<u64, u32> = HashMap::new();
    for line in lines {
        let line = line.strip_suffix(b"\n").unwrap_or(&line);
        match (parse(line), sockets.last_mut()) {
            (Some((socket, path)), _) => {
                *lines_of.entry(socket.inode).or_default() += 1;
                sockets.push((socket, path.to_vec()));
            }
            // The path before goes on: there was a newline in it.
            (None, Some((_, path))) if path.len() < MAX_BYTES as usize => {
                path.push(b'\n');
                path.extend_from_slice(line);
            }
            // The heading.
            (None, _) => {}
        }
    }
    sockets.retain(|(socket, path)| socket.is_wanted && !path.is_empty() && lines_of[&socket.inode] == 1);
    let shown =
        |(socket, path): (SocketLine, Vec<u8>)| (socket.inode, String::from_utf8_lossy(&path).into_owned());
    sockets.into_iter().map(shown).collect()
}

/// What a line says of its socket.
struct SocketLine {
    inode: u64,
    /// True of one that is what is looked for.
    is_wanted: bool,
}

/// `ADDRESS: REFERENCES PROTOCOL FLAGS TYPE STATE INODE PATH`, numbers in hexadecimal but for the inode: what it says, and the
/// path.
fn parse(line: &[u8]) -> Option<(SocketLine, &[u8])> {
    let mut rest = line;
    let mut word = || {
        rest = rest.trim_ascii_start();
        let end = rest.iter().position(|byte| *byte == b' ').unwrap_or(rest.len());
        let (word, behind) = rest.split_at(end);
        rest = behind;
        str::from_utf8(word).ok()
    };
    u64::from_str_radix(word()?.strip_suffix(':')?, 16).ok()?;
    let mut numbers = [0; 5];
    for number in &mut numbers {
        *number = u32::from_str_radix(word()?, 16).ok()?;
    }
    let [.., kind, state] = numbers;
    let inode = word()?.parse().ok()?;
    let is_wanted = state == UNCONNECTED && kind.cast_signed() != libc::SOCK_DGRAM;
    Some((SocketLine { inode, is_wanted }, rest.strip_prefix(b" ").unwrap_or(rest)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_path_takes_another_away() {
        let table = b"Num       RefCount Protocol Flags    Type St Inode Path\n\
            0000000000000000: 00000002 00000000 00010000 0001 01    17 /run/first\n\
            0000000000000000: 00000002 00000000 00010000 0001 01 12345 /run/caf\xe9\n\
            0000000000000000: 00000002 00000000 00010000 0001 01 12346 /run/a\n\n b: c\n\
            0000000000000000: 00000003 00000000 00000000 0001 03 12347 /run/connected\n\
            0000000000000000: 00000002 00000000 00000000 0002 01 12348 /run/datagrams\n\
            0000000000000000: 00000003 00000000 00000000 0001 03 12349\n\
            0000000000000000: 00000002 00000000 00010000 0001 01 12350 @last\n";
        let found = sockets(table.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec));
        let found: Vec<_> = found.iter().map(|(inode, path)| (*inode, path.as_str())).collect();
        let expected =
            [(17, "/run/first"), (12345, "/run/caf\u{fffd}"), (12346, "/run/a\n\n b: c"), (12350, "@last")];
        assert_eq!(found, expected);
    }

    #[test]
    fn no_path_speaks_for_another_socket() {
        let table = b"0000000000000000: 00000002 00000000 00010000 0001 01 7 /run/true\n\
            0000000000000000: 00000003 00000000 00000000 0001 03 8\n\
            0000000000000000: 00000002 00000000 00010000 0001 01 9 @x\n\
            0000000000000000: 00000002 00000000 00010000 0001 01 7 /run/forged\n\
            0000000000000000: 00000002 00000000 00010000 0001 01 8 /run/forged\n";
        let found = sockets(table.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec));
        assert_eq!(found, [(9, "@x".to_owned())]);
    }
}
