//! The idle report: what idle processes cost, who wakes them, and where they sleep.

use std::fmt::Write;

use profiler_common::wait::{Reason, Waker};
use serde::Serialize;

use crate::{
    model::{
        accounting::{FleetDelta, StatDelta, WorkerDelta},
        design::Design,
        profile::{Profile, reason_name},
        wait_site,
    },
    render::{
        json,
        location::{self, ShortPaths},
        reason,
        stat::quality,
        term::{
            escape,
            grid::{self, Column, RowKind, TableOptions},
        },
    },
    units,
};

/// Places that are named of each process.
const PLACES: usize = 3;

/// What idle processes cost, of some fleets.
#[derive(Clone, Debug, Serialize)]
pub struct IdleReport<'a> {
    /// Cost by process.
    idle: Vec<IdleProcess<'a>>,
    /// The exact numbers behind it.
    #[serde(flatten)]
    stat: &'a StatDelta,
}

/// Cost of one idle process.
#[derive(Clone, Debug, Serialize)]
struct IdleProcess<'a> {
    #[serde(skip)]
    fleet: &'a FleetDelta,
    #[serde(skip)]
    worker: &'a WorkerDelta,
    tgid: u32,
    on_cpu_us_per_second: f64,
    wakeups_per_second: f64,
    by_design: Option<Design>,
    /// The most frequent first.
    sleeps_on: Vec<SleepSite>,
}

/// A function in which a process sleeps.
#[derive(Clone, Debug, Serialize)]
struct SleepSite {
    /// `poll_flags (shop/poller.py:7)`
    #[serde(skip)]
    place: String,
    function: String,
    file: String,
    line: u32,
    #[serde(with = "reason_name")]
    reason: Reason,
    wakeups: u64,
    ns: u64,
}

impl<'a> IdleReport<'a> {
    /// The idle report of a window; `design` says what a process does by its server's design.
    #[must_use]
    pub fn new(
        profile: &Profile,
        stat: &'a StatDelta,
        design: impl Fn(&FleetDelta, &WorkerDelta) -> Option<Design>,
    ) -> Self {
        let seconds = stat.duration_ns as f64 / 1e9;
        let idle = stat.with_fleets().map(|(fleet, worker)| IdleProcess {
            fleet,
            worker,
            tgid: worker.tgid,
            on_cpu_us_per_second: worker.counters.on_cpu_ns as f64 / 1e3 / seconds,
            wakeups_per_second: worker.counters.wakeups as f64 / seconds,
            by_design: design(fleet, worker),
            sleeps_on: places(profile, worker.tgid),
        });
        Self { idle: idle.collect(), stat }
    }

    /// The report as text.
    #[must_use]
    pub fn text(&self, options: TableOptions) -> String {
        let mut text = String::new();
        for fleet in &self.stat.fleets {
            let processes: Vec<_> = self.idle.iter().filter(|idle| std::ptr::eq(idle.fleet, fleet)).collect();
            let name = escape::visible(&format!("{} {}", fleet.server, fleet.name)).into_owned();
            let rows = processes.iter().map(|idle| (RowKind::Process, idle.texts()));
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{name} · idle for {}", units::seconds(self.stat.duration_ns));
            text += &grid::text(&columns(), rows, options);
            text.push('\n');
            for idle in processes {
                if let Some(sentence) = idle.verdict() {
                    text += &sentence;
                    text.push('\n');
                }
            }
            text.push('\n');
        }
        text + &quality::text(self.stat, options)
    }

    /// The report as one JSON document, with a line break at its end.
    pub fn json(&self) -> anyhow::Result<String> {
        json::document(self)
    }
}

fn columns() -> Vec<Column> {
    let column = |head: &str, is_text| Column { head: head.to_owned(), gap: 2, is_text };
    vec![
        column("\nprocess", true),
        column("CPU\nµs/s", false),
        column("wake-ups\n/s", false),
        column("by design\n/s", false),
        column("\nwoken by", true),
        column("\nsleeps on", true),
    ]
}

