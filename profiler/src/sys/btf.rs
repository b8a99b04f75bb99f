//! The kernel's own description of its types, `/sys/kernel/btf/vmlinux`: where a field stands in a struct, and how large
//! it is.
//!
//! Format: <https://docs.kernel.org/bpf/btf.html>. Every access is checked: a kernel with another layout gives an
//! absence, never a panic.

use std::{fs, io};

/// Where the kernel keeps it.
const VMLINUX: &str = "/sys/kernel/btf/vmlinux";
const MAGIC: u16 = 0xeb9f;
/// Pointers and typedefs followed to find a struct; the kernel's chains are short.
const MAX_CHAIN: usize = 16;

const INT: u32 = 1;
const POINTER: u32 = 2;
const ARRAY: u32 = 3;
const STRUCT: u32 = 4;
const UNION: u32 = 5;
const ENUM: u32 = 6;
const FORWARD: u32 = 7;
const TYPEDEF: u32 = 8;
const VOLATILE: u32 = 9;
const CONST: u32 = 10;
const RESTRICT: u32 = 11;
const FUNC: u32 = 12;
const FUNC_PROTO: u32 = 13;
const VAR: u32 = 14;
const DATASEC: u32 = 15;
const FLOAT: u32 = 16;
const DECL_TAG: u32 = 17;
const TYPE_TAG: u32 = 18;
const ENUM64: u32 = 19;

/// A field of a struct.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// Offset of the field from the struct's beginning, bytes.
    pub offset: u32,
    /// Bytes that it takes; `None` of a bit-field.
    pub bytes: Option<u32>,
}

/// Parsed types.
#[derive(Debug)]
pub struct Btf {
    data: Vec<u8>,
    strings: usize,
    /// Where the layout section begins, and how long it is.
    layout: (usize, usize),
    /// Byte offset of each type's record; type ids start at 1.
    records: Vec<u32>,
}

