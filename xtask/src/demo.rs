//! `demo`: four Gunicorn workers under load, ten seconds of punchclock, a flame graph. Everything runs as the user
//! who asked, except punchclock itself, and everything that was started is stopped again.

use std::{env, fs};

use anyhow::{Context as _, Result};

use crate::{
    cargo,
    exec::{as_root, exec},
    load::Load,
    server::Server,
    setup, venv,
};

pub fn run() -> Result<()> {
    setup::run(&setup::Options::default())?;
    let punchclock = cargo::punchclock()?;
    let venv = venv::with(&["gunicorn", "gevent"])?;
    let out = env::current_dir().context("failed to find the current folder")?.join("target/demo");
    fs::create_dir_all(&out).with_context(|| format!("failed to create {}", out.display()))?;
    let [flamegraph, recording] = ["flamegraph.svg", "recording.punch"].map(|name| out.join(name));

    let mut server = Server::start(&venv, &out.join("gunicorn.log"))?;
    server.wait_until_ready()?;
    // More clients than workers: none of them is ever idle.
    let load = Load::start(server.address(), 8);
    let mut record = as_root(&punchclock);
    record.args(["record", "-d", "10", "-p", &server.pid().to_string()]);
    exec(record.arg("-o").arg(&flamegraph).arg("-o").arg(&recording))?;
    drop(load);

    println!("\nflame graph  {}    open it in a browser", flamegraph.display());
    println!("recording    {}    render it again:", recording.display());
    println!("             {} report {} -o out.svg", punchclock.display(), recording.display());
    Ok(())
}
