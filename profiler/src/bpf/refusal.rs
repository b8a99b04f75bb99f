//! Verifier errors: one sentence for the user, and the whole log in a file.

use std::io::Write as _;

use anyhow::{Context as _, Error};
use aya::programs::ProgramError;

use crate::{failure::Failure, sys::kernel};

/// How many of the log's lines tell why: the instruction, and what is wrong with it.
const LINES: usize = 2;
/// Beginning of the verifier's statistics, which follow the reason.
const OWN_WORK: &str = "verification time";

/// Why a program was not loaded.
pub fn explain(program: &str, error: ProgramError) -> Error {
    let ProgramError::LoadError { verifier_log, .. } = &error else {
        return Error::new(error).context(format!("failed to load {program}"));
    };
    let log = verifier_log.to_string();
    let why = reason(&log);
    if why.is_empty() {
        // Refused before it was looked at, as for want of privileges.
        return Error::new(error).context(format!("failed to load {program}"));
    }
    match keep(&log) {
        Ok(log) => {
            Failure::Refused { program: program.to_owned(), kernel: kernel::release(), why, log }.into()
        }
        Err(error) => error,
    }
}

/// The last lines before the verifier tells of its own work, as a clause.
fn reason(log: &str) -> String {
    let lines: Vec<_> = log
        .lines()
        .map(str::trim)
        .take_while(|line| !line.starts_with(OWN_WORK))
        // The source's lines, which the object's debug information brings in.
        .filter(|line| !line.is_empty() && !line.starts_with(';'))
        .collect();
    lines[lines.len().saturating_sub(LINES)..].join("; ")
}

/// Keeps the whole log in a new file that nobody else could have put there.
fn keep(log: &str) -> Result<std::path::PathBuf, Error> {
    let mut file = tempfile::Builder::new()
        .prefix("punchclock-verifier-")
        .suffix(".log")
        .tempfile()
        .context("failed to make a file for the verifier's log")?;
    file.write_all(log.as_bytes()).context("failed to write the verifier's log")?;
    let (_, path) = file.keep().context("failed to keep the verifier's log")?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A verifier's log of kernel 6.1, shortened.
    const LOG: &str = "\
        826: (bf) r4 = r3 ; R3_w=scalar()\n\
        ; let kind = unsafe { read_volatile(table) };\n\
        828: (71) r2 = *(u8 *)(r2 +0)\n\
        R2 unbounded memory access, make sure to bounds check any such access\n\
        verification time 4711 usec\n\
        stack depth 312+0+0\n\
        processed 406 insns (limit 1000000)\n";

    #[test]
    fn the_reason_is_the_instruction_and_what_is_wrong_with_it() {
        let why = "828: (71) r2 = *(u8 *)(r2 +0); R2 unbounded memory access, make sure to bounds check any such access";
        assert_eq!(reason(LOG), why);
        assert_eq!(
            reason("combined stack size of 3 calls is 544. Too large\n"),
            "combined stack size of 3 calls is 544. Too large"
        );
        assert_eq!(reason(""), "");
    }
}
