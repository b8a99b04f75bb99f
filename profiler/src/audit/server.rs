//! A server that an audit starts: ready when it answers, ended when it is dropped.

use std::{
    fs::File,
    io,
    net::TcpListener,
    os::unix::fs::FileExt,
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};

use crate::{
    audit::plan::fill,
    collect::stop::Stop,
    fleet::{self, Fleet, Wanted, servers},
    load::{self, TargetUrl},
    model::{report::Setup, worker::Role},
    sys::{child, own_group::OwnGroup},
    units,
};

/// How long a server may take to end when it is asked to.
const GRACE: Duration = Duration::from_secs(10);
/// Between two looks at whether it is ready.
const PAUSE: Duration = Duration::from_millis(20);
/// How much of its output is looked at, and how many lines of it are kept: enough for the traceback of a framework.
const LAST_BYTES: u64 = 16 << 10;
const LAST_LINES: usize = 100;

/// A server at work.
#[derive(Debug)]
pub struct AuditedServer {
    child: Child,
    /// Whatever of it is left when it was asked to end goes with this.
    #[expect(dead_code, reason = "it is there to be dropped")]
    group: Option<OwnGroup>,
    output: File,
    /// The command line that started it.
    pub command: String,
    /// Port on which the server listens, on the loopback interface.
    pub port: u16,
}

impl AuditedServer {
    /// Starts one.
    pub fn start(template: &str, setup: &Setup) -> Result<Self> {
        let port = free_port().context("failed to find a free port")?;
        let command = fill(template, setup, port);
        let output = tempfile::tempfile().context("failed to make a file for the server's output")?;
        // Where it cannot be had, a server that leaves its process group is not stopped.
        let group = OwnGroup::new().ok();
        let half = || output.try_clone().map(Stdio::from);
        let child = half().and_then(|out| child::start(&command, group.as_ref(), out, half()?));
        let child = child.with_context(|| format!("failed to start `{command}`"))?;
        Ok(Self { child, group, output, command, port })
    }

    /// What to ask it for.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// Waits until it answers and has its workers; else what keeps it from that, in a sentence.
    pub async fn wait_until_ready(
        &mut self,
        path: &str,
        setup: &Setup,
        time: Duration,
        stop: &Stop,
    ) -> Result<Option<String>> {
        let deadline = Instant::now() + time;
        let target = TargetUrl::parse(&self.url(path))?;
        let answer = load::first_answer(&target, time);
        tokio::pin!(answer);
        loop {
            if let Some(ended) = self.ended() {
                return Ok(Some(format!("it did not come up: {ended}")));
            }
            tokio::select! {
                answer = &mut answer => match answer {
                    Ok(_) => break,
                    Err(error) => return Ok(Some(format!("{error:#}"))),
                },
                is_asked = stop.within(PAUSE) => {
                    if is_asked {
                        return Ok(Some("the user did not wait for it".to_owned()));
                    }
                }
            }
        }
        self.wait_for_workers(setup, deadline, stop).await
    }

    /// Waits until it has as many workers as it should have.
    async fn wait_for_workers(
        &self,
        setup: &Setup,
        deadline: Instant,
        stop: &Stop,
    ) -> Result<Option<String>> {
        let Some(wanted) = setup.workers else { return Ok(None) };
        loop {
            let have = self.fleet()?.with(Role::Worker).count();
            if have == wanted as usize {
                return Ok(None);
            }
            if Instant::now() >= deadline || stop.within(PAUSE).await {
                return Ok(Some(format!(
                    "it has {} instead of {wanted}",
                    units::counted(have as u64, "worker")
                )));
            }
        }
    }

    /// Makes a server that runs have another number of workers, if it is one that can; false if it cannot.
    pub async fn become_setup(&mut self, setup: &Setup, stop: &Stop) -> Result<bool> {
        let (Some(wanted), None) = (setup.workers, self.ended()) else { return Ok(false) };
        let fleet = self.fleet()?;
        let scale = servers::named(&fleet.server).and_then(|server| server.scale);
        let (Some(master), Some(scale)) = (fleet.with(Role::Master).next(), scale) else {
            return Ok(false);
        };
        let have = fleet.with(Role::Worker).count() as u32;
        let asked = if wanted > have { scale.up } else { scale.down };
        for step in 1..=wanted.abs_diff(have) {
            if !child::signal(master.tgid, asked) {
                return Ok(false);
            }
            // One at a time, for signals of one kind that come together are one.
            let workers = Some(if wanted > have { have + step } else { have - step });
            let one = Setup { workers, worker_class: None };
            if self.wait_for_workers(&one, Instant::now() + GRACE, stop).await?.is_some() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// How it ended, if it did.
    pub fn ended(&mut self) -> Option<String> {
        match self.child.try_wait() {
            Ok(None) => None,
            Ok(Some(status)) => Some(format!("it ended with {status}")),
            Err(error) => Some(format!("its state cannot be read: {error}")),
        }
    }

    /// The fleet that it has become; a program in between that started it is none of it.
    pub fn fleet(&self) -> Result<Fleet> {
        let mut fleets = fleet::select(Wanted { tgids: &[self.child.id()], names: &[] })?;
        fleets.retain(|fleet| fleet.server != "process");
        fleets.sort_by_key(|fleet| std::cmp::Reverse(fleet.with(Role::Worker).count()));
        fleets.into_iter().next().context("no Python was found among its processes")
    }

    /// The last lines of what it wrote.
    #[must_use]
    pub fn last_words(&self) -> Vec<String> {
        tail(&self.output).unwrap_or_else(|error| vec![format!("(its output cannot be read: {error})")])
    }
}

impl Drop for AuditedServer {
    /// Asks it and its children to end, and makes them end if they do not.
    fn drop(&mut self) {
        let group = self.child.id();
        // The master ends its workers; who is no fleet yet is asked itself.
        let master = self.fleet().ok().and_then(|fleet| fleet.members.first().map(|member| member.tgid));
        let asked = child::signal(master.unwrap_or(group), libc::SIGTERM);
        let deadline = Instant::now() + GRACE;
        while asked && matches!(self.child.try_wait(), Ok(None)) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
        while child::signal_group(group, libc::SIGKILL) && Instant::now() < deadline + GRACE {
            // Collects it; those that it left behind are init's to collect.
            let _ = self.child.try_wait();
            std::thread::sleep(Duration::from_millis(5));
        }
        // Dead by now, or not ours any more: there is nothing left to do about either.
        let _ = self.child.try_wait();
    }
}

/// A port that was free a moment ago.
fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// Read where it is, for the server writes at the file's own position.
fn tail(output: &File) -> io::Result<Vec<String>> {
    let from = output.metadata()?.len().saturating_sub(LAST_BYTES);
    let mut bytes = vec![0; LAST_BYTES as usize];
    let length = output.read_at(&mut bytes, from)?;
    let text = String::from_utf8_lossy(&bytes[..length]);
    let lines: Vec<_> = text.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
    Ok(lines[lines.len().saturating_sub(LAST_LINES)..].iter().map(|line| (*line).to_owned()).collect())
}
