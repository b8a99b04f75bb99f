//! Adds processes to a fleet while it is watched, and removes those that end.

use std::collections::HashSet;

use crate::{
    fleet::{
        Fleet, Member, ProcessProbe, ProgramKind, Tree, discover, name,
        relation::{is_of_forkserver, runs_same_program},
        servers, tgids,
    },
    model::worker::Role,
    sys::{children::Children, process::Process},
};

/// Adds a process that a member forked. A master's child becomes a worker, of the class that its siblings have; what another
/// member forked is a helper.
pub fn join(fleets: &mut [Fleet], tgid: u32, parent_tgid: u32) {
    place(fleets, tgid, parent_tgid, Process::read);
}

/// Notes that a member has ended: its place is free.
pub fn leave(fleets: &mut [Fleet], tgid: u32) {
    let mut members = fleets.iter_mut().flat_map(|fleet| &mut fleet.members);
    if let Some(member) = members.find(|member| member.tgid == tgid) {
        member.ended = true;
    }
}

/// Removes those who have ended, of each fleet with more than so many: the place of the fleet, and who it was. `is_kept` says who
/// stays. The first member stays, and whoever had a slot last.
pub fn remove_ended(
    fleets: &mut [Fleet],
    most: usize,
    is_kept: impl Fn(&Member) -> bool,
) -> Vec<(usize, Member)> {
    let mut removed = Vec::new();
    for (place, fleet) in fleets.iter_mut().enumerate() {
        if fleet.members.iter().filter(|member| member.ended).count() <= most {
            continue;
        }
        let last: HashSet<u32> =
            fleet.last_in_slots().chain(fleet.members.first().map(|first| first.tgid)).collect();
        let is_removed =
            |member: &mut Member| member.ended && !last.contains(&member.tgid) && !is_kept(member);
        removed.extend(fleet.members.extract_if(.., is_removed).map(|member| (place, member)));
    }
    removed
}

/// Looks at a member again that has called `exec`: a worker that now runs another program is a helper.
pub fn renew(fleets: &mut [Fleet], tgid: u32) {
    let parent = fleets.iter().find_map(|fleet| fleet.member(tgid)).map(|member| member.ppid);
    if let Some(parent_tgid) = parent {
        join(fleets, tgid, parent_tgid);
    }
}

/// Takes in whoever is below a member by now and in no fleet. Without /proc nobody joins.
pub fn adopt(fleets: &mut [Fleet]) {
    let mut parents: Vec<u32> = fleets.iter().flat_map(Fleet::living).map(|member| member.tgid).collect();
    let mut known: HashSet<u32> = tgids(fleets).chain([std::process::id()]).collect();
    let mut children = Children::default();
    while let Some(parent) = parents.pop() {
        for child in children.of(parent).unwrap_or_default() {
            if known.insert(child) && Process::read(child).is_some() {
                join(fleets, child, parent);
                parents.push(child);
            }
        }
    }
}

/// Looks at all members again and fills in what shows only after a while: what a command that was just started has
/// become, the class of the first workers, the part of those that joined. Who is gone keeps what was known of it.
pub fn refresh(fleets: &mut [Fleet]) {
    let leads: Vec<u32> =
        fleets.iter().filter_map(|fleet| fleet.members.first()).map(|member| member.tgid).collect();
    learn(fleets, &discover(&Tree::around(&leads).unwrap_or_default(), &ProcessProbe::real()));
}

/// Notes the version of a member's Python, which showed after it was started; the first one may have been a launcher until then.
pub fn learn_python(fleets: &mut [Fleet], tgid: u32, version: &str) {
    for fleet in fleets {
        if fleet.server == "process" && fleet.members.first().is_some_and(|member| member.tgid == tgid) {
            "python".clone_into(&mut fleet.server);
            if let Some(process) = Process::read(tgid) {
                fleet.members[0].program = ProgramKind::of(&process, Some(version));
            }
        }
        for member in fleet.members.iter_mut().filter(|member| member.tgid == tgid) {
            member.python = Some(version.to_owned());
        }
    }
}

