//! Reads parts of a file on demand, up to a limit of bytes.

use std::{cell::Cell, fs::File, ops::Range};

use object::{ReadCache, ReadRef};

/// Most bytes that are read of one file: the symbols of the largest libraries have half as many.
const MAX_BYTES: u64 = 64 << 20;

/// A file under an ELF parser. What is asked for beyond the limit, or is not there (any more), cannot be read.
pub struct Pieces<'file> {
    read: ReadCache<&'file File>,
    left: Cell<u64>,
}

impl<'file> Pieces<'file> {
    /// The pieces of a file, of which nothing is read yet.
    #[must_use]
    pub fn of(file: &'file File) -> Self {
        Self { read: ReadCache::new(file), left: Cell::new(MAX_BYTES) }
    }

    fn charge(&self, bytes: u64) -> Result<(), ()> {
        self.left.set(self.left.get().checked_sub(bytes).ok_or(())?);
        Ok(())
    }
}

impl<'data> ReadRef<'data> for &'data Pieces<'_> {
    fn len(self) -> Result<u64, ()> {
        (&self.read).len()
    }

    fn read_bytes_at(self, offset: u64, size: u64) -> Result<&'data [u8], ()> {
        self.charge(size)?;
        (&self.read).read_bytes_at(offset, size)
    }

    fn read_bytes_at_until(self, range: Range<u64>, delimiter: u8) -> Result<&'data [u8], ()> {
        /// Longest name.
        const MAX_NAME: u64 = 4096;
        self.charge(MAX_NAME)?;
        let end = range.end.min(range.start.saturating_add(MAX_NAME));
        (&self.read).read_bytes_at_until(range.start..end, delimiter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hole_of_gigabytes_is_not_read() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(3 << 30).unwrap();
        let pieces = Pieces::of(&file);
        assert!((&pieces).read_bytes_at(0, 3 << 30).is_err());
        assert_eq!((&pieces).read_bytes_at(7, 9).unwrap(), [0; 9]);
        file.set_len(1 << 20).unwrap();
        assert!((&pieces).read_bytes_at(7, 1 << 20).is_err(), "it was cut");
        // Each read counts, also one of the same bytes again.
        let reads = (0..1000).take_while(|_| (&pieces).read_bytes_at(0, 1 << 20).is_ok()).count();
        assert_eq!(reads, 62);
    }
}
