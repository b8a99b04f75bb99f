//! An example of an audit's report, made up: three worker classes under four loads, two windows each, of an
//! application that computes a little and waits for a socket. No kernel is asked, and the same comes out every time.

use std::collections::BTreeMap;

use profiler::model::{
    accounting::{Counters, FleetDelta, StatDelta, WorkerDelta},
    budget_state::BudgetState::{self, Blocked},
    estimate::Estimate,
    knee_cause::KneeCause,
    load::{Latency, Load},
    profile::{BlockedSample, Profile, Sample},
    quality::{Quality, SampleQuality},
    recording::{About, Recording},
    report::{
        Finding, IdleCost, Knee, Point, Problem, Recommendation, Report, Rounds, Run, Series, Setup,
        Severity, Usl,
    },
    tables::{Frame, FrameKind, Stack, StackId},
    wait_times::WaitTimes,
    waits::Waits,
    worker::Role,
};
use profiler_common::wait::Reason;

const WORKERS: u32 = 4;
const LEVELS: [f64; 4] = [10.0, 20.0, 50.0, 100.0];
const WINDOW_NS: u64 = 10_000_000_000;

/// What a worker class is like.
struct Class {
    name: &'static str,
    usl: Usl,
    /// CPU and voluntary and preempted switches of a request when few are under way; each grows with the load.
    cpu_ms: f64,
    voluntary: f64,
    preempted: f64,
    budget: [(BudgetState, f64); 5],
    knee: Option<(f64, KneeCause)>,
    idle: [f64; 2],
}

fn classes() -> [Class; 3] {
    let usl = |lambda, sigma, kappa, residuals: [f64; 4], r_squared, peak| Usl {
        lambda,
        sigma,
        kappa,
        residuals: residuals.to_vec(),
        r_squared,
        peak_level: peak,
    };
    [
        Class {
            name: "gevent",
            usl: usl(78.0, 0.031, 0.000_041, [-6.1, 14.8, -11.2, 4.9], 0.9991, Some(153.7)),
            cpu_ms: 1.94,
            voluntary: 1.1,
            preempted: 0.06,
            budget: [
                (BudgetState::OnCpu, 0.62),
                (BudgetState::RunQueue, 0.05),
                (Blocked(Reason::Gil), 0.0),
                (Blocked(Reason::Lock), 0.0),
                (Blocked(Reason::Socket), 0.03),
            ],
            knee: Some((50.0, KneeCause::Cpu)),
            idle: [0.21, 4.0],
        },
        Class {
            name: "gthread",
            usl: usl(76.0, 0.044, 0.000_052, [4.0, -9.3, 8.1, -3.3], 0.9987, Some(135.6)),
            cpu_ms: 2.31,
            voluntary: 6.8,
            preempted: 0.22,
            budget: [
                (BudgetState::OnCpu, 0.19),
                (BudgetState::RunQueue, 0.02),
                (Blocked(Reason::Gil), 0.11),
                (Blocked(Reason::Lock), 0.04),
                (Blocked(Reason::Socket), 0.52),
            ],
            knee: Some((50.0, KneeCause::Wait(Reason::Gil))),
            idle: [0.34, 8.1],
        },
        Class {
            name: "sync",
            usl: usl(64.0, 0.181, 0.000_31, [2.2, -3.0, 1.9, -0.6], 0.9979, Some(51.4)),
            cpu_ms: 2.02,
            voluntary: 3.2,
            preempted: 0.09,
            budget: [
                (BudgetState::OnCpu, 0.17),
                (BudgetState::RunQueue, 0.01),
                (Blocked(Reason::Gil), 0.0),
                (Blocked(Reason::Lock), 0.0),
                (Blocked(Reason::Socket), 0.80),
            ],
            knee: Some((20.0, KneeCause::Wait(Reason::Socket))),
            idle: [0.05, 1.0],
        },
    ]
}

