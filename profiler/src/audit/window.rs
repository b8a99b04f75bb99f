//! One window of the sweep: load on the server while it is recorded.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Instant,
};

use anyhow::Result;

use crate::{
    audit::{
        observed::{Loaded, WindowSlice, whole},
        plan::{AuditPlan, Pacing, WindowLength},
    },
    collect::{
        plans::{self, Extent},
        recorder::{Recorded, Recorder},
        session::{Session, after},
        stop::Stop,
    },
    fleet::{self, Fleet},
    load::{self, External, Generator, LoadOptions, Pattern, TargetUrl},
    model::{
        accounting::StatDelta,
        load::Load,
        profile::Profile,
        recording::{About, Recording},
        report::{Run, Setup},
    },
};

/// Stacks of waits that are at least so long are kept, as `record` does.
const MIN_BLOCK_NS: u64 = 10_000;
/// Connections that an open loop may open while answers are late.
const OPEN_CONNECTIONS: u32 = 1024;

/// A window to be measured.
#[derive(Debug)]
pub struct WindowPlan<'a> {
    /// The audit's plan.
    pub plan: &'a AuditPlan,
    /// Fleets that serve.
    pub fleets: &'a [Fleet],
    /// In which way.
    pub setup: &'a Setup,
    /// Under which load.
    pub level: f64,
    /// What is asked for.
    pub url: &'a str,
    /// What it is called in the report.
    pub route: &'a str,
    /// When the audit began.
    pub epoch: Instant,
    /// Where and how the audit is made.
    pub about: &'a About,
}

/// What came of it.
#[derive(Debug)]
pub struct Done {
    /// Numbers of the window.
    pub loaded: Loaded,
    /// Stacks of the window.
    pub recording: Recording,
    /// Answers per second while we measured, and in the windows before and after, while we did not.
    pub control: Option<(f64, f64)>,
    /// Sentence that the load generator and the workers share CPUs, if they do.
    pub shared_cpus: Option<String>,
}

