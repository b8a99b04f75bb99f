//! `demo`: four Gunicorn workers under load, ten seconds of punchclock, a flame graph; then an audit of three worker
//! classes on a route that works and one that waits. Everything runs as the user who asked, except punchclock itself,
//! and everything that was started is stopped again.

use std::{
    collections::BTreeSet,
    env, fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

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
    let [report, numbers] = audit(&punchclock, &venv, &out)?;

    println!("\nflame graph  {}    open it in a browser", flamegraph.display());
    println!("recording    {}    render it again:", recording.display());
    println!("             {} report {} -o out.svg", punchclock.display(), recording.display());
    println!("audit        {}    open it in a browser", report.display());
    let numbers =
        fs::read_to_string(&numbers).with_context(|| format!("failed to read {}", numbers.display()))?;
    let problems = problems(&numbers)?.into_iter().collect::<Vec<_>>();
    ensure!(problems.is_empty(), "failed to audit all worker classes: {}", problems.join("; "));
    Ok(())
}

/// The problems of an audit's reports, each once though every route's report has it: to `punchclock audit` a class that
/// does not come up is a result and no failure.
fn problems(reports: &str) -> Result<BTreeSet<String>> {
    let reports: Vec<Value> = serde_json::from_str(reports).context("failed to parse the audit's reports")?;
    let mut sentences = BTreeSet::new();
    for report in reports {
        for problem in report["problems"].as_array().context("failed to find an audit's problems")? {
            let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let [class, what] = [&problem["setup"]["worker_class"], &problem["what"]].map(word);
            sentences.insert(format!("{class}: {what}"));
        }
    }
    Ok(sentences)
}

/// Records four busy workers; the flame graph and the recording.
fn record(punchclock: &Path, venv: &Path, out: &Path) -> Result<[PathBuf; 2]> {
    let [flamegraph, recording] = ["flamegraph.svg", "recording.punch"].map(|name| out.join(name));
    let mut server = Server::start(venv, &out.join("gunicorn.log"))?;
    server.wait_until_ready()?;
    // More clients than workers: none of them is ever idle.
    let _load = Load::start(server.port(), 8);
    let mut record = as_root(punchclock);
    record.args(["record", "-d", "10", "-p", &server.pid().to_string()]);
    exec(record.arg("-o").arg(&flamegraph).arg("-o").arg(&recording))?;
    Ok([flamegraph, recording])
}

/// Audits three classes on both routes; the report, and the same as JSON. punchclock starts the servers as the user who
/// asked.
fn audit(punchclock: &Path, venv: &Path, out: &Path) -> Result<[PathBuf; 2]> {
    let [report, numbers] = ["audit.html", "audit.json"].map(|name| out.join(name));
    let backend = Backend::start(venv)?;
    let path = env::var("PATH").unwrap_or_default();
    // sudo clears the environment, so what the servers need is named.
    let mut audit = as_root("env");
    audit.arg(format!("PATH={}:{path}", venv.join("bin").display()));
    audit.arg(format!("BACKEND={}", backend.address())).arg("PYTHONDONTWRITEBYTECODE=1");
    audit.arg(punchclock).args(["audit", "--serve", SERVE]).args(AUDIT.split(' '));
    exec(audit.arg("-o").arg(&report).arg("-o").arg(&numbers))?;
    Ok([report, numbers])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_of_both_routes_is_said_once() {
        let gevent = r#"{"problems": [{"setup": {"worker_class": "gevent"}, "what": "it ended"}]}"#;
        let said = problems(&format!("[{gevent}, {gevent}]")).unwrap();
        assert_eq!(said, BTreeSet::from(["gevent: it ended".to_owned()]));
        assert!(problems(r#"[{"problems": []}, {"problems": []}]"#).unwrap().is_empty());
        assert!(problems("[{}]").is_err());
    }
}
