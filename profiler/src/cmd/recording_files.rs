//! The files of a recording: what the user asked for, and beside a long one what there is so far, which a process leaves that is
//! killed.

use std::{path::PathBuf, time::Duration};

use anyhow::Result;
use tokio::time::Instant;

use crate::{
    cmd::outputs::say,
    formats::{self, OfRecording, Outputs},
    model::recording::Recording,
    recording,
    render::graph::fold::GraphOptions,
    sys::{clock, output::OutputFile},
};

/// What is shorter can be recorded again.
const FIRST: Duration = Duration::from_secs(10);
/// The next checkpoint is a second later at the earliest,
const LEAST: Duration = Duration::from_secs(1);
/// and they take no larger part of a core than one in so many.
const PART: u32 = 200;

/// Files that can be written.
pub struct RecordingFiles {
    outputs: Outputs<OfRecording>,
    graph: GraphOptions,
    part: Option<Part>,
}

/// `x.punch.part`, which is written again and again.
struct Part {
    file: OutputFile,
    due: Instant,
    is_there: bool,
}

impl RecordingFiles {
    /// Tries whether all can be written.
    pub fn prepare(paths: &[PathBuf], graph: GraphOptions) -> Result<Self> {
        let outputs = Outputs::prepare(formats::RECORDING, paths)?;
        let file = outputs.of_kind("punch").map(OutputFile::part).transpose()?;
        let part = file.map(|file| Part { file, due: Instant::now() + FIRST, is_there: false });
        Ok(Self { outputs, graph, part })
    }

    /// True if one of them is where only those who may write anywhere can leave it.
    #[must_use]
    pub fn are_overriding(&self) -> bool {
        self.outputs.are_overriding()
    }

    /// Writes what the user asked for.
    pub fn write(&self, recording: &Recording) -> Result<()> {
        self.outputs.write(|write| write(recording, self.graph), say)
    }

    /// True if there is to be a checkpoint now.
    #[must_use]
    pub fn is_checkpoint_due(&self) -> bool {
        self.part.as_ref().is_some_and(|part| part.due <= Instant::now())
    }

    /// Writes the checkpoint.
    pub fn checkpoint(&mut self, so_far: impl FnOnce() -> Result<Recording>) -> Result<()> {
        let Some(part) = &mut self.part else { return Ok(()) };
        let began_ns = clock::thread_cpu_ns();
        let written = part.write(so_far);
        let took = Duration::from_nanos(clock::thread_cpu_ns() - began_ns);
        part.due = Instant::now() + LEAST.max(took * PART);
        written
    }

    /// Writes what the user asked for, now that the recording is whole.
    pub fn finish(self, recording: &Recording) -> Result<()> {
        self.write(recording)?;
        self.part.filter(|part| part.is_there).map_or(Ok(()), |part| Ok(part.file.remove()?))
    }
}

impl Part {
    fn write(&mut self, so_far: impl FnOnce() -> Result<Recording>) -> Result<()> {
        let mut bytes = Vec::new();
        recording::write(&so_far()?, &mut bytes)?;
        self.file.keep(&bytes)?;
        self.is_there = true;
        Ok(())
    }
}
