//! The sweep: rounds over all set-ups and loads, in random order, until the numbers are tight or the time is up.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    time::{Duration, Instant},
};

use anyhow::Result;

use crate::{
    audit::{
        observed::{Idling, Observed},
        plan::{AuditPlan, Subject, WindowLength},
        points,
        problems::Problems,
        schedule,
        server::AuditedServer,
        window::{Done, WindowPlan, idle},
    },
    collect::stop::Stop,
    fleet::Fleet,
    model::{quality::Quality, recording::Recording, report::Setup, worker::Role},
    stats::random::Random,
};

/// Is told what is being done, and how long all of it will take yet.
pub type Watch<'a> = &'a mut dyn FnMut(&str, Duration);

/// How long a server may take to start.
const START: Duration = Duration::from_secs(60);
/// What it takes around a window: attaching, symbols.
const AROUND: Duration = Duration::from_millis(800);
/// What it takes to start and stop a server, until it was seen.
const RESTART: Duration = Duration::from_secs(3);

/// A sweep under way.
pub struct Sweep<'a> {
    plan: &'a AuditPlan,
    watch: Watch<'a>,
    stop: Stop,
    random: Random,
    /// When it began.
    pub epoch: Instant,
    /// What it saw.
    pub observed: Observed,
    /// The windows of each route and set-up as one recording.
    pub recordings: BTreeMap<(String, Setup), Recording>,
    /// What went wrong.
    pub problems: Problems,
    /// The commands that were run.
    pub commands: Vec<String>,
    /// Quality of all windows together.
    pub quality: Quality,
    /// True if the user ended it.
    pub interrupted: bool,
    /// Rounds that were made to their end.
    pub rounds: u32,
}

impl<'a> Sweep<'a> {
    /// Ready to begin.
    pub fn new(plan: &'a AuditPlan, watch: Watch<'a>) -> Result<Self> {
        Ok(Self {
            plan,
            watch,
            stop: Stop::listen()?,
            random: Random::new(plan.seed),
            epoch: Instant::now(),
            observed: Observed::default(),
            recordings: BTreeMap::new(),
            problems: Problems::default(),
            commands: Vec::new(),
            quality: Quality::default(),
            interrupted: false,
            rounds: 0,
        })
    }

    /// Does all rounds.
    pub async fn run(&mut self) -> Result<()> {
        while !self.interrupted && self.wants_another() {
            match &self.plan.subject {
                Subject::Serve { template, paths, setups } => {
                    for group in schedule::groups(setups, &mut self.random) {
                        self.serve(template, paths, &group).await?;
                    }
                }
                Subject::Running { fleets, urls } => {
                    let routes: Vec<_> = urls.iter().map(|url| (url.clone(), url.clone())).collect();
                    self.visit(fleets, &as_it_runs(fleets), &routes).await?;
                }
            }
            self.rounds += u32::from(!self.interrupted);
        }
        Ok(())
    }

    /// Whether another round is to be made.
    fn wants_another(&self) -> bool {
        let round = self.rounds;
        if round == 0 {
            return true;
        }
        let spent = self.epoch.elapsed();
        // Nothing but problems: more of the same would bring nothing else.
        if self.observed.loaded.is_empty() || spent + spent / round > self.plan.limit {
            return false;
        }
        round < self.plan.rounds_min || !points::are_tight(&self.observed.loaded, self.plan.tight)
    }

    /// Starts a server for a group of set-ups that one may be able to become, and visits it in each of them.
    async fn serve(&mut self, template: &str, paths: &[String], group: &[Setup]) -> Result<()> {
        let mut running: Option<AuditedServer> = None;
        for setup in group {
            if self.interrupted {
                return Ok(());
            }
            if let Some(server) = &mut running
                && !server.become_setup(setup, &self.stop).await?
            {
                // It must be gone before another starts.
                running = None;
            }
            let server = match running.take() {
                Some(server) => Some(server),
                None => self.start(template, &paths[0], setup).await?,
            };
            let Some(mut server) = server else { continue };
            let routes: Vec<_> = paths.iter().map(|path| (path.clone(), server.url(path))).collect();
            let fleet = server.fleet()?;
            self.visit(&[fleet], setup, &routes).await?;
            if let Some(ended) = server.ended() {
                let what = format!("the server did not outlive its windows: {ended}");
                self.problems.add_server(setup, what, server.last_words());
            } else {
                running = Some(server);
            }
        }
        Ok(())
    }

    /// Starts a server and waits until it answers; one that does not is a problem.
    async fn start(&mut self, template: &str, path: &str, setup: &Setup) -> Result<Option<AuditedServer>> {
        self.say(&format!("starting {}", setup.name()));
        let mut server = AuditedServer::start(template, setup)?;
        if !self.commands.contains(&server.command) {
            self.commands.push(server.command.clone());
        }
        match server.wait_until_ready(path, setup, START, &self.stop).await? {
            None => Ok(Some(server)),
            Some(what) => {
                self.interrupted = self.stop.is_asked();
                if !self.interrupted {
                    self.problems.add_server(setup, what, server.last_words());
                }
                Ok(None)
            }
        }
    }

