//! Programs that make load: started, waited for, and their figures read.
//!
//! What each of them prints is told by its name; any other must say it in JSON (`lines`). They print what they saw in
//! their whole lives, so a window is as long as they live.

mod ab;
mod hey;
mod lines;
mod oha;
mod wrk;

use std::{
    collections::BTreeMap,
    fs::File,
    io,
    os::unix::fs::FileExt,
    path::Path,
    process::{Child, ExitStatus},
};

use anyhow::{Context, Result, bail};

use crate::{
    load::cpus,
    model::load::{Latency, Load},
    sys::{child, clock, tids},
    units,
};

/// The most that is read of what a program printed, from its end.
const MAX_BYTES: u64 = 256 << 10;
/// Lines of it that are shown when it cannot be understood.
const SHOWN_LINES: usize = 5;
/// How long a kind of error may be that only the program knows.
const KIND_CHARS: usize = 60;
/// The share of its CPUs that a program may use before its own pace counts, percent.
const BUSY_PERCENT: u64 = 90;

/// A program at work.
#[derive(Debug)]
pub struct External {
    child: Child,
    /// How it ended, and the CPU time, ns, that it used.
    ended: Option<(ExitStatus, u64)>,
    command: String,
    output: File,
    errors: File,
}

/// What a program printed of its requests.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Printed {
    requests: u64,
    errors: BTreeMap<String, u64>,
    seconds: f64,
    latency: Option<Latency>,
    /// How many threads asked; absent if it may have been as many as there are CPUs.
    threads: Option<u32>,
}

/// How a program's figures are read; `None` if they are not there.
type Read = fn(&str) -> Option<Printed>;

/// Readers of what known load generators print, by the program's name.
const KNOWN: [(&str, Read); 4] =
    [("wrk", wrk::read), ("ab", ab::read), ("oha", oha::read), ("hey", hey::read)];

impl External {
    /// Starts a command, in which `{url}`, `{concurrency}` and `{duration}` (whole seconds) are filled in.
    pub fn start(template: &str, url: &str, concurrency: u32, seconds: f64) -> Result<Self> {
        let duration = seconds.ceil().max(1.0) as u64;
        let command = template
            .replace("{url}", url)
            .replace("{concurrency}", &concurrency.to_string())
            .replace("{duration}", &duration.to_string());
        let file = || tempfile::tempfile().context("failed to make a file for the load generator's output");
        let (output, errors) = (file()?, file()?);
        let child = output
            .try_clone()
            .and_then(|out| child::start(&command, None, out.into(), errors.try_clone()?.into()));
        let child = child.with_context(|| format!("failed to start `{command}`"))?;
        Ok(Self { child, ended: None, command, output, errors })
    }

    /// True once it has ended, or cannot be waited for.
    pub fn has_ended(&mut self) -> bool {
        if self.ended.is_some() {
            return true;
        }
        match child::try_wait(&self.child) {
            Ok(ended) => {
                self.ended = ended;
                ended.is_some()
            }
            Err(_) => true,
        }
    }

    /// Keeps it to CPUs that none of these processes may use, if there are any; else that it is not, in a sentence.
    #[must_use]
    pub fn shares_cpus_with(&self, tgids: &[u32]) -> Option<String> {
        // It has just begun: threads that it makes later stay where the first one is.
        cpus::keep_apart(&tids::all_of(self.child.id()), tgids)
    }

    /// What it saw, when it has ended.
    pub fn load(mut self) -> Result<Load> {
        if !self.has_ended() {
            bail!("`{}` has not ended yet", self.command);
        }
        let text = tail(&self.output).context("failed to read the load generator's output")?;
        let said = || format!("{}\n{text}", tail(&self.errors).unwrap_or_default());
        let Some((_, cpu_ns)) = self.ended.filter(|(status, _)| status.success()) else {
            bail!("`{}` failed: {}", self.command, last_lines(&said()));
        };
        let generator = name(&self.command);
        let known = KNOWN.iter().find(|(name, _)| *name == generator);
        let (read, expected) = match known {
            Some((name, read)) => (*read, format!("the figures that {name} prints")),
            None => (lines::read as Read, lines::EXPECTED.to_owned()),
        };
        let Some(printed) = read(&text) else {
            bail!("`{}` did not print {expected}, but: {}", self.command, last_lines(&said()));
        };
        let Printed { requests, errors, seconds, latency, threads } = printed;
        let duration_ns = (seconds * 1e9).round() as u64;
        Ok(Load {
            generator,
            command: Some(self.command.clone()),
            duration_ns,
            requests,
            errors,
            latency,
            own_cpu_ns: Some(cpu_ns),
            limited: limited(cpu_ns, duration_ns, threads),
        })
    }
}

impl Drop for External {
    fn drop(&mut self) {
        if !self.has_ended() {
            // It and its children; what cannot be killed any more is gone.
            let _ = child::signal_group(self.child.id(), libc::SIGKILL);
            let _ = self.child.wait();
        }
    }
}

