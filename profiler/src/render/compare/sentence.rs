//! What is said of a comparison in words: its verdicts, and what was compared.

use crate::{
    model::diff::{Diff, GroupDiff, Judgement, Side, Undecided, Verdict},
    render::{
        compare::percent::{Percents, signed},
        term::escape,
    },
    units,
};

/// A sentence for each verdict, the fleet before it if there are several.
#[must_use]
pub fn verdicts(diff: &Diff) -> Vec<String> {
    if diff.verdicts.is_empty() {
        return vec!["nothing is judged: no process of one recording has its like in the other".to_owned()];
    }
    let several = diff.verdicts.len() > 1;
    let sentence = |verdict: &Verdict| {
        let sentence = self::verdict(verdict, diff.margin);
        if several { format!("{}: {sentence}", escape::visible(&verdict.fleet)) } else { sentence }
    };
    diff.verdicts.iter().map(sentence).collect()
}

fn verdict(verdict: &Verdict, margin: f64) -> String {
    let basis = if verdict.number.ends_with("per_request") { "request" } else { "second" };
    let what = format!("CPU per {basis}");
    let percents =
        verdict.ratio.zip(verdict.ratio_interval).map(|(ratio, interval)| Percents::new(ratio, interval));
    let values = format!("from {} to {} ms", figure(verdict.before), figure(verdict.after));
    match (verdict.outcome, percents) {
        (Judgement::Differs, percents) => {
            let word = if verdict.after > verdict.before { "rose" } else { "fell" };
            let by = percents.map(|percents| format!(" by {},", percents.amount())).unwrap_or_default();
            format!("{what} {word}{by} {values}")
        }
        (Judgement::Same, Some(percents)) => {
            let margin = units::decimal(margin * 100.0, 0);
            format!("{what}: no difference of more than {margin} % ({})", percents.interval())
        }
        (Judgement::Same, None) => format!("{what}: none in either"),
        (Judgement::Undecided, _) => match (verdict.undecided, verdict.ratio) {
            (Some(undecided), Some(ratio)) => {
                format!("{what}: {}", self::undecided(undecided, ratio, margin))
            }
            _ => format!("{what}: undecided, {values}; the windows do not tell how far it strays"),
        },
    }
}

fn undecided(undecided: Undecided, ratio: f64, margin: f64) -> String {
    let half = undecided.half_width * 100.0;
    let places = usize::from(half < 2.0);
    let (by, half) = (signed((ratio - 1.0) * 100.0, places), units::decimal(half, places));
    let length = undecided
        .needed_seconds
        .map_or_else(|| "not even a day".to_owned(), |seconds| format!("about {}", about(seconds)));
    let change = units::decimal(undecided.change * 100.0, 0);
    let does = if undecided.change > margin {
        format!("would show {change} %")
    } else {
        format!("would tell {change} % from none")
    };
    format!("undecided, {by} % ±{half} % after {}; {length} {does}", about(undecided.seconds))
}

/// A time as people say it.
fn about(seconds: f64) -> String {
    let (number, unit) = match seconds {
        ..120.0 => (seconds, "s"),
        120.0..7200.0 => (seconds / 60.0, "min"),
        _ => (seconds / 3600.0, "h"),
    };
    format!("{} {unit}", units::decimal(number, 0))
}

/// Which recordings, how long, of how many requests.
#[must_use]
pub fn headline(diff: &Diff) -> String {
    let side = |side: &Side| {
        let requests = side.requests.map(|count| format!(", {}", units::counted(count, "request")));
        let (name, requests) = (escape::visible(&side.name), requests.unwrap_or_default());
        format!("{name} ({}{requests})", units::seconds(side.duration_ns))
    };
    format!("{} → {}", side(&diff.before), side(&diff.after))
}

/// Which processes, and how many.
#[must_use]
pub fn title(group: &GroupDiff) -> String {
    let [before, after] = [0, 1]
        .map(|side| group.worker_class[side].as_deref().map(|class| format!(" {class}")).unwrap_or_default());
    let class = if before == after { before } else { format!("{before} →{after}") };
    let [old, new] = group.processes;
    let count = if old == new { format!("× {old}") } else { format!("× {old} → × {new}") };
    escape::visible(&format!("{} · {}{class} {count}", group.fleet, group.role.name())).into_owned()
}

/// Four significant digits.
#[must_use]
pub fn figure(number: f64) -> String {
    if number == 0.0 { "0".to_owned() } else { units::decimal(number, places(number)) }
}

/// Decimals that make four significant digits; four at most.
#[must_use]
pub fn places(number: f64) -> usize {
    (3.0 - number.abs().log10().floor()).clamp(0.0, 4.0) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{diff::MARGIN, worker::Role};

    fn said(outcome: Judgement, ratio: f64, interval: [f64; 2], undecided: Option<Undecided>) -> String {
        let verdict = Verdict {
            fleet: "gunicorn shop:application".to_owned(),
            role: Role::Worker,
            number: "cpu_ms_per_request".to_owned(),
            outcome,
            before: 2.0,
            after: 2.0 * ratio,
            ratio: Some(ratio),
            ratio_interval: Some(interval),
            undecided,
        };
        self::verdict(&verdict, MARGIN)
    }

    #[test]
    fn each_outcome_has_its_sentence() {
        let undecided = |half_width, change, needed_seconds| {
            Some(Undecided { half_width, seconds: 15.2, change, needed_seconds })
        };
        let unclear = |ratio, undecided| said(Judgement::Undecided, ratio, [0.9, 1.1], undecided);
        for (said, expected) in [
            (
                said(Judgement::Differs, 0.54, [0.49, 0.6], None),
                "CPU per request fell by 46 % (40 to 51 %), from 2.000 to 1.080 ms",
            ),
            (
                said(Judgement::Differs, 1.5, [1.1, 2.0], None),
                "CPU per request rose by 50 % (10 to 100 %), from 2.000 to 3.000 ms",
            ),
            (
                said(Judgement::Same, 1.01, [0.98, 1.03], None),
                "CPU per request: no difference of more than 5 % (−2 to +3 %)",
            ),
            (
                unclear(1.02, undecided(0.08, 0.1, Some(60.0))),
                "CPU per request: undecided, +2 % ±8 % after 15 s; about 60 s would show 10 %",
            ),
            (
                unclear(0.98, undecided(0.04, 0.05, Some(120.0))),
                "CPU per request: undecided, −2 % ±4 % after 15 s; about 2 min would tell 5 % from none",
            ),
            (
                unclear(1.5, undecided(4.0, 0.1, None)),
                "CPU per request: undecided, +50 % ±400 % after 15 s; not even a day would show 10 %",
            ),
            (
                unclear(1.5, None),
                "CPU per request: undecided, from 2.000 to 3.000 ms; the windows do not tell how far it strays",
            ),
        ] {
            assert_eq!(said, expected);
        }
    }

    #[test]
    fn figures_have_four_digits() {
        let figures = [0.0, 12345.6, 1.23456, 0.012_345_6, -2.5].map(figure);
        assert_eq!(figures, ["0", "12,346", "1.235", "0.0123", "-2.500"]);
    }
}
