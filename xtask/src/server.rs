//! The demo's web server: Gunicorn with four sync workers of the application in `tests/workloads/`.

use std::{
    fs::File,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};

use crate::load;

/// Gunicorn with four sync workers; stopped when dropped.
pub struct Server {
    master: Child,
    port: u16,
    log: PathBuf,
}

impl Server {
    /// Starts it from this virtual environment. It runs where we may run: it inherits our CPUs.
    pub fn start(venv: &Path, log: &Path) -> Result<Self> {
        // A port that was free a moment ago: Gunicorn wants a number.
        let address = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let port = address.context("failed to find a free port")?.port();
        let file = File::create(log).with_context(|| format!("failed to create {}", log.display()))?;
        // If we are killed, and drop nothing, the kernel tells Gunicorn to stop.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "TERM"]).arg(venv.join("bin/gunicorn"));
        command.args(["--workers", "4", "--chdir", "tests/workloads", "wsgi_app:application"]);
        // Its control socket has one place in the user's home, which may be another Gunicorn's.
        command.arg("--no-control-socket").arg("--bind").arg(format!("127.0.0.1:{port}")).stderr(file);
        let master = command.spawn().context("failed to start gunicorn")?;
        Ok(Self { master, port, log: log.into() })
    }

    /// Waits for the first answer, so a worker is up and the application is imported.
    pub fn wait_until_ready(&mut self) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(30);
        let Self { master, port, log } = self;
        while !load::get(*port).is_ok_and(|answer| answer.starts_with("HTTP/1.0 200")) {
            let exited = master.try_wait().context("failed to ask for gunicorn's state")?;
            let ready = exited.is_none() && Instant::now() < deadline;
            ensure!(ready, "failed to get an answer from gunicorn: see {}", log.display());
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// The port of loopback on which it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The master, which stands for the whole tree.
    pub fn pid(&self) -> u32 {
        self.master.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // SIGTERM, which std can't send: a master that is killed leaves its workers behind.
        let _ = Command::new("sh").args(["-c", "kill -TERM $0", &self.master.id().to_string()]).status();
        let _ = self.master.wait();
    }
}