impl WindowPlan<'_> {
    /// Measures it; `None` if the user did not wait for it.
    pub async fn measure(&self, stop: &Stop) -> Result<Option<Done>> {
        match &self.plan.generator {
            Some(template) => self.with_external(template, stop).await,
            None => self.with_built_in(stop).await,
        }
    }

    /// Puts the server under this load for a while.
    pub async fn warm_up(&self, stop: &Stop) -> Result<()> {
        let generator = self.generator()?;
        stop.within(self.plan.warm_up).await;
        generator.stop()?;
        Ok(())
    }

    fn generator(&self) -> Result<Generator> {
        let options = LoadOptions { keep_alive: self.plan.keep_alive, ..LoadOptions::default() };
        Generator::start(&TargetUrl::parse(self.url)?, self.pattern(), options)
    }

    async fn with_built_in(&self, stop: &Stop) -> Result<Option<Done>> {
        let generator = self.generator()?;
        let shared = generator.shares_cpus_with(&self.tgids());
        if stop.within(self.plan.warm_up).await {
            return Ok(None);
        }
        let Some(before) = self.watch_only(&generator, stop).await else { return Ok(None) };
        let mut recorder = recorder(self.plan, self.fleets)?;
        recorder.keep_windows(self.plan.part());
        let completed = generator.completed();
        let answered = Arc::clone(&completed);
        recorder.count_requests_with(Box::new(move || Some(answered.load(Ordering::Relaxed))))?;
        let first = completed.load(Ordering::Relaxed);
        let start = generator.reading();
        recorder
            .run(Some(self.deadline()), || !self.has_enough(completed.load(Ordering::Relaxed) - first))
            .await?;
        let load = load::between(&start, &generator.reading());
        if stop.is_asked() {
            return Ok(None);
        }
        let done = self.done(recorder.finish()?, load, shared);
        let Some(after) = self.watch_only(&generator, stop).await else { return Ok(None) };
        generator.stop()?;
        let without = f64::midpoint(before.throughput(), after.throughput());
        let control = Some((done.loaded.run.load.throughput(), without));
        Ok(Some(Done { control, ..done }))
    }

    /// Whom the load is for.
    fn tgids(&self) -> Vec<u32> {
        fleet::tgids(self.fleets).collect()
    }

    /// A program makes the load: what it says is of its whole life, so that is the window.
    async fn with_external(&self, template: &str, stop: &Stop) -> Result<Option<Done>> {
        let mut recorder = recorder(self.plan, self.fleets)?;
        let seconds = self.plan.window_time().as_secs_f64();
        let mut external = External::start(template, self.url, self.level as u32, seconds)?;
        let shared = external.shares_cpus_with(&self.tgids());
        let deadline = after(self.plan.window_time() + self.plan.longest_window());
        recorder.run(Some(deadline), || !external.has_ended()).await?;
        if stop.is_asked() {
            return Ok(None);
        }
        let recorded = recorder.finish()?;
        Ok(Some(self.done(recorded, external.load()?, shared)))
    }

    /// Half a window in which nothing but the answers is counted.
    async fn watch_only(&self, generator: &Generator, stop: &Stop) -> Option<Load> {
        let start = generator.reading();
        if stop.within(self.plan.window_time() / 2).await {
            None
        } else {
            Some(load::between(&start, &generator.reading()))
        }
    }

    fn pattern(&self) -> Pattern {
        match self.plan.pacing {
            Pacing::Closed => Pattern::Closed { concurrency: self.level as u32 },
            Pacing::Open => Pattern::Open { rate_hz: self.level, connections_max: OPEN_CONNECTIONS },
        }
    }

    fn deadline(&self) -> tokio::time::Instant {
        after(match self.plan.window {
            WindowLength::Time(time) => time,
            WindowLength::Requests(_) => self.plan.longest_window(),
        })
    }

    fn has_enough(&self, answered: u64) -> bool {
        matches!(self.plan.window, WindowLength::Requests(wanted) if answered >= wanted)
    }

    fn done(&self, recorded: Recorded, load: Load, shared_cpus: Option<String>) -> Done {
        let Recorded { profile, stat, windows, requests } = recorded;
        let counters = whole(&stat);
        let slices: Vec<_> = windows.iter().filter_map(WindowSlice::of).collect();
        // Who does not count by the second counts once.
        let slices = if slices.is_empty() {
            vec![WindowSlice::new(stat.duration_ns, load.requests, &counters)]
        } else {
            slices
        };
        let run = Run {
            url: self.route.to_owned(),
            setup: self.setup.clone(),
            level: self.level,
            at_ns: self.epoch.elapsed().as_nanos() as u64,
            on_cpu_ns: counters.on_cpu_ns,
            voluntary_switches: counters.voluntary_switches,
            preempted_switches: counters.preempted_switches,
            load,
        };
        let requests = requests.or(Some(run.load.requests));
        let about = self.about.clone();
        let recording = Recording { about, profile, stat: stat.clone(), windows, requests };
        Done { loaded: Loaded { run, stat, slices }, recording, control: None, shared_cpus }
    }
}

/// Watches a server that has nothing to do; `None` if the user did not wait for it.
pub async fn idle(plan: &AuditPlan, fleets: &[Fleet], stop: &Stop) -> Result<Option<(Profile, StatDelta)>> {
    let mut recorder = recorder(plan, fleets)?;
    recorder.run(Some(after(plan.idle)), || true).await?;
    let Recorded { profile, stat, .. } = recorder.finish()?;
    Ok((!stop.is_asked()).then_some((profile, stat)))
}

fn recorder(plan: &AuditPlan, fleets: &[Fleet]) -> Result<Recorder> {
    let probe_plan = plans::for_record(plan.rate_hz, Extent::of(fleets), MIN_BLOCK_NS, None);
    Recorder::start(Session::open(fleets.to_vec(), probe_plan)?, Some(plan.rate_hz), |_| Ok(()))
}
