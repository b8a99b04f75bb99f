//! Thresholds that a comparison must not cross.

use std::str::FromStr;

use crate::model::diff::{Diff, GroupDiff, NumberDiff, quantity::names};
use crate::model::worker::Role;

/// `cpu_ms_per_request>+5%`: a number, a direction, and how far it may go.
///
/// A change in per cent, `+N%` or `-N%`, is crossed if the ratio of the two recordings lies beyond it, *and* the 95 %
/// interval of the ratio excludes that nothing changed: noise crosses nothing. The number was named before it was seen, so
/// its interval is that of the number alone, whatever its table, which has many, says of it. Where there is no interval the
/// ratio alone counts. A plain number is crossed if the second recording's value lies beyond it.
#[derive(Clone, Debug, PartialEq)]
pub struct Threshold {
    /// The threshold as it was written.
    pub text: String,
    name: String,
    is_above: bool,
    bound: Bound,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Bound {
    /// The largest or least ratio.
    Ratio(f64),
    /// The largest or least value.
    Value(f64),
}

impl FromStr for Threshold {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let form = || "it is not of the form NUMBER>+5%, NUMBER<-5%, NUMBER>3 or NUMBER<3".to_owned();
        let at = text.find(['<', '>']).ok_or_else(form)?;
        let (name, bound) = (text[..at].trim(), text[at + 1..].trim());
        let names = names();
        if !names.iter().any(|known| known == name) {
            return Err(format!("there is no number `{name}`; there are {}", names.join(", ")));
        }
        let number =
            |text: &str| text.parse::<f64>().ok().filter(|number| number.is_finite()).ok_or_else(form);
        let bound = match bound.strip_suffix('%') {
            Some(change) if change.starts_with(['+', '-']) => Bound::Ratio(1.0 + number(change)? / 100.0),
            Some(_) => return Err(form()),
            None => Bound::Value(number(bound)?),
        };
        Ok(Self {
            text: text.to_owned(),
            name: name.to_owned(),
            is_above: text[at..].starts_with('>'),
            bound,
        })
    }
}

impl Threshold {
    /// The groups in which it is crossed, each with the number: of the workers, or where there are none of all. `None`
    /// if no group has the number.
    #[must_use]
    pub fn crossed<'a>(&self, diff: &'a Diff) -> Option<Vec<(&'a GroupDiff, &'a NumberDiff)>> {
        let has_workers = diff.groups.iter().any(|group| group.role == Role::Worker);
        let groups = diff.groups.iter().filter(|group| !has_workers || group.role == Role::Worker);
        let find = |group: &'a GroupDiff| {
            Some((group, group.numbers.iter().find(|number| number.name == self.name)?))
        };
        let told: Vec<_> = groups.filter_map(find).collect();
        if told.is_empty() {
            return None;
        }
        Some(told.into_iter().filter(|(_, number)| self.is_crossed(number)).collect())
    }

    fn is_crossed(&self, number: &NumberDiff) -> bool {
        let is_beyond = |value: f64, bound: f64| if self.is_above { value > bound } else { value < bound };
        match self.bound {
            Bound::Value(bound) => is_beyond(number.after, bound),
            Bound::Ratio(bound) => {
                let interval = number.ratio_interval.map(|[low, high]| (low, high, 1.0));
                let interval = interval.or(number.difference_interval.map(|[low, high]| (low, high, 0.0)));
                let may_be_none = interval.is_some_and(|(low, high, none)| (low..=high).contains(&none));
                // From nothing to something is more than any per cent.
                let ratio = number.ratio.or((number.after > 0.0).then_some(f64::INFINITY));
                !may_be_none && ratio.is_some_and(|ratio| is_beyond(ratio, bound))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(before: f64, after: f64, ratio_interval: Option<[f64; 2]>) -> NumberDiff {
        NumberDiff {
            name: "cpu_ms_per_request".to_owned(),
            before,
            after,
            difference: after - before,
            difference_interval: None,
            ratio: (before > 0.0).then(|| after / before),
            ratio_interval,
            joint_difference_interval: None,
            joint_ratio_interval: None,
            outcome: None,
            is_real: None,
        }
    }

    fn crosses(bound: &str, number: &NumberDiff) -> bool {
        format!("cpu_ms_per_request{bound}").parse::<Threshold>().unwrap().is_crossed(number)
    }

    #[test]
    fn a_change_counts_if_it_is_beyond_the_bound_and_more_than_chance() {
        let clear = number(100.0, 108.0, Some([1.04, 1.12]));
        assert!(crosses(">+5%", &clear) && !crosses(">+10%", &clear) && !crosses("<-5%", &clear));
        assert!(!crosses(">+5%", &number(100.0, 108.0, Some([0.96, 1.2]))));
        assert!(crosses(">+5%", &number(100.0, 108.0, None)));
        let less = number(100.0, 90.0, Some([0.85, 0.95]));
        assert!(crosses("<-5%", &less) && crosses(" < -5%", &less) && !crosses(">+0%", &less));
        assert!(crosses(">+5%", &number(0.0, 1.0, None)) && !crosses(">+5%", &number(0.0, 0.0, None)));
    }

    #[test]
    fn a_plain_number_is_of_the_second_recording() {
        let number = number(1.0, 4.0, None);
        assert!(crosses(">3.5", &number) && !crosses(">4", &number) && crosses("<5", &number));
    }

    #[test]
    fn what_is_no_threshold_says_what_one_is() {
        let refused = |text: &str| text.parse::<Threshold>().unwrap_err();
        for text in
            ["cpu_ms_per_request", "cpu_ms_per_request>5%", "cpu_ms_per_request>x", "cpu_ms_per_request>nan"]
        {
            assert!(refused(text).contains("NUMBER>+5%"), "{text}");
        }
        let unknown = refused("cpu>+5%");
        assert!(unknown.contains("`cpu`") && unknown.contains("gil_ms_per_request, "), "{unknown}");
    }
}
