//! Finds out the CPython version of a file.

use std::{fmt, path::Path};

use crate::{
    python::image::Image,
    sys::memory::{Mapping, Memory},
};

/// Bytes of an interpreter's zeroed data that are searched.
const MAX_BSS: u64 = 8 << 20;

/// 3.minor.patch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version {
    /// 11 of 3.11.7.
    pub minor: u32,
    /// 7 of 3.11.7; absent if it does not tell.
    pub patch: Option<u32>,
}

impl Version {
    /// Version of an interpreter: by its own word from 3.11 on; before that by what `sys.version` begins with, or the file's
    /// name.
    #[must_use]
    pub fn of(memory: Memory, mapping: &Mapping, image: &Image, bias: u64) -> Option<Self> {
        if let Some([hex, ..]) = image.constant("Py_Version").filter(|[hex, ..]| hex >> 24 == 3) {
            return Some(Self { minor: hex >> 16 & 0xff, patch: Some(hex >> 8 & 0xff) });
        }
        let named = minor_of(&mapping.path);
        let spoken =
            spoken(memory, image, bias).filter(|spoken| named.is_none_or(|minor| minor == spoken.minor));
        spoken.or_else(|| Some(Self { minor: named?, patch: None }))
    }

    /// True if a file's name says that it is a debug build, as `libpython3.8d.so.1.0` does.
    #[must_use]
    pub fn is_debug(&self, file_name: &str) -> bool {
        let suffix =
            file_name.split_once(&format!("python3.{}", self.minor)).map_or("", |(_, suffix)| suffix);
        suffix.chars().take_while(char::is_ascii_alphabetic).any(|flag| flag == 'd')
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "3.{}", self.minor)?;
        self.patch.map_or(Ok(()), |patch| write!(f, ".{patch}"))
    }
}

/// `Py_GetVersion` keeps `3.8.18 (…` in a static buffer. A version in other words, which there are, is not followed by a
/// parenthesis.
fn spoken(memory: Memory, image: &Image, bias: u64) -> Option<Version> {
    let (address, len) = image.bss().filter(|(_, len)| *len <= MAX_BSS)?;
    let data = memory.bytes(address.wrapping_add(bias), usize::try_from(len).ok()?)?;
    let starts = data.windows(2).enumerate().filter(|(_, bytes)| *bytes == b"3.");
    starts.map(|(start, _)| &data[start + 2..]).find_map(|rest| {
        let (minor, rest) = number(rest)?;
        let (patch, rest) = number(rest.strip_prefix(b".")?)?;
        let rest = rest.strip_prefix(b"+").unwrap_or(rest);
        rest.starts_with(b" (").then_some(Version { minor, patch: Some(patch) })
    })
}

/// A number of up to three digits, and what follows it.
fn number(text: &[u8]) -> Option<(u32, &[u8])> {
    let digits = text.iter().take(3).take_while(|byte| byte.is_ascii_digit()).count();
    Some((std::str::from_utf8(&text[..digits]).ok()?.parse().ok()?, &text[digits..]))
}

/// 11 for `libpython3.11.so.1.0` and `python3.11`.
fn minor_of(path: &Path) -> Option<u32> {
    let name = path.file_name()?.to_str()?;
    let rest = name.split_once("python3.")?.1;
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_builds_say_so_in_their_names() {
        let is_debug = |minor, name| Version { minor, patch: None }.is_debug(name);
        assert!(is_debug(7, "libpython3.7dm.so.1.0") && is_debug(11, "python3.11d"));
        for name in ["libpython3.11.so.1.0", "python3.11", "libpython3.11m.so", "python3.11-old", "debug"] {
            assert!(!is_debug(11, name), "{name}");
        }
    }
}
