//! Reads parts of a file on demand, up to a limit of bytes.

use std::{
    cell::{Cell, RefCell},
    collections::HashSet,
    fs::File,
    ops::Range,
};

use object::{ReadCache, ReadRef};

/// Most bytes of one file that are held: the symbols of the largest libraries have half as many.
const MAX_HELD: u64 = 64 << 20;
/// Most bytes that are asked for, those that are held already among them.
const MAX_ASKED: u64 = 512 << 20;
/// Longest name.
const MAX_NAME: u64 = 4096;

/// A file under an ELF parser. What is asked for beyond the limit, or is not there (any more), cannot be read.
pub struct Pieces<'file> {
    read: ReadCache<&'file File>,
    /// Ranges that are held: offset and bytes.
    held: RefCell<HashSet<(u64, u64)>>,
    left_to_hold: Cell<u64>,
    left_to_ask: Cell<u64>,
}

impl<'file> Pieces<'file> {
    /// The pieces of a file, of which nothing is read yet.
    #[must_use]
    pub fn of(file: &'file File) -> Self {
        let (left_to_hold, left_to_ask) = (Cell::new(MAX_HELD), Cell::new(MAX_ASKED));
        Self { read: ReadCache::new(file), held: RefCell::default(), left_to_hold, left_to_ask }
    }

    /// Charges for a range, and for holding it if it is not held yet.
    fn charge(&self, offset: u64, bytes: u64) -> Result<(), ()> {
        take(&self.left_to_ask, bytes)?;
        if self.held.borrow().contains(&(offset, bytes)) {
            return Ok(());
        }
        take(&self.left_to_hold, bytes)?;
        self.held.borrow_mut().insert((offset, bytes));
        Ok(())
    }
}

fn take(left: &Cell<u64>, bytes: u64) -> Result<(), ()> {
    left.set(left.get().checked_sub(bytes).ok_or(())?);
    Ok(())
}

impl<'data> ReadRef<'data> for &'data Pieces<'_> {
    fn len(self) -> Result<u64, ()> {
        (&self.read).len()
    }

    fn read_bytes_at(self, offset: u64, size: u64) -> Result<&'data [u8], ()> {
        self.charge(offset, size)?;
        (&self.read).read_bytes_at(offset, size)
    }

    fn read_bytes_at_until(self, range: Range<u64>, delimiter: u8) -> Result<&'data [u8], ()> {
        take(&self.left_to_ask, MAX_NAME)?;
        let end = range.end.min(range.start.saturating_add(MAX_NAME));
        let name = (&self.read).read_bytes_at_until(range.start..end, delimiter)?;
        self.charge(range.start, name.len() as u64)?;
        Ok(name)
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
        // Each read counts, and one of the same bytes again for less.
        let again = (0..100).take_while(|_| (&pieces).read_bytes_at(0, 1 << 20).is_ok()).count();
        assert_eq!(again, 100);
        file.set_len(3 << 30).unwrap();
        let others = (1..1000).take_while(|mib| (&pieces).read_bytes_at(mib << 20, 1 << 20).is_ok()).count();
        assert_eq!(others, 61);
        let again = (0..1000).take_while(|_| (&pieces).read_bytes_at(0, 1 << 20).is_ok()).count();
        assert!((300..512).contains(&again), "{again}");
    }
}
