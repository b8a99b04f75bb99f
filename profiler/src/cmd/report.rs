//! `punchclock report`: a recording as pictures, or as numbers.

use std::process::ExitCode;

use crate::{
    cli::Report,
    cmd::outputs,
    findings,
    formats::{self, Outputs},
    recording,
    render::{
        stat::{json, text},
        term::grid::TableOptions,
    },
};

/// Runs the verb.
pub fn run(args: &Report) -> anyhow::Result<ExitCode> {
    let outputs = Outputs::prepare(formats::RECORDING, &args.output)?;
    let recording = recording::read(&args.recording)?;
    outputs.write(|write| write(&recording, args.graph.into()), outputs::say)?;
    let findings = || findings::of(&recording.stat, &recording.profile);
    if args.json {
        outputs::print(&json(&recording.stat, &findings())?)?;
    } else if args.output.is_empty() {
        let options = TableOptions { threads: args.threads, switches: args.switches, ..outputs::table() };
        outputs::print(&text(&recording.stat, &recording.profile, &findings(), options))?;
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;
    use crate::{cli::GraphOptions, failure::Failure, model::fixture};

    fn report(folder: &Path) -> Report {
        Report {
            recording: folder.join("in.punch"),
            output: vec![folder.join("out.folded")],
            graph: GraphOptions::default(),
            threads: false,
            switches: false,
            json: false,
        }
    }

    #[test]
    fn a_recording_is_rendered_again() {
        let folder = tempfile::tempdir().unwrap();
        let report = report(folder.path());
        let mut file = fs::File::create(&report.recording).unwrap();
        recording::write(&fixture::recording(), &mut file).unwrap();
        run(&report).unwrap();
        assert!(fs::read_to_string(&report.output[0]).unwrap().contains("worker 1234;SyncWorker.run"));
    }

    #[test]
    fn what_is_no_recording_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let report = report(folder.path());
        fs::write(&report.recording, "").unwrap();
        let error = run(&report).unwrap_err();
        assert!(matches!(error.downcast_ref(), Some(Failure::Recording { .. })), "{error}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
