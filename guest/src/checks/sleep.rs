//! A window in which the machine sleeps, which is in no number.

use std::{
    fs,
    path::Path,
    process, thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};

use crate::{
    bounded::Punchclock,
    checks::{budget, document::counter, exact::Window},
    report::Numbers,
    tree::Tree,
};

/// What wakes the machine, so many seconds after it is told.
const ALARM: &str = "/sys/class/rtc/rtc0/wakealarm";
const SLEEP: u64 = 4;

/// How far budgets may be apart, ns: what the others have, too.
const APART_NS: i64 = 1_000_000;

/// Where the machine is sent to sleep.
const STATE: &str = "/sys/power/state";

/// Every thread's numbers are the kernel's, and have none of the sleep. Only a machine of ours is put to
/// sleep, and not all can be: the numbers say how many did.
pub fn is_no_time(punchclock: &Punchclock, tree: &Tree, numbers: &mut Numbers) -> Result<()> {
    let can =
        fs::read_to_string(STATE).is_ok_and(|states| states.split_whitespace().any(|state| state == "mem"));
    let will = process::id() == 1 && can && Path::new(ALARM).exists();
    numbers.set("machines", u32::from(will));
    if !will {
        return Ok(());
    }
    let (began, up_before) = (Instant::now(), since_boot()?);
    let window = Window::watch_while(punchclock, tree, &[], || {
        thread::sleep(Duration::from_secs(1));
        fs::write(ALARM, format!("+{SLEEP}")).context("failed to set the alarm")?;
        fs::write(STATE, "mem").context("failed to sleep")?;
        thread::sleep(Duration::from_secs(1));
        Ok(())
    })?;
    // `Instant` stands still while the machine sleeps; what is since boot goes on.
    let awake = began.elapsed();
    let slept = since_boot()?.saturating_sub(up_before).saturating_sub(awake);
    numbers.set("slept_ms", slept.as_millis() as u64);
    ensure!(slept >= Duration::from_secs(SLEEP / 2), "it slept {slept:?}");
    window.is_exact(numbers)?;
    // The wall's clock and the scheduler's stop and go on at different moments: that is the same for all threads, and told.
    let short = window.threads()?.into_iter().map(budget::short_ns).collect::<Result<Vec<_>>>()?;
    let (least, most) = (short.iter().min().copied(), short.iter().max().copied());
    let (least, most) = least.zip(most).context("failed to find threads")?;
    numbers.set("clocks_apart_ns", most);
    ensure!(most - least <= APART_NS, "of some threads {least} ns are in no state, of others {most}");
    let note = window.notes().find(|note| note.starts_with("the machine slept for "));
    let note = note.context("nothing is said of the sleep")?;
    ensure!(
        most.abs() <= APART_NS || note.contains("clock went"),
        "{most} ns are in no state, and it says {note:?}"
    );
    for thread in window.threads()? {
        let wall = Duration::from_nanos(counter(thread, "wall_ns")?);
        ensure!(wall <= awake, "a window of {wall:?} while it was awake for {awake:?}");
    }
    Ok(())
}

/// Time since the machine was started, its sleep included.
fn since_boot() -> Result<Duration> {
    let uptime = fs::read_to_string("/proc/uptime").context("failed to read /proc/uptime")?;
    let seconds = uptime.split_whitespace().next().and_then(|seconds| seconds.parse().ok());
    seconds.map(Duration::from_secs_f64).context("failed to parse /proc/uptime")
}
