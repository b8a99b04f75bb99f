//! One stack of each thread at one instant.

use profiler_common::wait::Reason;
use serde::Serialize;

use crate::model::{profile::reason_name, quality::Quality, tables::FrameKind, worker::Role};

/// What every thread of some fleets was doing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Dump {
    /// [`crate::model::SCHEMA_VERSION`].
    pub schema_version: u32,
    /// When, ns since the epoch.
    pub at_unix_ns: u64,
    /// Threads by fleet.
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
    /// Processes of the fleet.
    pub workers: Vec<WorkerDump>,
}

/// One process's part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WorkerDump {
    /// Role of the process in its fleet.
    pub role: Role,
    /// `sync`, `gthread`, `gevent` …; absent if not known.
    pub worker_class: Option<String>,
    /// Process id.
    pub tgid: u32,
    /// Version of its interpreter; absent if it is not a known Python.
    pub python: Option<String>,
    /// Threads of the process, by tid.
    pub threads: Vec<ThreadDump>,
}

/// One thread.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ThreadDump {
    /// Thread id.
    pub tid: u32,
    /// Name that Python's `threading` gives the thread, or else the kernel's.
    pub name: String,
    /// What it does.
    pub state: RunState,
    /// What it waits for, if it is blocked.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "reason_name::serialize_some")]
    pub reason: Option<Reason>,
    /// For how long it has been blocked, or waits for a CPU, ns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub for_ns: Option<u64>,
    /// Stack of the thread, leaf first; of a running thread as it was a moment before.
    pub frames: Vec<FrameDump>,
    /// asyncio's tasks of it that do not run now, the newest last (Python 3.14 and later).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tasks: Vec<TaskDump>,
}

/// One task of asyncio's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TaskDump {
    /// Name of the task; absent if it could not be read.
    pub name: Option<String>,
    /// False if it has not run yet: then it awaits nothing.
    pub is_begun: bool,
    /// Coroutines of the task, innermost first: each is awaited by the next.
    pub frames: Vec<FrameDump>,
    /// The names of the tasks that await it.
    pub awaited_by: Vec<String>,
}

/// Scheduling state of a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RunState {
    /// The thread is on a CPU.
    Running,
    /// The thread waits for a CPU.
    Runnable,
    /// The thread waits for something else.
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
