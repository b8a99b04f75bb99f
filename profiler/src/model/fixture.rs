//! A small recording whose right picture a person can work out: two workers, their master and a helper.

use profiler_common::wait::{self, Reason, Waker};

use crate::{
    elf::BuildId,
    model::{
        SCHEMA_VERSION,
        accounting::{Counters, FleetDelta, StatDelta, ThreadDelta, WorkerDelta},
        budget_state::BudgetState,
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
        tables::{Binary, Frame, FrameKind, Id, MappedBinary, Place, Stack, StackId},
        wait_times::WaitTimes,
        waits::Waits,
        worker::{Death, Role, Slot},
    },
};

const MS: u64 = 1_000_000;

/// Worker 1234 was sampled four times in 400 ms and 3 ns, worker 1235 twice in 200 ms, the helper once in 10 ms;
/// the master ran for 2 ms and was never hit.
#[must_use]
pub fn recording() -> Recording {
    Recording {
        about: About {
            version: "0.1.0".to_owned(),
            command: "punchclock record gunicorn -d 1".to_owned(),
            host: "web-1".to_owned(),
            kernel: "6.18.5".to_owned(),
            cpus: 4,
        },
        profile: profile(),
        stat: stat(),
        windows: Vec::new(),
        requests: None,
    }
}

/// An audit of two classes under two loads, of which the first is the better by a quarter.
#[must_use]
pub fn report() -> Report {
    let series = [("sync", 1200.0), ("gthread", 960.0)].map(|(class, best)| series(class, best));
    let setup = |at: usize| series[at].setup.clone();
    let run = |at: usize| Run {
        url: "/".to_owned(),
        setup: setup(at),
        level: 20.0,
        at_ns: at as u64 * 10_000 * MS,
        load: Load {
            generator: "built-in".to_owned(),
            duration_ns: 10_000 * MS,
            requests: 8000,
            errors: [("status 500".to_owned(), 3)].into(),
            latency: Some(Latency { p50_ns: 8 * MS, p99_ns: 30 * MS, ..Latency::default() }),
            ..Load::default()
        },
        on_cpu_ns: 16_000 * MS,
        voluntary_switches: 24_000,
        preempted_switches: 800,
    };
    Report {
        schema_version: SCHEMA_VERSION,
        about: recording().about,
        subject: "wsgi_app:application".to_owned(),
        url: "http://127.0.0.1:8000/".to_owned(),
        started_unix_ns: 1_776_161_700_000_000_000,
        duration_ns: 95_000 * MS,
        interrupted: false,
        rounds: Rounds { made: 2, asked: 2, limit_ns: 900_000 * MS },
        commands: vec!["gunicorn -w 2 -k sync wsgi_app:application".to_owned()],
        summary: vec!["It switches the least.".to_owned()],
        recommendation: Some(Recommendation {
            best: setup(0),
            second: Some(setup(1)),
            margin: Some(Estimate { value: 1.25, low: 1.2, high: 1.3 }),
            is_real: true,
            reason: "It answers the most.".to_owned(),
            equals: Vec::new(),
        }),
        findings: vec![Finding {
            severity: Severity::Advice,
            claim: "gthread waits for the GIL.".to_owned(),
            evidence: "11 % of its time".to_owned(),
            advice: "Use fewer threads.".to_owned(),
        }],
        runs: vec![run(0), run(1)],
        series: series.to_vec(),
        throughput_while_measured: Some(Estimate { value: 0.998, low: 0.99, high: 1.006 }),
        problems: vec![Problem {
            setup: Setup { worker_class: Some("tornado".to_owned()), workers: Some(2) },
            what: "the server did not come up".to_owned(),
            times: 2,
            cause: Some("ModuleNotFoundError: No module named 'tornado'".to_owned()),
            last_words: vec![
                "ModuleNotFoundError: No module named 'tornado'".to_owned(),
                "[4711] [INFO] Shutting down: Master".to_owned(),
            ],
        }],
        quality: stat().quality,
    }
}

/// A class that answers `best` requests a second at the higher of two loads, and two thirds of it at the lower.
fn series(class: &str, best: f64) -> Series {
    let about = |value: f64, width: f64| Estimate { value, low: value - width, high: value + width };
    let point = |level, throughput: f64| Point {
        level,
        windows: 2,
        throughput: about(throughput, 50.0),
        latency_p50_ms: Some(about(10.0, 1.0)),
        latency_p99_ms: Some(about(40.0, 5.0)),
        cpu_ms_per_request: about(2.0, 0.1),
        voluntary_switches_per_request: about(3.0, 0.1),
        preempted_switches_per_request: about(0.1, 0.02),
        cpus_busy: about(1.9, 0.05),
        cpus_busy_by_worker: vec![1.0, 0.9],
        budget: [(BudgetState::OnCpu, 0.9), (BudgetState::Blocked(Reason::Socket), 0.1)].into(),
        errors: 3,
        load_limited: None,
    };
    Series {
        setup: Setup { worker_class: Some(class.to_owned()), workers: Some(2) },
        idle: Some(IdleCost {
            duration_ns: 30_000 * MS,
            worker_cpu_ms_per_second: 0.25,
            worker_wakeups_per_second: 1.0,
            master_cpu_ms_per_second: Some(0.125),
            master_wakeups_per_second: Some(1.0),
        }),
        points: vec![point(10.0, best * 2.0 / 3.0), point(20.0, best)],
        usl: Some(Usl {
            lambda: 90.0,
            sigma: 0.025,
            kappa: -0.000_01,
            residuals: vec![-7.0, 4.0],
            r_squared: 0.998,
            peak_level: None,
        }),
        knee: Some(Knee { level: 20.0, throughput: best, cause: Some(KneeCause::Cpu) }),
        recording: Some(Recording { requests: Some(1000), ..recording() }),
    }
}

