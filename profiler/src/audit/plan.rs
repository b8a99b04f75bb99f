//! The plan of an audit: what is measured, under which loads, for how long.

use std::time::Duration;

use crate::{
    fleet::Fleet,
    model::{recording::About, report::Setup},
};

/// A window has at least so many parts, if they are …
const PARTS: u32 = 8;
/// Shortest part of a window.
const SHORTEST_PART: Duration = Duration::from_millis(250);

/// The longest that a window lasts whose requests are not answered.
const LONGEST: Duration = Duration::from_secs(60);

/// An audit to be made.
#[derive(Debug)]
pub struct AuditPlan {
    /// What is audited.
    pub subject: Subject,
    /// The loads to try, rising.
    pub levels: Vec<f64>,
    /// Whether a level is a number of requests under way, or a rate.
    pub pacing: Pacing,
    /// How long a window is.
    pub window: WindowLength,
    /// How long the server is under load before a window begins.
    pub warm_up: Duration,
    /// How long an idle server is watched.
    pub idle: Duration,
    /// After so long no other round is begun.
    pub limit: Duration,
    /// Rounds end when all throughputs are known to this share of themselves.
    pub tight: f64,
    /// At least so many rounds, time permitting.
    pub rounds_min: u32,
    /// Whether connections are used again.
    pub keep_alive: bool,
    /// The command that makes the load, instead of the built-in one.
    pub generator: Option<String>,
    /// What is known of the host and the command.
    pub about: About,
    /// Samples per second and CPU.
    pub rate_hz: u64,
    /// Decides the order of windows.
    pub seed: u64,
}

/// What is audited.
#[derive(Debug)]
pub enum Subject {
    /// A command that serves, started for each set-up: `{workers}`, `{class}` and `{port}` are filled in.
    Serve {
        /// The command line.
        template: String,
        /// What is asked for, each for itself.
        paths: Vec<String>,
        /// The set-ups to try.
        setups: Vec<Setup>,
    },
    /// A fleet that runs already, and is only watched.
    Running {
        /// Fleets that are audited.
        fleets: Vec<Fleet>,
        /// What is asked for, each for itself.
        urls: Vec<String>,
    },
}

/// How the load is paced: by answers or by a clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pacing {
    /// The server: each client asks again when it has its answer.
    Closed,
    /// The clock.
    Open,
}

/// The length of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WindowLength {
    /// Until so many requests are answered.
    Requests(u64),
    /// A fixed time.
    Time(Duration),
}

impl AuditPlan {
    /// How long the parts of a window are that its spread is told from.
    #[must_use]
    pub fn part(&self) -> Duration {
        (self.window_time() / PARTS).clamp(SHORTEST_PART, Duration::from_secs(1))
    }

    /// How long a window is or, if that is not known, is thought to be.
    #[must_use]
    pub const fn window_time(&self) -> Duration {
        match self.window {
            WindowLength::Time(time) => time,
            WindowLength::Requests(_) => Duration::from_secs(5),
        }
    }

    /// How long is waited for what ends a window: no longer than for all of the audit.
    #[must_use]
    pub fn longest_window(&self) -> Duration {
        LONGEST.min(self.limit).max(self.window_time())
    }
}

impl Subject {
    /// Name of the subject in the report.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Serve { template, .. } => template.clone(),
            Self::Running { fleets, .. } => {
                fleets.iter().map(|fleet| fleet.name.as_str()).collect::<Vec<_>>().join(", ")
            }
        }
    }

    /// What is asked for, as it is named in the report.
    #[must_use]
    pub fn urls(&self) -> &[String] {
        match self {
            Self::Serve { paths, .. } => paths,
            Self::Running { urls, .. } => urls,
        }
    }
}

/// A command line with a set-up and a port filled in. Other braces stay as they are.
#[must_use]
pub fn fill(template: &str, setup: &Setup, port: u16) -> String {
    let mut line = template.replace("{port}", &port.to_string());
    if let Some(class) = &setup.worker_class {
        line = line.replace("{class}", class);
    }
    if let Some(workers) = setup.workers {
        line = line.replace("{workers}", &workers.to_string());
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_is_filled_in_and_keeps_other_braces() {
        let setup = Setup { worker_class: Some("gthread".to_owned()), workers: Some(4) };
        let template = "gunicorn -w {workers} -k {class} -b :{port} --env A={x} 'f{{}}'";
        assert_eq!(fill(template, &setup, 80), "gunicorn -w 4 -k gthread -b :80 --env A={x} 'f{{}}'");
        let none = Setup::default();
        assert_eq!(fill("x {class} {workers} {port}", &none, 1), "x {class} {workers} 1");
    }
}
