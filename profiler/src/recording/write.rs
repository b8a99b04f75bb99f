//! Writes a recording.

use std::io::{BufWriter, IntoInnerError, Write};

use anyhow::Context;
use flate2::{Compression, write::GzEncoder};

use crate::{
    model::{SCHEMA_VERSION, recording::Recording},
    recording::MAGIC,
};

/// Writes a recording. The same recording gives the same bytes: no time and no name gets into the file.
pub fn write(recording: &Recording, mut to: impl Write) -> anyhow::Result<()> {
    writeln!(to, "{MAGIC}{SCHEMA_VERSION}").context("failed to write the recording's first line")?;
    // The JSON comes in pieces of a few bytes, for which the encoder is slow.
    let mut body = BufWriter::new(GzEncoder::new(to, Compression::default()));
    serde_json::to_writer(&mut body, recording).context("failed to write the recording")?;
    let ended = body.into_inner().map_err(IntoInnerError::into_error).and_then(GzEncoder::finish);
    ended.and_then(|mut to| to.flush()).context("failed to end the recording")
}

#[cfg(test)]
mod tests {
    use std::{
        io::Write as _,
        process::{Command, Stdio},
    };

    use super::*;
    use crate::model::fixture;

    #[test]
    fn the_shell_can_read_it() {
        let mut bytes = Vec::new();
        write(&fixture::recording(), &mut bytes).unwrap();
        let mut shell = Command::new("sh");
        let shell = shell.args(["-c", "tail -n +2 | zcat"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut shell = shell.spawn().unwrap();
        shell.stdin.take().unwrap().write_all(&bytes).unwrap();
        let output = shell.wait_with_output().unwrap();
        assert!(output.status.success());
        assert_eq!(serde_json::from_slice::<Recording>(&output.stdout).unwrap(), fixture::recording());
    }

    #[test]
    fn the_same_recording_gives_the_same_bytes() {
        let bytes = || {
            let mut bytes = Vec::new();
            write(&fixture::recording(), &mut bytes).unwrap();
            bytes
        };
        assert_eq!(bytes(), bytes());
        assert!(bytes().starts_with(b"punchclock recording v2\n\x1f\x8b"));
    }
}
