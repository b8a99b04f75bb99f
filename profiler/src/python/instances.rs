//! Attributes of instances of classes: by name, in the dict or among the values that CPython keeps without one.
//!
//! Read from outside while the process runs: whatever does not hold together is no attribute.

use crate::{
    python::{interpreter::Interpreter, layout::Instances},
    sys::memory::Memory,
};

/// `PyTypeObject.tp_basicsize` and `tp_dictoffset`: the same in all versions.
const BASIC_SIZE: u64 = 32;
const DICT_OFFSET: u64 = 288;
/// `PyDictObject.ma_keys` and `ma_values`: likewise.
const KEYS: u64 = 32;
const VALUES: u64 = 40;
/// From 3.11 on, bytes before an instance at which its dict, and in 3.11 its values, are pointed to.
const DICT_BEFORE: u64 = 24;
const VALUES_BEFORE: u64 = 32;
/// 3.13+: what stands before the values themselves.
const VALUES_HEADER: u64 = 8;

/// Most attributes of an instance that are looked through, and bytes of one that has them behind it.
const MAX_ENTRIES: u64 = 64;
const MAX_BASIC_SIZE: u64 = 1 << 16;

/// A dict's keys, and the values of a split one.
struct Attributes {
    keys: u64,
    values: Option<u64>,
}

/// One of a dict's entries.
struct Entry {
    key: u64,
    value: u64,
}

/// The attribute of an instance; `None` if it has none of this name that can be read.
#[must_use]
pub fn attribute(memory: Memory, interpreter: &Interpreter, instance: u64, name: &str) -> Option<u64> {
    let attributes = attributes(memory, interpreter, instance)?;
    let (layout, _) = interpreter.instances();
    let entries = entries(memory, layout, attributes.keys)?;
    let mut named = entries.into_iter().zip(0..);
    let (entry, index) =
        named.find(|(entry, _)| interpreter.text(memory, entry.key).as_deref() == Some(name))?;
    let value = match attributes.values {
        Some(values) => memory.u64(values.wrapping_add(8 * index))?,
        None => entry.value,
    };
    Some(value).filter(|value| *value != 0)
}

fn attributes(memory: Memory, interpreter: &Interpreter, instance: u64) -> Option<Attributes> {
    let word = |address: u64| memory.u64(address);
    let (layout, shift) = interpreter.instances();
    let instance_type = interpreter.type_of(memory, instance)?.wrapping_add(shift);
    let cached_keys = |offset: u64| word(instance_type.wrapping_add(offset));
    // What makes objects larger without the GIL is all that the collector has of them, which stood before them.
    let before = word(instance.wrapping_sub(DICT_BEFORE - shift));
    let dict = match layout {
        Instances::Dict => {
            let offset = word(instance_type.wrapping_add(DICT_OFFSET))?;
            word(instance.wrapping_add(offset))?
        }
        Instances::Before => match word(instance.wrapping_sub(VALUES_BEFORE))? {
            0 => before?,
            values => return Some(Attributes { keys: cached_keys(872)?, values: Some(values) }),
        },
        Instances::Either => match before? {
            values if values & 1 == 1 => {
                return Some(Attributes { keys: cached_keys(880)?, values: Some(values.wrapping_add(1)) });
            }
            dict => dict,
        },
        Instances::Behind(keys) => match before? {
            0 => {
                let bytes = word(instance_type.wrapping_add(BASIC_SIZE))?;
                let values = instance.wrapping_add(bytes.min(MAX_BASIC_SIZE) + VALUES_HEADER);
                return Some(Attributes { keys: cached_keys(keys)?, values: Some(values) });
            }
            dict => dict,
        },
    };
    let header = if matches!(layout, Instances::Behind(_)) { VALUES_HEADER } else { 0 };
    let dict = dict.wrapping_add(shift);
    let values = word(dict.wrapping_add(VALUES))?;
    let values = (values != 0).then(|| values.wrapping_add(header));
    Some(Attributes { keys: word(dict.wrapping_add(KEYS))?, values })
}

/// The entries of a dict's keys, in the order in which they were made.
fn entries(memory: Memory, layout: Instances, keys: u64) -> Option<Vec<Entry>> {
    let mut head = [0u64; 5];
    memory.fill(keys, bytemuck::bytes_of_mut(&mut head))?;
    // (bytes before the entries, how many, bytes of one, its key)
    let (start, len, stride, key) = if layout == Instances::Dict {
        // dk_size, dk_nentries. An index takes one byte where there are so few.
        (40 + Some(head[1]).filter(|size| *size <= 2 * MAX_ENTRIES)?, head[4], 24, 8)
    } else {
        // dk_log2_index_bytes, dk_kind (0: the keys are not all text), dk_nentries.
        let [_, index_bytes, kind, ..] = head[1].to_ne_bytes();
        let indices = 1u64.checked_shl(u32::from(index_bytes))?;
        let (stride, key) = if kind == 0 { (24, 8) } else { (16, 0) };
        (32u64.checked_add(indices)?, head[3], stride, key)
    };
    let bytes =
        memory.bytes(keys.wrapping_add(start), usize::try_from(len.min(MAX_ENTRIES) * stride).ok()?)?;
    let word = |entry: &[u8], at: usize| Some(u64::from_ne_bytes(*entry.get(at..)?.first_chunk()?));
    let entries = bytes.chunks_exact(stride as usize);
    entries.map(|entry| Some(Entry { key: word(entry, key)?, value: word(entry, key + 8)? })).collect()
}
