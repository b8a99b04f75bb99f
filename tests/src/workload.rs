//! Programs to watch. Each says `ready` on its standard output, may say more, and is gone, with its children, when
//! dropped.

use std::{
    io::{BufRead, BufReader, Write},
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use crate::{
    books::{Books, states},
    wait_for,
};

/// A running program.
pub struct Workload {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl Workload {
    /// Starts a program of `workloads/` under an interpreter, and waits until it is ready.
    #[must_use]
    pub fn python(interpreter: &Path, script: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new(interpreter);
        command.arg(crate::workloads().join(script)).args(arguments);
        Self::start(command)
    }

    /// Starts a command in a process group of its own, and waits until it is ready.
    #[must_use]
    pub fn start(mut command: Command) -> Self {
        let mut child = bound_to_us(&mut command)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        let stdin = child.stdin.take();
        let stdout = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut workload = Self { child, stdin, stdout };
        let said = workload.line();
        assert_eq!(said, "ready", "{command:?} is not ready");
        workload
    }

    /// Its PID.
    #[must_use]
    pub fn tgid(&self) -> u32 {
        self.child.id()
    }

    /// Its PID, as an argument.
    #[must_use]
    pub fn pid(&self) -> String {
        self.tgid().to_string()
    }

    /// Tells it something, in one write: it may read but once.
    pub fn tell(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().expect("it listens");
        stdin.write_all(format!("{line}\n").as_bytes()).expect("it listens");
    }

    /// The next line that it says.
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).expect("it speaks");
        line.trim_end().to_owned()
    }

    /// The next line that it says, which must be JSON.
    pub fn json(&mut self) -> serde_json::Value {
        serde_json::from_str(&self.line()).expect("it speaks JSON")
    }

    /// Sends a signal to it and its children.
    pub fn signal(&self, signal: libc::c_int) {
        kill(self.child.id(), signal);
    }

    /// Stops it, and waits until all its threads stand still; one that has exited does.
    pub fn stop(&self) {
        self.signal(libc::SIGSTOP);
        wait_for("all its threads to stop", || {
            states(self.tgid()).iter().all(|state| matches!(state, 'T' | 'Z'))
        });
    }

    /// Lets it go on for so much CPU time, and stops it again.
    pub fn go_on_for(&self, milliseconds: u64) {
        self.signal(libc::SIGCONT);
        self.wait_until_used(milliseconds);
        self.stop();
    }

    /// Waits until it has used so much more CPU time.
    pub fn wait_until_used(&self, milliseconds: u64) {
        let used = || Books::of_process(self.tgid()).values().map(|books| books.on_cpu_ns).sum::<u64>();
        let until = used() + milliseconds * 1_000_000;
        wait_for("the CPU time to pass", || used() >= until);
    }

    /// Waits for its end.
    pub fn wait(&mut self) {
        self.child.wait().expect("it is our child");
    }
}

impl Drop for Workload {
    fn drop(&mut self) {
        kill(self.child.id(), libc::SIGKILL);
        // It is dead by now; collecting it cannot fail in a way that matters.
        let _ = self.child.wait();
    }
}

/// A process group of its own, whose leader is killed when the test's thread ends, however it ends.
#[expect(unsafe_code, reason = "std has no death signal")]
pub fn bound_to_us(command: &mut Command) -> &mut Command {
    // SAFETY: prctl is safe to call between fork and exec.
    unsafe {
        command.process_group(0).pre_exec(|| {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
            Ok(())
        })
    }
}

/// Sends a signal to a process group.
#[expect(unsafe_code, reason = "std sends no signals but SIGKILL")]
pub fn kill(group: u32, signal: libc::c_int) {
    // SAFETY: no memory is passed.
    unsafe { libc::kill(-group.cast_signed(), signal) };
}

/// Sends a signal to one process.
#[expect(unsafe_code, reason = "std sends no signals but SIGKILL")]
pub fn signal(tgid: u32, signal: libc::c_int) {
    // SAFETY: no memory is passed.
    unsafe { libc::kill(tgid.cast_signed(), signal) };
}