fn learn(fleets: &mut [Fleet], found: &[Fleet]) {
    let lead = |fleet: &Fleet| fleet.members.first().map(|member| (member.tgid, member.ppid));
    for fleet in fleets {
        if let Some(now) = found.iter().find(|now| lead(now) == lead(fleet)) {
            if !name::is_told_apart(fleet, &now.name) {
                fleet.name.clone_from(&now.name);
            }
            fleet.server.clone_from(&now.server);
            fleet.listening.clone_from(&now.listening);
        }
        let has_worked = |member: &Member| member.role == Role::Worker;
        let has_workers = fleet.members.iter().skip(1).any(has_worked);
        for member in &mut fleet.members {
            let now =
                found.iter().find_map(|now| now.member(member.tgid)).filter(|now| now.ppid == member.ppid);
            if let Some(now) = now {
                let before = std::mem::replace(member, now.clone());
                (member.slot, member.ended) = (before.slot, before.ended);
                member.worker_class = member.worker_class.take().or(before.worker_class);
                member.python = member.python.take().or(before.python);
                // A master whose workers are all just being replaced does not do the work itself.
                if before.role == Role::Master && has_workers {
                    member.role = before.role;
                }
            }
        }
        fleet.judge_forked();
        fleet.judge_launched();
        fleet.number_workers();
    }
}

fn place(fleets: &mut [Fleet], tgid: u32, parent_tgid: u32, read: fn(u32) -> Option<Process>) {
    let Some(fleet) = fleets.iter_mut().find(|fleet| fleet.member(parent_tgid).is_some()) else { return };
    let Some(parent) = fleet.member(parent_tgid) else { return };
    let (process, parents) = (read(tgid), read(parent_tgid));
    // Without both command lines it counts as forked, which it was.
    let is_relation = process
        .as_ref()
        .zip(parents.as_ref())
        .is_none_or(|(process, parent)| runs_same_program(process, parent));
    let forks_workers = fleet.forks_workers(parent) || parents.as_ref().is_some_and(is_of_forkserver);
    let role = if forks_workers && is_relation { Role::Worker } else { Role::Helper };
    // Horses come one at a time, so there may be no sibling to tell.
    let forked_class = servers::named(&fleet.server).and_then(|server| server.forked_class);
    let horse = forked_class.map(str::to_owned);
    // One that calls exec is known already.
    let slot = match fleet.member(tgid) {
        Some(known) if !known.ended => known.slot,
        _ => Some(fleet.next_slot(parent_tgid)),
    };
    let sibling = fleet.with(Role::Worker).find(|sibling| sibling.tgid != tgid);
    let python = parent.python.clone().filter(|_| is_relation);
    let program = process.as_ref().map(|process| ProgramKind::of(process, python.as_deref()));
    let member = Member {
        role,
        slot: slot.filter(|_| role == Role::Worker),
        worker_class: sibling
            .and_then(|sibling| sibling.worker_class.clone())
            .or(horse)
            .filter(|_| role == Role::Worker),
        tgid,
        ppid: parent_tgid,
        python,
        threads: process.as_ref().map_or(1, |process| process.threads),
        evidence: vec![format!("{parent_tgid} forked it while it was watched")],
        hidden: process.is_some_and(|process| process.is_hidden()),
        ended: false,
        is_forked: is_relation,
        program: program.unwrap_or_default(),
    };
    match fleet.members.iter_mut().find(|known| known.tgid == tgid) {
        Some(known) => *known = member,
        None => fleet.members.push(member),
    }
    fleet.judge_launched();
}

