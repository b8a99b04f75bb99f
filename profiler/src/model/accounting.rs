//! Exact numbers: a thread's cumulative times at one instant, and what happened between two instants.

use serde::{Deserialize, Serialize};

use crate::{
    model::{
        memory::WorkerMemory,
        quality::Quality,
        waits::Waits,
        worker::{Death, Role, Slot},
    },
    units,
};

/// One thread's cumulative times at one instant, open slices closed at that instant.
///
/// On-CPU, run-queue and wall time are of the scheduler's clock, in ns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CumulativeTimes {
    /// When, `CLOCK_MONOTONIC` ns.
    pub at_ns: u64,
    /// Time on a CPU.
    pub on_cpu_ns: u64,
    /// The part of `on_cpu_ns` in user mode, by the kernel's tick sampling scaled to `on_cpu_ns`.
    pub user_ns: u64,
    /// The rest of `on_cpu_ns`.
    pub system_ns: u64,
    /// Time runnable but waiting for a CPU.
    pub run_queue_ns: u64,
    /// Switches out to sleep (`nvcsw`).
    pub voluntary_switches: u64,
    /// Switches out while still runnable (`nivcsw`).
    pub preempted_switches: u64,
    /// Moves to another CPU.
    pub migrations: u64,
    /// True if it sleeps.
    pub blocked: bool,
}

/// What one thread, worker or fleet did in a window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Time that its threads lived inside the window, summed over threads.
    pub wall_ns: u64,
    /// Time on a CPU.
    pub on_cpu_ns: u64,
    /// The part of `on_cpu_ns` in user mode: the kernel's own split, which samples by ticks.
    pub user_ns: u64,
    /// The part of `on_cpu_ns` in the kernel: the rest.
    pub system_ns: u64,
    /// Time runnable but waiting for a CPU, as the kernel counts it (`run_delay`); what it leaves out is
    /// [`Waits::uncounted_ns`].
    pub run_queue_ns: u64,
    /// Time asleep: measured from switch to wake-up or, where waits are not looked at, `wall_ns` less the two above.
    pub blocked_ns: u64,
    /// Switches out to sleep.
    pub voluntary_switches: u64,
    /// Switches out while still runnable.
    pub preempted_switches: u64,
    /// Moves to another CPU.
    pub migrations: u64,
    /// Ends of sleep. Each voluntary switch begins a sleep, so this is their number, corrected for the
    /// sleeps that were under way at the window's edges.
    pub wakeups: u64,
}

impl Counters {
    /// What happened to one thread between two instants, of which it was blocked for so long, if that was
    /// measured. A thread born inside the
    /// window starts from zeroed books dated at its birth.
    #[must_use]
    pub fn between(start: &CumulativeTimes, end: &CumulativeTimes, blocked_ns: Option<u64>) -> Self {
        let wall_ns = end.at_ns.saturating_sub(start.at_ns);
        let on_cpu_ns = end.on_cpu_ns.saturating_sub(start.on_cpu_ns);
        let run_queue_ns = end.run_queue_ns.saturating_sub(start.run_queue_ns);
        let blocked_ns = blocked_ns.unwrap_or_else(|| wall_ns.saturating_sub(on_cpu_ns + run_queue_ns));
        // The split's two parts each grow; their sum is the exact on-CPU time.
        let system_ns = end.system_ns.saturating_sub(start.system_ns).min(on_cpu_ns);
        let voluntary_switches = end.voluntary_switches.saturating_sub(start.voluntary_switches);
        Self {
            wall_ns,
            on_cpu_ns,
            user_ns: on_cpu_ns - system_ns,
            system_ns,
            run_queue_ns,
            blocked_ns,
            voluntary_switches,
            preempted_switches: end.preempted_switches.saturating_sub(start.preempted_switches),
            migrations: end.migrations.saturating_sub(start.migrations),
            wakeups: (voluntary_switches + u64::from(start.blocked)).saturating_sub(u64::from(end.blocked)),
        }
    }

    /// The part of wall time that is in none of the others: interrupts and what a hypervisor stole, which the kernel
    /// keeps out of its books, less what was counted twice.
    #[must_use]
    pub fn residual_ns(&self, waits: &Waits) -> i64 {
        let accounted = [self.on_cpu_ns, self.run_queue_ns, waits.uncounted_ns, self.blocked_ns];
        let residual_ns = i128::from(self.wall_ns) - accounted.into_iter().map(i128::from).sum::<i128>();
        // No time that was measured is so long.
        i64::try_from(residual_ns).unwrap_or(if residual_ns < 0 { i64::MIN } else { i64::MAX })
    }