impl Btf {
    /// The types of the running kernel.
    pub fn of_kernel() -> io::Result<Self> {
        let data = fs::read(VMLINUX)?;
        Self::parse(data).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "not understood"))
    }

    fn parse(data: Vec<u8>) -> Option<Self> {
        let header = |index: usize| read_u32(&data, 4 + 4 * index).map(|word| word as usize);
        if read_u32(&data, 0)? & 0xffff != u32::from(MAGIC) {
            return None;
        }
        let (header_len, types, types_len, strings) = (header(0)?, header(1)?, header(2)?, header(3)?);
        // A newer header is longer and tells of a layout section too (Linux 7.3, `include/uapi/linux/btf.h`).
        let layout = if header_len >= 32 { (header_len + header(5)?, header(6)?) } else { (0, 0) };
        let mut btf = Self { strings: header_len + strings, layout, records: vec![0], data };
        let (mut at, end) = (header_len + types, header_len + types + types_len);
        while at < end {
            let id = btf.records.len() as u32;
            btf.records.push(at as u32);
            at += 12 + btf.tail_bytes(btf.kind(id)?, btf.members(id)?)?;
        }
        Some(btf)
    }

    /// A field, given as a path: `("task_struct", "se.sum_exec_runtime")`. Anonymous structs and unions on the way need
    /// no mention.
    #[must_use]
    pub fn field(&self, of: &str, path: &str) -> Option<Field> {
        let mut id = self.find(STRUCT, of)?;
        let (mut bits, mut is_bit_field) = (0, false);
        for name in path.split('.') {
            let member = self.member(id, name, 0)?;
            bits += member.bits;
            (id, is_bit_field) = (member.type_id, member.is_bit_field);
        }
        let bytes = if is_bit_field { None } else { self.bytes(id, 0) };
        Some(Field { offset: bits / 8, bytes })
    }

    /// Bytes that a type takes.
    fn bytes(&self, id: u32, depth: usize) -> Option<u32> {
        let id = self.strip(id)?;
        let record = self.record(id)?;
        match self.kind(id)? {
            INT | STRUCT | UNION | ENUM | ENUM64 | FLOAT => read_u32(&self.data, record + 8),
            // The kernel is of this machine, and so are its pointers.
            POINTER => Some(size_of::<usize>() as u32),
            ARRAY if depth < MAX_CHAIN => {
                let (element, len) = (read_u32(&self.data, record + 12)?, read_u32(&self.data, record + 20)?);
                self.bytes(element, depth + 1)?.checked_mul(len)
            }
            _ => None,
        }
    }

    /// Bytes by which one per-CPU variable stands behind another; `None` unless the kernel has both.
    #[must_use]
    pub fn per_cpu_distance(&self, from: &str, to: &str) -> Option<i32> {
        let (from, to) = (self.find(VAR, from)?, self.find(VAR, to)?);
        let sections = (1..self.records.len() as u32).filter(|id| self.kind(*id) == Some(DATASEC));
        for section in sections {
            let (from, to) = (self.place_in(section, from), self.place_in(section, to));
            if let (Some(from), Some(to)) = (from, to) {
                return Some(to.wrapping_sub(from).cast_signed());
            }
        }
        None
    }

    /// Where a variable stands in a section.
    fn place_in(&self, section: u32, variable: u32) -> Option<u32> {
        let first = self.record(section)? + 12;
        let mut entries = (0..self.members(section)?).map(|index| first + 12 * index);
        let entry = entries.find(|entry| read_u32(&self.data, *entry) == Some(variable))?;
        read_u32(&self.data, entry + 4)
    }

    /// True if the kernel has the tracepoint, as programs on BTF tracepoints need it.
    #[must_use]
    pub fn has_tracepoint(&self, name: &str) -> bool {
        self.find(TYPEDEF, &format!("btf_trace_{name}")).is_some()
    }

    /// True if the kernel has the function.
    #[must_use]
    pub fn has_function(&self, name: &str) -> bool {
        self.find(FUNC, name).is_some()
    }

    /// Types with the same ids, of which only tracepoints and functions of these names keep name and kind: for a loader that
    /// looks nothing else up, and whose own tables of all types would take some 20 MiB.
    #[must_use]
    pub fn reduced_to(&self, tracepoints: &[&str], functions: &[&str]) -> Vec<u8> {
        let typedefs = tracepoints.iter().map(|name| (TYPEDEF, format!("btf_trace_{name}")));
        let functions = functions.iter().map(|name| (FUNC, (*name).to_owned()));
        let wanted: Vec<_> = typedefs
            .chain(functions)
            .filter_map(|(kind, name)| self.find(kind, &name).map(|id| (id, kind, name)))
            .collect();
        let count = wanted.iter().map(|(id, ..)| *id as usize).max().unwrap_or(0);
        let mut records = vec![[0, FORWARD << 24, 0]; count];
        let mut strings = vec![0];
        for (id, kind, name) in wanted {
            records[id as usize - 1] = [strings.len() as u32, kind << 24, 0];
            strings.extend_from_slice(name.as_bytes());
            strings.push(0);
        }
        let types_len = 12 * count as u32;
        let header = [u32::from(MAGIC) | 1 << 16, 24, 0, types_len, types_len, strings.len() as u32];
        let words = header.iter().chain(records.as_flattened());
        words.flat_map(|word| word.to_ne_bytes()).chain(strings).collect()
    }

    /// The first type of a kind with a name. Looked for anew each time: an index of all names would be larger than
    /// the types, and only a handful is ever asked for.
    fn find(&self, kind: u32, name: &str) -> Option<u32> {
        let ids = 1..self.records.len() as u32;
        ids.into_iter().find(|id| self.kind(*id) == Some(kind) && self.is_called(*id, name))
    }

    fn is_called(&self, id: u32, name: &str) -> bool {
        self.record(id).and_then(|at| self.name(read_u32(&self.data, at)?)) == Some(name.as_bytes())
    }

    fn record(&self, id: u32) -> Option<usize> {
        Some(*self.records.get(id as usize)? as usize)
    }

    /// A struct's or union's member of a name, also inside of anonymous ones.
    fn member(&self, id: u32, name: &str, depth: usize) -> Option<BtfMember> {
        let id = self.strip(id)?;
        if !matches!(self.kind(id)?, STRUCT | UNION) || depth > MAX_CHAIN {
            return None;
        }
        let record = self.record(id)?;
        // With the kind flag the upper byte of an offset is a bit-field's width, 0 for what is none.
        let has_widths = read_u32(&self.data, record + 4)? >> 31 == 1;
        for member in 0..self.members(id)? {
            let at = record + 12 + 12 * member;
            let type_id = read_u32(&self.data, at + 4)?;
            let word = read_u32(&self.data, at + 8)?;
            let (bits, width) = if has_widths { (word & 0x00ff_ffff, word >> 24) } else { (word, 0) };
            match self.name(read_u32(&self.data, at)?) {
                Some(found) if found == name.as_bytes() => {
                    return Some(BtfMember { bits, type_id, is_bit_field: width != 0 });
                }
                Some(_) => {}
                None => {
                    if let Some(inner) = self.member(type_id, name, depth + 1) {
                        return Some(BtfMember { bits: bits + inner.bits, ..inner });
                    }
                }
            }
        }
        None
    }

    /// The type behind typedefs and qualifiers.
    fn strip(&self, mut id: u32) -> Option<u32> {
        for _ in 0..MAX_CHAIN {
            if !matches!(self.kind(id)?, TYPEDEF | VOLATILE | CONST | RESTRICT | TYPE_TAG) {
                return Some(id);
            }
            id = read_u32(&self.data, self.record(id)? + 8)?;
        }
        None
    }

    fn kind(&self, id: u32) -> Option<u32> {
        Some(read_u32(&self.data, self.record(id)? + 4)? >> 24 & 0x7f)
    }

    fn members(&self, id: u32) -> Option<usize> {
        Some(read_u32(&self.data, self.record(id)? + 4)? as usize & 0x00ff_ffff)
    }

    /// Bytes that follow a type's first three words. Of a kind that is not known the layout section tells.
    fn tail_bytes(&self, kind: u32, members: usize) -> Option<usize> {
        Some(match kind {
            INT | VAR | DECL_TAG => 4,
            ARRAY => 12,
            STRUCT | UNION | DATASEC | ENUM64 => 12 * members,
            ENUM | FUNC_PROTO => 8 * members,
            0..=ENUM64 => 0,
            _ => {
                let (at, len) = self.layout;
                let entry = 4 * kind as usize;
                let sizes = if entry < len { read_u32(&self.data, at + entry)? } else { return None };
                let [once, each, ..] = sizes.to_ne_bytes();
                usize::from(once) + usize::from(each) * members
            }
        })
    }

    /// The string at an offset; `None` for the empty one.
    fn name(&self, offset: u32) -> Option<&[u8]> {
        let bytes = self.data.get(self.strings + offset as usize..)?;
        let end = bytes.iter().position(|byte| *byte == 0)?;
        (end != 0).then(|| &bytes[..end])
    }
}

