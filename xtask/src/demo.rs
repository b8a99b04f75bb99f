//! `demo`: four Gunicorn workers under load, ten seconds of punchclock, a flame graph; then an audit of three worker
//! classes on a route that works and one that waits. Everything runs as the user who asked, except punchclock itself,
//! and everything that was started is stopped again.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

use crate::{
    backend::Backend,
    cargo,
    exec::{as_root, exec},
    load::Load,
    server::Server,
    setup, venv,
};

/// How Gunicorn is started for each class; its control socket has one place in the user's home, which may be another's.
const SERVE: &str = "gunicorn --no-control-socket --chdir tests/workloads -c tests/workloads/audit_conf.py \
                     -b 127.0.0.1:{port} -w {workers} -k {class} two_routes:application";
/// What is tried: some four minutes in all.
const AUDIT: &str = "--classes sync,gthread,gevent --workers 4 --concurrency 1,4,16,64 --url /cpu --url /io \
                     -d 1.5 --warm-up 0.5 --idle 2 --limit 240";

pub fn run() -> Result<()> {
    setup::run(&setup::Options::default())?;
    let punchclock = cargo::punchclock()?;
    let venv = venv::with("demo")?;
    let out = env::current_dir().context("failed to find the current folder")?.join("target/demo");
    fs::create_dir_all(&out).with_context(|| format!("failed to create {}", out.display()))?;
    let [flamegraph, recording] = record(&punchclock, &venv, &out)?;
    let report = audit(&punchclock, &venv, &out)?;

    println!("\nflame graph  {}    open it in a browser", flamegraph.display());
    println!("recording    {}    render it again:", recording.display());
    println!("             {} report {} -o out.svg", punchclock.display(), recording.display());
    println!("audit        {}    open it in a browser", report.display());
    Ok(())
}

/// Records four busy workers; the flame graph and the recording.
fn record(punchclock: &Path, venv: &Path, out: &Path) -> Result<[PathBuf; 2]> {
    let [flamegraph, recording] = ["flamegraph.svg", "recording.punch"].map(|name| out.join(name));
    let mut server = Server::start(venv, &out.join("gunicorn.log"))?;
    server.wait_until_ready()?;
    // More clients than workers: none of them is ever idle.
    let _load = Load::start(server.address(), 8);
    let mut record = as_root(punchclock);
    record.args(["record", "-d", "10", "-p", &server.pid().to_string()]);
    exec(record.arg("-o").arg(&flamegraph).arg("-o").arg(&recording))?;
    Ok([flamegraph, recording])
}

/// Audits three classes on both routes; the report. punchclock starts the servers as the user who asked.
fn audit(punchclock: &Path, venv: &Path, out: &Path) -> Result<PathBuf> {
    let report = out.join("audit.html");
    let backend = Backend::start(venv)?;
    let path = env::var("PATH").unwrap_or_default();
    // sudo clears the environment, so what the servers need is named.
    let mut audit = as_root("env");
    audit.arg(format!("PATH={}:{path}", venv.join("bin").display()));
    audit.arg(format!("BACKEND={}", backend.address())).arg("PYTHONDONTWRITEBYTECODE=1");
    audit.arg(punchclock).args(["audit", "--serve", SERVE]).args(AUDIT.split(' '));
    exec(audit.arg("-o").arg(&report))?;
    Ok(report)
}
