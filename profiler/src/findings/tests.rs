use profiler_common::wait::Reason;

use super::*;
use crate::model::{
    fixture,
    profile::BlockedSample,
    recording::Recording,
    tables::FrameKind::{self, Mark, Python},
    wait_times::WaitTimes,
    waits::Waits,
    worker::{Death, Role},
};

const MS: u64 = 1_000_000;

/// Two workers of one thread each, which were at work for half a second each and waited for a lock of their table for a tenth of
/// it; both use the same CPU time.
fn recording() -> Recording {
    let mut recording = fixture::recording();
    recording.profile.blocked.clear();
    recording.profile.samples.clear();
    let fleet = &mut recording.stat.fleets[0];
    fleet.workers.retain(|worker| worker.role == Role::Worker);
    for worker in &mut fleet.workers {
        (worker.exited, worker.born, worker.death, worker.boot_cpu_ns) = (false, false, None, None);
        worker.threads.truncate(1);
        let thread = &mut worker.threads[0];
        thread.counters.wall_ns = 1_000 * MS;
        (thread.counters.on_cpu_ns, thread.counters.run_queue_ns) = (10 * MS, 0);
        thread.waits.blocked = Waits::default().blocked;
        thread.waits.blocked[Reason::Idle as usize].ns = 500 * MS;
        (worker.counters, worker.waits) = (thread.counters, thread.waits.clone());
    }
    recording
}

/// A wait of both workers' threads: so long of each, on this stack.
fn wait(recording: &mut Recording, reason: Reason, ns: u64, frames: &[(FrameKind, &str, &str, u32)]) {
    let stack = fixture::stack(&mut recording.profile, frames);
    for worker in &mut recording.stat.fleets[0].workers {
        let tgid = worker.tgid;
        worker.waits.blocked[reason as usize].ns += ns;
        worker.threads[0].waits.blocked[reason as usize].ns += ns;
        recording.profile.blocked.push(BlockedSample {
            tgid,
            tid: tgid,
            stack,
            reason,
            times: WaitTimes { ns, count: 20, longest_ns: Some(ns / 10) },
        });
    }
}

fn claims(recording: &Recording) -> Vec<String> {
    let findings = of(&recording.stat, &recording.profile).remove(0);
    findings.into_iter().map(|finding| finding.claim).collect()
}

#[test]
fn what_a_fleet_costs_is_always_told() {
    let mut recording = recording();
    let cost = "2 workers use 0.020 of a CPU, 0.010 each; their threads have work 50 % of the time";
    assert_eq!(claims(&recording), [cost]);
    recording.stat.fleets[0].workers.pop();
    assert_eq!(claims(&recording), ["1 worker uses 0.010 of a CPU; its threads have work 50 % of the time"]);
    recording.stat.fleets[0].workers.clear();
    assert_eq!(claims(&recording), Vec::<String>::new());
}

#[test]
fn a_wait_is_told_with_its_place_if_it_takes_much_of_the_time_at_work() {
    let mut recording = recording();
    let convert = (Python, "convert", "/srv/shop/shop.py", 34);
    wait(&mut recording, Reason::Lock, 24 * MS, &[convert]);
    assert_eq!(claims(&recording).len(), 1);
    wait(
        &mut recording,
        Reason::Lock,
        26 * MS,
        &[convert, (Python, "wait", "/usr/lib/python3.11/threading.py", 3)],
    );
    // 50 of 500 ms; the library's function waits for who calls it.
    let lock = "lock: 2 threads wait 10 % of the time at work in convert (shop/shop.py:34), longest 2.60 ms";
    assert_eq!(claims(&recording)[1..], [lock]);
    // One thread has hardly any work, and of that it waits as much.
    let mut seldom = recording.clone();
    for (thread, idle) in
        seldom.stat.fleets[0].workers.iter_mut().map(|worker| &mut worker.threads[0]).zip([0, 490])
    {
        thread.waits.blocked[Reason::Idle as usize].ns += idle * MS;
    }
    assert!(claims(&seldom)[1].starts_with("lock: 2 threads wait 10 %"), "{:?}", claims(&seldom));
    let elsewhere = [(Python, "list_orders", "/srv/shop/shop.py", 7)];
    wait(&mut recording, Reason::Lock, 60 * MS, &elsewhere);
    assert!(
        claims(&recording)[1].contains("22 % of the time at work, 55 % of it in list_orders"),
        "{:?}",
        claims(&recording)
    );
}

#[test]
fn who_blocks_an_event_loop_is_worse_than_who_waits() {
    let mut recording = recording();
    let run = (Python, "BaseEventLoop.run_forever", "/usr/lib/python3.11/asyncio/base_events.py", 607);
    let select = (Python, "EpollSelector.select", "/usr/lib/python3.11/selectors.py", 468);
    wait(&mut recording, Reason::Idle, 400 * MS, &[run, select]);
    wait(&mut recording, Reason::Sleep, 480 * MS, &[run, (Python, "stall", "/srv/asgi_app.py", 12)]);
    let found = claims(&recording);
    assert_eq!(
        found[1..],
        ["event loop blocked 48 % by sleep in stall (srv/asgi_app.py:12), longest 48.0 ms"]
    );

    let mut greenlets = self::recording();
    let greenlet = (Mark, "[greenlet]", "", 0);
    wait(&mut greenlets, Reason::Socket, 100 * MS, &[greenlet, (Python, "fetch", "/srv/app.py", 3)]);
    assert!(
        claims(&greenlets)[1].starts_with("event loop blocked 10 % by socket in fetch"),
        "{:?}",
        claims(&greenlets)
    );
}

#[test]
fn waiting_for_a_cpu_and_quotas_are_told() {
    let mut recording = recording();
    for worker in &mut recording.stat.fleets[0].workers {
        worker.counters.run_queue_ns = 300 * MS;
    }
    assert_eq!(claims(&recording)[1..], ["run queue: waiting for a CPU takes 60 % of the time at work"]);
    recording.stat.fleets[0].workers[0].throttled_ns = Some(200 * MS);
    assert_eq!(claims(&recording)[2], "CPU quota: the control group was throttled 20 % of the time");
}

#[test]
fn a_hot_function_is_named() {
    let mut recording = fixture::recording();
    recording.stat.fleets[0].workers.retain(|worker| worker.role == Role::Worker);
    let found = claims(&recording);
    let hot = "CPU: 50 % of the CPU time in application (shop/wsgi_app.py:11)";
    assert!(found.contains(&hot.to_owned()), "{found:#?}");
}

#[test]
fn workers_that_do_less_and_those_that_were_killed_are_told() {
    let mut recording = recording();
    let workers = &mut recording.stat.fleets[0].workers;
    workers[0].counters.on_cpu_ns = 5 * MS;
    workers[1].counters.on_cpu_ns = 95 * MS;
    assert_eq!(claims(&recording)[1..], ["uneven: worker 1234 does 5 % of the work, worker 1235 95 %"]);
    for (signal, told) in [(9, true), (15, false)] {
        let worker = &mut recording.stat.fleets[0].workers[1];
        worker.death = Some(Death::Signal(signal));
        let found = claims(&recording);
        assert_eq!(found[1] == "1 worker was killed: 1 by SIGKILL", told, "{found:?}");
    }
}