impl Fleet {
    /// Judges anew those that joined and are known by that alone: their parent may have turned out to be a master.
    fn judge_forked(&mut self) {
        let masters = self.members.iter().filter(|member| self.forks_workers(member));
        let masters: Vec<u32> = masters.map(|master| master.tgid).collect();
        let class = self.with(Role::Worker).find_map(|worker| worker.worker_class.clone());
        let is_judged = |member: &Member| !member.is_forked || member.role == Role::Worker;
        for member in self.members.iter_mut().filter(|member| !is_judged(member)) {
            if masters.contains(&member.ppid) {
                (member.role, member.worker_class) = (Role::Worker, class.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::fleet::fixture::{self, process};

    fn fleet() -> Fleet {
        let mut fleet = Fleet::new("gunicorn", "app:app");
        for (tgid, role) in [(10, Role::Master), (11, Role::Worker)] {
            let mut member =
                Member::new(&process(tgid, 0, "python gunicorn"), role, String::new(), &fixture::probe());
            member.worker_class = (role == Role::Worker).then(|| "sync".to_owned());
            member.python = Some("3.11.7".to_owned());
            fleet.members.push(member);
        }
        fleet
    }

    fn read(tgid: u32) -> Option<Process> {
        Some(match tgid {
            10..=12 => process(tgid, 10, "python gunicorn"),
            13 => process(tgid, 10, "sleep 1"),
            _ => return None,
        })
    }

    #[test]
    fn children_of_masters_and_of_workers() {
        let mut fleets = [Fleet::new("python", "other"), fleet()];
        place(&mut fleets, 12, 10, read);
        place(&mut fleets, 13, 10, read);
        place(&mut fleets, 14, 10, read);
        place(&mut fleets, 15, 11, read);
        place(&mut fleets, 16, 13, read);
        place(&mut fleets, 17, 99, read);
        let seen: Vec<_> = fleets[1].members[2..]
            .iter()
            .map(|m| (m.tgid, m.role, m.worker_class.as_deref(), m.python.as_deref()))
            .collect();
        let (class, python) = (Some("sync"), Some("3.11.7"));
        assert_eq!(
            seen,
            [
                (12, Role::Worker, class, python),
                (13, Role::Helper, None, None),
                (14, Role::Worker, class, python),
                (15, Role::Helper, None, python),
                (16, Role::Helper, None, None),
            ]
        );
        assert!(fleets[0].members.is_empty());
    }

    #[test]
    fn of_many_who_ended_the_last_in_each_slot_stay() {
        let mut fleets = [fleet()];
        fleets[0].number_workers();
        for (ended, tgid) in [(11, 12), (12, 14), (14, 15)] {
            leave(&mut fleets, ended);
            place(&mut fleets, tgid, 10, read);
        }
        leave(&mut fleets, 10);
        let tgids = |fleets: &[Fleet]| tgids(fleets).collect::<Vec<_>>();
        assert!(remove_ended(&mut fleets, 4, |_| false).is_empty(), "so many may stay");
        let removed = remove_ended(&mut fleets, 3, |member| member.tgid == 12);
        assert_eq!(
            removed.iter().map(|(place, member)| (*place, member.tgid)).collect::<Vec<_>>(),
            [(0, 11), (0, 14)]
        );
        assert_eq!(tgids(&fleets), [10, 12, 15], "the first, one that is to be kept, and the last of slot 1");
    }

    /// The slots of a fleet's members, in their order.
    fn slots(fleet: &Fleet) -> Vec<String> {
        let slot = |member: &Member| member.slot.map_or_else(|| "-".to_owned(), |slot| slot.to_string());
        fleet.members.iter().map(slot).collect()
    }

    #[test]
    fn a_new_worker_takes_a_dead_ones_place() {
        let mut fleets = [fleet()];
        fleets[0].members[1].ppid = 10;
        fleets[0].number_workers();
        place(&mut fleets, 12, 10, read);
        leave(&mut fleets, 11);
        // Where it is not a worker after all, the next one has the place.
        place(&mut fleets, 13, 10, |tgid| read(tgid.min(12)));
        assert_eq!(slots(&fleets[0]), ["-", "1", "2", "1.1"]);
        place(&mut fleets, 13, 10, read);
        place(&mut fleets, 14, 10, read);
        assert_eq!(slots(&fleets[0]), ["-", "1", "2", "-", "1.1"]);
        // The same PID again is another process.
        leave(&mut fleets, 12);
        place(&mut fleets, 12, 10, read);
        assert_eq!(slots(&fleets[0]), ["-", "1", "2.1", "-", "1.1"]);
        let mut now = fleet();
        now.members[1].tgid = 14;
        now.members[1].ppid = 10;
        now.number_workers();
        learn(&mut fleets, &[now]);
        assert_eq!(slots(&fleets[0])[4], "1.1", "who is known keeps its place");
    }

    #[test]
    fn horses_need_no_sibling() {
        let mut rq = Fleet::new("rq", "mail");
        let master = process(10, 1, "python gunicorn");
        rq.members.push(Member::new(&master, Role::Master, String::new(), &fixture::probe()));
        let mut fleets = [rq];
        place(&mut fleets, 12, 10, read);
        place(&mut fleets, 13, 10, read);
        assert_eq!(fixture::short(&fleets[0]), "rq mail: m10 w12:horse h13");
    }

    #[test]
    fn a_fork_server_forks_workers() {
        fn read_server(tgid: u32) -> Option<Process> {
            let words = ["python", "-c", "from multiprocessing.forkserver import main; main(1, 2)"];
            let server = Process { argv: words.map(str::to_owned).into(), ..process(tgid, 10, "python") };
            if tgid == 10 { read(tgid) } else { Some(server) }
        }
        let mut fleets = [fleet()];
        place(&mut fleets, 13, 10, read_server);
        place(&mut fleets, 14, 13, read_server);
        let role = |tgid| fleets[0].member(tgid).unwrap().role;
        assert_eq!((role(13), role(14)), (Role::Helper, Role::Worker));
    }

    #[test]
    fn a_launcher_starts_workers_one_after_the_other() {
        fn read_shell(tgid: u32) -> Option<Process> {
            let line = match tgid {
                10 | 12 => "sh -c loop",
                11 | 13 => "python job.py",
                _ => return None,
            };
            Some(process(tgid, 10, line))
        }
        let mut fleet = Fleet::new("process", "sh");
        fleet.members.push(Member::new(
            &read_shell(10).unwrap(),
            Role::Worker,
            String::new(),
            &fixture::probe(),
        ));
        let mut fleets = [fleet];
        place(&mut fleets, 11, 10, |_| read_shell(10));
        place(&mut fleets, 11, 10, read_shell);
        leave(&mut fleets, 11);
        assert_eq!(fixture::short(&fleets[0]), "process sh: w10 h11");
        place(&mut fleets, 13, 10, |_| read_shell(10));
        assert_eq!(fixture::short(&fleets[0]), "process sh: w10 h11 h13", "it was only forked");
        place(&mut fleets, 13, 10, read_shell);
        assert_eq!(fixture::short(&fleets[0]), "process sh: m10 w11 w13");
        assert_eq!(slots(&fleets[0]), ["-", "1", "1.1"]);
        place(&mut fleets, 12, 10, read_shell);
        learn(&mut fleets, &[]);
        assert_eq!(fixture::short(&fleets[0]), "process sh: m10 w11 w13 h12", "a subshell");
    }

    #[test]
    fn who_calls_exec_is_looked_at_again() {
        let mut fleets = [fleet()];
        place(&mut fleets, 13, 10, |tgid| read(tgid.min(12)));
        assert_eq!(fleets[0].member(13).unwrap().role, Role::Worker);
        place(&mut fleets, 13, 10, read);
        assert_eq!(fleets[0].member(13).unwrap().role, Role::Helper);
        assert_eq!(fleets[0].members.len(), 3);
    }

    #[test]
    fn what_shows_only_later() {
        let mut started = Fleet::new("python", "gunicorn");
        started.members.push(Member::new(
            &process(10, 1, "python gunicorn"),
            Role::Worker,
            String::new(),
            &fixture::probe(),
        ));
        let mut fleets = [started];
        place(&mut fleets, 11, 10, read);
        place(&mut fleets, 14, 10, read);
        let mut now = fleet();
        now.members[0].ppid = 1;
        now.members[1].ppid = 10;
        learn(&mut fleets, &[Fleet::new("python", "other"), now]);
        assert_eq!(fixture::short(&fleets[0]), "gunicorn app:app: m10 w11:sync w14:sync");
        assert_eq!(fleets[0].members[1].python.as_deref(), Some("3.11.7"));
        let mut blank = fleet();
        blank.members[1].ppid = 10;
        (blank.members[1].worker_class, blank.members[1].python) = (None, None);
        learn(&mut fleets, &[blank]);
        assert_eq!(fleets[0].members[1].worker_class.as_deref(), Some("sync"), "what was known stays");
        let mut reused = fleet();
        reused.members[1].ppid = 99;
        reused.members[1].role = Role::Helper;
        learn(&mut fleets, &[reused]);
        assert_eq!(fleets[0].members[1].role, Role::Worker, "another process of the same PID");
    }

    #[test]
    fn what_tells_a_fleet_apart_stays() {
        let mut fleets = [fleet()];
        fleets[0].name.push_str("@127.0.0.1:80");
        learn(&mut fleets, &[fleet()]);
        assert_eq!(fleets[0].name, "app:app@127.0.0.1:80");
    }

    #[test]
    fn a_master_whose_workers_are_just_being_replaced_stays_one() {
        let mut fleets = [fleet()];
        let mut alone = fleet();
        alone.members.truncate(1);
        alone = alone.or_alone();
        assert_eq!(fixture::short(&alone), "gunicorn app:app: w10");
        learn(&mut fleets, &[alone]);
        assert_eq!(fixture::short(&fleets[0]), "gunicorn app:app: m10 w11:sync");
    }

    #[test]
    fn adopts_the_living_below_a_member() {
        let mut child = Command::new("sh").args(["-c", "sleep 60; :"]).spawn().unwrap();
        let mut fleet = Fleet::new("process", "sh");
        let sh = Process::read(child.id()).unwrap();
        fleet.members.push(Member::new(&sh, Role::Worker, String::new(), &fixture::probe()));
        let mut fleets = [fleet];
        while fleets[0].members.len() < 2 {
            adopt(&mut fleets);
        }
        let sleep = fleets[0].members[1].clone();
        assert_eq!((sleep.role, sleep.ppid), (Role::Helper, child.id()));
        renew(&mut fleets, sleep.tgid);
        assert_eq!(fleets[0].members.len(), 2);
        let _ = Command::new("kill").arg(sleep.tgid.to_string()).status();
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
