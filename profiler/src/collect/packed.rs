//! Plain data of which most is zero, kept without its zeros: a thread waits for few reasons, and its waits have few lengths.

use std::marker::PhantomData;

use bytemuck::Pod;

/// Bits of a word of the map of what is not zero.
const BITS: usize = u64::BITS as usize;

/// A value of plain data, a multiple of 8 bytes, without those of its words that are zero.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packed<T> {
    /// A bit for each word of the value, 1 if the word is not zero; behind them, those words.
    words: Box<[u64]>,
    value: PhantomData<T>,
}

impl<T: Pod> Packed<T> {
    /// Words of the value.
    const WORDS: usize = size_of::<T>() / size_of::<u64>();
    /// Words of the map.
    const MAP: usize = Self::WORDS.div_ceil(BITS);

    /// Packs a value.
    #[must_use]
    pub fn new(value: &T) -> Self {
        let all: &[u64] = bytemuck::cast_slice(std::slice::from_ref(value));
        let not_zero = || all.iter().enumerate().filter(|(_, word)| **word != 0);
        let mut words = Vec::with_capacity(Self::MAP + not_zero().count());
        words.resize(Self::MAP, 0);
        for (index, word) in not_zero() {
            words[index / BITS] |= 1 << (index % BITS);
            words.push(*word);
        }
        Self { words: words.into_boxed_slice(), value: PhantomData }
    }

    /// The value.
    #[must_use]
    pub fn unpack(&self) -> T {
        let mut value = T::zeroed();
        let all: &mut [u64] = bytemuck::cast_slice_mut(std::slice::from_mut(&mut value));
        let (map, mut words) = self.words.split_at(Self::MAP);
        for (index, word) in all.iter_mut().enumerate() {
            if map[index / BITS] >> (index % BITS) & 1 != 0
                && let Some((first, rest)) = words.split_first()
            {
                (*word, words) = (*first, rest);
            }
        }
        value
    }
}

#[cfg(test)]
mod tests {
    use profiler_common::wait::Waits;

    use super::*;

    #[test]
    fn what_is_packed_is_unpacked() {
        let mut waits = Waits::default();
        assert_eq!(Packed::new(&waits).unpack(), waits);
        (waits.sequence, waits.tid) = (2, u32::MAX);
        (waits.blocked[3].ns, waits.lengths[10][39]) = (u64::MAX, 1);
        let packed = Packed::new(&waits);
        assert_eq!(packed.unpack(), waits);
        assert!(packed.words.len() < 16, "{packed:?}");
        let full = [1_u64; 130];
        assert_eq!(Packed::new(&full).unpack(), full);
    }
}
