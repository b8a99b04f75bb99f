//! What is known of the waits on a stack: how many, how long on average, and the longest.

use std::collections::BTreeMap;

use crate::{model::profile::BlockedSample, render::graph::label::Label, units};

/// Waits on one stack, or on several that became equal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WaitTimes {
    /// How long inside the window, ns.
    pub ns: u64,
    /// How many ended in it.
    pub count: u64,
    /// The longest of them, ns; absent if it is not known.
    pub longest_ns: Option<u64>,
}

/// Stacks that end in a wait, with what is known of these waits.
pub type FoldedWaits = BTreeMap<Vec<Label>, WaitTimes>;

/// Adds waits on a stack. The longest is known only if it is of all.
pub fn add(waits: &mut FoldedWaits, stack: Vec<Label>, more: &WaitTimes) {
    let add = |sum: &mut WaitTimes| {
        sum.ns += more.ns;
        sum.count += more.count;
        sum.longest_ns = sum.longest_ns.zip(more.longest_ns).map(|(mine, theirs)| mine.max(theirs));
    };
    waits.entry(stack).and_modify(add).or_insert(*more);
}

impl WaitTimes {
    /// One row of a profile.
    #[must_use]
    pub fn of(sample: &BlockedSample) -> Self {
        Self { ns: sample.ns, count: sample.count, longest_ns: sample.longest_ns }
    }

    /// `90 waits, mean 500 µs, longest 5.00 ms`: how many ended in the window, their time in it by their number, and the longest from
    /// its beginning to its end.
    fn sentence(&self) -> String {
        let longest = self.longest_ns.map(|ns| format!(", longest {}", units::span(ns))).unwrap_or_default();
        match self.ns.checked_div(self.count) {
            None => format!("not over{longest}"),
            Some(mean) => {
                format!("{}, mean {}{longest}", units::counted(self.count, "wait"), units::span(mean))
            }
        }
    }
}

/// Writes on each box of waits what is known of them.
#[must_use]
pub fn told(folded: BTreeMap<Vec<Label>, u64>, waits: &FoldedWaits) -> BTreeMap<Vec<Label>, u64> {
    let told = folded.into_iter().map(|(mut stack, value)| {
        if let Some(times) = waits.get(&stack)
            && let Some(leaf) = stack.last_mut()
        {
            leaf.text = format!("{} {}", leaf.text, times.sentence()).into();
        }
        (stack, value)
    });
    told.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_on_stacks_that_became_equal_are_added() {
        let times = |ns, count, longest_ns| WaitTimes { ns, count, longest_ns };
        let mut waits = FoldedWaits::new();
        add(&mut waits, Vec::new(), &times(2_340_000, 1, Some(2_340_000)));
        assert_eq!(waits[&Vec::new()].sentence(), "1 wait, mean 2.34 ms, longest 2.34 ms");
        add(&mut waits, Vec::new(), &times(20_000_000_000, 1, Some(15_000_000_000)));
        assert_eq!(waits[&Vec::new()].sentence(), "2 waits, mean 10.0 s, longest 15.0 s");
        add(&mut waits, Vec::new(), &times(0, 0, None));
        assert_eq!(waits[&Vec::new()].sentence(), "2 waits, mean 10.0 s");
        assert_eq!(times(1, 0, None).sentence(), "not over");
    }
}