/// Adds a stack, root first, and gives its id. A Python function begins ten lines above the one it is on, a native one in the
/// second page of its file.
pub fn stack(profile: &mut Profile, frames: &[(FrameKind, &str, &str, u32)]) -> Option<StackId> {
    let mut caller = None;
    for &(kind, name, file, line) in frames {
        let name = profile.strings.intern(name.to_owned());
        let file = (!file.is_empty()).then(|| profile.strings.intern(file.to_owned()));
        let native = file.filter(|_| kind == FrameKind::Native);
        let place = native.map(|path| {
            let binary = profile.binaries.intern(Binary { path, build_id: build_id() });
            Place { binary, offset: 0x1000 }
        });
        let first_line = if kind == FrameKind::Python { line.saturating_sub(10) } else { 0 };
        let frame = Frame { file, line, first_line, place, ..Frame::named(kind, name) };
        let frame = profile.frames.intern(frame);
        caller = Some(profile.stacks.intern(Stack { frame, caller }));
    }
    caller
}

fn build_id() -> Option<BuildId> {
    BuildId::try_from("8c47d6fc1a2f1ef0e07b1f10b4f6a04f3f9b3ad5".to_owned()).ok()
}

fn profile() -> Profile {
    use FrameKind::{Kernel, Mark, Native, Python};
    const SYNC: &str = "/srv/venv/lib/python3.11/site-packages/gunicorn/workers/sync.py";
    let mut profile = Profile { rate_hz: 99, ..Profile::default() };
    let main = (Native, "main", "/usr/bin/python3.11", 0);
    let run = (Python, "SyncWorker.run", SYNC, 130);
    let handle = (Python, "SyncWorker.handle", SYNC, 177);
    let application = (Python, "application", "/srv/shop/wsgi_app.py", 21);
    let loads = (Python, "loads", "/usr/lib/python3.11/json/__init__.py", 346);
    let scan = (Native, "scan_once", "/usr/lib/python3.11/lib-dynload/_json.so", 0);
    let accept = (Native, "accept4", "/usr/lib/x86_64-linux-gnu/libc.so.6", 0);
    let system_call = (Kernel, "do_syscall_64", "", 0);
    let cut = (Mark, "[stack cut short]", "", 0);
    let parse = stack(&mut profile, &[main, run, handle, application, loads, scan]);
    let plain = stack(&mut profile, &[main, run, handle, application]);
    let waits = stack(&mut profile, &[main, run, accept, system_call]);
    let deep = stack(&mut profile, &[cut, application]);
    let native = stack(&mut profile, &[accept, system_call]);
    let reads = stack(&mut profile, &[main, run, handle, application, (Kernel, "schedule", "", 0)]);
    let select = stack(&mut profile, &[main, run, (Python, "SyncWorker.wait", SYNC, 35)]);
    for binary in (0..profile.binaries.rows().len() as u32).map(Id::new) {
        let start = 0x7f00_0000_0000 + binary.index() as u64 * 0x10_0000;
        profile.mappings.intern(MappedBinary {
            tgid: 1234,
            binary,
            start,
            end: start + 0x4000,
            offset: 0x1000,
        });
    }
    // The longest of these waits took ten times as long as most.
    let blocked = |tgid, stack, reason, ns, count| BlockedSample {
        tgid,
        tid: tgid,
        stack,
        reason,
        times: WaitTimes { ns, count, longest_ns: Some(10 * ns / count) },
    };
    profile.blocked = vec![
        blocked(1234, reads, Reason::Socket, 45 * MS, 90),
        blocked(1234, plain, Reason::Gil, 20 * MS, 40),
        blocked(1234, select, Reason::Idle, 500 * MS, 1360),
        blocked(1235, reads, Reason::Socket, 50 * MS, 100),
    ];
    profile.samples = vec![
        Sample { tgid: 1234, tid: 1234, stack: parse, count: 2, ..Sample::default() },
        Sample { tgid: 1234, tid: 1234, stack: plain, count: 1, ..Sample::default() },
        Sample { tgid: 1234, tid: 1240, stack: waits, count: 1, ..Sample::default() },
        Sample { tgid: 1235, tid: 1235, stack: plain, count: 1, ..Sample::default() },
        Sample { tgid: 1235, tid: 1235, stack: deep, count: 1, ..Sample::default() },
        Sample { tgid: 1250, tid: 1250, stack: native, count: 1, ..Sample::default() },
        Sample { tgid: 1250, tid: 1250, stack: None, count: 1, ..Sample::default() },
    ];
    profile
}

