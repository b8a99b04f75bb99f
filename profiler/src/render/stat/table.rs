//! The exact numbers as a table: a block a fleet, a row a process.
//!
//! What the numbers are stands in `rows.rs`; here is how they look.

use std::collections::BTreeSet;

use crate::{
    model::{
        accounting::{FleetDelta, StatDelta},
        worker::Role,
    },
    render::{
        stat::{budget, imbalance, lifecycle, rows::rows},
        term::{
            self, escape,
            grid::{self, Column, TableOptions},
        },
    },
    units,
};

/// A column's name above its unit, and the further blanks that follow it: none between two that belong together.
const COLUMNS: [(&str, u16); 17] = [
    ("\n\nprocess", 1),
    ("\n\nslot", 0),
    ("\n\nclass", 1),
    ("\nCPU\n%", 1),
    ("\non-CPU\nms", 1),
    ("\nuser\n%", 0),
    ("\nsys\n%", 1),
    ("run\nqueue\nms", 1),
    ("\nblocked\n%", 1),
    ("\nvoluntary\nswitches", 0),
    ("\n\n/s", 1),
    ("\npreempted\nswitches", 0),
    ("\n\n/s", 1),
    ("\nmigra-\ntions", 0),
    ("\n\n/s", 1),
    ("\nwake-\nups", 0),
    ("\n\n/s", 0),
];

/// The columns of text come first; the others hold numbers and are aligned to the right.
const TEXT_COLUMNS: usize = 3;
const SLOT: usize = 1;
const CLASS: usize = 2;

/// All fleets' blocks, an empty line between two.
#[must_use]
pub fn text(stat: &StatDelta, options: TableOptions) -> String {
    if stat.fleets.is_empty() {
        return "no process was seen\n".to_owned();
    }
    let blocks: Vec<String> =
        stat.fleets.iter().map(|fleet| block(fleet, stat.duration_ns, options)).collect();
    blocks.join("\n")
}

/// A fleet's header, its table, and its budget.
fn block(fleet: &FleetDelta, duration_ns: u64, options: TableOptions) -> String {
    // The header tells a class that all workers share.
    let has_classes = classes(fleet).len() > 1;
    let has_successors =
        fleet.with(Role::Worker).any(|worker| worker.slot.is_some_and(|slot| slot.generation != 0));
    let is_shown = |index: &usize| match *index {
        // Who never had a successor is told by its PID alone.
        SLOT => has_successors,
        CLASS => has_classes,
        _ => true,
    };
    let columns: Vec<Column> = COLUMNS
        .iter()
        .enumerate()
        .filter(|(index, _)| is_shown(index))
        .map(|(index, (head, gap))| Column {
            head: (*head).to_owned(),
            gap: *gap,
            is_text: index < TEXT_COLUMNS,
        })
        .collect();
    let rows = rows(fleet, options.threads).into_iter().map(|row| {
        let texts = row.texts(duration_ns).into_iter().enumerate();
        (row.kind, texts.filter(|(index, _)| is_shown(index)).map(|(_, text)| text).collect())
    });
    let header = term::bold(&headline(fleet, duration_ns), options.colour);
    let mut text = format!("{header}\n{}\n", grid::text(&columns, rows, options));
    if fleet.workers.iter().any(|worker| worker.waits.are_measured) {
        text += &["\n", &budget::text(fleet, options), "\n"].concat();
    }
    let lines = imbalance::text(fleet) + &imbalance::empty_wakeups(fleet) + &lifecycle::text(fleet);
    if !lines.is_empty() {
        text += &["\n", &lines].concat();
    }
    text
}

/// Headline of a fleet: `gunicorn wsgi_app:application · 4 workers (sync) · Python 3.11.7 · 10.0 s`.
fn headline(fleet: &FleetDelta, duration_ns: u64) -> String {
    let listed = |words: BTreeSet<&str>| {
        let words: Vec<_> = words.into_iter().map(escape::visible).collect();
        words.join(", ")
    };
    let count = units::counted(fleet.with(Role::Worker).count() as u64, "worker");
    let classes = match listed(classes(fleet)) {
        none if none.is_empty() => none,
        classes => format!(" ({classes})"),
    };
    let python = match listed(fleet.workers.iter().filter_map(|worker| worker.python.as_deref()).collect()) {
        none if none.is_empty() => "not Python".to_owned(),
        versions => format!("Python {versions}"),
    };
    let (server, name) = (escape::visible(&fleet.server), escape::visible(&fleet.name));
    format!("{server} {name} · {count}{classes} · {python} · {}", units::seconds(duration_ns))
}

/// The distinct classes of a fleet's workers.
fn classes(fleet: &FleetDelta) -> BTreeSet<&str> {
    fleet.with(Role::Worker).filter_map(|worker| worker.worker_class.as_deref()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fixture;

    #[test]
    fn classes_get_a_column_when_they_differ() {
        let mut stat = fixture::stat();
        assert!(!text(&stat, TableOptions::default()).contains("class"));
        stat.fleets[0].workers[2].worker_class = Some("gthread".to_owned());
        let mixed = text(&stat, TableOptions::default());
        assert!(mixed.starts_with(
            "gunicorn wsgi_app:application · 2 workers (gthread, sync) · Python 3.11.7 · 1.0 s\n"
        ));
        assert!(mixed.contains("\nworker 1235 SIGKILL  2.1  gthread  "), "{mixed}");
        assert!(mixed.contains("\nhelper 1250               -  "), "{mixed}");
    }

    #[test]
    fn it_fits_the_screen() {
        let mut stat = fixture::stat();
        stat.duration_ns = 10_000_000_000;
        for worker in &mut stat.fleets[0].workers {
            (worker.exited, worker.slot) = (false, None);
            worker.tgid += 4_000_000;
            worker.counters.on_cpu_ns = 9_999_999_999;
            worker.counters.voluntary_switches = 99_999;
            worker.counters.wakeups = 99_999;
        }
        let text = text(&stat, TableOptions::default());
        let widest = text.lines().map(|line| line.chars().count()).max();
        assert!(widest <= Some(120), "{widest:?}\n{text}");
    }

    #[test]
    fn nobody_is_said() {
        let mut stat = fixture::stat();
        stat.fleets.clear();
        assert_eq!(text(&stat, TableOptions::default()), "no process was seen\n");
    }

    #[test]
    fn only_a_willing_terminal_gets_escapes() {
        let mut stat = fixture::stat();
        stat.fleets[0].name = "\x1b[2Jevil".to_owned();
        stat.fleets[0].workers[1].threads[0].name = "a\nb\x1b[1m".to_owned();
        let plain = text(&stat, TableOptions { threads: true, colour: false });
        assert!(!plain.contains('\x1b'));
        assert!(plain.starts_with(r"gunicorn \x1b[2Jevil · "));
        assert!(plain.contains(r"  1234 a\x0ab\x1b[1m "));
        let coloured = text(&stat, TableOptions { threads: true, colour: true });
        assert!(coloured.contains("\x1b[1m"));
        assert!(!coloured.contains("\x1b[2J"));
    }
}