/// The report, with a recording of each class that has so many distinct stacks on the CPU, and as many off it.
#[must_use]
pub fn report(stacks: u32) -> Report {
    let series: Vec<_> = classes().iter().map(|class| series(class, stacks)).collect();
    let runs = runs(&series);
    let setup = |at: usize| series[at].setup.clone();
    let [best, second] = [0, 1].map(|at| series[at].points[LEVELS.len() - 1].throughput.value);
    Report {
        schema_version: profiler::model::SCHEMA_VERSION,
        about: about(),
        subject: "shop.wsgi:application".to_owned(),
        url: "http://127.0.0.1:8000/checkout".to_owned(),
        started_unix_ns: 1_776_161_700_000_000_000,
        duration_ns: 322_000_000_000,
        interrupted: false,
        rounds: Rounds { made: 2, asked: 2, limit_ns: 900_000_000_000 },
        commands: ["gevent", "gthread", "sync"]
            .map(|class| format!("gunicorn -w 4 -k {class} shop.wsgi:application -b 127.0.0.1:8000"))
            .to_vec(),
        summary: vec![
            "It spends the least CPU on a request, and switches the least to serve one: 1.1 times, where gthread does \
             6.8 times for its locks and the GIL."
                .to_owned(),
            "sync answers no more than 303 requests a second: each of its workers waits for the stock service while \
             others could be served."
                .to_owned(),
        ],
        recommendation: Some(Recommendation {
            best: setup(0),
            second: Some(setup(1)),
            margin: Some(around(best / second, 3.0)),
            is_real: true,
            reason: format!("Each at its best, gevent × 4 answers {best:.0} requests a second, gthread × 4 {second:.0}."),
            equals: Vec::new(),
        }),
        findings: findings(),
        runs,
        series,
        throughput_while_measured: Some(Estimate { value: 0.998, low: 0.991, high: 1.005 }),
        problems: vec![Problem {
            setup: Setup { worker_class: Some("tornado".to_owned()), workers: Some(WORKERS) },
            what: "it did not come up: it ended with exit status: 1".to_owned(),
            times: 2,
            cause: Some("ModuleNotFoundError: No module named 'tornado'".to_owned()),
            last_words: vec![
                "[2026-04-14 10:15:02 +0000] [4711] [INFO] Starting gunicorn 23.0.0".to_owned(),
                "Error: class uri 'tornado' invalid or not found: ".to_owned(),
                "ModuleNotFoundError: No module named 'tornado'".to_owned(),
            ],
        }],
        quality: quality(stacks),
    }
}

fn about() -> About {
    About {
        version: "0.1.0".to_owned(),
        command: "punchclock audit --serve 'gunicorn -w {workers} -k {class} shop.wsgi:application -b 127.0.0.1:{port}' \
                  --classes sync,gthread,gevent --workers 4 --concurrency 10,20,50,100 --url /checkout -o report.html"
            .to_owned(),
        host: "web-1".to_owned(),
        kernel: "6.18.5".to_owned(),
        cpus: 4,
    }
}

fn findings() -> Vec<Finding> {
    let finding = |severity, claim: &str, evidence: &str, advice: &str| Finding {
        severity,
        claim: claim.to_owned(),
        evidence: evidence.to_owned(),
        advice: advice.to_owned(),
    };
    vec![
        finding(
            Severity::Advice,
            "sync workers wait for the stock service four fifths of their time.",
            "80 % of its threads' wall time is blocked on sockets, 17 % on the CPU; more load than 20 at once brings \
             no more throughput.",
            "Serve this route with gevent or gthread, or give the stock service a cache.",
        ),
        finding(
            Severity::Advice,
            "gthread pays for the GIL.",
            "11 % of its threads' wall time waits for the GIL; a request costs 6.8 voluntary switches, with gevent 1.1.",
            "Use more workers with fewer threads each, or gevent.",
        ),
        finding(
            Severity::Note,
            "The load generator shared the CPUs with the workers.",
            "It used 0.4 of 4 CPUs at the highest load.",
            "",
        ),
    ]
}