    /// Adds another's counts.
    pub fn add(&mut self, other: &Self) {
        for (mine, theirs) in self.numbers_mut().into_iter().zip(other.numbers()) {
            *mine += theirs;
        }
    }

    /// All numbers, in the order in which they are declared.
    #[must_use]
    pub fn numbers(&self) -> [u64; 10] {
        let mut counters = *self;
        counters.numbers_mut().map(|number| *number)
    }

    /// All numbers, in the order of [`Self::numbers`], to be changed.
    pub const fn numbers_mut(&mut self) -> [&mut u64; 10] {
        let Self {
            wall_ns,
            on_cpu_ns,
            user_ns,
            system_ns,
            run_queue_ns,
            blocked_ns,
            voluntary_switches,
            preempted_switches,
            migrations,
            wakeups,
        } = self;
        [
            wall_ns,
            on_cpu_ns,
            user_ns,
            system_ns,
            run_queue_ns,
            blocked_ns,
            voluntary_switches,
            preempted_switches,
            migrations,
            wakeups,
        ]
    }
}

/// The exact numbers of a window.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatDelta {
    /// [`crate::model::SCHEMA_VERSION`].
    pub schema_version: u32,
    /// When the window began, ns since the epoch.
    pub started_unix_ns: u64,
    /// The window's length by `CLOCK_MONOTONIC`.
    pub duration_ns: u64,
    /// Numbers by fleet.
    pub fleets: Vec<FleetDelta>,
    /// What was lost, and how the numbers compare with `/proc`.
    pub quality: Quality,
}

impl StatDelta {
    /// The processes of all fleets.
    pub fn processes(&self) -> impl Iterator<Item = &WorkerDelta> {
        self.fleets.iter().flat_map(|fleet| &fleet.workers)
    }

    /// The processes of all fleets, each with its fleet.
    pub fn with_fleets(&self) -> impl Iterator<Item = (&FleetDelta, &WorkerDelta)> {
        self.fleets.iter().flat_map(|fleet| fleet.workers.iter().map(move |worker| (fleet, worker)))
    }

    /// The processes of all fleets, to be changed.
    pub fn processes_mut(&mut self) -> impl Iterator<Item = &mut WorkerDelta> {
        self.fleets.iter_mut().flat_map(|fleet| &mut fleet.workers)
    }
}

/// One fleet's part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FleetDelta {
    /// The application, or the command.
    pub name: String,
    /// `gunicorn`, or `python` for what is not recognised.
    pub server: String,
    /// Masters first, then by tgid.
    pub workers: Vec<WorkerDelta>,
}

impl FleetDelta {
    /// Its processes with this part.
    pub fn with(&self, role: Role) -> impl Iterator<Item = &WorkerDelta> {
        self.workers.iter().filter(move |worker| worker.role == role)
    }

    /// How many workers there were.
    #[must_use]
    pub fn worker_count(&self) -> u64 {
        let count = |worker: &WorkerDelta| worker.ended.as_ref().map_or(1, |ended| ended.processes);
        self.with(Role::Worker).map(count).sum()
    }

    /// The workers' sum, without masters and helpers.
    #[must_use]
    pub fn total(&self) -> (Counters, Waits) {
        let (mut counters, mut waits) = (Counters::default(), Waits::default());
        for worker in self.with(Role::Worker) {
            counters.add(&worker.counters);
            waits.add(&worker.waits);
        }
        (counters, waits)
    }
}

