//! Line tables that are too long for the kernel side to send. A process can make millions of bytes of them in no time, so
//! equal ones are kept once, and of each process, and of all, so many bytes.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use profiler_common::event::MAX_LINES_BYTES;

use crate::{python::code::CodeObject, sys::budget};

/// Most bytes that are kept of one process, and of all.
const MAX_OF_ONE: usize = 16 << 20;
const MAX_OF_ALL: usize = 64 << 20;
/// A table is gone through so many times quicker than it is read from a process.
const QUICKER: usize = 4;

/// Long line tables, and what was found in them.
#[derive(Debug, Default)]
pub struct LineTables {
    kept: HashSet<Arc<[u8]>>,
    bytes: usize,
    of_process: HashMap<u32, usize>,
    /// Lines that were looked up, by the code object's number and the instruction.
    found: HashMap<(u64, u64), u32>,
}

impl LineTables {
    /// A process's table as it is kept: itself, an equal one, or, for want of room, none.
    pub fn keep(&mut self, tgid: u32, table: &Arc<[u8]>) -> Arc<[u8]> {
        if table.len() <= MAX_LINES_BYTES {
            return Arc::clone(table);
        }
        if let Some(equal) = self.kept.get(table) {
            return Arc::clone(equal);
        }
        let of_process = self.of_process.entry(tgid).or_default();
        if *of_process + table.len() > MAX_OF_ONE || self.bytes + table.len() > MAX_OF_ALL {
            budget::cut(tgid);
            return Arc::default();
        }
        *of_process += table.len();
        self.bytes += table.len();
        self.kept.insert(Arc::clone(table));
        Arc::clone(table)
    }

    /// The line of an instruction of a process's code object with a number; its first line if to look for it takes more than
    /// the process has left.
    pub fn line(&mut self, tgid: u32, number: u64, code: &CodeObject, instr: u64) -> u32 {
        let bytes = code.line_table().len();
        if bytes <= MAX_LINES_BYTES {
            return code.line(instr);
        }
        if let Some(line) = self.found.get(&(number, instr)) {
            return *line;
        }
        if !budget::pay(tgid, bytes / QUICKER) {
            return code.first_line;
        }
        let line = code.line(instr);
        self.found.insert((number, instr), line);
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_tables_are_kept_once_and_others_while_there_is_room() {
        let mut tables = LineTables::default();
        let table = |byte: u8, len: usize| Arc::from(vec![byte; len]);
        let first = tables.keep(1, &table(0, 1 << 20));
        for _ in 0..1000 {
            assert!(Arc::ptr_eq(&first, &tables.keep(1, &table(0, 1 << 20))));
        }
        let kept = (1..100).take_while(|byte| !tables.keep(1, &table(*byte, 1 << 20)).is_empty()).count();
        assert_eq!(kept, 15, "of one process");
        assert!(budget::forget(1).is_some_and(|missing| missing.is_cut));
        assert_eq!(tables.keep(2, &table(200, 1 << 20)).len(), 1 << 20, "another has room");
        let kept = (3..100_u32).flat_map(|tgid| (0..16).map(move |byte| (tgid, byte)));
        let kept = kept.filter(|(tgid, byte)| {
            let mut table = vec![*byte; 1 << 20];
            table[..4].copy_from_slice(&tgid.to_ne_bytes());
            !tables.keep(*tgid, &table.into()).is_empty()
        });
        assert_eq!(kept.count(), 64 - 16 - 1, "of all");
        assert_eq!(tables.keep(7, &table(1, 7)).len(), 7, "a short one needs no room");
    }
}
