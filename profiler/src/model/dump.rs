//! One stack of each thread at one instant.

use serde::Serialize;

use crate::model::{quality::Quality, tables::FrameKind, worker::Role};

/// What every thread of some fleets was doing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Dump {
    /// [`crate::model::SCHEMA_VERSION`].
    pub schema_version: u32,
    /// When, ns since the epoch.
    pub at_unix_ns: u64,
    /// By fleet.
    pub fleets: Vec<FleetDump>,
    /// What is not known, and why.
    pub quality: Quality,
}

/// One fleet's part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FleetDump {
    /// The application, or the command.
    pub name: String,
    /// The server.
    pub server: String,
    /// Its processes.
    pub workers: Vec<WorkerDump>,
}

/// One process's part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WorkerDump {
    /// Its part in the fleet.
    pub role: Role,
    /// `sync`, `gthread`, `gevent` …; absent if not known.
    pub worker_class: Option<String>,
    /// Process id.
    pub tgid: u32,
    /// Version of its interpreter; absent if it is not a known Python.
    pub python: Option<String>,
    /// Its threads, by tid.
    pub threads: Vec<ThreadDump>,
}

/// One thread.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ThreadDump {
    /// Thread id.
    pub tid: u32,
    /// As `threading` calls it, or the kernel.
    pub name: String,
    /// What it does.
    pub state: RunState,
    /// What it waits for, if it is blocked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
    /// For how long it has been blocked, or waits for a CPU, ns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub for_ns: Option<u64>,
    /// Its stack, leaf first; that of one which runs as it was a moment before.
    pub frames: Vec<FrameDump>,
    /// asyncio's tasks of it that do not run now, the newest last (Python 3.14 and later).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tasks: Vec<TaskDump>,
}

/// One task of asyncio's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TaskDump {
    /// Its name; absent if it could not be read.
    pub name: Option<String>,
    /// False if it has not run yet: then it awaits nothing.
    pub is_begun: bool,
    /// Its coroutines, innermost first: each is awaited by the next.
    pub frames: Vec<FrameDump>,
    /// The names of the tasks that await it.
    pub awaited_by: Vec<String>,
}

/// What a thread does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RunState {
    /// It is on a CPU.
    Running,
    /// It waits for one.
    Runnable,
    /// It waits for something else.
    Blocked,
}

/// One frame.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FrameDump {
    /// What it is of.
    pub kind: FrameKind,
    /// The function.
    pub name: String,
    /// The source file (Python) or the module (native).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The line, from 1; 0 if not known.
    pub line: u32,
}