/// One process's part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerDelta {
    /// Role of the process in its fleet.
    pub role: Role,
    /// Slot of a worker; only workers have one, and only below a master.
    #[serde(flatten)]
    pub slot: Option<Slot>,
    /// `sync`, `gthread`, `gevent` …; absent if not known.
    pub worker_class: Option<String>,
    /// Process id.
    pub tgid: u32,
    /// Version of its interpreter; absent if it is not a known Python.
    pub python: Option<String>,
    /// Summed over its threads.
    #[serde(flatten)]
    pub counters: Counters,
    /// What `blocked_ns` went to, summed over its threads.
    #[serde(flatten)]
    pub waits: Waits,
    /// How long its control group, or one above it, was throttled by a CPU quota: the part of `run_queue_ns` that was
    /// not for want of a CPU, at most; absent if there is no quota.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub throttled_ns: Option<u64>,
    /// Waits for work that ended without any: it waited on before it had received anything from a socket. Absent where
    /// that is not looked at, or where work does not come by sockets.
    #[serde(default, skip_serializing_if = "Option::is_none", alias = "vain_wakeups")]
    pub empty_wakeups: Option<u64>,
    /// Its memory, and its traffic with disks; absent if that was not asked for, and of a process that ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<WorkerMemory>,
    /// True if it was forked inside the window.
    #[serde(default)]
    pub born: bool,
    /// On-CPU time of the first thread from its birth until it first waits for work, ns; only of a process born in the window,
    /// and absent if it has not waited yet or the stacks do not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot_cpu_ns: Option<u64>,
    /// True if it ended inside the window.
    pub exited: bool,
    /// How it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub death: Option<Death>,
    /// What is left of several processes that ended and have this row together; absent of one process. The row's `tgid` is then
    /// a number above every PID.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<EndedProcesses>,
    /// Threads of the process, by tid, those that ended too. Of many that ended the first ones have one row together, with a tid
    /// of 0.
    pub threads: Vec<ThreadDelta>,
}

impl WorkerDelta {
    /// Role and PID, or how many ended processes have the row together.
    #[must_use]
    pub fn label(&self) -> String {
        match &self.ended {
            Some(ended) => format!("{} ended", units::counted(ended.processes, self.role.name())),
            None => format!("{} {}", self.role.name(), self.tgid),
        }
    }
}

/// Processes that ended inside a window and have one row together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndedProcesses {
    /// How many there were.
    pub processes: u64,
    /// How many of them were workers with a slot that were forked inside the window.
    pub born: u64,
    /// How many of those are known to have waited for work: their boots are over.
    pub booted: u64,
    /// On-CPU time of those boots together, ns.
    pub boot_cpu_ns: u64,
    /// How they ended, as far as that is known.
    pub deaths: Vec<DeathCount>,
}

/// How many processes ended in a way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeathCount {
    /// The way.
    pub death: Death,
    /// How many processes.
    pub count: u64,
}

impl EndedProcesses {
    /// One process: whether it was forked inside the window, as what, what its boot took, and how it ended.
    #[must_use]
    pub fn one(born: bool, slot: Option<Slot>, boot_cpu_ns: Option<u64>, death: Option<Death>) -> Self {
        let is_boot = born && slot.is_some();
        let boot_cpu_ns = boot_cpu_ns.filter(|_| is_boot);
        Self {
            processes: 1,
            born: u64::from(is_boot),
            booted: u64::from(boot_cpu_ns.is_some()),
            boot_cpu_ns: boot_cpu_ns.unwrap_or(0),
            deaths: death.into_iter().map(|death| DeathCount { death, count: 1 }).collect(),
        }
    }

    /// Adds others.
    pub fn add(&mut self, other: &Self) {
        self.processes += other.processes;
        self.born += other.born;
        self.booted += other.booted;
        self.boot_cpu_ns += other.boot_cpu_ns;
        self.deaths.extend(&other.deaths);
        self.deaths.sort_by_key(|of| of.death);
        self.deaths.dedup_by(|next, kept| {
            let is_same = next.death == kept.death;
            kept.count += if is_same { next.count } else { 0 };
            is_same
        });
    }
}

/// One thread's part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThreadDelta {
    /// Thread id.
    pub tid: u32,
    /// Name that Python's `threading` gives the thread; the kernel's (`comm`) for a process's first thread, for threads without
    /// Python, and for those that ended before they were asked.
    pub name: String,
    /// What it did.
    #[serde(flatten)]
    pub counters: Counters,
    /// What `blocked_ns` went to.
    #[serde(flatten)]
    pub waits: Waits,
    /// True if it ended inside the window.
    pub exited: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_residual_is_of_any_numbers() {
        let residual = |wall_ns, on_cpu_ns, blocked_ns| {
            Counters { wall_ns, on_cpu_ns, blocked_ns, ..Counters::default() }.residual_ns(&Waits::default())
        };
        assert_eq!([residual(9, 2, 4), residual(9, 2, 8)], [3, -1]);
        assert_eq!([residual(u64::MAX, 0, 0), residual(0, u64::MAX, u64::MAX)], [i64::MAX, i64::MIN]);
    }
}
