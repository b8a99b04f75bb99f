//! Starts programs in a process group of their own, which ends when this process ends.

use std::{
    io,
    os::unix::process::{CommandExt, ExitStatusExt},
    process::{Child, Command, ExitStatus, Stdio},
};

use crate::sys::{caller, limits, own_group::OwnGroup};

/// Starts a command line, as a shell splits it: words, quotes, and variables to be set in front. No shell stays in
/// between, so what is asked to end is the program itself. It has a process group of its own, so that a Ctrl-C at the
/// terminal does not reach it. Should we be killed, it is asked to end. With a group it
/// is in that control group. Under `sudo` it runs as whoever called `sudo`.
#[expect(unsafe_code, reason = "std has no death signal")]
pub fn start(line: &str, group: Option<&OwnGroup>, output: Stdio, errors: Stdio) -> io::Result<Child> {
    let invalid = |why: &str| io::Error::new(io::ErrorKind::InvalidInput, why);
    let words = shlex::split(line).ok_or_else(|| invalid("a quote is not closed"))?;
    let variables = words.iter().map_while(|word| variable(word)).collect::<Vec<_>>();
    let mut words = words.iter().skip(variables.len());
    let program = words.next().ok_or_else(|| invalid("there is no program in it"))?;
    let mut command = Command::new(program);
    command.args(words).envs(variables).process_group(0);
    command.stdin(Stdio::null()).stdout(output).stderr(errors);
    if let Some(group) = group {
        // First, as who called `sudo` may not.
        group.take(&mut command)?;
    }
    limits::give_files(&mut command);
    // Before the next, for whoever changes his IDs loses his death signal.
    caller::start_as_him(&mut command);
    // SAFETY: prctl is safe to call between fork and exec.
    unsafe {
        command.pre_exec(|| {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM);
            Ok(())
        });
    }
    command.spawn()
}

/// `NAME=value`, in front of a program.
fn variable(word: &str) -> Option<(&str, &str)> {
    let (name, value) = word.split_once('=')?;
    let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    is_name.then_some((name, value))
}

/// Looks whether a child has ended; then how, and the CPU time, ns, of it and of those it had waited for itself. From
/// then on it must not be waited for or signalled again: its number is free.
#[expect(unsafe_code, reason = "std does not say what a child has used")]
pub fn try_wait(child: &Child) -> io::Result<Option<(ExitStatus, u64)>> {
    let mut status = 0;
    // SAFETY: all-zero bytes are a valid `rusage`.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: both destinations are ours.
    let ended =
        unsafe { libc::wait4(child.id().cast_signed(), &raw mut status, libc::WNOHANG, &raw mut usage) };
    let ns = |time: libc::timeval| (time.tv_sec * 1_000_000_000 + time.tv_usec * 1000).cast_unsigned();
    match ended {
        0 => Ok(None),
        1.. => Ok(Some((ExitStatus::from_raw(status), ns(usage.ru_utime) + ns(usage.ru_stime)))),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Sends a signal to a process group; false if there is none any more, or if it is not ours.
#[must_use]
#[expect(unsafe_code, reason = "std sends no signals but SIGKILL")]
pub fn signal_group(group: u32, signal: i32) -> bool {
    // SAFETY: no memory is passed.
    unsafe { libc::kill(-group.cast_signed(), signal) == 0 }
}

/// Sends a signal to a process; false if there is none, or if it is not ours.
#[must_use]
#[expect(unsafe_code, reason = "std sends no signals but SIGKILL")]
pub fn signal(tgid: u32, signal: i32) -> bool {
    // SAFETY: no memory is passed.
    unsafe { libc::kill(tgid.cast_signed(), signal) == 0 }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn output(line: &str) -> String {
        let mut child = start(line, None, Stdio::piped(), Stdio::null()).unwrap();
        let mut text = String::new();
        child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
        child.wait().unwrap();
        text
    }

    #[test]
    fn quotes_and_variables_as_in_a_shell() {
        assert_eq!(output("A=1 B='2 3' sh -c 'echo \"$A|$B|$0\"' 'x y'"), "1|2 3|x y\n");
        assert_eq!(output("echo a=b $HOME ; echo c"), "a=b $HOME ; echo c\n");
        assert!(start("echo 'x", None, Stdio::null(), Stdio::null()).is_err());
        assert!(start("A=1", None, Stdio::null(), Stdio::null()).is_err());
    }

    #[test]
    fn what_a_child_had_used_is_known_when_it_ended() {
        // Its own count of its clock ticks, a hundred a second, is our witness.
        let count = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; cut -d' ' -f14,15 /proc/$$/stat";
        let mut child = start(&format!("sh -c \"{count}\""), None, Stdio::piped(), Stdio::null()).unwrap();
        let mut text = String::new();
        child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
        let (status, cpu_ns) = loop {
            if let Some(ended) = try_wait(&child).unwrap() {
                break ended;
            }
            std::thread::yield_now();
        };
        let ticks: u64 = text.split_whitespace().map(|ticks| ticks.parse::<u64>().unwrap()).sum();
        assert!(status.success() && ticks > 0, "{text}");
        assert!(cpu_ns / 10_000_000 >= ticks && cpu_ns < (ticks + 50) * 10_000_000, "{cpu_ns} {ticks}");
        assert!(child.wait().is_err(), "it was waited for");
    }

    #[test]
    fn it_has_a_group_of_its_own_that_can_be_signalled() {
        let mut child = start("sleep 60", None, Stdio::null(), Stdio::null()).unwrap();
        assert!(signal_group(child.id(), libc::SIGTERM));
        assert!(!child.wait().unwrap().success());
        assert!(!signal(child.id(), 0));
    }
}
