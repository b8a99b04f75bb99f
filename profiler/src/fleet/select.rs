//! Selects the fleets that the user asks for.

use std::collections::HashSet;

use anyhow::Result;

use crate::{
    failure::Failure,
    fleet::{Fleet, Member, ProcessProbe, ProgramKind, Tree, command, discover, name, tgids},
    model::worker::Role,
    sys::process::{self, Process},
};

/// Which fleets and processes are asked for; none of both means all fleets.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted<'a> {
    /// Globs over the names and servers of fleets, or these and an address: `shop*`, `gunicorn@:8001`.
    pub names: &'a [String],
    /// Processes: each with everything below it. What is in no fleet becomes one of its own.
    pub tgids: &'a [u32],
}

/// Finds what is asked for, on this host and now. Fails with [`Failure`] where nothing answers to a name or a PID.
pub fn select(wanted: Wanted<'_>) -> Result<Vec<Fleet>> {
    if let Some(tid) = wanted.tgids.iter().find(|tgid| !process::is_process(**tgid)) {
        return Err(Failure::NoSuchProcess(*tid).into());
    }
    let tree = if wanted.names.is_empty() && !wanted.tgids.is_empty() {
        Tree::around(wanted.tgids)?
    } else {
        Tree::scan()?
    };
    Ok(among(wanted, &tree, &ProcessProbe::real())?)
}

fn among(wanted: Wanted<'_>, tree: &Tree, probe: &ProcessProbe) -> Result<Vec<Fleet>, Failure> {
    let mut fleets = discover(tree, probe);
    if wanted.names.is_empty() && wanted.tgids.is_empty() {
        name::tell_apart(&mut fleets);
        return if fleets.is_empty() { Err(Failure::NoFleets) } else { Ok(fleets) };
    }
    for name in wanted.names {
        if !fleets.iter().any(|fleet| name::answers(fleet, name)) {
            return Err(Failure::NoSuchFleet(name.clone()));
        }
        name::refuse_ambiguous(&fleets, name)?;
    }
    if let Some(tgid) = wanted.tgids.iter().find(|tgid| tree.get(**tgid).is_none()) {
        return Err(Failure::NoSuchProcess(*tgid));
    }
    let below = |tgid: &u32| std::iter::once(*tgid).chain(tree.descendants(*tgid));
    let asked: HashSet<u32> = wanted.tgids.iter().flat_map(below).collect();

    let mut taken: HashSet<u32> = tgids(&fleets).collect();
    for fleet in &mut fleets {
        if !wanted.names.iter().any(|name| name::answers(fleet, name)) {
            fleet.members.retain(|member| asked.contains(&member.tgid));
        }
    }
    fleets.retain(|fleet| !fleet.members.is_empty());
    // Parents first, so that a process is not asked for twice.
    for process in tree.iter().filter(|process| wanted.tgids.contains(&process.tgid)) {
        if taken.insert(process.tgid) {
            fleets.push(alone(process, tree, probe, &mut taken));
        }
    }
    name::tell_apart(&mut fleets);
    Ok(fleets)
}

/// A fleet of one process and of what is below it.
fn alone(process: &Process, tree: &Tree, probe: &ProcessProbe, taken: &mut HashSet<u32>) -> Fleet {
    let asked = Member::new(process, Role::Worker, "it was asked for by its PID".to_owned(), probe);
    let is_python = command::is_python(process) || asked.python.is_some();
    let mut fleet = Fleet::new(if is_python { "python" } else { "process" }, command::name(process));
    fleet.members.push(asked);
    let below = tree.descendants(process.tgid).into_iter().filter(|tgid| taken.insert(*tgid));
    let why = format!("it is below {}, which was asked for", process.tgid);
    let helper = |process| Member::new(process, Role::Helper, why.clone(), probe);
    fleet.members.extend(below.filter_map(|tgid| tree.get(tgid)).map(helper));
    fleet.judge_launched();
    fleet
}

