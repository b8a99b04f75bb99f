//! Exit codes and advice for failures: what failed, then the one thing that helps.

use crate::failure::{Failure, Unreadable};

/// What the shell is told.
#[must_use]
pub fn exit_code(error: &anyhow::Error) -> u8 {
    match error.downcast_ref::<Failure>() {
        Some(Failure::Usage(_)) => 2,
        Some(Failure::NoSuchFleet(_) | Failure::NoFleets | Failure::NoSuchProcess(_)) => 3,
        Some(Failure::Unable { .. } | Failure::Refused { .. }) => 4,
        Some(Failure::Incomplete(_)) => 5,
        Some(Failure::Interrupted) => 130,
        Some(Failure::Output { .. } | Failure::Recording { .. }) | None => 1,
    }
}

/// What helps, if we know.
#[must_use]
pub fn advice(error: &anyhow::Error) -> Option<String> {
    let advice = match error.downcast_ref::<Failure>()? {
        Failure::NoSuchFleet(_) => "`punchclock ps` lists the fleets; `-p PID` takes any process".to_owned(),
        Failure::NoFleets => {
            "name a process with `-p PID`, or start one with `punchclock record -- CMD`".to_owned()
        }
        Failure::NoSuchProcess(_) => "`punchclock ps` lists the fleets and their PIDs".to_owned(),
        Failure::Unable { fix, .. } => fix.clone(),
        Failure::Refused { log, .. } => format!(
            "`punchclock doctor` tells what works on this kernel; all that its verifier says is in {}",
            log.display()
        ),
        Failure::Output { .. } => "name another file with `-o`".to_owned(),
        Failure::Recording { why: Unreadable::Newer(_), .. } => "read it with that punchclock".to_owned(),
        Failure::Recording { .. } => {
            "record again; `punchclock record -o FILE.punch` writes whole files only".to_owned()
        }
        Failure::Usage(_) | Failure::Incomplete(_) | Failure::Interrupted => return None,
    };
    Some(advice)
}