fn quality(stacks: u32) -> Quality {
    Quality {
        user_system_split: "by the kernel's ticks".to_owned(),
        threads_compared: 96,
        largest_on_cpu_difference_ns: 812,
        own_cpu_ns: 1_900_000_000,
        samples: Some(SampleQuality {
            total: 61_440,
            python_complete: 61_102,
            python_partial: 338,
            python_outside: 0,
            gil_held: 0,
            gil_released: 0,
            stacks: u64::from(stacks) * 6,
            event: "cpu-clock".to_owned(),
        }),
        ..Quality::default()
    }
}

/// A number and an interval of so many percent around it.
fn around(value: f64, percent: f64) -> Estimate {
    Estimate { value, low: value * (1.0 - percent / 100.0), high: value * (1.0 + percent / 100.0) }
}

fn series(class: &Class, stacks: u32) -> Series {
    let setup = Setup { worker_class: Some(class.name.to_owned()), workers: Some(WORKERS) };
    let points: Vec<_> = LEVELS.iter().zip(0..).map(|(level, at)| point(class, *level, at)).collect();
    let knee = class.knee.and_then(|(level, cause)| {
        let point = points.iter().find(|point| point.level.total_cmp(&level).is_eq())?;
        Some(Knee { level, throughput: point.throughput.value, cause: Some(cause) })
    });
    let requests = points.iter().map(|point| point.throughput.value * 20.0).sum::<f64>() as u64;
    let idle = IdleCost {
        duration_ns: 30_000_000_000,
        worker_cpu_ms_per_second: class.idle[0],
        worker_wakeups_per_second: class.idle[1],
        master_cpu_ms_per_second: Some(0.11),
        master_wakeups_per_second: Some(1.0),
    };
    let recording = Some(recording(class, stacks, requests));
    Series { setup, idle: Some(idle), points, usl: Some(class.usl.clone()), knee, recording }
}

fn point(class: &Class, level: f64, at: usize) -> Point {
    let throughput = class.usl.throughput(level) + class.usl.residuals[at];
    let grows = 1.0 + 0.0011 * level;
    let cpu_ms = class.cpu_ms * grows;
    let busy = throughput * cpu_ms / 1000.0;
    let latency = level * 1000.0 / throughput;
    let [skew, spread] = [[0.94, 1.07, 1.02, 0.97], [1.0, 0.86, 1.18, 0.96]];
    let skew = if class.name == "gthread" { spread } else { skew };
    let calm = 1.0 - level / 220.0;
    let mut budget: BTreeMap<_, _> =
        class.budget.iter().map(|(state, share)| (*state, share * (1.0 - 0.6 * calm))).collect();
    budget.retain(|_, share| *share > 0.0);
    budget.insert(Blocked(Reason::Sleep), 0.004);
    budget.insert(Blocked(Reason::Idle), 0.996 - budget.values().sum::<f64>());
    Point {
        level,
        windows: 2,
        throughput: around(throughput, 1.6),
        latency_p50_ms: Some(around(latency * 0.93, 2.0)),
        latency_p99_ms: Some(around(latency * 2.4, 6.0)),
        cpu_ms_per_request: around(cpu_ms, 0.9),
        voluntary_switches_per_request: around(class.voluntary * (1.0 + 0.0004 * level), 1.2),
        preempted_switches_per_request: around(class.preempted * (1.0 + 0.011 * level), 7.0),
        cpus_busy: around(busy, 1.1),
        cpus_busy_by_worker: skew.iter().map(|skew| busy / f64::from(WORKERS) * skew).collect(),
        budget,
        errors: 0,
        load_limited: None,
    }
}

