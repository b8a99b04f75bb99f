//! Runs of punchclock beside programs that are made to harm it: each ends in time, stays small, and shows nothing that acts.

use std::{
    fs::{self, File},
    os::unix::process::ExitStatusExt as _,
    path::PathBuf,
    process::{Child, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::{
    books::{Books, state},
    punchclock::punchclock,
    wait_for,
    workload::{bound_to_us, signal},
};

/// CPU time that a run may take, its window's included.
const MAX_CPU: Duration = Duration::from_secs(8);
/// How long it may take besides its window: 5 s where `perf bench sched pipe` costs cpudist 500 ns a switch, and hosts are half as
/// fast as that. What its main thread waits for a CPU does not count: others take that.
const AROUND: Duration = Duration::from_secs(8);
/// Most memory that it may have, KiB.
const MAX_RSS_KIB: i64 = 256 << 10;

/// A run, in a folder of its own; it goes when the test's thread goes.
#[derive(Debug)]
pub struct Bounded {
    child: Child,
    words: String,
    folder: TempDir,
    began: Instant,
}

impl Bounded {
    /// Starts it with these arguments.
    #[must_use]
    pub fn start(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("there is room for a folder");
        let file = |name| File::create(folder.path().join(name)).expect("there is room for a file");
        let mut command = punchclock(arguments);
        command.current_dir(folder.path()).stdout(Stdio::from(file("out"))).stderr(Stdio::from(file("err")));
        let began = Instant::now();
        let child = bound_to_us(&mut command).spawn().expect("punchclock is built: cargo xtask test");
        Self { child, words: arguments.join(" "), folder, began }
    }

    /// Its PID.
    #[must_use]
    pub fn tgid(&self) -> u32 {
        self.child.id()
    }

    /// A file in its folder.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What it has printed so far.
    #[must_use]
    pub fn out(&self) -> String {
        self.read("out")
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{}: {name}: {error}", self.words))
    }

    /// Ends its window, as Ctrl-C does.
    pub fn interrupt(&self) {
        signal(self.tgid(), libc::SIGINT);
    }

    /// Waits for its end, which must be a good one.
    #[must_use]
    #[expect(unsafe_code, reason = "std tells no use of resources; wait4 does")]
    pub fn end(self) -> Ended {
        let tgid = self.tgid();
        wait_for(&format!("the end of {}", self.words), || state(tgid) == Some('Z'));
        let took = self.began.elapsed();
        let books = Books::of_thread(tgid, tgid).expect("a zombie has its books");
        let queued = Duration::from_nanos(books.run_queue_ns);
        let mut status = 0;
        // SAFETY: all zeroes are a value of it.
        let mut used: libc::rusage = unsafe { std::mem::zeroed() };
        // SAFETY: both take a value of ours.
        unsafe { libc::wait4(tgid.cast_signed(), &raw mut status, 0, &raw mut used) };
        let (out, err) = (self.out(), self.read("err"));
        assert!(ExitStatus::from_raw(status).success(), "{}: {status:x}: {err}", self.words);
        let cpu = [used.ru_utime, used.ru_stime].map(|time| (time.tv_sec * 1_000_000 + time.tv_usec) as u64);
        let cpu = Duration::from_micros(cpu.iter().sum());
        println!(
            "{}: {took:?}, {cpu:?} on a CPU, {queued:?} queued, {} MiB",
            self.words,
            used.ru_maxrss >> 10
        );
        assert!(cpu <= MAX_CPU, "{} took {cpu:?} of a CPU", self.words);
        assert!(used.ru_maxrss <= MAX_RSS_KIB, "{} had {} KiB", self.words, used.ru_maxrss);
        for text in [&out, &err] {
            assert_does_not_act(text);
        }
        Ended {
            out,
            err,
            rss_kib: used.ru_maxrss,
            took: took.saturating_sub(queued),
            words: self.words,
            folder: self.folder,
        }
    }
}

/// A run that is over.
#[derive(Debug)]
pub struct Ended {
    /// What it printed.
    pub out: String,
    /// What it said.
    pub err: String,
    /// The most memory that it had, KiB.
    pub rss_kib: i64,
    /// How long it ran, less what it waited for a CPU.
    took: Duration,
    words: String,
    folder: TempDir,
}

impl Ended {
    /// A file that it wrote.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Panics unless it took no longer than a window and what may be around that.
    pub fn assert_in_time(&self, window: Duration) {
        assert!(self.took <= window + AROUND, "{} took {:?} for {window:?}", self.words, self.took);
    }
}

/// Panics if something in a text could act on a terminal or on whoever reads it.
pub fn assert_does_not_act(text: &str) {
    let turns = |c| matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let acts = |c: char| c != '\n' && (c.is_control() || turns(c));
    if let Some(at) = text.find(acts) {
        let around: String = text[..at].chars().rev().take(80).collect();
        panic!("{:?} behind {:?}", text[at..].chars().next(), around.chars().rev().collect::<String>());
    }
}
