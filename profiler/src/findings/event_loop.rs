//! Event loops that something holds up: all tasks of a loop wait while one of them blocks its thread.

use std::collections::BTreeSet;

use profiler_common::wait::Reason;

use crate::{
    findings::seen::{Seen, Weighed, most, percent},
    model::{
        mark::Mark,
        profile::BlockedSample,
        report::Severity,
        tables::{FrameKind, StackId},
        wait_site,
        worker::Role,
    },
    render::reason,
};

/// Functions that run an event loop, all that is called below one runs in the loop's thread: ends of their files' paths, and parts
/// of their names.
const LOOPS: [(&str, &str); 8] = [
    ("asyncio/base_events.py", ""),
    ("asyncio/events.py", ""),
    ("asyncio/runners.py", ""),
    ("trio/_core/_run.py", ""),
    ("tornado/ioloop.py", ""),
    ("gunicorn/workers/gasgi.py", ""),
    ("granian/server/mp.py", "_asgi"),
    ("granian/server/mp.py", "_rsgi"),
];
/// Smallest share of the loops' time that is told.
const HELD_UP: f64 = 0.02;
/// Length from which on a single wait is told, ns.
const LONG_NS: u64 = 100_000_000;

/// True if a wait holds up an event loop: it is in the loop's thread, and not the loop's own.
pub fn holds_up(seen: &Seen<'_>, wait: &BlockedSample) -> bool {
    let blocks = !matches!(wait.reason, Reason::Idle | Reason::Parked | Reason::Gil | Reason::Signal);
    blocks && is_in_loop(seen, wait.stack)
}

/// True if a stack is of an event loop's thread.
fn is_in_loop(seen: &Seen<'_>, stack: Option<StackId>) -> bool {
    let profile = seen.profile;
    profile.frames_of(stack).into_iter().any(|frame| match frame.kind {
        FrameKind::Python => {
            frame.file.is_some_and(|file| is_loop(profile.string(file), profile.string(frame.name)))
        }
        FrameKind::Mark => {
            [Mark::Greenlet, Mark::GeventHub].iter().any(|mark| mark.text() == profile.string(frame.name))
        }
        FrameKind::Native | FrameKind::Kernel => false,
    })
}

fn is_loop(file: &str, name: &str) -> bool {
    let is_it = |(module, part): (&str, &str)| {
        let folder = file.strip_suffix(module);
        folder.is_some_and(|folder| folder.is_empty() || folder.ends_with('/')) && name.contains(part)
    };
    LOOPS.into_iter().any(is_it)
}

/// A finding for each reason that holds up the fleet's loops.
pub fn blocked(seen: &Seen<'_>) -> Vec<Weighed> {
    let samples = seen.profile.samples.iter().map(|sample| (sample.tgid, sample.tid, sample.stack));
    let waits = seen.waits().map(|wait| (wait.tgid, wait.tid, wait.stack));
    let loops: BTreeSet<_> =
        samples.chain(waits).filter(|at| is_in_loop(seen, at.2)).map(|(tgid, tid, _)| (tgid, tid)).collect();
    let threads = seen
        .fleet
        .with(Role::Worker)
        .flat_map(|worker| worker.threads.iter().filter(|thread| loops.contains(&(worker.tgid, thread.tid))));
    let loops_ns: u64 = threads.map(|thread| thread.counters.wall_ns).sum();
    let finding = |reason: Reason| {
        let waits = seen.waits().filter(|wait| wait.reason == reason && holds_up(seen, wait));
        let sites = wait_site::of(seen.profile, waits);
        let ns: u64 = sites.iter().map(|site| site.ns).sum();
        let share = ns as f64 / loops_ns.max(1) as f64;
        let is_long = sites.iter().any(|site| site.longest_ns.is_some_and(|ns| ns >= LONG_NS));
        if ns == 0 || (share < HELD_UP && !is_long) {
            return None;
        }
        let (what, most) = (reason::label(reason), most(seen, &sites));
        let claim = format!("event loop blocked {} by {what}{most}", percent(share));
        let evidence = "of the time of its thread; all other tasks of the loop wait meanwhile".to_owned();
        let advice = "await something else instead, or call it in a thread (asyncio.to_thread)";
        Some(Weighed::new(Severity::Warning, share, claim, evidence, advice))
    };
    Reason::ALL.into_iter().filter_map(finding).collect()
}
