//! The processes of this host, read from /proc.
//!
//! Everything here is chosen by others and may be gone a moment later: texts are bounded and made UTF-8, and what
//! vanished or may not be read is an absence, never an error.

use std::{
    collections::HashMap,
    ffi::OsString,
    fs,
    io::{self, Read},
    os::unix::ffi::{OsStrExt as _, OsStringExt as _},
    path::PathBuf,
};

use procfs::{
    net::{TcpNetEntry, TcpState},
    process::{FDTarget, Stat, all_processes},
};

use crate::sys::{memory::Mapping, status::ProcStatus, tids, unix};

/// The longest command line that is looked at.
const MAX_ARGV_BYTES: u64 = 64 << 10;
/// The largest environment that is looked at.
const MAX_ENVIRON_BYTES: u64 = 1 << 20;
/// The most files of one process that are looked at.
const MAX_FILES: usize = 1 << 16;
/// How often a process is read again that is in the midst of `exec`.
const EXEC_TRIES: usize = 3;

/// One process, as it was when it was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Process {
    /// PID of the process.
    pub tgid: u32,
    /// PID of the parent; 0 if it is outside of this PID namespace.
    pub ppid: u32,
    /// When it was forked, in the kernel's clock ticks since boot.
    pub started_ticks: u64,
    /// Start of the first thread's stack, which `exec` chooses at random and a fork keeps; 0 if that may not be known.
    pub stack_start: u64,
    /// The kernel's short name for it.
    pub comm: String,
    /// Path of the executable, if it may be known, without ` (deleted)`.
    pub exe: Option<PathBuf>,
    /// Command line, or what the process wrote over it.
    pub argv: Vec<String>,
    /// How many threads of it live.
    pub threads: usize,
}

/// PIDs of all processes that can be seen from here; none without /proc.
pub fn all_tgids() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// True of a PID, false of the TID of a thread that is not its process's first one, which `/proc` takes for one.
#[must_use]
pub fn is_process(tgid: u32) -> bool {
    ProcStatus::of(tgid).and_then(|status| status.number("Tgid", 0)) == Some(tgid)
}

fn procfs_of(tgid: u32) -> procfs::ProcResult<procfs::process::Process> {
    procfs::process::Process::new(tids::seen_by(tgid).cast_signed())
}

impl Process {
    /// Reads one; `None` if there is none, or only its remains (a zombie).
    #[must_use]
    pub fn read(tgid: u32) -> Option<Self> {
        if !tids::exists(tgid) {
            return None;
        }
        Self::of(&procfs::process::Process::new(tgid.cast_signed()).ok()?)
    }

    /// All that can be seen from here, by no order. An error means that there is no /proc.
    pub fn all() -> io::Result<Vec<Self>> {
        let processes = all_processes().map_err(io::Error::other)?;
        Ok(processes.flatten().filter_map(|process| Self::of(&process)).collect())
    }

    fn of(process: &procfs::process::Process) -> Option<Self> {
        let mut stat = process.stat().ok()?;
        if matches!(stat.state, 'Z' | 'X') {
            if stat.num_threads < 2 {
                return None;
            }
            // Its first thread has exited, the others live on.
            let living = procfs_of(stat.pid.cast_unsigned()).ok()?;
            stat.num_threads -= 1;
            stat.startstack = living.stat().ok()?.startstack;
            return Self::with(&living, stat);
        }
        Self::with(process, stat)
    }

    /// Builds a process with the memory and files of one of its threads.
    fn with(process: &procfs::process::Process, stat: Stat) -> Option<Self> {
        let exe = process.exe().ok().map(undeleted);
        let mut argv = argv(process)?;
        for _ in 0..EXEC_TRIES {
            // Between the old program and the new one there is an executable, but no command line yet.
            if exe.is_none() || !argv.is_empty() {
                break;
            }
            std::thread::yield_now();
            argv = self::argv(process)?;
        }
        Some(Self {
            tgid: stat.pid.cast_unsigned(),
            ppid: stat.ppid.cast_unsigned(),
            started_ticks: stat.starttime,
            stack_start: stat.startstack,
            comm: stat.comm,
            exe,
            argv,
            threads: usize::try_from(stat.num_threads).unwrap_or(0),
        })
    }

    /// True if it has a program, but it is not ours to read: it belongs to somebody else.
    #[must_use]
    pub fn is_hidden(&self) -> bool {
        self.exe.is_none() && !self.argv.is_empty()
    }
}

/// The value of a variable in the environment that a process was started with.
#[must_use]
pub fn environ(tgid: u32, name: &str) -> Option<String> {
    let process = procfs_of(tgid).ok()?;
    let environ = bounded(&process, "environ", MAX_ENVIRON_BYTES)?;
    environ.split(|byte| *byte == 0).find_map(|variable| {
        let value = variable.strip_prefix(name.as_bytes())?.strip_prefix(b"=")?;
        Some(String::from_utf8_lossy(value).into_owned())
    })
}

/// The inodes of the sockets that a process holds; `None` if they may not be known.
#[must_use]
pub fn sockets(tgid: u32) -> Option<Vec<u64>> {
    let files = procfs_of(tgid).and_then(|process| process.fd()).ok()?;
    let inode = |file: procfs::process::FDInfo| match file.target {
        FDTarget::Socket(inode) => Some(inode),
        _ => None,
    };
    Some(files.take(MAX_FILES).flatten().filter_map(inode).collect())
}

