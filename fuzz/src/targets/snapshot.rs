//! A process's interpreter as an input: what its file and its mapping tell, then what was read of its memory, in pieces of an
//! address, a length of two bytes, and so many bytes.

use profiler::{
    fuzzing::{self, InterpreterFacts},
    sys::stand_in::{self, Parts},
};

/// The interpreter of a living process as an input; `None` if it has none that is walked.
pub fn of_process(tgid: u32) -> Option<Vec<u8>> {
    let facts = fuzzing::capture(tgid)?;
    let mut is_read = false;
    let parts =
        stand_in::keep(|| is_read = fuzzing::names_of(tgid, &facts).is_some_and(|names| names.len() > 2));
    let mut input = bytemuck::bytes_of(&facts).to_vec();
    for (address, bytes) in parts {
        for (bytes, at) in bytes.chunks(usize::from(u16::MAX)).zip((address..).step_by(usize::from(u16::MAX)))
        {
            input.extend(at.to_le_bytes());
            input.extend((bytes.len() as u16).to_le_bytes());
            input.extend(bytes);
        }
    }
    is_read.then_some(input)
}

/// An input as facts and memory; what is cut off at its end is zero.
pub fn decode(input: &[u8]) -> (InterpreterFacts, Parts) {
    let (words, mut rest) = input.split_at(input.len().min(size_of::<InterpreterFacts>()));
    let mut facts = <InterpreterFacts as bytemuck::Zeroable>::zeroed();
    bytemuck::bytes_of_mut(&mut facts)[..words.len()].copy_from_slice(words);
    let mut parts = Parts::new();
    while let Some((address, behind)) = rest.split_first_chunk()
        && let Some((length, behind)) = behind.split_first_chunk()
    {
        let (bytes, behind) = behind.split_at(behind.len().min(usize::from(u16::from_le_bytes(*length))));
        parts.insert(u64::from_le_bytes(*address), bytes.to_vec());
        rest = behind;
    }
    (facts, parts)
}
