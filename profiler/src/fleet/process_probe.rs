//! Looks into a process for what a scan of the host does not tell.

use std::{collections::HashMap, path::PathBuf};

use crate::{
    python,
    sys::process::{self, Process},
};

/// Functions that look up what a scan of the host does not tell, for some processes only, by tgid. A seam: tests have probes of
/// their own.
#[derive(Clone, Copy, Debug)]
pub struct ProcessProbe {
    /// The process as it is now, if it still is.
    pub process: fn(u32) -> Option<Process>,
    /// Its Python's version.
    pub version: fn(u32) -> Option<String>,
    /// The files of its main thread's Python frames, leaf first.
    pub peek: fn(u32) -> Option<Vec<String>>,
    /// A variable of the environment that it was started with.
    pub environ: fn(u32, &str) -> Option<String>,
    /// The inodes of its sockets.
    pub sockets: fn(u32) -> Option<Vec<u64>>,
    /// The addresses of the listening sockets in its network namespace, by inode.
    pub listeners: fn(u32) -> HashMap<u64, String>,
    /// The files of which it has code mapped.
    pub code_files: fn(u32) -> Vec<PathBuf>,
}

impl ProcessProbe {
    /// The probe that looks at this host.
    #[must_use]
    pub const fn real() -> Self {
        Self {
            process: Process::read,
            version: python::version,
            peek: python::peek,
            environ: process::environ,
            sockets: process::sockets,
            listeners: process::listeners,
            code_files: process::code_files,
        }
    }
}
