//! Programs that only start others, such as shells and mpirun: several processes of one Python program that they start are
//! workers.

use std::collections::HashMap;

use crate::{
    fleet::{Fleet, Member, command::Command},
    model::worker::Role,
    sys::process::Process,
};

/// Launchers that are Python themselves, as scripts and modules.
const LAUNCHERS: [&str; 6] =
    ["honcho", "supervisord", "circusd", "torchrun", "torch.distributed.run", "torch.distributed.launch"];

/// Kind of program a process runs, as far as it tells who starts whom.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ProgramKind {
    /// It is not known what the process runs.
    #[default]
    Unknown,
    /// No Python, or Python that only starts others.
    Launcher,
    /// Python: the executable, and the script, module or code.
    Python(String),
}

impl ProgramKind {
    /// What kind of program a process runs; `python` is the version of its interpreter, if it is known to have one.
    pub(super) fn of(process: &Process, python: Option<&str>) -> Self {
        match Command::of(process) {
            Some(command) if LAUNCHERS.contains(&command.name()) => Self::Launcher,
            Some(command) => {
                let program = |program| Self::Python(format!("{:?} {program}", process.exe));
                command.program().map_or(Self::Unknown, program)
            }
            None if python.is_none() => Self::Launcher,
            None => Self::Unknown,
        }
    }
}

impl Fleet {
    /// The PID of its first process, if that is a launcher; no server that is known has one.
    fn launcher(&self) -> Option<u32> {
        let is_nobodys = matches!(self.server.as_str(), "process" | "python");
        let first = self.members.first().filter(|_| is_nobodys);
        first.filter(|first| first.program == ProgramKind::Launcher).map(|first| first.tgid)
    }

    /// True of a master whose forks are workers: a launcher's work only once they run something else.
    pub(super) fn forks_workers(&self, member: &Member) -> bool {
        member.role == Role::Master && self.launcher() != Some(member.tgid)
    }

    /// Makes workers of those that a launcher started, itself or by others such, once several of them run the same program;
    /// it is their master then.
    pub(super) fn judge_launched(&mut self) {
        let Some(launcher) = self.launcher() else { return };
        let is_launched = |member: &&Member| {
            self.member(member.ppid).is_some_and(|parent| parent.program == ProgramKind::Launcher)
        };
        let mut times: HashMap<&str, usize> = HashMap::new();
        for member in self.members.iter().filter(is_launched) {
            if let ProgramKind::Python(program) = &member.program {
                *times.entry(program).or_default() += 1;
            }
        }
        let is_one_of_several = |member: &&Member| match &member.program {
            ProgramKind::Python(program) => times.get(program.as_str()).is_some_and(|times| *times > 1),
            _ => false,
        };
        let workers = self.members.iter().filter(|member| member.role == Role::Helper);
        let workers: Vec<u32> =
            workers.filter(is_launched).filter(is_one_of_several).map(|member| member.tgid).collect();
        for tgid in workers {
            let slot = self.member(tgid).map(|member| self.next_slot(member.ppid));
            if let Some(member) = self.members.iter_mut().find(|member| member.tgid == tgid) {
                (member.role, member.slot) = (Role::Worker, slot);
                member.evidence.push(format!("it runs the same program as others that {launcher} started"));
            }
        }
        let has_workers = self.members.iter().skip(1).any(|member| member.role == Role::Worker);
        if let Some(first) =
            self.members.first_mut().filter(|first| has_workers && first.role == Role::Worker)
        {
            first.role = Role::Master;
            first.evidence.push("it only starts others, and there are workers among them".to_owned());
        }
    }
}
