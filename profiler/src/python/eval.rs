//! Finds the interpreter's evaluation loop in its file, and whether the file's code keeps frame pointers.
//!
//! The loop is `_PyEval_EvalFrameDefault`, of which optimisers leave little but the way into a part of their own
//! (`.cold`), whose symbol `strip` removes: most jumps that leave the function go there, and the table of unwinding
//! (`.eh_frame_hdr`) tells where it begins and ends.

use std::{cmp::Reverse, collections::HashMap, ops::Range};

use object::{Object, ObjectSection, ObjectSymbol};

/// Bytes from which on a part that jumps lead to is taken for the loop: it has a piece for each instruction.
const MIN_COLD_BYTES: u64 = 8 << 10;

/// Longest code of one function that is looked at: the loop of a build that optimises nothing has half a megabyte.
const MAX_CODE_BYTES: u64 = 1 << 20;

/// The function that is the loop.
const LOOP: &str = "_PyEval_EvalFrameDefault";
/// Functions that begin with saving the frame pointer if the compiler was told to keep them: they call others, and have no
/// way around it.
const CALLERS: [&str; 4] = ["PyEval_EvalCode", "PyObject_Vectorcall", "PyNumber_Add", "PyIter_Next"];

/// What is known of the loop. Addresses are those of the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Eval {
    /// The loop's parts.
    pub parts: Vec<Range<u64>>,
    /// True if functions begin by saving the frame pointer and setting it anew.
    pub keeps_frame_pointers: bool,
}

impl Eval {
    /// The evaluation loop of a file that holds an interpreter; empty if the file does not show it.
    #[must_use]
    pub fn of<'data>(elf: &impl Object<'data>) -> Self {
        let function = |name: &str| {
            let symbol =
                elf.dynamic_symbols().chain(elf.symbols()).find(|symbol| symbol.name() == Ok(name))?;
            let (start, bytes) = (symbol.address(), symbol.size().min(MAX_CODE_BYTES));
            let section =
                elf.sections().find(|section| start.wrapping_sub(section.address()) < section.size())?;
            Some((start, section.data_range(start, bytes).ok()??.to_vec()))
        };
        let mut parts = Vec::new();
        if let Some((start, code)) = function(LOOP) {
            let hot = start..start.saturating_add(code.len() as u64);
            let cold = FunctionStarts::of(elf).and_then(|functions| functions.cold(&hot, &code));
            parts.extend([Some(hot), cold].into_iter().flatten());
        }
        let keeps = |name: &str| function(name).is_some_and(|(_, code)| saves_frame_pointer(&code));
        Self { parts, keeps_frame_pointers: CALLERS.into_iter().all(keeps) }
    }
}

/// `push %rbp`, maybe behind `endbr64`, and soon `mov %rsp,%rbp`.
fn saves_frame_pointer(code: &[u8]) -> bool {
    let code = code.strip_prefix(&[0xf3, 0x0f, 0x1e, 0xfa]).unwrap_or(code);
    let soon = code.get(..24).unwrap_or(code);
    code.starts_with(&[0x55]) && soon.windows(3).any(|bytes| bytes == [0x48, 0x89, 0xe5])
}

/// Where functions begin, by the binary search table for unwinding.
struct FunctionStarts<'data> {
    section: u64,
    /// Where each begins, counted from the section, and where what tells of it is.
    rows: &'data [[u8; 8]],
}

impl<'data> FunctionStarts<'data> {
    fn of(elf: &impl Object<'data>) -> Option<Self> {
        /// Version 1; a 4-byte pointer, a 4-byte count, and a table of pairs of 4 bytes that count from the section.
        const HEAD: [u8; 4] = [1, 0x1b, 0x03, 0x3b];
        let section = elf.section_by_name(".eh_frame_hdr")?;
        let data = section.data().ok()?;
        let count = u32::from_le_bytes(*data.get(8..)?.first_chunk()?);
        let (rows, _) = data.strip_prefix(&HEAD)?.get(8..)?.as_chunks();
        Some(Self { section: section.address(), rows: rows.get(..count as usize).unwrap_or(rows) })
    }

    fn start(&self, row: [u8; 8]) -> u64 {
        let distance = i32::from_le_bytes([row[0], row[1], row[2], row[3]]);
        self.section.wrapping_add_signed(i64::from(distance))
    }

    /// The function at an address.
    fn at(&self, address: u64) -> Option<Range<u64>> {
        let next = self.rows.partition_point(|row| self.start(*row) <= address);
        Some(self.start(*self.rows.get(next.checked_sub(1)?)?)..self.start(*self.rows.get(next)?))
    }

    /// The large part outside a function to which most of its jumps lead.
    fn cold(&self, hot: &Range<u64>, code: &[u8]) -> Option<Range<u64>> {
        let jumps = (0..code.len()).filter_map(|at| {
            let (len, distance) = match code.get(at..)? {
                [0xe9, rest @ ..] => (5, rest.first_chunk()?),
                [0x0f, 0x80..=0x8f, rest @ ..] => (6, rest.first_chunk()?),
                _ => return None,
            };
            let next = hot.start.wrapping_add(at as u64 + len);
            Some(next.wrapping_add_signed(i64::from(i32::from_le_bytes(*distance))))
        });
        let mut votes: HashMap<Range<u64>, u32> = HashMap::new();
        for part in jumps.filter(|target| !hot.contains(target)).filter_map(|target| self.at(target)) {
            if part.end.saturating_sub(part.start) < MIN_COLD_BYTES {
                continue;
            }
            *votes.entry(part).or_default() += 1;
        }
        votes.into_iter().max_by_key(|(part, count)| (*count, Reverse(part.start))).map(|(part, _)| part)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::python::unpacked;

    /// Debian's are split and stripped; from 3.15 on they keep frame pointers.
    #[test]
    fn the_loop_is_found_in_split_and_stripped_files() {
        for minor in 13..=15 {
            let Some(root) = unpacked(&format!("3.{minor}")) else { return };
            let file = fs::read(root.join(format!("usr/bin/python3.{minor}"))).expect("it is there");
            let eval = Eval::of(&object::File::parse(file.as_slice()).expect("it is ELF"));
            let [hot, cold] = eval.parts.as_slice() else { panic!("two parts: {eval:x?}") };
            assert!(hot.end - hot.start < 4096, "{hot:x?}");
            // The loops of these builds have 77 to 84 kB.
            assert!((60 << 10..120 << 10).contains(&(cold.end - cold.start)), "{cold:x?}");
            assert_eq!(eval.keeps_frame_pointers, minor == 15, "3.{minor}");
        }
    }
}
