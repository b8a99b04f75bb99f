//! Every kind of file that is written: its extension, what it is, how it is opened, and what makes it. All verbs write by
//! these tables; help, errors and the README say what stands here.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
};

use anyhow::Result;

use crate::{
    failure::Failure,
    findings,
    model::{recording::Recording, report::Report},
    recording,
    render::{
        graph::{
            differential::{self, ComparedRecordings},
            flamegraph,
            fold::{self, GraphOptions},
            folded,
        },
        json,
        report::{self, html, markdown},
        stat,
    },
    sys::output::{Access, OutputFile},
};

/// One kind of file.
#[derive(Clone, Copy, Debug)]
pub struct Format<W: 'static> {
    /// Behind the last point of its name.
    pub extension: &'static str,
    /// What it is.
    pub what: &'static str,
    /// How it is opened, with `{}` for its path; empty if it says so itself.
    pub open: &'static str,
    access: Access,
    /// Makes its bytes.
    pub write: W,
}

/// Makes a file of a recording.
pub type OfRecording = fn(&Recording, GraphOptions) -> Result<Vec<u8>>;
/// Makes a file of two recordings.
pub type OfComparison = fn(ComparedRecordings<'_>) -> Result<Vec<u8>>;
/// Makes a file of an audit's reports.
pub type OfAudit = fn(&[Report]) -> Result<Vec<u8>>;

/// What `record` and `report` write.
pub static RECORDING: &[Format<OfRecording>] = &[
    Format {
        extension: "svg",
        what: "a flame graph",
        open: "open it in a browser",
        access: Access::Umask,
        write: flamegraph::svg,
    },
    Format {
        extension: "folded",
        what: "folded stacks, for other tools",
        open: "",
        access: Access::Umask,
        write: |recording, graph| Ok(folded::text(&fold::fold(recording, graph)).into_bytes()),
    },
    Format {
        extension: "json",
        what: "the numbers",
        open: "",
        access: Access::Umask,
        write: |recording, _| {
            let findings = findings::of(&recording.stat, &recording.profile);
            Ok(stat::json(&recording.stat, &findings)?.into_bytes())
        },
    },
    Format {
        extension: "punch",
        what: "the recording, from which all others are made again",
        open: "render it again with `punchclock report {}`",
        access: Access::Owner,
        write: |recording, _| {
            let mut bytes = Vec::new();
            recording::write(recording, &mut bytes)?;
            Ok(bytes)
        },
    },
];

/// What `compare` writes.
pub static COMPARISON: &[Format<OfComparison>] = &[Format {
    extension: "svg",
    what: "a differential flame graph",
    open: "open it in a browser",
    access: Access::Umask,
    write: |comparison| {
        let unknown =
            || Failure::Usage("the recordings do not tell what the graph is to be counted by".to_owned());
        Ok(differential::svg(comparison)?.ok_or_else(unknown)?)
    },
}];

/// What `audit` writes.
pub static AUDIT: &[Format<OfAudit>] = &[
    Format {
        extension: "html",
        what: "a page with flame graphs, which works offline",
        open: "open it in a browser",
        access: Access::Umask,
        write: |reports| Ok(html::pages(reports)?.into_bytes()),
    },
    Format {
        extension: "md",
        what: "Markdown",
        open: "",
        access: Access::Umask,
        write: |reports| Ok(report::joined(reports, markdown::markdown).into_bytes()),
    },
    Format {
        extension: "json",
        what: "the numbers",
        open: "",
        access: Access::Umask,
        write: |reports| Ok(json::document(&reports)?.into_bytes()),
    },
];

/// The extensions of some kinds, and what they stand for.
#[must_use]
pub fn list<W>(formats: &[Format<W>]) -> String {
    let each = formats.iter().map(|format| format!(".{} ({})", format.extension, format.what));
    each.collect::<Vec<_>>().join(", ")
}

/// Files that can be written, and are not there yet.
#[derive(Debug)]
pub struct Outputs<W: 'static>(Vec<(&'static Format<W>, OutputFile)>);

impl<W> Outputs<W> {
    /// Tries whether all files can be written.
    pub fn prepare(formats: &'static [Format<W>], paths: &[PathBuf]) -> Result<Self, Failure> {
        let prepare = |path: &PathBuf| {
            let format = format_of(formats, path)?;
            Ok((format, OutputFile::prepare(path, format.access)?))
        };
        paths.iter().map(prepare).collect::<Result<_, _>>().map(Self)
    }

    /// True if one of them is where only those who may write anywhere can leave it.
    #[must_use]
    pub fn are_overriding(&self) -> bool {
        self.0.iter().any(|(_, file)| file.is_overriding())
    }

