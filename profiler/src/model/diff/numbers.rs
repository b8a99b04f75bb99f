//! The numbers of each group in two recordings, and how far they can be trusted.

use profiler_common::wait::Reason;

use crate::{
    model::{
        diff::{
            FEWEST_WINDOWS, GroupDiff, NumberDiff,
            groups::{Matched, Members},
            quantity::{Basis, Quantity},
        },
        recording::Recording,
        worker::Role,
    },
    stats::{
        contrast::{Contrast, Pair, contrasts},
        windows::WindowSeries,
    },
    units,
};

/// Two runs of one program differ by so much of a number, whatever their windows say: by the addresses they got, by the
/// caches and the clock that neighbours leave them. Seen on a shared host within minutes: 2 to 5 %.
const ALIKE: f64 = 0.05;
/// Fewer switches by request, or by second, are no difference.
const SWITCHES: [(Basis, f64); 2] = [(Basis::Request, 0.05), (Basis::Second, 1.0)];

/// All numbers. They are judged together: see [`crate::stats::contrast`].
pub fn of_groups(matched: &[Matched], both: [&Recording; 2], notes: &mut Vec<String>) -> Vec<GroupDiff> {
    let mut pairs_of_groups: Vec<Vec<NumberPair>> =
        matched.iter().map(|matched| number_pairs(matched, both)).collect();
    let all = || pairs_of_groups.iter().flatten();
    notes.extend(ambiguity(both));
    notes.extend(silence(both));
    let pairs: Vec<_> = all().filter_map(NumberPair::pair).collect();
    let mut judged = contrasts(&pairs).into_iter();
    let judged: Vec<_> =
        all().map(|pairs_of_groups| pairs_of_groups.pair().and_then(|_| judged.next().flatten())).collect();
    let mut judged = judged.into_iter();
    let group = |(matched, pairs_of_groups): (&Matched, Vec<NumberPair>)| GroupDiff {
        fleet: matched.fleet.clone(),
        role: matched.sides[0].role,
        worker_class: matched.sides.each_ref().map(|side| side.worker_class.clone()),
        processes: matched.sides.each_ref().map(|side| side.tgids.len()),
        numbers: pairs_of_groups
            .into_iter()
            .map(|pairs_of_groups| pairs_of_groups.number(judged.next().flatten()))
            .collect(),
    };
    matched.iter().zip(pairs_of_groups.drain(..)).map(group).collect()
}

/// Why there are no numbers per request, though requests were counted.
fn ambiguity(both: [&Recording; 2]) -> Option<String> {
    let is_ambiguous = |recording: &&Recording| recording.requests.is_some() && !has_one_fleet(recording);
    both.iter().any(is_ambiguous).then(|| {
        "no numbers per request: requests are one fleet's, and a recording has several; record the one alone".to_owned()
    })
}

fn has_one_fleet(recording: &Recording) -> bool {
    recording.stat.fleets.len() == 1
}

/// Why there are no intervals.
fn silence(both: [&Recording; 2]) -> Option<String> {
    let few = both.iter().map(|recording| recording.windows.len()).min().filter(|few| *few < FEWEST_WINDOWS);
    if let Some(few) = few {
        return Some(format!(
            "no intervals: a recording has {} of a second, and fewer than {FEWEST_WINDOWS} do not tell how \
             far a number strays; record for longer",
            units::counted(few as u64, "window")
        ));
    }
    let has_requests = both.iter().all(|recording| recording.requests.is_some());
    (has_requests && !both.iter().all(|recording| counts_requests(recording))).then(|| {
        "no intervals per request: only their sum is known, not how many were answered in each second"
            .to_owned()
    })
}

fn counts_requests(recording: &Recording) -> bool {
    recording.windows.iter().all(|window| window.requests.is_some())
}

/// A number as both recordings have it.
struct NumberPair {
    name: String,
    quantity: Quantity,
    by: Basis,
    /// On-CPU time by the same, ms: what other times are measured by.
    cpu_ms: f64,
    sides: [RecordedNumber; 2],
}

/// A number as one recording has it.
struct RecordedNumber {
    value: f64,
    amounts: Vec<f64>,
    per: Vec<f64>,
}

fn number_pairs(matched: &Matched, both: [&Recording; 2]) -> Vec<NumberPair> {
    let numbers = Basis::ALL.into_iter().flat_map(|by| Quantity::all().map(move |quantity| (quantity, by)));
    let pairs_of_groups = |(quantity, by): (Quantity, Basis)| {
        let side = |quantity, side: usize| series(&matched.sides[side], both[side], quantity, by);
        let [before, after] = [0, 1].map(|place| side(quantity, place));
        let cpu_ms = side(Quantity::Cpu, 0)?.value;
        Some(NumberPair { name: quantity.name(by), quantity, by, cpu_ms, sides: [before?, after?] })
    };
    numbers.filter_map(pairs_of_groups).collect()
}

