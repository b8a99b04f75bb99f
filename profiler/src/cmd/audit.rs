//! `punchclock audit`: what a server costs idle and under load, which class to take, how many workers to run.

use std::{process::ExitCode, time::Duration};

use anyhow::Result;

use crate::{
    audit::{
        self,
        plan::{AuditPlan, Pacing, Subject, WindowLength},
    },
    cli::audit::{Audit, NumberList},
    cmd::{
        outputs::{self, print, say},
        progress::Phases,
        record::about,
        runtime::block_on,
        target::select,
    },
    failure::Failure,
    formats::{self, OfAudit, Outputs},
    model::report::{Report, Setup},
    render::{
        json,
        report::{
            self,
            text::{TextOptions, text},
        },
    },
    sys::{clock, heap},
};

/// Seconds of a window, if nobody says.
const DURATION: f64 = 5.0;
/// Samples per second and CPU.
const RATE_HZ: u64 = 99;

/// Runs the verb.
pub fn run(args: &Audit) -> Result<ExitCode> {
    heap::bound(args.bounds.max_memory);
    let plan = plan(args)?;
    let outputs = prepare(args)?;
    let mut phases = Phases::start();
    let reports = block_on(audit::run(&plan, &mut |what, left| phases.say(what, left)))?;
    phases.finish();
    outputs.write(|write| write(&reports), say)?;
    if args.json {
        print(&json::document(&reports)?)?;
    } else {
        let options =
            TextOptions { width: outputs::width(), colour: outputs::colour(), verbose: args.verbose };
        print(&report::joined(&reports, |report, problems| text(report, problems, options)))?;
    }
    match reports.iter().find(|report| report.runs.is_empty()) {
        Some(report) if report.interrupted => Err(Failure::Interrupted.into()),
        Some(report) => Err(no_answer(report).into()),
        None => Ok(ExitCode::SUCCESS),
    }
}

fn plan(args: &Audit) -> Result<AuditPlan> {
    let as_levels = |numbers: &NumberList| numbers.0.iter().map(|number| f64::from(*number)).collect();
    let (pacing, levels) = match &args.rate_per_second {
        Some(rates) => (Pacing::Open, as_levels(rates)),
        None => (Pacing::Closed, as_levels(&args.concurrency)),
    };
    Ok(AuditPlan {
        subject: subject(args)?,
        levels,
        pacing,
        window: match args.requests {
            Some(requests) => WindowLength::Requests(requests),
            None => WindowLength::Time(Duration::from_secs_f64(args.duration.unwrap_or(DURATION))),
        },
        warm_up: Duration::from_secs_f64(args.warm_up),
        idle: Duration::from_secs_f64(args.idle),
        limit: Duration::from_secs_f64(args.limit),
        tight: args.tight / 100.0,
        rounds_min: args.rounds,
        keep_alive: !args.no_keep_alive,
        generator: args.generator.clone(),
        about: about(),
        rate_hz: RATE_HZ,
        seed: clock::unix_ns(),
    })
}

fn subject(args: &Audit) -> Result<Subject> {
    let Some(template) = &args.serve else {
        return Ok(Subject::Running { fleets: select(&args.target)?, urls: args.url.clone() });
    };
    let classes = match (template.contains("{class}"), args.classes.is_empty()) {
        (true, true) => {
            return Err(usage("the command has {class} in it: name some with --classes sync,gthread"));
        }
        (false, false) => return Err(usage("--classes needs {class} in the command")),
        (true, false) => args.classes.iter().cloned().map(Some).collect(),
        (false, true) => vec![None],
    };
    let workers = match (template.contains("{workers}"), &args.workers) {
        (false, Some(_)) => return Err(usage("--workers needs {workers} in the command")),
        (false, None) => vec![None],
        (true, None) => vec![Some(clock::cpus())],
        (true, Some(numbers)) => numbers.0.iter().copied().map(Some).collect(),
    };
    if !template.contains("{port}") {
        return Err(usage(
            "the command needs {port} in it, where the server is to listen: -b 127.0.0.1:{port}",
        ));
    }
    let setup = |class: &Option<String>| {
        let class = class.clone();
        workers.iter().map(move |workers| Setup { worker_class: class.clone(), workers: *workers })
    };
    let paths = if args.url.is_empty() { vec!["/".to_owned()] } else { args.url.clone() };
    if !paths.iter().all(|path| path.starts_with('/')) {
        return Err(usage("with --serve, --url is a path: it begins with /"));
    }
    Ok(Subject::Serve { template: template.clone(), paths, setups: classes.iter().flat_map(setup).collect() })
}

fn usage(what: &str) -> anyhow::Error {
    Failure::Usage(what.to_owned()).into()
}

fn no_answer(report: &Report) -> Failure {
    let why = report.problems.first().map_or("nothing was measured", |problem| problem.what.as_str());
    Failure::Incomplete(format!("no set-up could be measured: {why}"))
}

/// Tries whether all files can be written.
fn prepare(args: &Audit) -> Result<Outputs<OfAudit>, Failure> {
    let mut paths = args.output.clone();
    if paths.is_empty() {
        let stamp = crate::units::utc_stamp(Duration::from_nanos(clock::unix_ns()));
        paths.push(format!("punchclock-audit-{stamp}.html").into());
    }
    Outputs::prepare(formats::AUDIT, &paths)
}
