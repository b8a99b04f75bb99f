//! `punchclock ps`: the fleets of this host, and on request how each process was recognised; below them, the processes of
//! Python that are in none.

use std::{collections::BTreeSet, process::ExitCode};

use anyhow::Result;

use crate::{
    cli::Ps,
    cmd::outputs::{colour, print, say},
    failure::Failure,
    fleet::{Alone, Fleet, Member, ProcessProbe, Tree, alone, discover},
    model::worker::Role,
    render::fleets::{self, FleetBlock, ProcessRow},
    units,
};

/// Lists them on standard output. What could not be read, or that there are none, is said on standard error.
pub fn run(args: &Ps) -> Result<ExitCode> {
    let (tree, eyes) = (Tree::scan()?, ProcessProbe::real());
    let found = discover(&tree, &eyes);
    let alone = alone(&tree, &eyes, &found);
    if args.json {
        print(&fleets::json(&found, &alone)?)?;
    } else {
        let blocks = found.iter().map(|fleet| block(fleet, args.verbose)).chain(in_no_fleet(&alone));
        print(&fleets::text(&blocks.collect::<Vec<_>>(), colour()))?;
    }
    if found.is_empty() && alone.is_empty() {
        say(&format!("punchclock: {}", Failure::NoFleets));
    }
    let members = found.iter().flat_map(|fleet| &fleet.members).map(|member| member.hidden);
    let hidden = members.chain(alone.iter().map(|process| process.hidden)).filter(|hidden| *hidden).count();
    if hidden > 0 {
        say(&format!("punchclock: {hidden} of these processes may not be looked into by this user"));
        say("  help: `sudo punchclock ps` shows their Python, sockets and worker classes");
    }
    Ok(ExitCode::SUCCESS)
}

fn block(fleet: &Fleet, verbose: bool) -> FleetBlock {
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
        rows: fleet.members.iter().map(|member| row(member, has_slots, verbose)).collect(),
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

fn row(member: &Member, has_slots: bool, verbose: bool) -> ProcessRow {
    let slot = member.slot.map(|slot| format!("slot {slot}")).unwrap_or_default();
    let mut words = vec![format!("{} {}", member.role.name(), member.tgid)];
    words.extend(has_slots.then_some(slot));
    words.push(member.worker_class.clone().unwrap_or_default());
    words.push(units::counted(member.threads as u64, "thread"));
    ProcessRow { words, notes: if verbose { member.evidence.clone() } else { Vec::new() } }
}

/// Different words, separated by commas; `None` if there are none.
fn listed<'a>(words: impl Iterator<Item = &'a str>) -> Option<String> {
    let words: Vec<_> = words.collect::<BTreeSet<_>>().into_iter().collect();
    (!words.is_empty()).then(|| words.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::worker::Slot;

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
            program: crate::fleet::ProgramKind::Unknown,
        }
    }

    #[test]
    fn who_is_alone_is_told_by_pid() {
        assert_eq!(in_no_fleet(&[]), None);
        let process = Alone {
            tgid: 7,
            command: "nightly.py".to_owned(),
            python: Some("3.12.1".to_owned()),
            threads: 1,
            hidden: false,
        };
        let FleetBlock { headline, rows } = in_no_fleet(&[process]).unwrap();
        assert_eq!(headline, ["Python in no fleet", "1 process", "watch one with -p PID"]);
        assert_eq!(rows[0].words, ["7", "nightly.py", "Python 3.12.1", "1 thread"]);
    }

    #[test]
    fn a_headline_tells_the_whole_and_a_row_a_process() {
        let mut fleet = Fleet {
            name: "shop:app".to_owned(),
            server: "gunicorn".to_owned(),
            listening: vec!["127.0.0.1:80".to_owned(), "[::1]:80".to_owned()],
            members: vec![
                member(Role::Master, 7, None, Some("3.11.7")),
                member(Role::Worker, 8, Some("sync"), Some("3.11.7")),
                member(Role::Worker, 9, Some("sync"), None),
            ],
        };
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
}