fn series(members: &Members, recording: &Recording, quantity: Quantity, by: Basis) -> Option<RecordedNumber> {
    let all = match by {
        Basis::Request => recording.requests? as f64,
        Basis::Second => recording.stat.duration_ns as f64 / 1e9,
    };
    if all <= 0.0 || !quantity.is_measured(&members.waits) {
        return None;
    }
    // Requests are counted for one fleet; what waits for them, and a master, do as much without any.
    let is_for_requests = members.role == Role::Worker && quantity != Quantity::Blocked(Reason::Idle);
    if by == Basis::Request && (!is_for_requests || !has_one_fleet(recording)) {
        return None;
    }
    let value = quantity.amount(&members.counters, &members.waits) / all;
    let per: Option<Vec<f64>> = match by {
        Basis::Request => {
            recording.windows.iter().map(|window| window.requests.map(|count| count as f64)).collect()
        }
        Basis::Second => {
            recording.windows.iter().map(|window| Some(window.duration_ns as f64 / 1e9)).collect()
        }
    };
    let amounts = recording.windows.iter().map(|window| {
        let mine = window.workers.iter().filter(|worker| members.tgids.contains(&worker.tgid));
        mine.map(|worker| quantity.amount(&worker.counters, &worker.waits)).sum()
    });
    Some(RecordedNumber { value, amounts: amounts.collect(), per: per.unwrap_or_default() })
}

impl RecordedNumber {
    fn windows(&self) -> WindowSeries<'_> {
        WindowSeries { amounts: &self.amounts, per: &self.per }
    }
}

impl NumberPair {
    /// What can be judged: there are windows enough, and it is not always nothing.
    fn pair(&self) -> Option<Pair<'_>> {
        let [before, after] = &self.sides;
        let is_something = before.value > 0.0 || after.value > 0.0;
        let windows = before.per.len().min(after.per.len());
        (is_something && windows >= FEWEST_WINDOWS)
            .then(|| Pair { before: before.windows(), after: after.windows() })
    }

    /// Whether a difference that is more than chance is also more than two runs of one program differ by.
    fn matters(&self, contrast: &Contrast) -> bool {
        let difference = contrast.difference.value.abs();
        let least = match self.quantity {
            Quantity::VoluntarySwitches | Quantity::PreemptedSwitches => {
                SWITCHES.iter().find(|(by, _)| *by == self.by).map_or(0.0, |(_, least)| *least)
            }
            Quantity::Cpu | Quantity::RunQueue | Quantity::Blocked(_) => ALIKE * self.cpu_ms,
        };
        let is_apart = contrast.ratio.is_none_or(|ratio| ratio.low > 1.0 + ALIKE || ratio.high < 1.0 - ALIKE);
        difference > least && is_apart
    }

    fn number(self, judged: Option<Contrast>) -> NumberDiff {
        let is_judged = !self.quantity.is_of_the_host();
        let is_real = judged.filter(|_| is_judged).map(|judged| judged.is_real() && self.matters(&judged));
        let [before, after] = self.sides.map(|series| series.value);
        NumberDiff {
            name: self.name,
            before,
            after,
            difference: after - before,
            difference_interval: judged
                .map(|judged| [judged.difference.low, judged.difference.high])
                .filter(is_told),
            ratio: (before > 0.0).then(|| after / before),
            ratio_interval: judged
                .and_then(|judged| judged.ratio)
                .map(|ratio| [ratio.low, ratio.high])
                .filter(is_told),
            is_real,
        }
    }
}

fn is_told(interval: &[f64; 2]) -> bool {
    interval.iter().all(|end| end.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{diff::diff, fixture};

    /// The names of a group's numbers per request.
    fn per_request(groups: &[GroupDiff], role: Role) -> Vec<&str> {
        let group = groups.iter().find(|group| group.role == role).unwrap();
        let names = group.numbers.iter().map(|number| number.name.as_str());
        names.filter(|name| name.ends_with("_per_request")).collect()
    }

    #[test]
    fn a_request_is_what_workers_do_and_one_fleets() {
        let recording = Recording { requests: Some(100), ..fixture::recording() };
        let pairs_of_groups = diff(("a", &recording), ("b", &recording), None);
        assert!(per_request(&pairs_of_groups.groups, Role::Master).is_empty());
        let workers = per_request(&pairs_of_groups.groups, Role::Worker);
        assert!(
            workers.contains(&"cpu_ms_per_request") && !workers.contains(&"idle_ms_per_request"),
            "{workers:?}"
        );

        let mut two = recording.clone();
        let mut other = two.stat.fleets[0].clone();
        "blog:app".clone_into(&mut other.name);
        two.stat.fleets.push(other);
        let pairs_of_groups = diff(("a", &two), ("b", &two), None);
        assert!(per_request(&pairs_of_groups.groups, Role::Worker).is_empty());
        assert!(
            pairs_of_groups.notes.iter().any(|note| note.starts_with("no numbers per request: ")),
            "{:?}",
            pairs_of_groups.notes
        );
    }
}
