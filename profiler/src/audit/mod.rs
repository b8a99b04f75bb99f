//! The audit of a server: what it costs idle, how it takes rising load, what bends the curve, and what to run.
//!
//! It starts servers, makes load and records; what it concludes goes into a [`Report`], which `render` shows.

mod bend;
mod causes;
mod comparison;
mod conclude;
mod findings;
#[cfg(test)]
mod fixture;
mod observed;
pub mod plan;
mod points;
mod problems;
mod recommend;
mod schedule;
mod server;
mod sweep;
mod window;

use anyhow::Result;

use crate::{
    audit::{
        conclude::conclude,
        plan::AuditPlan,
        sweep::{Sweep, Watch},
    },
    model::{
        SCHEMA_VERSION,
        report::{Report, Rounds},
    },
    sys::clock,
};

/// Makes an audit, and a report for each URL. What kept parts of it from being made is in there; an error means that
/// there is none.
pub async fn run(plan: &AuditPlan, watch: Watch<'_>) -> Result<Vec<Report>> {
    let started_unix_ns = clock::unix_ns();
    let mut sweep = Sweep::new(plan, watch)?;
    sweep.run().await?;
    let Sweep { observed, mut recordings, problems, commands, quality, interrupted, rounds, epoch, .. } =
        sweep;
    let report = |url: &String| {
        let conclusions = conclude(&observed, url, f64::from(plan.about.cpus));
        let mut series = conclusions.series;
        for series in &mut series {
            series.recording = recordings.remove(&(url.clone(), series.setup.clone()));
        }
        Report {
            schema_version: SCHEMA_VERSION,
            about: plan.about.clone(),
            subject: plan.subject.name(),
            url: url.clone(),
            started_unix_ns,
            duration_ns: epoch.elapsed().as_nanos() as u64,
            interrupted,
            rounds: Rounds { made: rounds, asked: plan.rounds_min, limit_ns: plan.limit.as_nanos() as u64 },
            commands: commands.clone(),
            summary: conclusions.summary,
            recommendation: conclusions.recommendation,
            findings: conclusions.findings,
            series,
            runs: conclusions.runs,
            throughput_while_measured: conclusions.throughput_while_measured,
            problems: problems.list(),
            quality: quality.clone(),
        }
    };
    Ok(plan.subject.urls().iter().map(report).collect())
}
