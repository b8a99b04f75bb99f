//! What a recording comes to: the difference of two edges, as numbers, stacks and seconds.

use std::collections::HashMap;

use anyhow::Result;
use profiler_common::{loss_cause::LossCause, wait::Reason};

use super::Recorder;
use crate::{
    bpf::{Counts, KernelSide},
    collect::{
        assemble::{self, WindowFacts},
        build_profile, counts, dump,
        open_windows::{RecorderEdge, reclassified},
        session,
    },
    fleet,
    model::{
        SCHEMA_VERSION, accounting::StatDelta, dump::Dump, profile::Profile, quality::Losses, shown::Left,
        window::Window,
    },
};

/// The result of a recording.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// Stacks of the window.
    pub profile: Profile,
    /// Exact numbers of the window.
    pub stat: StatDelta,
    /// Seconds of the window, if they were kept apart.
    pub windows: Vec<Window>,
    /// Requests that were answered in it, if somebody counted them.
    pub requests: Option<u64>,
}

impl<K: KernelSide> Recorder<K> {
    /// What happened between two edges, each wait counted for what it was for.
    pub(super) fn delta(&self, start: &RecorderEdge, end: &RecorderEdge) -> StatDelta {
        let window = counts::between(&start.stacks, end.stacks.clone());
        self.delta_with(start, end, &window)
    }

    /// What happened between two edges, with what was counted on stacks.
    fn delta_with(&self, start: &RecorderEdge, end: &RecorderEdge, window: &Counts) -> StatDelta {
        let Self { session, handler, notes, .. } = self;
        let mut quality = session.quality(&start.edge, &end.edge);
        quality.notes.extend(notes.iter().cloned());
        quality.notes.extend(handler.notes(window));
        quality.say_once();
        quality.count_losses_between(&start.losses, &end.losses);
        handler.stacks.count_undescribed(window, &mut quality);
        let facts = WindowFacts {
            fleets: &session.fleets,
            has_gil: &|tgid| handler.has_gil(tgid),
            throttled_ns: &|tgid| session::throttled_between(&start.edge, &end.edge, tgid),
            boot_cpu_ns: &|tgid| handler.boot_cpu_ns(tgid),
            deaths: session.deaths(),
            reclassified: reclassified(&handler.stacks, window),
            empty_wakeups: self.empty_wakeups(window),
            departed: &start.departed,
        };
        StatDelta {
            schema_version: SCHEMA_VERSION,
            started_unix_ns: start.edge.unix_ns,
            duration_ns: end.edge.stat.at_ns.saturating_sub(start.edge.stat.at_ns),
            fleets: assemble::fleets(&start.edge.stat, &end.edge.stat, &facts),
            quality,
        }
    }

    /// Waits for work that ended without any, by tgid: of workers whose work comes by sockets.
    fn empty_wakeups(&self, window: &Counts) -> HashMap<u32, u64> {
        let mut empty = HashMap::new();
        for (key, count) in window {
            if self.handler.stacks.reason(key) == Some(Reason::Idle)
                && self.session.work_comes_by_sockets(key.tgid)
            {
                *empty.entry(key.tgid).or_default() += count.empty;
            }
        }
        empty
    }

    /// Ends the window, now.
    pub fn finish(mut self) -> Result<Recorded> {
        if self.sampling.is_some() {
            self.session.kernel.stop_sampling()?;
        }
        if self.has_failed {
            // What failed may fail again: what was sent counts, and nobody new is followed.
            self.drain();
        } else {
            self.handle_events()?;
        }
        let end = self.edge()?;
        self.session.kernel.forget_stacks();
        Ok(self.recorded(end))
    }

    /// Ends the window where its last interval ended; now, if there was none.
    pub fn finish_interval(mut self) -> Result<Recorded> {
        let end = match self.open.interval.take() {
            Some(edge) => edge,
            None => self.edge()?,
        };
        self.session.kernel.forget_stacks();
        Ok(self.recorded(end))
    }

    /// What was recorded so far; the window goes on.
    pub fn so_far(&mut self) -> Result<Recorded> {
        self.handle_events()?;
        let end = self.edge()?;
        let mut so_far = self.recorded(end);
        so_far
            .stat
            .quality
            .notes
            .push("this is what there was by then: the recording had not ended".to_owned());
        Ok(so_far)
    }

    /// What was recorded from the window's begin to an edge.
    fn recorded(&mut self, mut end: RecorderEdge) -> Recorded {
        fleet::refresh(&mut self.session.fleets);
        self.handler.update_versions(&mut self.session.fleets);
        let window = counts::between(&self.open.whole.stacks, std::mem::take(&mut end.stacks));
        let mut stat = self.delta_with(&self.open.whole, &end, &window);
        if let Some(memory) = &self.memory {
            memory.end(&mut stat);
        }
        let rate_hz = self.sampling.map_or(0, |(rate_hz, _)| rate_hz);
        stat.quality.samples =
            self.sampling.map(|(_, clock)| self.handler.stacks.assess(&window, clock.name()));
        let (mut profile, unnamed) = build_profile::profile(&self.handler.stacks, &window, rate_hz);
        stat.quality.notes.extend(unnamed);
        profile.agree_with(&stat);
        match profile.fit(Left::default()) {
            Ok(without) => stat.quality.count_loss(LossCause::StackNotKept, without),
            Err(why) => stat.quality.notes.push(why.to_owned()),
        }
        if self.requests.is_some() && end.requests.is_none() {
            stat.quality.notes.push(
                "the access log is longer than what is read of it in time: no requests are counted"
                    .to_owned(),
            );
        }
        let requests = end.requests.zip(self.open.whole.requests).map(|(end, start)| end - start);
        let windows = self.windows.clone().map(|windows| windows.end(&stat, requests)).unwrap_or_default();
        Recorded { profile, stat, windows, requests }
    }

    /// Ends the window and returns what each thread does then.
    pub fn into_dump(mut self) -> Result<Dump> {
        self.session.kernel.stop_sampling()?;
        self.handle_events()?;
        let Self { session, handler, .. } = &mut self;
        let (edge, snapshot, counts) = session.edge(|event| handler.handle(event))?;
        handler.learn_names(&snapshot.threads);
        fleet::refresh(&mut session.fleets);
        handler.update_versions(&mut session.fleets);
        let (threads, offset) = (&snapshot.threads, snapshot.clock_offset_ns);
        let (fleets, unnamed) = dump::dump(&session.fleets, threads, offset, handler, &counts);
        let mut quality = edge.quality;
        quality.notes.extend(handler.notes(&counts).into_iter().chain(unnamed));
        quality.count_losses_between(&Losses::new(), &edge.losses);
        Ok(Dump { schema_version: SCHEMA_VERSION, at_unix_ns: edge.unix_ns, fleets, quality })
    }
}
