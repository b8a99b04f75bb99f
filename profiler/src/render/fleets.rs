//! The list of fleets: a headline each, and a row for each of its processes; below them, the processes of Python that are
//! in none.

use std::collections::BTreeSet;

use comfy_table::{ContentArrangement, Table, presets};
use serde_json::json;

use crate::{
    fleet::{Alone, Fleet, Member},
    model::{SCHEMA_VERSION, worker::Role},
    render::{
        json,
        term::{self, escape},
    },
    units,
};

/// What of the list is shown, and how.
#[derive(Clone, Copy, Debug, Default)]
pub struct FleetOptions {
    /// What decided that a process is what it is, too.
    pub evidence: bool,
    /// Bold headlines.
    pub colour: bool,
}

/// The rows of one fleet, and its headline, as they come: they are escaped when they are laid out.
#[derive(Clone, Debug, PartialEq, Eq)]
struct FleetBlock {
    /// What there is to say of the whole.
    headline: Vec<String>,
    /// Processes of the fleet.
    rows: Vec<ProcessRow>,
}

/// The row of one process.
#[derive(Clone, Debug, PartialEq, Eq)]
struct ProcessRow {
    /// A word for each column.
    words: Vec<String>,
    /// Sentences behind them, one a line.
    notes: Vec<String>,
}

/// The list as text, an empty line between two fleets.
#[must_use]
pub fn text(fleets: &[Fleet], alone: &[Alone], options: FleetOptions) -> String {
    let blocks = fleets.iter().map(|fleet| block(fleet, options.evidence)).chain(in_no_fleet(alone));
    blocks.map(|block| laid_out(&block, options.colour)).collect::<Vec<_>>().join("\n")
}

/// The list as one JSON document, with a line break at its end.
pub fn json(fleets: &[Fleet], alone: &[Alone]) -> anyhow::Result<String> {
    json::document(&json!({ "schema_version": SCHEMA_VERSION, "fleets": fleets, "alone": alone }))
}

fn block(fleet: &Fleet, evidence: bool) -> FleetBlock {
    let mut headline = vec![format!("{} {}", fleet.server, fleet.name)];
    headline.extend((!fleet.listening.is_empty()).then(|| fleet.listening.join(", ")));
    headline.extend(fleet.with(Role::Master).map(|master| format!("master {}", master.tgid)));
    let classes = listed(fleet.with(Role::Worker).filter_map(|worker| worker.worker_class.as_deref()));
    let classes = classes.map(|classes| format!(" ({classes})")).unwrap_or_default();
    headline.push(units::counted(fleet.with(Role::Worker).count() as u64, "worker") + &classes);
    let versions = listed(fleet.members.iter().filter_map(|member| member.python.as_deref()));
    headline.extend(versions.map(|versions| format!("Python {versions}")));
    let has_slots = fleet.members.iter().any(|member| member.slot.is_some());
    FleetBlock {
        headline,
        rows: fleet.members.iter().map(|member| row(member, has_slots, evidence)).collect(),
    }
}

/// The processes of Python that are in no fleet; each can be watched by its PID.
fn in_no_fleet(alone: &[Alone]) -> Option<FleetBlock> {
    let row = |process: &Alone| {
        let python = process.python.as_ref().map(|version| format!("Python {version}")).unwrap_or_default();
        let threads = units::counted(process.threads as u64, "thread");
        ProcessRow {
            words: vec![process.tgid.to_string(), process.command.clone(), python, threads],
            notes: Vec::new(),
        }
    };
    let headline = vec![
        "Python in no fleet".to_owned(),
        units::counted(alone.len() as u64, "process"),
        "watch one with -p PID".to_owned(),
    ];
    (!alone.is_empty()).then(|| FleetBlock { headline, rows: alone.iter().map(row).collect() })
}

fn row(member: &Member, has_slots: bool, evidence: bool) -> ProcessRow {
    let slot = member.slot.map(|slot| format!("slot {slot}")).unwrap_or_default();
    let mut words = vec![format!("{} {}", member.role.name(), member.tgid)];
    words.extend(has_slots.then_some(slot));
    words.push(member.worker_class.clone().unwrap_or_default());
    words.push(units::counted(member.threads as u64, "thread"));
    ProcessRow { words, notes: if evidence { member.evidence.clone() } else { Vec::new() } }
}

/// Different words, separated by commas; `None` if there are none.
fn listed<'a>(words: impl Iterator<Item = &'a str>) -> Option<String> {
    let words: Vec<_> = words.collect::<BTreeSet<_>>().into_iter().collect();
    (!words.is_empty()).then(|| words.join(", "))
}

