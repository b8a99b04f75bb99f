//! Boots a kernel in QEMU, without any device but a console, and hands back what was written on it.

use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

use crate::{exec::line, machine::Machine};

/// What QEMU is called with on each machine, and the console's name there. By translation: hosts in a cloud have no
/// virtualization to give on. Both processors are one thread: as two, one of them may run what was translated before the
/// other changed it, and a kernel that switches a tracepoint on or off then dies of its own breakpoint (`Oops: int3`).
fn qemu(machine: Machine) -> (Command, &'static str) {
    let (program, kind, cpu, console) = match machine {
        Machine::X86_64 => ("qemu-system-x86_64", "q35", "max", "ttyS0"),
        // Signed pointers as the architecture has them take half of the time.
        Machine::Aarch64 => ("qemu-system-aarch64", "virt", "max,pauth-impdef=on", "ttyAMA0"),
    };
    let mut command = Command::new(program);
    command.args(["-accel", "tcg,thread=single", "-cpu", cpu, "-machine", kind, "-smp", "2", "-m", "1024"]);
    command.args(["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"]);
    (command, console)
}

/// QEMU at work; gone when dropped.
struct Guest(Child);

impl Drop for Guest {
    fn drop(&mut self) {
        // Gone already, unless its time was over.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Boots a kernel with an initial file system, whose `/init` gets the words behind `--`; what it and the kernel wrote. It is
/// an error if the guest does not end in time.
pub fn boot(
    machine: Machine,
    kernel: &Path,
    image: &Path,
    arguments: &str,
    limit: Duration,
) -> Result<String> {
    let written = image.with_extension("console");
    let (mut command, console) = qemu(machine);
    command.arg("-serial").arg(format!("file:{}", written.display()));
    command.arg("-kernel").arg(kernel).arg("-initrd").arg(image);
    command.arg("-append").arg(format!("console={console} panic=-1 quiet loglevel=3 {arguments}"));
    let line = line(&command);
    let child = command.stdin(Stdio::null()).spawn().with_context(|| format!("failed to start `{line}`"))?;
    let (mut guest, deadline) = (Guest(child), Instant::now() + limit);
    let status = loop {
        if let Some(status) = guest.0.try_wait().context("failed to wait for QEMU")? {
            break Some(status);
        }
        if Instant::now() > deadline {
            break None;
        }
        thread::sleep(Duration::from_millis(50));
    };
    drop(guest);
    let text = fs::read(&written).with_context(|| format!("failed to read {}", written.display()))?;
    let text = String::from_utf8_lossy(&text).replace('\r', "");
    match status {
        Some(status) if status.success() => Ok(text),
        Some(status) => bail!("failed to run `{line}` ({status})"),
        None => bail!("no end after {} s; {}", limit.as_secs(), last_lines(&text)),
    }
}

/// The end of what was written.
pub fn last_lines(console: &str) -> String {
    let lines: Vec<_> = console.lines().filter(|line| !line.trim().is_empty()).collect();
    let last = &lines[lines.len().saturating_sub(8)..];
    format!("the console's last lines are:\n{}", last.join("\n"))
}