/// A member of a struct or a union.
struct BtfMember {
    /// Offset of the member, bits.
    bits: u32,
    type_id: u32,
    is_bit_field: bool,
}

fn read_u32(data: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(data.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_what_the_kernel_has() {
        let btf = Btf::of_kernel().expect("this kernel has BTF");
        assert!(btf.has_tracepoint("sched_switch") && !btf.has_tracepoint("sched_lunch"));
        assert!(btf.has_function("bpf_iter_task"));
        assert_eq!(btf.field("list_head", "prev"), Some(Field { offset: 8, bytes: Some(8) }));
        assert_eq!(btf.field("task_struct", "no_such_field"), None);
    }

    #[test]
    fn sizes_are_those_of_the_kernels_types() {
        let btf = Btf::of_kernel().expect("this kernel has BTF");
        let bytes = |of, path| btf.field(of, path).map(|field| field.bytes);
        assert_eq!(bytes("task_struct", "comm"), Some(Some(16)), "TASK_COMM_LEN");
        assert_eq!(bytes("inode", "i_mode"), Some(Some(2)), "umode_t");
        assert_eq!(bytes("task_struct", "sched_reset_on_fork"), Some(None), "a bit-field");
    }

    /// A struct `s` of one field `f`, an `int` called `i`, behind `before`.
    fn types(before: &[u32], layout: &[u8]) -> Vec<u8> {
        let after = if before.is_empty() { 1 } else { 2 };
        let structure = [[1, STRUCT << 24 | 1, 4], [3, after, 0]];
        let integer = [5, INT << 24, 4, 32];
        let types = [before, &integer, structure.as_flattened()].concat();
        let strings = b"\0s\0f\0i\0";
        let types_len = 4 * types.len() as u32;
        let strings_end = types_len + strings.len() as u32;
        let header = [
            u32::from(MAGIC) | 1 << 16,
            32,
            0,
            types_len,
            types_len,
            strings.len() as u32,
            strings_end,
            layout.len() as u32,
        ];
        let words = header.iter().chain(&types);
        words.flat_map(|word| word.to_ne_bytes()).chain(*strings).chain(layout.iter().copied()).collect()
    }

    #[test]
    fn unknown_kinds_are_skipped_by_the_layout() {
        let found = Some(Field { offset: 0, bytes: Some(4) });
        let known = Btf::parse(types(&[], &[])).expect("all of its kinds are known");
        assert_eq!(known.field("s", "f"), found);
        // Of kind 20, with one word of its own and two members of one word each.
        let unknown = [0, 20 << 24 | 2, 0, 1, 2, 3];
        assert!(Btf::parse(types(&unknown, &[])).is_none(), "nothing tells its size");
        let mut layout = [0; 4 * 21];
        [layout[80], layout[81]] = [4, 4];
        let skipped = Btf::parse(types(&unknown, &layout)).expect("the layout tells its size");
        assert_eq!(skipped.field("s", "f"), found);
    }

    #[test]
    fn what_it_is_reduced_to_keeps_its_number() {
        let btf = Btf::of_kernel().expect("this kernel has BTF");
        let reduced = Btf::parse(btf.reduced_to(&["sched_switch"], &["bpf_iter_task", "no_such_function"]));
        let reduced = reduced.expect("it is BTF");
        for (kind, name) in [(TYPEDEF, "btf_trace_sched_switch"), (FUNC, "bpf_iter_task")] {
            assert_eq!(reduced.find(kind, name), btf.find(kind, name), "{name}");
        }
        assert!(!reduced.has_tracepoint("sched_process_fork") && reduced.data.len() < btf.data.len());
    }
}