/// Two windows of each point, in turns.
fn runs(series: &[Series]) -> Vec<Run> {
    let mut runs = Vec::new();
    for (round, level) in (0..2_u8).flat_map(|round| (0..LEVELS.len()).map(move |level| (round, level))) {
        for series in series {
            let point = &series.points[(level * 3 + usize::from(round)) % LEVELS.len()];
            let requests = point.throughput.value * 10.0 * (0.99 + 0.02 * f64::from(round));
            let latency = |ms: Option<Estimate>| (ms.unwrap_or_default().value * 1e6) as u64;
            runs.push(Run {
                url: "/orders".to_owned(),
                setup: series.setup.clone(),
                level: point.level,
                at_ns: runs.len() as u64 * 12_500_000_000,
                load: Load {
                    generator: "built-in".to_owned(),
                    duration_ns: WINDOW_NS,
                    requests: requests as u64,
                    latency: Some(Latency {
                        p50_ns: latency(point.latency_p50_ms),
                        p99_ns: latency(point.latency_p99_ms),
                        ..Latency::default()
                    }),
                    ..Load::default()
                },
                on_cpu_ns: (requests * point.cpu_ms_per_request.value * 1e6) as u64,
                voluntary_switches: (requests * point.voluntary_switches_per_request.value) as u64,
                preempted_switches: (requests * point.preempted_switches_per_request.value) as u64,
            });
        }
    }
    runs
}

/// A frame's name and file.
type Place = (&'static str, &'static str);

/// How each class gets to the application.
fn server(class: &str) -> &'static [Place] {
    const GUNICORN: &str = "/srv/venv/lib/python3.11/site-packages/gunicorn/workers/sync.py";
    const GTHREAD: &str = "/srv/venv/lib/python3.11/site-packages/gunicorn/workers/gthread.py";
    const GEVENT: &str = "/srv/venv/lib/python3.11/site-packages/gunicorn/workers/base_async.py";
    match class {
        "sync" => &[
            ("SyncWorker.run", GUNICORN),
            ("SyncWorker.handle", GUNICORN),
            ("SyncWorker.handle_request", GUNICORN),
        ],
        "gthread" => &[
            ("Thread._bootstrap", "/usr/lib/python3.11/threading.py"),
            ("_worker", "/usr/lib/python3.11/concurrent/futures/thread.py"),
            ("ThreadWorker.handle", GTHREAD),
            ("ThreadWorker.handle_request", GTHREAD),
        ],
        _ => &[
            ("Greenlet.run", "/srv/venv/lib/python3.11/site-packages/gevent/greenlet.py"),
            ("AsyncWorker.handle", GEVENT),
            ("AsyncWorker.handle_request", GEVENT),
        ],
    }
}

/// What the application calls, each followed by what that calls.
const CALLS: [&[Place]; 6] = [
    &[
        ("price", "/srv/shop/pricing.py"),
        ("discounts", "/srv/shop/pricing.py"),
        ("rates", "/srv/shop/taxes.py"),
    ],
    &[
        ("render", "/srv/venv/lib/python3.11/site-packages/jinja2/environment.py"),
        ("root", "/srv/shop/cart.html"),
    ],
    &[
        ("dumps", "/usr/lib/python3.11/json/__init__.py"),
        ("JSONEncoder.encode", "/usr/lib/python3.11/json/encoder.py"),
    ],
    &[
        ("sign", "/srv/shop/sessions.py"),
        ("new", "/usr/lib/python3.11/hmac.py"),
        ("update", "/usr/lib/python3.11/hmac.py"),
    ],
    &[
        ("basket", "/srv/shop/models.py"),
        ("Row.load", "/srv/shop/models.py"),
        ("convert", "/srv/shop/models.py"),
    ],
    &[("in_stock", "/srv/shop/stock.py"), ("get", "/srv/venv/lib/python3.11/site-packages/requests/api.py")],
];

