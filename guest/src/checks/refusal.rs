//! How punchclock says that a kernel cannot.

use anyhow::{Result, ensure};

use crate::{bounded::Punchclock, report::Numbers};

/// The exit code for "this kernel or these privileges cannot".
const CANNOT: i32 = 4;

/// `doctor` says it, and every verb that loads programs does, each in one sentence and a line of help.
pub fn is_one_sentence(punchclock: &Punchclock, numbers: &mut Numbers) -> Result<()> {
    let doctor = punchclock.run(&["doctor"])?;
    ensure!(doctor.status.code() == Some(CANNOT), "{}", doctor.sentence());
    ensure!(doctor.stdout.contains('✗'), "doctor finds nothing missing: {}", doctor.stdout);
    for arguments in [
        ["stat", "-d", "1", "-p", "1"].as_slice(),
        &["record", "-d", "1", "-o", "refused.folded", "-p", "1"],
        &["dump", "-p", "1"],
    ] {
        let ended = punchclock.run(arguments)?;
        let lines: Vec<_> = ended.stderr.lines().collect();
        ensure!(
            ended.status.code() == Some(CANNOT)
                && ended.stdout.is_empty()
                && matches!(lines.as_slice(), [sentence, help]
                    if sentence.starts_with("punchclock: ") && help.starts_with("  help: ")),
            "{}",
            ended.sentence()
        );
        numbers.set(arguments[0], lines[0]);
    }
    Ok(())
}

/// `ps` needs no kernel.
pub fn ps_works(punchclock: &Punchclock) -> Result<()> {
    punchclock.json(&["ps", "--json"]).map(drop)
}
