//! How far a long wait has come: on a terminal only, and on standard error.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

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

    /// Takes the line away.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
