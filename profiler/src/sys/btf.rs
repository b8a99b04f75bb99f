//! The kernel's own description of its types, `/sys/kernel/btf/vmlinux`: where a field stands in a struct.
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
const DECL_TAG: u32 = 17;
const TYPE_TAG: u32 = 18;
const ENUM64: u32 = 19;

/// Parsed types.
#[derive(Debug)]
pub struct Btf {
    data: Vec<u8>,
    strings: usize,
    /// Byte offset of each type's record; type ids start at 1.
    records: Vec<u32>,
}

impl Btf {
    /// Of the running kernel.
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
        let mut btf = Self { strings: header_len + strings, records: vec![0], data };
        let (mut at, end) = (header_len + types, header_len + types + types_len);
        while at < end {
            let id = btf.records.len() as u32;
            btf.records.push(at as u32);
            at += 12 + tail_bytes(btf.kind(id)?, btf.members(id)?)?;
        }
        Some(btf)
    }

    /// Byte offset of a field, given as a path: `("task_struct", "se.sum_exec_runtime")`. Anonymous structs and
    /// unions on the way need no mention.
    #[must_use]
    pub fn offset(&self, of: &str, path: &str) -> Option<u32> {
        let mut id = self.find(STRUCT, of)?;
        let mut bits = 0;
        for field in path.split('.') {
            let (offset, type_id) = self.field(id, field, 0)?;
            bits += offset;
            id = type_id;
        }
        Some(bits / 8)
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

    /// The same types with the same ids, but only tracepoints and functions of these names keep name and kind: for a
    /// loader that looks nothing else up, and whose own tables of all types would take some 20 MiB.
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

    /// A field's offset in bits and its type.
    fn field(&self, id: u32, name: &str, depth: usize) -> Option<(u32, u32)> {
        let id = self.strip(id)?;
        if !matches!(self.kind(id)?, STRUCT | UNION) || depth > MAX_CHAIN {
            return None;
        }
        let record = self.record(id)?;
        // With the kind flag the upper byte of an offset is a bit-field's width.
        let mask = if read_u32(&self.data, record + 4)? >> 31 == 1 { 0x00ff_ffff } else { u32::MAX };
        for member in 0..self.members(id)? {
            let at = record + 12 + 12 * member;
            let type_id = read_u32(&self.data, at + 4)?;
            let bits = read_u32(&self.data, at + 8)? & mask;
            match self.name(read_u32(&self.data, at)?) {
                Some(found) if found == name.as_bytes() => return Some((bits, type_id)),
                Some(_) => {}
                None => {
                    if let Some((inner, type_id)) = self.field(type_id, name, depth + 1) {
                        return Some((bits + inner, type_id));
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
        Some(read_u32(&self.data, self.record(id)? + 4)? >> 24 & 31)
    }

    fn members(&self, id: u32) -> Option<usize> {
        Some(read_u32(&self.data, self.record(id)? + 4)? as usize & 0xffff)
    }

    /// The string at an offset; `None` for the empty one.
    fn name(&self, offset: u32) -> Option<&[u8]> {
        let bytes = self.data.get(self.strings + offset as usize..)?;
        let end = bytes.iter().position(|byte| *byte == 0)?;
        (end != 0).then(|| &bytes[..end])
    }
}

/// Bytes that follow a type's first three words.
fn tail_bytes(kind: u32, members: usize) -> Option<usize> {
    Some(match kind {
        INT | VAR | DECL_TAG => 4,
        ARRAY => 12,
        STRUCT | UNION | DATASEC | ENUM64 => 12 * members,
        ENUM | FUNC_PROTO => 8 * members,
        0..=19 => 0,
        _ => return None,
    })
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
        assert_eq!(btf.offset("list_head", "prev"), Some(8));
        assert_eq!(btf.offset("task_struct", "no_such_field"), None);
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