fn laid_out(block: &FleetBlock, colour: bool) -> String {
    let headline: Vec<_> = block.headline.iter().map(|part| escape::visible(part)).collect();
    let headline = term::bold(&headline.join(" · "), colour);
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    for ProcessRow { words, notes } in &block.rows {
        let visible = |text: &String| escape::visible(text).into_owned();
        let notes: Vec<_> = notes.iter().map(visible).collect();
        table.add_row(words.iter().map(visible).chain([notes.join("\n")]).collect::<Vec<_>>());
    }
    for column in table.column_iter_mut() {
        column.set_padding((2, 0));
    }
    format!("{headline}\n{}\n", table.trim_fmt())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{fleet::ProgramKind, model::worker::Slot};

    fn member(role: Role, tgid: u32, class: Option<&str>, python: Option<&str>) -> Member {
        Member {
            role,
            slot: None,
            worker_class: class.map(str::to_owned),
            tgid,
            ppid: 1,
            python: python.map(str::to_owned),
            threads: 2,
            evidence: vec!["why".to_owned()],
            hidden: false,
            ended: false,
            is_forked: false,
            program: ProgramKind::Unknown,
        }
    }

    fn fleet(name: &str) -> Fleet {
        Fleet {
            name: name.to_owned(),
            server: "gunicorn".to_owned(),
            listening: vec!["127.0.0.1:80".to_owned(), "[::1]:80".to_owned()],
            members: vec![
                member(Role::Master, 7, None, Some("3.11.7")),
                member(Role::Worker, 8, Some("sync"), Some("3.11.7")),
                member(Role::Worker, 9, Some("sync"), None),
            ],
        }
    }

    fn alone() -> Alone {
        Alone {
            tgid: 7,
            command: "nightly.py".to_owned(),
            python: Some("3.12.1".to_owned()),
            threads: 1,
            hidden: false,
        }
    }

    #[test]
    fn an_empty_line_stands_between_two() {
        let text = text(&[fleet("a"), fleet("b")], &[alone()], FleetOptions::default());
        let heads: Vec<_> = text.split("\n\n").map(|block| block.split(" · ").next().unwrap()).collect();
        assert_eq!(heads, ["gunicorn a", "gunicorn b", "Python in no fleet"]);
    }

    #[test]
    fn who_is_alone_is_told_by_pid() {
        assert_eq!(in_no_fleet(&[]), None);
        let FleetBlock { headline, rows } = in_no_fleet(&[alone()]).unwrap();
        assert_eq!(headline, ["Python in no fleet", "1 process", "watch one with -p PID"]);
        assert_eq!(rows[0].words, ["7", "nightly.py", "Python 3.12.1", "1 thread"]);
    }

    #[test]
    fn a_headline_tells_the_whole_and_a_row_a_process() {
        let mut fleet = fleet("shop:app");
        let headline = |fleet: &Fleet| block(fleet, false).headline.join(" | ");
        let expected =
            "gunicorn shop:app | 127.0.0.1:80, [::1]:80 | master 7 | 2 workers (sync) | Python 3.11.7";
        assert_eq!(headline(&fleet), expected);
        let rows = block(&fleet, true).rows;
        assert_eq!(
            (rows[1].words.join(" "), rows[1].notes.join(" ")),
            ("worker 8 sync 2 threads".into(), "why".into())
        );
        assert!(block(&fleet, false).rows[1].notes.is_empty());
        fleet.members[2].slot = Some(Slot { number: 2, generation: 0 });
        let words: Vec<_> = block(&fleet, false).rows.into_iter().map(|row| row.words).collect();
        assert_eq!((words[0][1].as_str(), words[2][1].as_str()), ("", "slot 2"));
        fleet.members = vec![member(Role::Worker, 7, None, None)];
        fleet.listening.clear();
        assert_eq!(headline(&fleet), "gunicorn shop:app | 1 worker");
    }

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn a_headline_and_aligned_rows() {
        let row = |line: &[&str], notes: &[&str]| ProcessRow { words: words(line), notes: words(notes) };
        let block = FleetBlock {
            headline: words(&["gunicorn shop\x1b[2J", "2 workers"]),
            rows: vec![
                row(&["master 7", "", "1 thread"], &["first", "second\n"]),
                row(&["worker 12345", "sync", "1 thread"], &[]),
            ],
        };
        let expected = "gunicorn shop\\x1b[2J · 2 workers\n  \
                        master 7            1 thread  first\n                                \
                        second\\x0a\n  \
                        worker 12345  sync  1 thread\n";
        assert_eq!(laid_out(&block, false), expected);
        let bold = laid_out(&block, true);
        assert!(bold.starts_with("\x1b[1mgunicorn") && !bold.contains("\x1b[2J"), "{bold}");
    }

    #[test]
    fn json_shows_no_character_that_acts() {
        let fleet = fleet("\u{9b}2J");
        let document = json(&[fleet], &[alone()]).unwrap();
        let acts = |c: char| c.is_control() && c != '\n';
        assert!(document.contains("\\u009b2J") && !document.contains(acts), "{document}");
        let document: serde_json::Value = serde_json::from_str(&document).unwrap();
        let names = (&document["fleets"][0]["name"], &document["alone"][0]["tgid"]);
        assert_eq!(names, (&"\u{9b}2J".into(), &7.into()));
    }
}