/// The listening sockets of a process's network namespace: inode → address (`127.0.0.1:8000`, `unix:/run/app.sock`).
#[must_use]
pub fn listeners(tgid: u32) -> HashMap<u64, String> {
    let Ok(process) = procfs_of(tgid) else { return HashMap::new() };
    let tcp = process.tcp().unwrap_or_default().into_iter().chain(process.tcp6().unwrap_or_default());
    let address = |entry: TcpNetEntry| (entry.inode, entry.local_address.to_string());
    let unix = unix::bound(tgid).into_iter().map(|(inode, path)| (inode, format!("unix:{path}")));
    // The latter win: a path may look like a line of another's socket.
    unix.rev().chain(tcp.filter(|entry| entry.state == TcpState::Listen).map(address)).collect()
}

/// The files of which a process has code mapped; none if that may not be known.
#[must_use]
pub fn code_files(tgid: u32) -> Vec<PathBuf> {
    Mapping::executable(tgid).unwrap_or_default().into_iter().map(|mapping| mapping.path).collect()
}

fn argv(process: &procfs::process::Process) -> Option<Vec<String>> {
    Some(split(&bounded(process, "cmdline", MAX_ARGV_BYTES)?))
}

/// Words that end in NUL. A title written over the command line is padded with NULs, which are no words.
fn split(cmdline: &[u8]) -> Vec<String> {
    let end = cmdline.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    if end == 0 {
        return Vec::new();
    }
    cmdline[..end].split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).into_owned()).collect()
}

fn bounded(process: &procfs::process::Process, file: &str, limit: u64) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    process.open_relative(file).ok()?.take(limit).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

fn undeleted(path: PathBuf) -> PathBuf {
    let kept = path.as_os_str().as_bytes().strip_suffix(b" (deleted)").map(<[u8]>::to_vec);
    kept.map(|kept| PathBuf::from(OsString::from_vec(kept))).unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use std::{
        net::TcpListener,
        os::unix::{net::UnixListener, process::CommandExt},
        process::{Command, Stdio},
    };

    use super::*;

    #[test]
    fn words_are_split_lossily_and_padding_is_dropped() {
        assert_eq!(split(b"python\0-m\0\0app\0"), ["python", "-m", "", "app"]);
        assert_eq!(split(b"gunicorn: master [app]\0\0\0\0"), ["gunicorn: master [app]"]);
        assert_eq!(split(b"caf\xe9\0"), ["caf\u{fffd}"]);
        assert!(split(b"").is_empty());
        assert!(split(b"\0\0").is_empty());
    }

    #[test]
    fn a_file_that_is_gone_keeps_its_name() {
        let path = |bytes: &[u8]| PathBuf::from(OsString::from_vec(bytes.to_vec()));
        assert_eq!(undeleted(path(b"/srv/caf\xe9 (deleted)")), path(b"/srv/caf\xe9"));
        assert_eq!(undeleted(path(b"/srv/caf\xe9")), path(b"/srv/caf\xe9"));
    }

    #[test]
    fn reads_itself() {
        let me = Process::read(std::process::id()).unwrap();
        assert_eq!(me.exe, std::env::current_exe().ok());
        assert_eq!(me.argv, std::env::args().collect::<Vec<_>>());
        assert!(me.threads >= 1);
        assert!(!me.is_hidden());
        assert!(
            Process::all().unwrap().iter().any(|process| process.tgid == me.tgid && process.ppid == me.ppid)
        );
    }

    #[test]
    fn reads_a_child_and_its_remains() {
        let mut command = Command::new("sleep");
        command.arg("60").arg0("sleep\u{1b}[31m").env("PUNCHCLOCK_TEST", "a=b").stdout(Stdio::null());
        let mut child = command.spawn().unwrap();
        let read = Process::read(child.id()).unwrap();
        assert_eq!(read.ppid, std::process::id());
        assert_eq!(read.argv, ["sleep\u{1b}[31m", "60"]);
        assert_eq!(environ(child.id(), "PUNCHCLOCK_TEST").as_deref(), Some("a=b"));
        assert_eq!(environ(child.id(), "PUNCHCLOCK"), None);
        child.kill().unwrap();
        while Process::read(child.id()).is_some() {
            std::thread::yield_now();
        }
        child.wait().unwrap();
        assert_eq!(sockets(child.id()), None);
        assert!(listeners(child.id()).is_empty());
        assert!(code_files(child.id()).is_empty());
    }

    #[test]
    fn finds_listening_sockets() {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("app.sock");
        let _unix = UnixListener::bind(&path).unwrap();
        let listeners = listeners(std::process::id());
        let held: Vec<_> = sockets(std::process::id())
            .unwrap()
            .iter()
            .filter_map(|inode| listeners.get(inode))
            .cloned()
            .collect();
        assert!(held.contains(&tcp.local_addr().unwrap().to_string()), "{held:?}");
        assert!(held.contains(&format!("unix:{}", path.display())), "{held:?}");
    }
}