/// The fleet of a command that was just started; it may have ended already.
#[must_use]
pub fn started(tgid: u32, program: &str) -> Fleet {
    if let Some(process) = Process::read(tgid) {
        return alone(&process, &Tree::default(), &ProcessProbe::real(), &mut HashSet::new());
    }
    let mut fleet = Fleet::new("process", program);
    fleet.members.push(Member {
        role: Role::Worker,
        slot: None,
        worker_class: None,
        tgid,
        ppid: std::process::id(),
        python: None,
        threads: 1,
        evidence: vec!["it was started to be watched".to_owned()],
        hidden: false,
        ended: false,
        is_forked: false,
        program: ProgramKind::Unknown,
    });
    fleet
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::fixture::{self, host, short};

    fn tree() -> Tree {
        host(&[
            (1, 0, "init"),
            (5, 1, "bash"),
            (10, 5, "python gunicorn shop:app"),
            (11, 10, "python gunicorn shop:app"),
            (12, 11, "convert"),
            (13, 10, "python gunicorn shop:app"),
            (20, 1, "python gunicorn blog:app"),
            (30, 1, "python pool.py"),
            (31, 30, "python pool.py"),
            (40, 5, "python serve.py"),
            (41, 40, "sh -c sleep"),
            (42, 41, "sleep"),
        ])
    }

    #[track_caller]
    fn chosen(names: &[&str], tgids: &[u32]) -> Vec<String> {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let fleets = among(Wanted { names: &names, tgids }, &tree(), &fixture::probe()).unwrap();
        fleets.iter().map(short).collect()
    }

    const SHOP: &str = "gunicorn shop:app: m10 w11 w13 h12";
    const BLOG: &str = "gunicorn blog:app: m20";
    const POOL: &str = "python pool.py: m30 w31";

    #[test]
    fn by_name_server_or_glob() {
        assert_eq!(chosen(&[], &[]), [BLOG, SHOP, POOL]);
        assert_eq!(chosen(&["shop:app"], &[]), [SHOP]);
        assert_eq!(chosen(&["gunicorn"], &[]), [BLOG, SHOP]);
        assert_eq!(chosen(&["b*", "po?l.py", "pool*"], &[]), [BLOG, POOL]);
    }

    #[test]
    fn by_pid() {
        assert_eq!(chosen(&[], &[10]), [SHOP]);
        assert_eq!(chosen(&[], &[11]), ["gunicorn shop:app: w11 h12"]);
        assert_eq!(chosen(&[], &[13, 31, 12]), ["gunicorn shop:app: w13 h12", "python pool.py: w31"]);
        assert_eq!(chosen(&["shop:app"], &[13]), [SHOP]);
        assert_eq!(chosen(&[], &[42, 40, 40]), ["python serve.py: w40 h41 h42"]);
        assert_eq!(chosen(&[], &[41]), ["process sh: w41 h42"]);
        assert_eq!(chosen(&[], &[5]), [SHOP, "process bash: w5 h40 h41 h42"]);
    }

    #[test]
    fn what_launchers_start() {
        let tree = host(&[
            (5, 1, "mpirun -n 2 train.py"),
            (6, 5, "orted"),
            (7, 6, "python train.py"),
            (8, 6, "python train.py --verbose"),
            (9, 7, "python convert.py"),
            (10, 8, "python convert.py"),
            (11, 5, "python monitor.py"),
            (20, 1, "python /bin/honcho start"),
            (21, 20, "sh -c work"),
            (22, 21, "python -m work"),
            (23, 20, "python -m work"),
            (30, 1, "python build.py"),
            (31, 30, "python tool.py"),
            (32, 30, "python tool.py"),
        ]);
        let chosen = |tgid: u32| {
            let wanted = Wanted { names: &[], tgids: &[tgid] };
            among(wanted, &tree, &fixture::probe()).unwrap().iter().map(short).collect::<Vec<_>>()
        };
        assert_eq!(chosen(5), ["process mpirun: m5 h6 h11 w7 w8 h9 h10"]);
        assert_eq!(chosen(20), ["python honcho: m20 h21 w23 w22"]);
        assert_eq!(chosen(30), ["python build.py: w30 h31 h32"], "it may well do the work itself");
    }

    #[test]
    fn what_is_not_there() {
        let fails = |names: &[String], tgids: &[u32], tree: &Tree| {
            among(Wanted { names, tgids }, tree, &fixture::probe()).unwrap_err().to_string()
        };
        assert_eq!(
            fails(&["gunicorn".to_owned(), "sho".to_owned()], &[], &tree()),
            "no fleet on this host matches `sho`"
        );
        assert_eq!(fails(&[], &[10, 99], &tree()), "no process has the PID 99");
        assert_eq!(fails(&[], &[], &host(&[(1, 0, "init")])), "no fleet of Python workers runs on this host");
    }

    #[test]
    fn never_itself() {
        assert!(matches!(
            select(Wanted { names: &[], tgids: &[std::process::id()] }).unwrap_err().downcast_ref(),
            Some(Failure::NoSuchProcess(_))
        ));
    }
}