    /// The first file of a kind.
    #[must_use]
    pub fn of_kind(&self, extension: &str) -> Option<&OutputFile> {
        self.0.iter().find(|(format, _)| format.extension == extension).map(|(_, file)| file)
    }

    /// Makes and writes all files, and says so of each. One that fails does not keep the others from being written; the first
    /// failure is returned.
    pub fn write(&self, bytes: impl Fn(&W) -> Result<Vec<u8>>, mut say: impl FnMut(&str)) -> Result<()> {
        let mut result = Ok(());
        for (format, file) in &self.0 {
            let path = file.path().display().to_string();
            match bytes(&format.write).and_then(|bytes| Ok(file.commit(&bytes)?)) {
                Ok(()) if format.open.is_empty() => say(&format!("wrote {path}")),
                Ok(()) => say(&format!("wrote {path} ({})", format.open.replace("{}", &path))),
                Err(error) => result = result.and(Err(error)),
            }
        }
        result
    }
}

/// The kind that a path asks for.
fn format_of<W>(formats: &'static [Format<W>], path: &Path) -> Result<&'static Format<W>, Failure> {
    let extension = path.extension().and_then(OsStr::to_str);
    formats.iter().find(|format| Some(format.extension) == extension).ok_or_else(|| Failure::Output {
        path: path.to_owned(),
        why: format!("its extension is none of these: {}", list(formats)),
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::model::fixture;

    #[test]
    fn extensions_say_what() {
        let extension = |path: &str| format_of(RECORDING, Path::new(path)).map(|format| format.extension);
        assert_eq!(extension("a/b.x.svg").unwrap(), "svg");
        assert_eq!(extension("x.punch").unwrap(), "punch");
        for path in ["svg", "x", "x.SVG", "x.svg.gz", ""] {
            let message = extension(path).unwrap_err().to_string();
            for known in [".svg (a flame graph)", ".folded", ".json", ".punch"] {
                assert!(message.contains(known), "{message}");
            }
        }
    }

    #[test]
    fn the_readme_says_what_stands_here() {
        let readme = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md")).unwrap();
        let readme = readme.split_whitespace().collect::<Vec<_>>().join(" ");
        let of_recording = RECORDING.iter().map(|format| (format.extension, format.what));
        for (extension, what) in
            of_recording.chain(AUDIT.iter().map(|format| (format.extension, format.what)))
        {
            assert!(
                readme.contains(&format!("`.{extension}` ({what})")),
                "README.md lacks `.{extension}` ({what})"
            );
        }
    }

    fn write(outputs: &Outputs<OfRecording>) -> Result<()> {
        outputs.write(|write| write(&fixture::recording(), GraphOptions::default()), |_| {})
    }

    #[test]
    fn all_outputs_are_written_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let paths = ["a.svg", "a.folded", "a.json", "a.punch"].map(|name| folder.path().join(name));
        let mut said = Vec::new();
        let outputs = Outputs::prepare(RECORDING, &paths).unwrap();
        let recording = fixture::recording();
        outputs
            .write(|write| write(&recording, GraphOptions::default()), |line| said.push(line.to_owned()))
            .unwrap();
        let [svg, lines, json, punch] = paths;
        assert!(fs::read_to_string(svg).unwrap().starts_with("<?xml"));
        assert!(fs::read_to_string(lines).unwrap().contains("worker 1234;"));
        let stat: crate::model::accounting::StatDelta =
            serde_json::from_slice(&fs::read(json).unwrap()).unwrap();
        assert_eq!(stat, recording.stat);
        assert_eq!(recording::read(&punch).unwrap(), recording);
        assert!(
            said[0].ends_with("a.svg (open it in a browser)") && said[1].ends_with("a.folded"),
            "{said:?}"
        );
        assert!(said[3].contains("punchclock report /"), "{said:?}");
    }

    #[test]
    fn one_bad_output_opens_none() {
        let folder = tempfile::tempdir().unwrap();
        let paths = ["a.svg", "no/such/b.svg"].map(|name| folder.path().join(name));
        assert!(matches!(Outputs::prepare(RECORDING, &paths), Err(Failure::Output { .. })));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn one_failure_does_not_keep_the_others_from_being_written() {
        let folder = tempfile::tempdir().unwrap();
        let paths = ["a.svg", "b.folded"].map(|name| folder.path().join(name));
        let outputs = Outputs::prepare(RECORDING, &paths).unwrap();
        // A folder has taken the first one's name meanwhile.
        fs::create_dir(&paths[0]).unwrap();
        assert!(write(&outputs).is_err());
        assert!(paths[1].is_file());
    }
}
