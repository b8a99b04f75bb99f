//! Random order of an audit's windows, so that what drifts on the host affects all set-ups alike.

use crate::{model::report::Setup, stats::random::Random};

/// A random order that a seed decides (Fisher and Yates).
pub fn shuffle<T>(items: &mut [T], random: &mut Random) {
    for end in (1..items.len()).rev() {
        items.swap(end, random.index(end + 1));
    }
}

/// The set-ups of one class together, for one server can become them; classes and counts in random order.
pub fn groups(setups: &[Setup], random: &mut Random) -> Vec<Vec<Setup>> {
    let mut groups: Vec<Vec<Setup>> = Vec::new();
    for setup in setups {
        match groups.iter_mut().find(|group| group[0].worker_class == setup.worker_class) {
            Some(group) => group.push(setup.clone()),
            None => groups.push(vec![setup.clone()]),
        }
    }
    shuffle(&mut groups, random);
    for group in &mut groups {
        shuffle(group, random);
    }
    groups
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_order_comes_and_each_keeps_all() {
        let mut random = Random::new(7);
        let mut seen = HashSet::new();
        for _ in 0..200 {
            let mut items = [1, 2, 3];
            shuffle(&mut items, &mut random);
            let mut sorted = items;
            sorted.sort_unstable();
            assert_eq!(sorted, [1, 2, 3]);
            seen.insert(items);
        }
        assert_eq!(seen.len(), 6);
    }

    #[test]
    fn one_class_stays_together() {
        let setup =
            |class: &str, workers| Setup { worker_class: Some(class.to_owned()), workers: Some(workers) };
        let setups = [setup("sync", 1), setup("gevent", 1), setup("sync", 2), setup("gevent", 2)];
        let groups = groups(&setups, &mut Random::new(1));
        assert_eq!(groups.len(), 2);
        assert!(
            groups.iter().all(|group| group.len() == 2 && group[0].worker_class == group[1].worker_class)
        );
    }
}
