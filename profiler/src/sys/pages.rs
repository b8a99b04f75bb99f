//! Pages of one process's memory that were read already.
//!
//! Most of what a walk reads lies in few pages, and a page costs as much as a word does. They are kept for one look at threads
//! that sleep.

use std::{cell::RefCell, collections::HashMap};

const PAGE: u64 = 4096;
/// Most pages that are kept.
const MAX_PAGES: usize = 1024;

type PageBytes = Option<Box<[u8; PAGE as usize]>>;

/// Pages of a process by their numbers; nothing of one that cannot be read.
#[derive(Debug, Default)]
pub struct Pages {
    pages: RefCell<HashMap<u64, PageBytes>>,
}

impl Pages {
    /// Fills `buffer` from `address`, with pages that `read` reads; `None` unless all of it could be read.
    pub fn fill(
        &self,
        mut address: u64,
        mut buffer: &mut [u8],
        mut read: impl FnMut(u64, &mut [u8]) -> Option<()>,
    ) -> Option<()> {
        let mut pages = self.pages.borrow_mut();
        if pages.len() >= MAX_PAGES {
            pages.clear();
        }
        while !buffer.is_empty() {
            let (number, at) = (address / PAGE, (address % PAGE) as usize);
            let page = pages.entry(number).or_insert_with(|| {
                let mut page = Box::new([0; PAGE as usize]);
                read(number * PAGE, &mut page[..]).map(|()| page)
            });
            let (now, rest) = buffer.split_at_mut(buffer.len().min(PAGE as usize - at));
            now.copy_from_slice(&page.as_ref()?[at..at + now.len()]);
            (address, buffer) = (address.checked_add(now.len() as u64)?, rest);
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_read_once() {
        let (pages, mut reads) = (Pages::default(), Vec::new());
        let mut fill = |address, len| {
            let mut buffer = vec![0; len];
            let read = |address: u64, page: &mut [u8]| {
                reads.push(address);
                page.fill((address / PAGE) as u8);
                (address < 3 * PAGE).then_some(())
            };
            pages.fill(address, &mut buffer, read).map(|()| buffer)
        };
        assert_eq!(fill(PAGE + 8, 4), Some(vec![1; 4]));
        assert_eq!(fill(2 * PAGE - 2, 4), Some(vec![1, 1, 2, 2]));
        assert_eq!(fill(PAGE, 4), Some(vec![1; 4]));
        assert_eq!(fill(3 * PAGE - 2, 4), None);
        assert_eq!(fill(3 * PAGE, 4), None);
        assert_eq!(fill(u64::MAX - 1, 4), None);
        assert_eq!(reads, [PAGE, 2 * PAGE, 3 * PAGE, u64::MAX - (PAGE - 1)]);
    }
}
