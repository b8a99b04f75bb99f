//! A real Gunicorn, from the virtual environment that `cargo xtask test` makes.

use std::{
    env, fs,
    net::TcpListener,
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use crate::{fleets, load, wait_for, workload};

/// A master with its workers, serving `workloads/wsgi_app.py`; gone when dropped.
pub struct Gunicorn {
    master: Child,
    /// Where it listens, on the loopback interface.
    pub port: u16,
}

/// The virtual environment.
#[must_use]
pub fn venv() -> PathBuf {
    let here = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/venv/tests");
    env::var_os("PUNCHCLOCK_VENV").map_or_else(here, PathBuf::from)
}

impl Gunicorn {
    /// Starts it with so many workers, and waits until all of them run and it answers.
    #[must_use]
    pub fn start(workers: usize, arguments: &[&str]) -> Self {
        Self::serving("wsgi_app", workers, arguments)
    }

    /// Starts Gunicorn with the application of another module of `workloads/`.
    #[must_use]
    pub fn serving(module: &str, workers: usize, arguments: &[&str]) -> Self {
        Self::start_with(module, workers, arguments, Some("untitled"))
    }

    /// Starts Gunicorn where the module `setproctitle` lets processes write over their command lines.
    #[must_use]
    pub fn titled(workers: usize, arguments: &[&str]) -> Self {
        Self::start_with("wsgi_app", workers, arguments, None)
    }

    /// `modules`: a folder of `workloads/` whose modules come before the installed ones.
    fn start_with(module: &str, workers: usize, arguments: &[&str], modules: Option<&str>) -> Self {
        let port = free_port();
        let log = tempfile::NamedTempFile::new().expect("there is room for a file");
        let mut command = Command::new(venv().join("bin/gunicorn"));
        command
            .args(["--bind", &format!("127.0.0.1:{port}"), "--workers", &workers.to_string()])
            .args(["--no-control-socket", "--chdir"])
            .arg(crate::workloads())
            .args(arguments)
            .arg(format!("{module}:application"))
            .env("PYTHONPATH", modules.map(|modules| crate::workloads().join(modules)).unwrap_or_default())
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdout(Stdio::null())
            .stderr(log.reopen().expect("it was just made"));
        let master = workload::bound_to_us(&mut command)
            .spawn()
            .expect("gunicorn is in the virtual environment: cargo xtask test");
        let mut gunicorn = Self { master, port };
        wait_for("gunicorn's workers", || {
            let ended = gunicorn.master.try_wait().expect("it is our child");
            assert!(
                ended.is_none(),
                "gunicorn ended: {}",
                fs::read_to_string(log.path()).unwrap_or_default()
            );
            gunicorn.workers().len() == workers
        });
        wait_for("gunicorn to answer", || load::get(port).is_ok_and(|answer| answer.contains(" 200 ")));
        gunicorn
    }

    /// The master's PID.
    #[must_use]
    pub fn master(&self) -> u32 {
        self.master.id()
    }

    /// The workers' PIDs.
    #[must_use]
    pub fn workers(&self) -> Vec<u32> {
        fleets::children(self.master())
    }
}

impl Drop for Gunicorn {
    fn drop(&mut self) {
        workload::kill(self.master.id(), libc::SIGKILL);
        // It is dead by now; collecting it cannot fail in a way that matters.
        let _ = self.master.wait();
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("the loopback interface has a free port");
    listener.local_addr().expect("it is bound").port()
}