/// The exact numbers of one second.
#[must_use]
pub fn stat() -> StatDelta {
    let workers = vec![
        worker(Role::Master, 1230, 2 * MS, &[(1230, "gunicorn")]),
        WorkerDelta {
            slot: Some(Slot { number: 1, generation: 0 }),
            ..worker(Role::Worker, 1234, 400 * MS + 3, &[(1234, "gunicorn"), (1240, "watch")])
        },
        WorkerDelta {
            slot: Some(Slot { number: 2, generation: 1 }),
            born: true,
            boot_cpu_ns: Some(120 * MS),
            exited: true,
            death: Some(Death::Signal(9)),
            ..worker(Role::Worker, 1235, 200 * MS, &[(1235, "gunicorn")])
        },
        WorkerDelta {
            python: None,
            worker_class: None,
            ..worker(Role::Helper, 1250, 10 * MS, &[(1250, "sh")])
        },
    ];
    let quality = Quality {
        user_system_split: "by the kernel's ticks".to_owned(),
        threads_compared: 5,
        own_cpu_ns: 3 * MS,
        samples: Some(SampleQuality {
            total: 8,
            python_complete: 5,
            python_partial: 1,
            python_outside: 0,
            gil_held: 3,
            gil_released: 1,
            stacks: 5,
            event: "cpu-clock".to_owned(),
        }),
        ..Quality::default()
    };
    StatDelta {
        schema_version: SCHEMA_VERSION,
        started_unix_ns: 1_776_161_700_000_000_000,
        duration_ns: 1_000_000_000,
        fleets: vec![FleetDelta {
            name: "wsgi_app:application".to_owned(),
            server: "gunicorn".to_owned(),
            workers,
        }],
        quality,
    }
}

/// A process of a fleet whose first thread did it all.
fn worker(role: Role, tgid: u32, on_cpu_ns: u64, threads: &[(u32, &str)]) -> WorkerDelta {
    let alive = Counters { wall_ns: 1000 * MS, blocked_ns: 1000 * MS, ..Counters::default() };
    let busy = Counters {
        on_cpu_ns,
        user_ns: on_cpu_ns - on_cpu_ns / 4,
        system_ns: on_cpu_ns / 4,
        run_queue_ns: 5 * MS,
        blocked_ns: 995 * MS - on_cpu_ns,
        voluntary_switches: 1500,
        preempted_switches: 12,
        migrations: 3,
        wakeups: 1501,
        ..alive
    };
    let mut counters = Counters::default();
    let mut waits = Waits::default();
    let mut rows = Vec::new();
    for (index, &(tid, name)) in threads.iter().enumerate() {
        let mine = if index == 0 { busy } else { alive };
        counters.add(&mine);
        let its_waits = waits_of(mine);
        waits.add(&its_waits);
        rows.push(ThreadDelta {
            tid,
            name: name.to_owned(),
            counters: mine,
            waits: its_waits,
            exited: false,
        });
    }
    let (worker_class, python) = (Some("sync".to_owned()), Some("3.11.7".to_owned()));
    WorkerDelta {
        role,
        slot: None,
        worker_class,
        tgid,
        python,
        counters,
        waits,
        throttled_ns: None,
        memory: None,
        empty_wakeups: None,
        born: false,
        boot_cpu_ns: None,
        exited: false,
        death: None,
        ended: None,
        threads: rows,
    }
}

/// Waits of a thread that mostly waits for work; if it ever runs, also 50 ms for a socket and 20 ms for the GIL.
fn waits_of(counters: Counters) -> Waits {
    let mut waits = wait::Waits::default();
    let mut wait = |reason: Reason, ns: u64, count: u64| {
        waits.blocked[reason as usize] = wait::WaitSum { ns, count };
        waits.lengths[reason as usize][wait::bucket(ns / count.max(1))] = count;
    };
    let busy = counters.wakeups != 0;
    let (socket, gil) = if busy { ((50 * MS, 100), (20 * MS, 40)) } else { ((0, 0), (0, 0)) };
    wait(Reason::Socket, socket.0, socket.1);
    wait(Reason::Gil, gil.0, gil.1);
    let count = counters.wakeups.saturating_sub(140);
    wait(Reason::Idle, counters.blocked_ns - socket.0 - gil.0, count);
    waits.wakers[Waker::Timer as usize] = counters.wakeups;
    waits.run_queue[wait::bucket(counters.run_queue_ns / 1500)] = u64::from(busy) * 1500;
    Waits::between(&wait::Waits::default(), &waits, true)
}