    /// Measures a server: idle once, then under each load. Routes are names and URLs.
    async fn visit(&mut self, fleets: &[Fleet], setup: &Setup, routes: &[(String, String)]) -> Result<()> {
        if !self.observed.idle.iter().any(|idling| idling.setup == *setup) {
            self.say(&format!("{}: warming up", setup.name()));
            // Once under load, so that what is done at the first request is done.
            for route in routes {
                self.task(fleets, setup, self.plan.levels[0], route).warm_up(&self.stop).await?;
            }
            self.say(&format!("{}: idle", setup.name()));
            match idle(self.plan, fleets, &self.stop).await? {
                Some((profile, stat)) => {
                    self.quality.absorb(&stat.quality);
                    self.observed.idle.push(Idling { setup: setup.clone(), stat, profile });
                }
                None => self.interrupted = true,
            }
        }
        let mut loads: Vec<_> = routes
            .iter()
            .flat_map(|route| self.plan.levels.iter().map(move |level| (route, *level)))
            .collect();
        schedule::shuffle(&mut loads, &mut self.random);
        for (route, level) in loads {
            if self.interrupted {
                break;
            }
            self.say(&format!("{} at {level} of {}, round {}", setup.name(), route.0, self.rounds + 1));
            let task = self.task(fleets, setup, level, route);
            match task.measure(&self.stop).await? {
                Some(done) => {
                    self.tell_unanswered(setup, level, &route.0, done.loaded.run.load.requests);
                    self.keep(&route.0, setup, done);
                }
                None => self.interrupted = true,
            }
        }
        Ok(())
    }

    /// Notes it if a window ended without the answers that it was to wait for.
    fn tell_unanswered(&mut self, setup: &Setup, level: f64, route: &str, answered: u64) {
        let WindowLength::Requests(wanted) = self.plan.window else { return };
        if answered >= wanted || self.plan.generator.is_some() {
            return;
        }
        let seconds = self.plan.longest_window().as_secs();
        let what = format!("answered {answered} of {wanted} requests as it should within {seconds} s");
        self.problems.add_load(setup, &format!("at {level}, {route}"), &what);
    }

    fn task<'t>(
        &self,
        fleets: &'t [Fleet],
        setup: &'t Setup,
        level: f64,
        (route, url): &'t (String, String),
    ) -> WindowPlan<'t>
    where
        'a: 't,
    {
        WindowPlan {
            plan: self.plan,
            fleets,
            setup,
            level,
            url,
            route,
            epoch: self.epoch,
            about: &self.plan.about,
        }
    }

    fn keep(&mut self, route: &str, setup: &Setup, done: Done) {
        let Done { loaded, recording, control, shared_cpus } = done;
        self.quality.absorb(&loaded.stat.quality);
        if let Some(command) =
            loaded.run.load.command.as_ref().filter(|command| !self.commands.contains(command))
        {
            self.commands.push(command.clone());
        }
        self.observed.controls.extend(control);
        self.observed.shared_cpus = self.observed.shared_cpus.take().or(shared_cpus);
        self.observed.loaded.push(loaded);
        match self.recordings.entry((route.to_owned(), setup.clone())) {
            Entry::Occupied(mut all) => all.get_mut().absorb(&recording),
            Entry::Vacant(none) => {
                none.insert(recording);
            }
        }
    }

    /// Reports what is done now and how long the audit will still take: by the time of the least rounds, and what was spent of
    /// it.
    fn say(&mut self, what: &str) {
        let setups = match &self.plan.subject {
            Subject::Serve { setups, .. } => setups.len() as u32,
            Subject::Running { .. } => 1,
        };
        let window = self.plan.warm_up + 2 * self.plan.window_time() + AROUND;
        let loads = (self.plan.levels.len() * self.plan.subject.urls().len()) as u32;
        let round = setups * (RESTART + window * loads);
        let all = self.plan.rounds_min * round + setups * (self.plan.warm_up + self.plan.idle + AROUND);
        (self.watch)(what, all.min(self.plan.limit).saturating_sub(self.epoch.elapsed()));
    }
}

/// The set-up of a fleet that runs already.
fn as_it_runs(fleets: &[Fleet]) -> Setup {
    let workers: Vec<_> = fleets.iter().flat_map(|fleet| fleet.with(Role::Worker)).collect();
    let class = workers.first().and_then(|worker| worker.worker_class.clone());
    Setup { worker_class: class, workers: u32::try_from(workers.len()).ok() }
}
