//! The guest's first process: mounts what a host has mounted, and ends the machine.

use std::{env, fs};

use anyhow::{Context as _, Result};

use crate::sys;

/// What each kernel has; the kind, where, and options.
const MOUNTS: [(&str, &str, &str); 7] = [
    ("proc", "/proc", ""),
    ("sysfs", "/sys", ""),
    ("devtmpfs", "/dev", ""),
    ("securityfs", "/sys/kernel/security", ""),
    ("tracefs", "/sys/kernel/tracing", ""),
    ("bpf", "/sys/fs/bpf", ""),
    ("tmpfs", "/tmp", ""),
];

/// Controllers that a host with the first version of cgroups mounts one by one, and that kernels still have there.
const CONTROLLERS: [&str; 2] = ["cpu,cpuacct", "pids"];

/// Mounts all of it; with the word `cgroup1` control groups as they were before version 2.
pub fn prepare(words: &[String]) -> Result<()> {
    for (kind, folder, options) in MOUNTS {
        // In some file systems the folder is there, and none can be made.
        if fs::metadata(folder).is_err() {
            fs::create_dir_all(folder).with_context(|| format!("failed to make {folder}"))?;
        }
        sys::mount(kind, folder, options)?;
    }
    if words.iter().any(|word| word == "cgroup1") {
        sys::mount("tmpfs", "/sys/fs/cgroup", "")?;
        for controllers in CONTROLLERS {
            let folder = format!("/sys/fs/cgroup/{controllers}");
            fs::create_dir(&folder).with_context(|| format!("failed to make {folder}"))?;
            sys::mount("cgroup", &folder, controllers)?;
        }
    } else {
        sys::mount("cgroup2", "/sys/fs/cgroup", "")?;
    }
    env::set_current_dir("/tmp").context("failed to enter /tmp")
}

/// Ends the machine.
pub fn power_off() {
    sys::power_off();
}
