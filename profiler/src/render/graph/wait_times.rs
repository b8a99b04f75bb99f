//! What boxes say of the waits on a stack: how many, how long on average, and the longest.

use std::collections::BTreeMap;

use crate::{model::wait_times::WaitTimes, render::graph::label::Label, units};

/// Stacks that end in a wait, with what is known of these waits.
pub type FoldedWaits = BTreeMap<Vec<Label>, WaitTimes>;

/// Adds waits on a stack.
pub fn add(waits: &mut FoldedWaits, stack: Vec<Label>, more: &WaitTimes) {
    waits.entry(stack).and_modify(|sum| sum.add(more)).or_insert(*more);
}

/// `90 waits, mean 500 µs, longest 5.00 ms`: how many ended in the window, their time in it by their number, and the longest
/// from its beginning to its end.
fn sentence(times: &WaitTimes) -> String {
    let longest = times.longest_ns.map(|ns| format!(", longest {}", units::span(ns))).unwrap_or_default();
    match times.ns.checked_div(times.count) {
        None => format!("not over{longest}"),
        Some(mean) => {
            format!("{}, mean {}{longest}", units::counted(times.count, "wait"), units::span(mean))
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
            leaf.text = format!("{} {}", leaf.text, sentence(times)).into();
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
        assert_eq!(sentence(&waits[&Vec::new()]), "1 wait, mean 2.34 ms, longest 2.34 ms");
        add(&mut waits, Vec::new(), &times(20_000_000_000, 1, Some(15_000_000_000)));
        assert_eq!(sentence(&waits[&Vec::new()]), "2 waits, mean 10.0 s, longest 15.0 s");
        add(&mut waits, Vec::new(), &times(0, 0, None));
        assert_eq!(sentence(&waits[&Vec::new()]), "2 waits, mean 10.0 s");
        assert_eq!(sentence(&times(1, 0, None)), "not over");
    }
}
