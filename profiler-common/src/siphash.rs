//! SipHash-2-4 of words: a hash with a key, without which nobody makes two inputs that have one hash (Aumasson and
//! Bernstein, "`SipHash`: a fast short-input PRF", 2012).
#![expect(clippy::inline_always, reason = "the eBPF side has no calls")]

use bytemuck::{Pod, Zeroable};

/// A secret, drawn anew by each session.
pub type HashKey = [u64; 2];

/// The state of a hash under way. Lives in a map value, not on the 512-byte stack.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub struct SipHash {
    state: [u64; 4],
    words: u64,
}

impl SipHash {
    /// Starts a hash, with no words in it.
    #[inline(always)]
    #[must_use]
    pub const fn new(key: HashKey) -> Self {
        let state = [
            key[0] ^ 0x736f_6d65_7073_6575,
            key[1] ^ 0x646f_7261_6e64_6f6d,
            key[0] ^ 0x6c79_6765_6e65_7261,
            key[1] ^ 0x7465_6462_7974_6573,
        ];
        Self { state, words: 0 }
    }

    /// Goes on with a word.
    #[inline(always)]
    pub const fn add(&mut self, word: u64) {
        self.words = self.words.wrapping_add(1);
        self.compress(word);
    }

    /// The hash.
    #[inline(always)]
    #[must_use]
    pub const fn finish(mut self) -> u64 {
        // The last block has the low byte of how many bytes there were.
        self.compress(self.words << 59);
        self.state[2] ^= 0xff;
        self.round();
        self.round();
        self.round();
        self.round();
        self.state[0] ^ self.state[1] ^ self.state[2] ^ self.state[3]
    }

    #[inline(always)]
    const fn compress(&mut self, word: u64) {
        self.state[3] ^= word;
        self.round();
        self.round();
        self.state[0] ^= word;
    }

    #[inline(always)]
    const fn round(&mut self) {
        let [mut a, mut b, mut c, mut d] = self.state;
        a = a.wrapping_add(b);
        b = b.rotate_left(13) ^ a;
        a = a.rotate_left(32);
        c = c.wrapping_add(d);
        d = d.rotate_left(16) ^ c;
        a = a.wrapping_add(d);
        d = d.rotate_left(21) ^ a;
        c = c.wrapping_add(b);
        b = b.rotate_left(17) ^ c;
        c = c.rotate_left(32);
        self.state = [a, b, c, d];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(deprecated, reason = "the standard library's own SipHash-2-4 is the truth here")]
    fn it_is_siphash() {
        use core::hash::{Hasher, SipHasher};
        for len in 0..70u64 {
            let key = [len.wrapping_mul(0x9e37_79b9_7f4a_7c15), !len];
            let (mut ours, mut theirs) = (SipHash::new(key), SipHasher::new_with_keys(key[0], key[1]));
            for word in 0..len {
                let word = word.wrapping_mul(0x0123_4567_89ab_cdef);
                ours.add(word);
                theirs.write(&word.to_le_bytes());
            }
            assert_eq!(ours.finish(), theirs.finish(), "{len} words");
        }
    }
}
