//! What differs between two recordings: numbers of each fleet, worker class and role, and functions.
//!
//! What is said first is of the CPU time alone: [`Verdict`]. Numbers are told from the recordings' own windows. A load that was another in one of them changes all numbers per
//! second; what a request costs it does not.

mod alike;
mod functions;
mod groups;
mod numbers;
pub mod quantity;
pub mod threshold;
mod verdict;

use serde::Serialize;

use crate::model::{SCHEMA_VERSION, recording::Recording, worker::Role};

pub use alike::refusal;
pub use verdict::{Judgement, MARGIN, Undecided, Verdict};

/// Fewest windows from which the spread of a number is estimated.
pub const FEWEST_WINDOWS: usize = 5;

/// What functions, and pictures, are counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Per {
    /// A second on a CPU.
    Cpu,
    /// A second of the recording.
    Wall,
    /// A request.
    Request,
}

impl Per {
    /// What one recording's nanoseconds are divided by; `None` if that is nothing or not known.
    #[must_use]
    pub fn units_of(self, recording: &Recording) -> Option<f64> {
        let workers = recording.stat.processes();
        let units = match self {
            Self::Cpu => workers.map(|worker| worker.counters.on_cpu_ns).sum::<u64>() as f64 / 1e9,
            Self::Wall => recording.stat.duration_ns as f64 / 1e9,
            Self::Request => recording.requests? as f64,
        };
        (units > 0.0).then_some(units)
    }

    /// `ms per request`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cpu => "on-CPU second",
            Self::Wall => "second",
            Self::Request => "request",
        }
    }
}

/// Two recordings, compared.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Diff {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// What is compared with.
    pub before: Side,
    /// What is compared.
    pub after: Side,
    /// What is said first: of the workers of each fleet, or of all processes where there are none.
    pub verdicts: Vec<Verdict>,
    /// The change that is worth a name: [`MARGIN`].
    pub margin: f64,
    /// Groups of processes, by fleet, class and role.
    pub groups: Vec<GroupDiff>,
    /// What functions are counted by.
    pub per: Per,
    /// Functions whose own time changed most come first.
    pub functions: Vec<FunctionDiff>,
    /// What could not be told, and why, in sentences.
    pub notes: Vec<String>,
}

/// One of the recordings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Side {
    /// What it is called.
    pub name: String,
    /// How long it took.
    pub duration_ns: u64,
    /// Windows of the recording.
    pub windows: usize,
    /// Requests that were answered in it, if that is known.
    pub requests: Option<u64>,
}

/// The processes of a fleet of one class and role.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GroupDiff {
    /// The fleet's server and name.
    pub fleet: String,
    /// The part of these processes.
    pub role: Role,
    /// Worker class, before and after.
    pub worker_class: [Option<String>; 2],
    /// Number of processes, before and after.
    pub processes: [usize; 2],
    /// Numbers of the group, in the order of [`quantity::Quantity::all`], first all per request, then all per second.
    pub numbers: Vec<NumberDiff>,
}

/// A number of a group.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NumberDiff {
    /// Its name: see [`quantity::names`].
    pub name: String,
    /// Value in the first recording.
    pub before: f64,
    /// Value in the second recording.
    pub after: f64,
    /// After less before.
    pub difference: f64,
    /// The 95 % interval of the difference; absent if the windows do not tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub difference_interval: Option<[f64; 2]>,
    /// After of before; absent if there was none before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ratio: Option<f64>,
    /// The 95 % interval of the ratio; absent if the windows do not tell, or one of the numbers is zero.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ratio_interval: Option<[f64; 2]>,
    /// The interval of the difference that holds the truth together with those of all other numbers, 19 times of 20; of a
    /// group's first number, which is judged by itself, the same as above.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub joint_difference_interval: Option<[f64; 2]>,
    /// The ratio's: what the number is judged by. Absent also if the number is too rare for a ratio: then it is judged by
    /// its difference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub joint_ratio_interval: Option<[f64; 2]>,
    /// What the number did; absent if it is up to who else uses the host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Judgement>,
    /// Whether it differs; absent if the windows do not tell, or if it is up to who else uses the host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_real: Option<bool>,
}

/// A function, by name and file. Times are ms of on-CPU time by [`Diff::per`].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FunctionDiff {
    /// Its name.
    pub name: String,
    /// Its file; empty if not known.
    pub file: String,
    /// Its own time in the first recording, and that of native code it called, ms.
    pub self_before_ms: f64,
    /// Its own time in the second recording, and that of native code it called, ms.
    pub self_after_ms: f64,
    /// The 95 % interval of the change of its own time, as far as it comes from sampling.
    pub self_change_interval_ms: [f64; 2],
    /// Whether that change is more than sampling strays, all functions considered, and worth a name.
    pub is_real: bool,
    /// Its time with all that it called in the first recording, ms.
    pub total_before_ms: f64,
    /// Its time with all that it called in the second recording, ms.
    pub total_after_ms: f64,
}

/// Compares two recordings that are [alike](refusal), with their names.
#[must_use]
pub fn diff(before: (&str, &Recording), after: (&str, &Recording), per: Option<Per>) -> Diff {
    let (mut notes, both) = (Vec::new(), [before.1, after.1]);
    let known = |per: &Per| both.iter().all(|recording| per.units_of(recording).is_some());
    let per = per.or(Some(Per::Request)).filter(known).unwrap_or(Per::Wall);
    let side = |(name, recording): (&str, &Recording)| Side {
        name: name.to_owned(),
        duration_ns: recording.stat.duration_ns,
        windows: recording.windows.len(),
        requests: recording.requests,
    };
    let sides = groups::matched(both, &mut notes);
    let (groups, verdicts) = numbers::of_groups(&sides, both, &mut notes);
    Diff {
        schema_version: SCHEMA_VERSION,
        before: side(before),
        after: side(after),
        verdicts,
        margin: MARGIN,
        groups,
        per,
        functions: functions::changed(both, per),
        notes,
    }
}