/// Why the program may have set the pace, if it may: its threads were busy nearly all the time.
fn limited(cpu_ns: u64, duration_ns: u64, threads: Option<u32>) -> Option<String> {
    let lanes = threads.unwrap_or(u32::MAX).min(clock::cpus()).max(1);
    let percent = cpu_ns.saturating_mul(100) / (duration_ns * u64::from(lanes)).max(1);
    let said = || {
        let cpus = units::counted(u64::from(lanes), "CPU");
        format!("the load generator used {percent} % of the {cpus} that its threads can use")
    };
    (percent > BUSY_PERCENT).then(said)
}

/// What a program says of a request without an answer, as a kind of ours if it is one.
fn kind(said: &str) -> String {
    // In Go's and in Rust's words.
    let kinds = [
        ("refused", &["refused"][..]),
        ("timeout", &["timeout", "timed out", "deadline exceeded"]),
        ("reset", &["reset by peer", "broken pipe"]),
        ("closed early", &["EOF", "closed"]),
    ];
    let is_one = |words: &[&str]| words.iter().any(|word| said.contains(word));
    let known = kinds.iter().find(|(_, words)| is_one(words)).map(|(kind, _)| (*kind).to_owned());
    known.unwrap_or_else(|| said.chars().take(KIND_CHARS).collect())
}

/// The program's name, without its folder; variables in front of it are none.
fn name(command: &str) -> String {
    let words = shlex::split(command).unwrap_or_default();
    let program = words.iter().find(|word| !word.contains('=')).map_or("", String::as_str);
    Path::new(program).file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn tail(file: &File) -> io::Result<String> {
    let from = file.metadata()?.len().saturating_sub(MAX_BYTES);
    let mut bytes = vec![0; MAX_BYTES as usize];
    let length = file.read_at(&mut bytes, from)?;
    Ok(String::from_utf8_lossy(&bytes[..length]).into_owned())
}

fn last_lines(text: &str) -> String {
    let lines: Vec<_> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines[lines.len().saturating_sub(SHOWN_LINES)..].join(" | ")
}

/// The number that stands first in what follows a word, in whatever line.
fn after<T: std::str::FromStr>(text: &str, word: &str) -> Option<T> {
    let rest = text.lines().find_map(|line| line.trim_start().strip_prefix(word))?;
    rest.split_whitespace().next()?.trim_end_matches(',').parse().ok()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    fn run(template: &str) -> Result<Load> {
        let mut external = External::start(template, "http://h/", 8, 1.5).unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        while !external.has_ended() && Instant::now() < deadline {
            std::thread::yield_now();
        }
        external.load()
    }

    #[test]
    fn any_program_that_says_what_it_saw() {
        let load = run(
            r#"X=1 sh -c 'echo "{\"requests\": {concurrency}0, \"errors\": 2, \"duration_s\": {duration}}"'"#,
        );
        let load = load.unwrap();
        assert_eq!((load.requests, load.errors(), load.duration_ns), (80, 2, 2_000_000_000));
        assert_eq!((load.generator.as_str(), load.limited.as_deref()), ("sh", None));
        assert!(load.own_cpu_ns.is_some_and(|ns| ns < 2_000_000_000));
        assert!(load.command.unwrap().contains("80"));
    }

    #[test]
    fn what_goes_wrong_is_said_with_its_last_words() {
        let failed = run("sh -c 'echo no such host >&2; exit 3'").unwrap_err().to_string();
        assert!(failed.contains("failed: no such host"), "{failed}");
        let silent = run("echo {url}").unwrap_err().to_string();
        assert!(silent.contains("\"requests\"") && silent.contains("http://h/"), "{silent}");
    }

    #[test]
    fn a_busy_program_is_told() {
        let second = 1_000_000_000;
        assert_eq!(limited(9 * second / 10, second, Some(1)), None);
        assert!(limited(second * 95 / 100, second, Some(1)).unwrap().contains("95 % of the 1 CPU "));
        let all = u64::from(clock::cpus());
        assert_eq!(limited(second * all / 2, second, None), None);
        assert!(limited(second * all, second, None).is_some());
        // More threads than CPUs get no more than there are.
        assert!(limited(second * all, second, Some(1000)).is_some());
    }

    #[test]
    fn errors_have_kinds_of_ours() {
        let go = "Get \"http://h/\": dial tcp 127.0.0.1:1: connect: connection refused";
        assert_eq!([kind(go), kind("Connection refused (os error 111)")], ["refused", "refused"]);
        assert_eq!(
            kind("context deadline exceeded (Client.Timeout exceeded while awaiting headers)"),
            "timeout"
        );
        assert_eq!(kind("read tcp 127.0.0.1:5->127.0.0.1:8: read: connection reset by peer"), "reset");
        assert_eq!(kind("Get \"http://h/\": EOF"), "closed early");
        assert_eq!(kind(&"é".repeat(100)), "é".repeat(60));
    }

    #[test]
    fn one_that_is_dropped_is_gone() {
        let external = External::start("sleep 60", "", 1, 1.0).unwrap();
        let tgid = external.child.id();
        drop(external);
        assert!(!child::signal(tgid, 0));
    }
}
