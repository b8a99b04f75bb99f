//! Progress of a long wait, on standard error and only on a terminal.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::render::term::escape;

/// A line that says what is done and for how long yet.
pub struct Progress {
    bar: ProgressBar,
    started: Instant,
}

impl Progress {
    /// Begins; without a duration there is no end to show.
    #[must_use]
    pub fn start(what: &'static str, duration: Option<Duration>) -> Self {
        let bar = ProgressBar::with_draw_target(
            duration.map(|duration| duration.as_millis() as u64),
            ProgressDrawTarget::stderr_with_hz(4),
        );
        let template = if duration.is_some() {
            "{msg} {wide_bar} {eta} left"
        } else {
            "{msg} {elapsed}, Ctrl-C ends it"
        };
        // The templates are ours; one that were wrong would show the default line.
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_message(what);
        Self { bar, started: Instant::now() }
    }

    /// Time has passed.
    pub fn tick(&mut self) {
        self.bar.set_position(self.started.elapsed().as_millis() as u64);
    }

    /// Takes the line away while something else is said.
    pub fn pause<T>(&self, say: impl FnOnce() -> T) -> T {
        self.bar.suspend(say)
    }

    /// Takes the line away.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

/// A line that says which phase it is, and how long all of it will take yet.
pub struct Phases(ProgressBar);

impl Phases {
    /// Begins.
    #[must_use]
    pub fn start() -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(4));
        if let Ok(style) =
            ProgressStyle::with_template("{spinner} {msg}, {elapsed} so far; Ctrl-C reports what is done")
        {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(250));
        Self(bar)
    }

    /// Another phase.
    pub fn say(&mut self, what: &str, left: Duration) {
        let (minutes, seconds) = (left.as_secs() / 60, left.as_secs() % 60);
        let what = escape::visible(what);
        self.0.set_message(format!("{what}; about {minutes}:{seconds:02} left"));
    }

    /// Takes the line away.
    pub fn finish(&self) {
        self.0.finish_and_clear();
    }
}
