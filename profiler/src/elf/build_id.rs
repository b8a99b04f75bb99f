//! Build-ids: the linker's name for one build of a file (`NT_GNU_BUILD_ID`).

use std::{fmt::Write as _, fs::File};

use object::{Endianness, Object, read::elf::ElfFile64};
use serde::{Deserialize, Serialize};

use crate::elf::Pieces;

/// Longest build-id, bytes: as debuginfod has it. Linkers write 8 to 20.
const MAX_BYTES: usize = 64;

/// A build-id, as lower-case hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct BuildId(String);

impl BuildId {
    /// The build-id of a file; `None` if it has none, or is not 64-bit ELF.
    #[must_use]
    pub fn of_file(file: &File) -> Option<Self> {
        let pieces = Pieces::of(file);
        Self::of(&ElfFile64::<Endianness, _>::parse(&pieces).ok()?)
    }

    /// The build-id of a parsed file.
    #[must_use]
    pub fn of<'data>(elf: &impl Object<'data>) -> Option<Self> {
        let bytes = elf.build_id().ok()??;
        let mut digits = String::with_capacity(2 * bytes.len().min(MAX_BYTES));
        for byte in bytes.iter().take(MAX_BYTES + 1) {
            // A string takes all that is written.
            let _ = write!(digits, "{byte:02x}");
        }
        Self::try_from(digits).ok()
    }

    /// Its digits, two for each byte.
    #[must_use]
    pub fn digits(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for BuildId {
    type Error = &'static str;

    fn try_from(digits: String) -> Result<Self, Self::Error> {
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        let bytes = digits.len() / 2;
        let is_whole = (1..=MAX_BYTES).contains(&bytes) && digits.len() == 2 * bytes;
        let is_build_id = is_whole && digits.bytes().all(is_digit);
        is_build_id.then_some(Self(digits)).ok_or("a build-id is not one")
    }
}

impl From<BuildId> for String {
    fn from(id: BuildId) -> Self {
        id.0
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_file_has_the_one_that_its_linker_was_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.so");
        let linked = |id: &str| {
            let mut compiler = Command::new("gcc");
            compiler.args(["-shared", "-x", "c", "/dev/null", &format!("-Wl,--build-id={id}"), "-o"]);
            assert!(compiler.arg(&path).status().unwrap().success());
            BuildId::of_file(&File::open(&path).unwrap()).map(String::from)
        };
        assert_eq!(linked("0x0123456789abcdef").as_deref(), Some("0123456789abcdef"));
        let longest = "7f".repeat(MAX_BYTES);
        assert_eq!(linked(&format!("0x{longest}")), Some(longest.clone()));
        assert_eq!(linked(&format!("0x{longest}00")), None);
        assert_eq!(linked("none"), None);
    }

    #[test]
    fn other_texts_are_none() {
        for text in ["", "0", "012", "0g", "0A", "ä", &"00".repeat(MAX_BYTES + 1)] {
            assert!(BuildId::try_from(text.to_owned()).is_err(), "{text}");
        }
    }
}
