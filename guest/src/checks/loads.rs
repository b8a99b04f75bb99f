//! Whether every program loads, as `doctor` says it.

use anyhow::{Context as _, Result, ensure};

use crate::{bounded::Punchclock, report::Numbers};

/// `doctor --json` finds nothing missing.
pub fn nothing_is_missing(punchclock: &Punchclock, numbers: &mut Numbers) -> Result<()> {
    let checks = punchclock.json(&["doctor", "--json"])?;
    let checks = checks.as_array().context("failed to find doctor's checks")?;
    let of = |status: &str| checks.iter().filter(|check| check["status"] == status).count();
    numbers.set("ok", of("ok"));
    numbers.set("degraded", of("degraded"));
    ensure!(!checks.is_empty() && of("ok") + of("degraded") == checks.len(), "doctor finds {checks:?}");
    Ok(())
}

/// `doctor` says the same in words.
pub fn doctor_says_so(punchclock: &Punchclock) -> Result<()> {
    let said = punchclock.run(&["doctor"])?.well()?.stdout;
    let missing: Vec<_> = said.lines().filter(|line| line.starts_with('✗')).collect();
    ensure!(said.contains('✓') && missing.is_empty(), "doctor says {}", missing.join(" / "));
    Ok(())
}
