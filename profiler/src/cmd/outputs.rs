//! The files that a verb leaves: tried before its work begins, written when it is done. Also its last words on
//! standard output.

use std::{
    env,
    ffi::OsStr,
    io::{self, IsTerminal, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context;

use crate::{
    cli,
    failure::Failure,
    model::recording::Recording,
    recording,
    render::{
        self, escape, flamegraph, folded, json,
        shape::{By, Shape, Time, Weight},
    },
    sys::output::{Access, OutputFile},
    units,
};

/// What a file holds, by its extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A flame graph.
    Svg,
    /// Folded stacks.
    Folded,
    /// The exact numbers.
    Json,
    /// The recording.
    Punch,
}

impl Format {
    /// The format that a path asks for.
    pub fn of(path: &Path) -> Result<Self, Failure> {
        match path.extension().and_then(OsStr::to_str) {
            Some("svg") => Ok(Self::Svg),
            Some("folded") => Ok(Self::Folded),
            Some("json") => Ok(Self::Json),
            Some("punch") => Ok(Self::Punch),
            _ => Err(Failure::Output {
                path: path.to_owned(),
                why: "its extension is none of .svg, .folded, .json and .punch".to_owned(),
            }),
        }
    }

    /// A file's contents.
    fn render(self, recording: &Recording, shape: Shape) -> anyhow::Result<Vec<u8>> {
        match self {
            Self::Svg => flamegraph::svg(recording, shape),
            Self::Folded => Ok(folded::text(&render::shape::fold(recording, shape)).into_bytes()),
            Self::Json => Ok(json::document(&recording.stat)?.into_bytes()),
            Self::Punch => {
                let mut bytes = Vec::new();
                recording::write(recording, &mut bytes)?;
                Ok(bytes)
            }
        }
    }

    /// Who may read a file.
    const fn access(self) -> Access {
        match self {
            Self::Punch => Access::Owner,
            Self::Svg | Self::Folded | Self::Json => Access::Umask,
        }
    }

    /// What to do with a file.
    fn use_of(self, path: &Path) -> String {
        match self {
            Self::Svg => " (open it in a browser)".to_owned(),
            Self::Punch => format!(" (render it again with `punchclock report {}`)", path.display()),
            Self::Folded | Self::Json => String::new(),
        }
    }
}

/// Files that can be written, and are not there yet.
#[derive(Debug)]
pub struct Outputs(Vec<(Format, OutputFile)>);

impl Outputs {
    /// Tries whether all files can be written.
    pub fn prepare(paths: &[PathBuf]) -> Result<Self, Failure> {
        let prepare =
            |path: &PathBuf| Ok((Format::of(path)?, OutputFile::prepare(path, Format::of(path)?.access())?));
        paths.iter().map(prepare).collect::<Result<_, _>>().map(Self)
    }

    /// True if one of them is where only those who may write anywhere can leave it.
    #[must_use]
    pub fn are_overriding(&self) -> bool {
        self.0.iter().any(|(_, file)| file.is_overriding())
    }

    /// Writes all files, and says so on standard error. A file that fails does not keep the others from being
    /// written; the first failure is returned.
    pub fn write(self, recording: &Recording, shape: Shape) -> anyhow::Result<()> {
        let mut result = Ok(());
        for (format, file) in self.0 {
            let path = file.path().to_owned();
            let written = format.render(recording, shape).and_then(|bytes| Ok(file.commit(&bytes)?));
            match written {
                Ok(()) => say(&format!("wrote {}{}", path.display(), format.use_of(&path))),
                Err(error) => result = result.and(Err(error)),
            }
        }
        result
    }
}

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

/// The command line's words as the renderer's.
impl From<cli::Shape> for Shape {
    fn from(words: cli::Shape) -> Self {
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
            (true, _) => Time::OffCpu,
            (false, true) => Time::Wall,
            (false, false) => Time::OnCpu,
        };
        let cli::Shape { idle, gil, native, kernel, .. } = words;
        Self { by, time, weight, idle, gil, native, kernel }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::model::fixture;

    #[test]
    fn extensions_say_what() {
        let format = |path: &str| Format::of(Path::new(path));
        assert_eq!(format("a/b.x.svg").unwrap(), Format::Svg);
        assert_eq!(format("x.punch").unwrap(), Format::Punch);
        for path in ["svg", "x", "x.SVG", "x.svg.gz", ""] {
            let message = format(path).unwrap_err().to_string();
            assert!(message.ends_with(".svg, .folded, .json and .punch"), "{message}");
        }
    }

    #[test]
    fn all_outputs_are_written_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let paths = ["a.svg", "a.folded", "a.json", "a.punch"].map(|name| folder.path().join(name));
        let recording = fixture::recording();
        Outputs::prepare(&paths).unwrap().write(&recording, Shape::default()).unwrap();
        let [svg, lines, json, punch] = paths;
        assert!(fs::read_to_string(svg).unwrap().starts_with("<?xml"));
        assert!(fs::read_to_string(lines).unwrap().contains("worker 1234;"));
        let stat: crate::model::accounting::StatDelta =
            serde_json::from_slice(&fs::read(json).unwrap()).unwrap();
        assert_eq!(stat, recording.stat);
        assert_eq!(recording::read(&punch).unwrap(), recording);
    }

    #[test]
    fn one_bad_output_opens_none() {
        let folder = tempfile::tempdir().unwrap();
        let paths = ["a.svg", "no/such/b.svg"].map(|name| folder.path().join(name));
        assert!(matches!(Outputs::prepare(&paths), Err(Failure::Output { .. })));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn one_failure_does_not_keep_the_others_from_being_written() {
        let folder = tempfile::tempdir().unwrap();
        let paths = ["a.svg", "b.folded"].map(|name| folder.path().join(name));
        let outputs = Outputs::prepare(&paths).unwrap();
        // A folder has taken the first one's name meanwhile.
        fs::create_dir(&paths[0]).unwrap();
        assert!(outputs.write(&fixture::recording(), Shape::default()).is_err());
        assert!(paths[1].is_file());
    }

    #[test]
    fn default_names_are_safe() {
        let [svg, punch] = default_paths("gunicorn ../a b:app/ü\n", Duration::from_secs(1_776_161_700));
        assert_eq!(svg, Path::new("punchclock-gunicorn-..-a-b-app----20260414T101500Z.svg"));
        assert_eq!(punch.extension().unwrap(), "punch");
    }
}