fn recording(class: &Class, stacks: u32, requests: u64) -> Recording {
    let on_cpu_ns = (requests as f64 * class.cpu_ms * 1e6 / f64::from(WORKERS)) as u64;
    let class = class.name;
    let mut profile = Profile { rate_hz: 99, ..Profile::default() };
    let mut random = Random(u64::from(class.len() as u32) * 7919);
    for _ in 0..stacks {
        let tgid = 4000 + random.below(u64::from(WORKERS)) as u32;
        let computes = stack(&mut profile, class, stacks, &mut random, 5);
        profile.samples.push(Sample {
            tgid,
            tid: tgid,
            stack: computes,
            count: 1 + 600 / (1 + random.below(90)),
            ..Sample::default()
        });
        let waits = stack(&mut profile, class, stacks, &mut random, 6);
        let reason = match (class, random.below(8)) {
            ("gthread", 0..3) => Reason::Gil,
            (_, 3) => Reason::Lock,
            _ => Reason::Socket,
        };
        let ns = 1_000_000 * (1 + 9000 / (1 + random.below(90)));
        profile.blocked.push(BlockedSample {
            tgid,
            tid: tgid,
            stack: waits,
            reason,
            times: WaitTimes { ns, count: 10, longest_ns: Some(ns) },
        });
    }
    let worker = |tgid| WorkerDelta {
        role: Role::Worker,
        worker_class: Some(class.to_owned()),
        tgid,
        python: Some("3.11.7".to_owned()),
        counters: Counters { wall_ns: 80_000_000_000, on_cpu_ns, ..Counters::default() },
        waits: Waits::default(),
        slot: None,
        throttled_ns: None,
        memory: None,
        empty_wakeups: None,
        born: false,
        boot_cpu_ns: None,
        exited: false,
        death: None,
        ended: None,
        threads: Vec::new(),
    };
    let stat = StatDelta {
        schema_version: profiler::model::SCHEMA_VERSION,
        started_unix_ns: 1_776_161_700_000_000_000,
        duration_ns: 80_000_000_000,
        fleets: vec![FleetDelta {
            name: "shop.wsgi:application".to_owned(),
            server: "gunicorn".to_owned(),
            workers: (4000..4000 + WORKERS).map(worker).collect(),
        }],
        quality: Quality::default(),
    };
    Recording { about: about(), profile, stat, windows: Vec::new(), requests: Some(requests) }
}

/// A stack of the class: through the server into the application, and down one of its first `calls` calls.
fn stack(
    profile: &mut Profile,
    class: &str,
    stacks: u32,
    random: &mut Random,
    calls: u64,
) -> Option<StackId> {
    let mut caller = None;
    let mut call = |name: &str, file: &str, line: u32| {
        let (name, file) = (profile.strings.intern(name.to_owned()), profile.strings.intern(file.to_owned()));
        let frame =
            profile.frames.intern(Frame { file: Some(file), line, ..Frame::named(FrameKind::Python, name) });
        caller = Some(profile.stacks.intern(Stack { frame, caller }));
    };
    for (line, (name, file)) in (100..).zip(server(class)) {
        call(name, file, line);
    }
    // Some is the server's own.
    if random.below(12) == 0 {
        call("Response.write", "/srv/venv/lib/python3.11/site-packages/gunicorn/http/wsgi.py", 326);
        return caller;
    }
    call("application", "/srv/shop/wsgi.py", 12);
    call("Flask.wsgi_app", "/srv/venv/lib/python3.11/site-packages/flask/app.py", 1511);
    call("checkout", "/srv/shop/views.py", 40 + random.below(4) as u32);
    // Waits are mostly for the stock service.
    let first = if calls == 6 && random.below(4) != 0 { 5 } else { random.below(calls) };
    for (name, file) in CALLS[first as usize] {
        call(name, file, 20 + random.below(3) as u32);
    }
    // As many distinct ones as are wanted, ever deeper.
    let depth = if stacks > 500 { 4 + random.below(16) } else { random.below(3) };
    for _ in 0..depth {
        let at = random.below(u64::from(stacks / 8 + 3)) as u32;
        call(&format!("step_{}", at % 60), "/srv/shop/rules.py", 10 + at);
    }
    caller
}

/// Numbers that look random and are the same each time (Knuth's MMIX generator).
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}
