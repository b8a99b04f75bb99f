//! The numbers of each group in two recordings, and how far they can be trusted.

use profiler_common::wait::Reason;

use crate::{
    model::{
        diff::{
            FEWEST_WINDOWS, GroupDiff, Judgement, MARGIN, NumberDiff, Verdict,
            groups::{Matched, Members},
            quantity::{Basis, Quantity},
        },
        recording::Recording,
        worker::Role,
    },
    stats::{
        Interval,
        contrast::{Change, Contrast, Pair, contrasts},
        windows::WindowSeries,
    },
    units,
};

/// Fewer switches by request, or by second, are no difference.
const SWITCHES: [(Basis, f64); 2] = [(Basis::Request, 0.05), (Basis::Second, 1.0)];

/// All numbers, and what is said of the first of each group: of the workers, or where there are none of all.
pub fn of_groups(
    matched: &[Matched],
    both: [&Recording; 2],
    notes: &mut Vec<String>,
) -> (Vec<GroupDiff>, Vec<Verdict>) {
    notes.extend(ambiguity(both));
    notes.extend(silence(both));
    let has_workers = matched.iter().any(|matched| matched.sides[0].role == Role::Worker);
    let is_led = |matched: &&Matched| !has_workers || matched.sides[0].role == Role::Worker;
    let mut pairs: Vec<Vec<NumberPair>> = matched.iter().map(|matched| number_pairs(matched, both)).collect();
    for (_, pairs) in matched.iter().zip(&mut pairs).filter(|(matched, _)| is_led(matched)) {
        if let Some(first) = pairs.first_mut() {
            first.turn = Turn::First;
        }
    }
    let mut judged = judged(&pairs.iter().flatten().collect::<Vec<_>>()).into_iter();
    let lengths = both.map(|recording| recording.stat.duration_ns as f64 / 1e9);
    let (mut groups, mut verdicts) = (Vec::new(), Vec::new());
    for (matched, pairs) in matched.iter().zip(pairs) {
        let mut group = GroupDiff {
            fleet: matched.fleet.clone(),
            role: matched.sides[0].role,
            worker_class: matched.sides.each_ref().map(|side| side.worker_class.clone()),
            processes: matched.sides.each_ref().map(|side| side.tgids.len()),
            numbers: Vec::new(),
        };
        for (pair, contrast) in pairs.into_iter().zip(&mut judged) {
            let turn = pair.turn;
            let number = pair.number(contrast.as_ref());
            if turn == Turn::First {
                verdicts.push(Verdict::new(&group, &number, contrast.as_ref(), lengths));
            }
            group.numbers.push(number);
        }
        groups.push(group);
    }
    (groups, verdicts)
}

/// Contrasts the numbers of each turn with each other; `None` for what the windows do not tell.
fn judged(numbers: &[&NumberPair]) -> Vec<Option<Contrast>> {
    let mut judged = vec![None; numbers.len()];
    for turn in [Turn::First, Turn::Other, Turn::Host] {
        let of_turn = numbers.iter().enumerate().filter(|(_, number)| number.turn == turn);
        let (places, pairs): (Vec<_>, Vec<_>) =
            of_turn.filter_map(|(place, number)| Some((place, number.pair()?))).unzip();
        for (place, contrast) in places.into_iter().zip(contrasts(&pairs)) {
            judged[place] = contrast;
        }
    }
    judged
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

/// When a number is judged: those of one turn share a chance of being wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// It answers what is asked first.
    First,
    /// After it.
    Other,
    /// Not at all: it is up to who else uses the host.
    Host,
}

/// A number as both recordings have it.
struct NumberPair {
    name: String,
    quantity: Quantity,
    by: Basis,
    turn: Turn,
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
        let turn = if quantity.is_of_the_host() { Turn::Host } else { Turn::Other };
        Some(NumberPair { name: quantity.name(by), quantity, by, turn, cpu_ms, sides: [before?, after?] })
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

    /// The difference up to which nobody asks why: few switches, or a wait that is short beside the CPU time.
    fn least(&self) -> f64 {
        match self.quantity {
            Quantity::VoluntarySwitches | Quantity::PreemptedSwitches => {
                SWITCHES.iter().find(|(by, _)| *by == self.by).map_or(0.0, |(_, least)| *least)
            }
            Quantity::RunQueue | Quantity::Blocked(_) => MARGIN * self.cpu_ms,
            Quantity::Cpu => 0.0,
        }
    }

    fn outcome(&self, contrast: Option<&Contrast>) -> Option<Judgement> {
        let [before, after] = self.sides.each_ref().map(|side| side.value);
        match contrast {
            _ if self.turn == Turn::Host => None,
            Some(contrast) => Some(Judgement::of(contrast, self.least())),
            None if before == 0.0 && after == 0.0 => Some(Judgement::Same),
            None => Some(Judgement::Undecided),
        }
    }

    fn number(self, contrast: Option<&Contrast>) -> NumberDiff {
        let outcome = self.outcome(contrast);
        let [before, after] = self.sides.map(|series| series.value);
        let told = |interval: Interval| Some([interval.low, interval.high]).filter(is_told);
        let difference = |change: Change| told(change.difference);
        let ratio = |change: Change| change.ratio.and_then(told);
        NumberDiff {
            name: self.name,
            before,
            after,
            difference: after - before,
            difference_interval: contrast.and_then(|contrast| difference(contrast.alone)),
            ratio: (before > 0.0).then(|| after / before),
            ratio_interval: contrast.and_then(|contrast| ratio(contrast.alone)),
            joint_difference_interval: contrast.and_then(|contrast| difference(contrast.joint)),
            joint_ratio_interval: contrast.and_then(|contrast| ratio(contrast.joint)),
            outcome,
            is_real: outcome.filter(|_| contrast.is_some()).map(|outcome| outcome == Judgement::Differs),
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
