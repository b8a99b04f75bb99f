//! Output of the verbs: standard output, standard error, and the names of files if none are given.

use std::{
    env,
    io::{self, IsTerminal, Write},
    path::PathBuf,
    time::Duration,
};

use anyhow::Context;

use crate::{
    cli,
    render::{
        graph::fold::{By, GraphOptions, TimeKind, Weight},
        term::{escape, grid::TableOptions},
    },
    sys::terminal,
    units,
};

/// What files are called if nobody says: `punchclock-<fleet>-<time>.svg`, and `.punch` with everything.
#[must_use]
pub fn default_paths(fleet: &str, since_epoch: Duration) -> [PathBuf; 2] {
    let safe = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' };
    let fleet: String = fleet.chars().map(safe).take(60).collect();
    let stem = format!("punchclock-{fleet}-{}", units::utc_stamp(since_epoch));
    [".svg", ".punch"].map(|extension| PathBuf::from(format!("{stem}{extension}")))
}

/// Writes text to standard output. That its reader has left, as `head` does, is no failure.
pub fn print(text: &str) -> anyhow::Result<()> {
    let text = escape::rendered(text);
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(error).context("failed to write to standard output")
        }
        _ => Ok(()),
    }
}

/// Says something on standard error, in one line: whatever names are in it, and whoever chose them, none acts. That nobody
/// listens there changes nothing of what is done.
pub fn say(text: &str) {
    let _ = writeln!(io::stderr(), "{}", escape::visible(text));
}

/// Whether standard output shows bold and dim: it is a terminal, and `NO_COLOR` is not set.
#[must_use]
pub fn colour() -> bool {
    io::stdout().is_terminal() && env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// How many characters a line of standard output has: as `COLUMNS` says, or as its terminal is wide; `None` of anything else.
#[must_use]
pub fn width() -> Option<usize> {
    let said = env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    said.or_else(|| terminal::columns(&io::stdout())).filter(|columns| *columns != 0)
}

/// How tables look on standard output: as wide as a line, elsewhere as wide as they are.
#[must_use]
pub fn table() -> TableOptions {
    TableOptions { width: width(), colour: colour(), ..TableOptions::default() }
}

/// The command line's words as the renderer's.
impl From<cli::GraphOptions> for GraphOptions {
    fn from(words: cli::GraphOptions) -> Self {
        let by = match words.by {
            cli::By::Fleet => By::Fleet,
            cli::By::Worker => By::Worker,
            cli::By::Thread => By::Thread,
            cli::By::Task => By::Task,
            cli::By::Class => By::Class,
        };
        let weight = match words.weight {
            cli::Weight::Time => Weight::Time,
            cli::Weight::Samples => Weight::Samples,
        };
        let time = match (words.off_cpu, words.wall) {
            (true, _) => TimeKind::OffCpu,
            (false, true) => TimeKind::Wall,
            (false, false) => TimeKind::OnCpu,
        };
        let cli::GraphOptions { idle, gil, native, kernel, inverted, .. } = words;
        Self { by, time, weight, idle, gil, native, kernel, inverted }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn default_names_are_safe() {
        let [svg, punch] = default_paths("gunicorn ../a b:app/ü\n", Duration::from_secs(1_776_161_700));
        assert_eq!(svg, Path::new("punchclock-gunicorn-..-a-b-app----20260414T101500Z.svg"));
        assert_eq!(punch.extension().unwrap(), "punch");
    }
}