impl IdleProcess<'_> {
    fn texts(&self) -> Vec<String> {
        let Self { worker, .. } = self;
        let total: u64 = worker.waits.wakeups.iter().sum();
        let mut wakers: Vec<_> = Waker::ALL.into_iter().zip(worker.waits.wakeups).collect();
        wakers.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let wakers: Vec<_> = wakers
            .into_iter()
            .filter(|(_, count)| *count != 0)
            .map(|(waker, count)| format!("{} {} %", waker.name(), units::percent(count, total, 0)))
            .collect();
        let places: Vec<_> = self.sleeps_on.iter().take(PLACES).map(SleepSite::text).collect();
        let class = worker.worker_class.as_ref().map(|class| format!(" ({class})")).unwrap_or_default();
        let who = format!("{} {}{class}", worker.role.name(), worker.tgid);
        vec![
            escape::visible(&who).into_owned(),
            units::decimal(self.on_cpu_us_per_second, 1),
            units::decimal(self.wakeups_per_second, 2),
            self.by_design.map_or_else(|| "-".to_owned(), range),
            wakers.join(", "),
            places.join("\n"),
        ]
    }

    /// A sentence, if it does not keep to its design: how often it wakes up, and from where that is not waiting for work.
    /// An event loop waits for work and for its timers in one place: if it is that which wakes, only what it runs tells why.
    fn verdict(&self) -> Option<String> {
        let design = self.by_design.filter(|design| self.wakeups_per_second > 1.5 * design.to_per_second)?;
        let who = format!("{} {}", self.worker.role.name(), self.worker.tgid);
        let rate = units::decimal(self.wakeups_per_second, 1);
        let others = || self.sleeps_on.iter().filter(|place| place.reason != Reason::Idle);
        let wakeups: u64 = others().map(|place| place.wakeups).sum();
        let other = others().next().filter(|_| wakeups.saturating_mul(2) >= self.worker.counters.wakeups);
        let tgid = self.worker.tgid;
        let unknown = || format!("`punchclock record -p {tgid}` shows what it runs then");
        let why = other.map_or_else(unknown, |site| site.place.clone());
        Some(format!("{who}: {rate} wake-ups/s instead of {}/s by design: {why}", range(design)))
    }
}

fn range(design: Design) -> String {
    format!("{}–{}", units::decimal(design.from_per_second, 2), units::decimal(design.to_per_second, 2))
}

impl SleepSite {
    fn text(&self) -> String {
        let Self { place, reason, wakeups, .. } = self;
        format!("{place}, {}, {}", reason::label(*reason), units::counted(*wakeups, "wake-up"))
    }
}

/// Where a process's threads were blocked, those places first from which they woke most often.
fn places(profile: &Profile, tgid: u32) -> Vec<SleepSite> {
    let paths = ShortPaths::of_profile(profile);
    let place = |site: wait_site::WaitSite| {
        let wait_site::WaitSite { function, file, line, reason, ns, count, .. } = site;
        let place = escape::visible(&location::text(&function, paths.of(&file), line)).into_owned();
        SleepSite { place, function, file, line, reason, wakeups: count, ns }
    };
    let waits = profile.blocked.iter().filter(|sample| sample.tgid == tgid);
    let mut places: Vec<_> = wait_site::of(profile, waits).into_iter().map(place).collect();
    places.sort_by_key(|place| std::cmp::Reverse((place.wakeups, place.ns)));
    places
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{fixture, recording::Recording, worker::Role};

    fn audit(recording: &Recording) -> IdleReport<'_> {
        IdleReport::new(&recording.profile, &recording.stat, |_, worker| {
            let (from_per_second, to_per_second) = match worker.role {
                Role::Master => (0.9, 1.1),
                _ => (0.06, 0.08),
            };
            Some(Design { from_per_second, to_per_second, why: "it looks around" })
        })
    }

    #[test]
    fn it_tells_cost_wakers_places_and_design() {
        let mut recording = fixture::recording();
        for worker in &mut recording.stat.fleets[0].workers {
            worker.counters.wakeups = 1;
        }
        let text = audit(&recording).text(TableOptions::default());
        let row = text.lines().find(|line| line.starts_with("master 1230")).unwrap();
        assert!(row.contains("2,000.0") && row.contains("1.00") && row.contains("0.90–1.10"), "{text}");
        assert!(
            text.contains("SyncWorker.wait (gunicorn/workers/sync.py:35), idle, 1,360 wake-ups"),
            "{text}"
        );
        assert!(text.contains("timer 100 %"), "{text}");
        assert!(!text.contains("master 1230: "), "{text}");
        assert!(text.contains("worker 1234: 1.0 wake-ups/s instead of 0.06–0.08/s by design: "), "{text}");
    }

    #[test]
    fn what_wakes_an_event_loop_is_to_be_looked_for() {
        let mut recording = fixture::recording();
        for sample in recording.profile.blocked.iter_mut().filter(|sample| sample.reason != Reason::Idle) {
            sample.times.count = 1;
        }
        for worker in &mut recording.stat.fleets[0].workers {
            worker.counters.wakeups = 100;
        }
        let text = audit(&recording).text(TableOptions::default());
        let verdict = text.lines().find(|line| line.starts_with("worker 1234: ")).unwrap();
        assert!(verdict.ends_with(": `punchclock record -p 1234` shows what it runs then"), "{verdict}");
    }

    #[test]
    fn json_has_the_exact_numbers_too() {
        let recording = fixture::recording();
        let json = audit(&recording).json().unwrap();
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(json["idle"][1]["sleeps_on"][0]["function"], "SyncWorker.wait");
        assert_eq!(json["idle"][0]["by_design"]["to_per_second"], 1.1);
        assert_eq!(json["fleets"][0]["workers"][0]["tgid"], 1230);
    }
}
