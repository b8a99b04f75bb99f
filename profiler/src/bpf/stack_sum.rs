//! What was counted on a stack, as user space keeps it: of tens of thousands of stacks, so without what is zero.

use profiler_common::{
    config::StackCount,
    wait::{BUCKETS, Histogram},
};

/// A [`StackCount`] without what only the kernel side uses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StackSum {
    /// Times sampled, or waits that are over.
    pub count: u64,
    /// How long those waits took, ns; 0 on a CPU.
    pub ns: u64,
    /// How many of them began without anything received since the one before.
    pub empty: u64,
    /// Length of the longest of these waits, ns; 0 if it is not known.
    pub longest: u64,
    /// Lengths of these waits.
    pub lengths: Lengths,
}

/// A histogram of which most buckets are empty: the others by their numbers, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lengths(Vec<(u8, u64)>);

impl StackSum {
    /// Adds what was counted elsewhere.
    pub fn add(&mut self, more: &Self) {
        self.count += more.count;
        self.ns += more.ns;
        self.empty += more.empty;
        self.longest = self.longest.max(more.longest);
        self.lengths = self.lengths.with(&more.lengths, |mine, theirs| mine + theirs);
    }

    /// Takes away what had been counted before. The longest is 0, not known, if a longer one had ended by then.
    pub fn subtract(&mut self, before: &Self) {
        self.count = self.count.saturating_sub(before.count);
        self.ns = self.ns.saturating_sub(before.ns);
        self.empty = self.empty.saturating_sub(before.empty);
        self.longest = if self.longest > before.longest { self.longest } else { 0 };
        self.lengths = self.lengths.with(&before.lengths, u64::saturating_sub);
    }
}

impl From<&StackCount> for StackSum {
    fn from(&StackCount { count, ns, empty, longest, ref lengths, .. }: &StackCount) -> Self {
        Self { count, ns, empty, longest, lengths: Lengths::from(lengths) }
    }
}

impl Lengths {
    /// All buckets.
    #[must_use]
    pub fn unpacked(&self) -> Histogram {
        let mut all = [0; BUCKETS];
        for &(bucket, count) in &self.0 {
            all[usize::from(bucket)] = count;
        }
        all
    }

    fn with(&self, other: &Self, join: impl Fn(u64, u64) -> u64) -> Self {
        if other.0.is_empty() {
            return self.clone();
        }
        let (mut mine, theirs) = (self.unpacked(), other.unpacked());
        for (mine, theirs) in mine.iter_mut().zip(theirs) {
            *mine = join(*mine, theirs);
        }
        Self::from(&mine)
    }
}

impl From<&Histogram> for Lengths {
    fn from(all: &Histogram) -> Self {
        Self((0..).zip(*all).filter(|(_, count)| *count != 0).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(count: u64, longest: u64, buckets: &[(usize, u64)]) -> StackSum {
        let mut lengths = [0; BUCKETS];
        for (bucket, count) in buckets {
            lengths[*bucket] = *count;
        }
        StackSum::from(&StackCount { count, ns: 10 * count, longest, lengths, ..StackCount::default() })
    }

    #[test]
    fn what_is_added_can_be_taken_away() {
        let (one, other) = (counted(3, 9, &[(2, 1), (39, 2)]), counted(2, 7, &[(0, 1), (2, 1)]));
        let mut sum = one.clone();
        sum.add(&other);
        assert_eq!(sum, counted(5, 9, &[(0, 1), (2, 2), (39, 2)]));
        sum.subtract(&other);
        assert_eq!(sum, one, "the longest is of this one");
        sum.subtract(&one);
        assert_eq!(sum, StackSum::default());
    }
}
