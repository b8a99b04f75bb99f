//! Recordings of a kernel side that does what a test says, on a clock that stands still while nobody waits.

use bytemuck::Zeroable as _;
use profiler_common::{
    event::{KnownStackRecord, RecordKind, ThreadRecord},
    loss_cause::LossCause,
    wait::Reason,
};
use tokio::sync::watch;

use super::*;
use crate::{
    bpf::fixture::{MS, Script, ScriptedKernel, sampled, samples, thread},
    collect::{
        plans::{self, Extent},
        stop::Stop,
    },
    fleet::{Fleet, discover, fixture},
    model::{accounting::WorkerDelta, window::Window, worker::Death},
};

/// A Gunicorn's processes, which no host has: the kernel's PIDs end at 2^22.
const MASTER: u32 = 5_000_000;
const ONE: u32 = 5_000_001;
const OTHER: u32 = 5_000_002;
const GUNICORN: [(u32, u32, &str); 3] = [
    (MASTER, 1, "python -m gunicorn shop:app"),
    (ONE, MASTER, "python -m gunicorn shop:app"),
    (OTHER, MASTER, "python -m gunicorn shop:app"),
];
const SECOND: Duration = Duration::from_secs(1);

/// A process of one thread at an instant: its PID, its birth, and how long it has run, queued and slept since, ms.
type Lived = (u32, u64, [u64; 3]);

fn lived((tgid, birth_ms, [ran, queued, slept]): Lived) -> ThreadRecord {
    let mut thread = thread(tgid, tgid, birth_ms * MS, ran * MS, slept * MS);
    thread.task.run_delay = queued * MS;
    thread.task.read_ns += queued * MS;
    thread
}

impl Script {
    /// Time has come to an instant, at which these processes live.
    fn come_to(&mut self, at_ms: u64, processes: &[Lived]) {
        self.now_ns = at_ms * MS;
        self.threads = processes.iter().copied().map(lived).collect();
        assert!(self.threads.iter().all(|thread| thread.task.read_ns == self.now_ns), "no time is missing");
    }
}

/// The Gunicorn, a second after the master and half a second after the workers began.
fn gunicorn() -> ScriptedKernel {
    let kernel = ScriptedKernel::default();
    kernel.script().room = 10;
    kernel
        .script()
        .come_to(1000, &[(MASTER, 0, [10, 0, 990]), (ONE, 500, [200, 0, 300]), (OTHER, 500, [0, 0, 500])]);
    kernel
}

/// Two seconds later: one worker has run for half of them, the other for a quarter and queued for another.
fn two_seconds_later(kernel: &ScriptedKernel) {
    kernel.script().come_to(
        3000,
        &[(MASTER, 0, [10, 0, 2990]), (ONE, 500, [1200, 0, 1300]), (OTHER, 500, [500, 500, 1500])],
    );
}

fn session(kernel: &ScriptedKernel, fleets: Vec<Fleet>) -> (Session<ScriptedKernel>, watch::Sender<bool>) {
    let (interrupt, heard) = watch::channel(false);
    let plan = plans::for_record(99, Extent { cpus: 1, threads: 3 }, 0, Some(4));
    (Session::follow_with(kernel.handle(), fleets, plan, Stop(heard)).unwrap(), interrupt)
}

/// Begins to record these processes, and with it whatever interrupts it.
fn record_those(
    kernel: &ScriptedKernel,
    processes: &[(u32, u32, &str)],
) -> (Recorder<ScriptedKernel>, watch::Sender<bool>) {
    let (session, interrupt) = session(kernel, discover(&fixture::host(processes), &fixture::probe()));
    (Recorder::start(session, Some(99), |_| Ok(())).unwrap(), interrupt)
}

fn record(kernel: &ScriptedKernel) -> (Recorder<ScriptedKernel>, watch::Sender<bool>) {
    record_those(kernel, &GUNICORN)
}

/// The other worker is a process of this host, which lives as long as this test: `/proc` is asked who is left when one ends.
fn record_with_a_living_one(kernel: &ScriptedKernel) -> (Recorder<ScriptedKernel>, u32, watch::Sender<bool>) {
    let living = std::process::id();
    let processes = [GUNICORN[0], GUNICORN[1], (living, MASTER, "python -m gunicorn shop:app")];
    let (recorder, interrupt) = record_those(kernel, &processes);
    (recorder, living, interrupt)
}

/// Runs for a time; `each_tick` is told how many ticks have passed. Returns whether the deadline came.
async fn run_for(
    recorder: &mut Recorder<ScriptedKernel>,
    time: Duration,
    mut each_tick: impl FnMut(u32),
) -> Result<bool> {
    let (deadline, mut ticks) = (recorder.began() + time, 0);
    recorder
        .run(Some(deadline), || {
            ticks += 1;
            each_tick(ticks);
            true
        })
        .await
}

/// Rows of a window: PID, then wall, on-CPU, run-queue and blocked time, ms.
fn rows(stat: &StatDelta) -> Vec<(u32, [u64; 4])> {
    let ms = |row: &WorkerDelta| {
        let of = &row.counters;
        [of.wall_ns, of.on_cpu_ns, of.run_queue_ns, of.blocked_ns].map(|ns| ns / MS)
    };
    stat.processes().map(|row| (row.tgid, ms(row))).collect()
}

fn lost(stat: &StatDelta) -> Vec<(&str, u64)> {
    stat.quality.lost.iter().map(|(cause, count)| (cause.as_str(), *count)).collect()
}

#[tokio::test(start_paused = true)]
async fn rows_are_what_the_counters_grew_by() {
    let kernel = gunicorn();
    let (recorder, _interrupt) = record(&kernel);
    two_seconds_later(&kernel);
    let stat = recorder.finish().unwrap().stat;
    let expected =
        [(MASTER, [2000, 0, 0, 2000]), (ONE, [2000, 1000, 0, 1000]), (OTHER, [2000, 500, 500, 1000])];
    assert_eq!(rows(&stat), expected);
    assert_eq!((stat.started_unix_ns, stat.duration_ns), (1000 * MS, 2000 * MS));
    assert_eq!((lost(&stat), &stat.quality.notes), (vec![], &vec![]));
}

#[tokio::test(start_paused = true)]
async fn the_deadline_ends_a_window() {
    let (mut recorder, _interrupt) = record(&gunicorn());
    let mut ticks = 0;
    assert!(run_for(&mut recorder, 2 * SECOND, |tick| ticks = tick).await.unwrap());
    assert_eq!((recorder.began().elapsed().as_millis(), ticks), (2000, 20));
}

#[tokio::test(start_paused = true)]
async fn an_interrupt_ends_a_window() {
    let kernel = gunicorn();
    let (mut recorder, interrupt) = record(&kernel);
    let is_whole = run_for(&mut recorder, 60 * SECOND, |tick| {
        if tick == 20 {
            two_seconds_later(&kernel);
            interrupt.send_replace(true);
        }
    });
    assert!(!is_whole.await.unwrap());
    assert_eq!(recorder.began().elapsed().as_secs(), 2);
    assert_eq!(rows(&recorder.finish().unwrap().stat)[1], (ONE, [2000, 1000, 0, 1000]));
    assert!(!kernel.script().is_sampling);
}

#[tokio::test(start_paused = true)]
async fn the_death_of_all_ends_a_window_and_that_of_some_does_not() {
    let kernel = gunicorn();
    let (mut recorder, living, _interrupt) = record_with_a_living_one(&kernel);
    kernel.script().threads.push(lived((living, 0, [500, 0, 500])));
    let is_whole = run_for(&mut recorder, 60 * SECOND, |tick| match tick {
        3 => kernel.script().end(ONE, 9),
        5 => [MASTER, living].into_iter().for_each(|tgid| kernel.script().end(tgid, 0)),
        _ => {}
    });
    assert!(!is_whole.await.unwrap());
    assert_eq!(recorder.began().elapsed().as_millis(), 600, "the tick after the last death");
    let stat = recorder.finish().unwrap().stat;
    let death = |tgid| stat.processes().find(|row| row.tgid == tgid).and_then(|row| row.death);
    let normal = Some(Death::ExitStatus(0));
    assert_eq!([MASTER, ONE, living].map(death), [normal, Some(Death::Signal(9)), normal]);
}

#[tokio::test(start_paused = true)]
async fn what_was_measured_before_a_failure_is_recorded() {
    let kernel = gunicorn();
    let (mut recorder, _interrupt) = record(&kernel);
    let ran = run_for(&mut recorder, 60 * SECOND, |tick| {
        if tick == 20 {
            two_seconds_later(&kernel);
            kernel.script().is_broken = true;
            // Too many for the plan's table, which is to be emptied.
            (0..4).for_each(|hash| kernel.script().describe(sampled(ONE, hash)));
        }
    });
    assert_eq!(ran.await.unwrap_err().to_string(), "failed to read the stacks");
    assert_eq!(recorder.began().elapsed().as_millis(), 2100);
    let stat = recorder.finish().unwrap().stat;
    assert_eq!(rows(&stat)[1], (ONE, [2000, 1000, 0, 1000]));
    assert_eq!(stat.quality.notes, ["the window ended early: failed to read the stacks"]);
}

#[tokio::test(start_paused = true)]
async fn what_a_full_ring_drops_is_counted() {
    let kernel = gunicorn();
    let lost_so_far = |ring_full, exits| {
        let losses = [(LossCause::RingFull, ring_full), (LossCause::ExitLost, exits)];
        kernel.script().losses = losses.into();
    };
    lost_so_far(7, 0);
    let (mut recorder, _interrupt) = record(&kernel);
    run_for(&mut recorder, SECOND, |tick| match tick {
        2 => lost_so_far(10, 1),
        3 => kernel.script().send(&[99_u64; 4]),
        _ => {}
    })
    .await
    .unwrap();
    let stat = recorder.finish().unwrap().stat;
    assert_eq!(lost(&stat), [("exit_lost", 1), ("ring_full", 3), ("undecodable", 1)]);
}

#[tokio::test(start_paused = true)]
async fn who_has_no_room_is_counted() {
    let kernel = gunicorn();
    kernel.script().room = 1;
    let (recorder, _interrupt) = record(&kernel);
    assert_eq!(lost(&recorder.finish().unwrap().stat), [("processes_full", 2)]);
}

#[tokio::test(start_paused = true)]
async fn the_last_counters_of_a_dead_thread_are_in_the_sums() {
    let kernel = gunicorn();
    let (mut recorder, _living, _interrupt) = record_with_a_living_one(&kernel);
    recorder.keep_windows(SECOND);
    run_for(&mut recorder, 3 * SECOND, |tick| {
        let mut script = kernel.script();
        let at_ms = 1000 + 100 * u64::from(tick);
        if tick == 4 {
            // It ran for all of the 400 ms that it had.
            script.come_to(at_ms, &[(ONE, 500, [600, 0, 300])]);
            script.end(ONE, 0);
        }
        script.come_to(at_ms, &[(MASTER, 0, [10, 0, at_ms - 10])]);
    })
    .await
    .unwrap();
    let Recorded { stat, windows, .. } = recorder.finish().unwrap();
    assert_eq!(rows(&stat)[1], (ONE, [400, 400, 0, 0]));
    let row = stat.processes().nth(1).unwrap();
    assert_eq!((row.exited, row.death, row.born), (true, Some(Death::ExitStatus(0)), false));
    let ran = |window: &Window| {
        let row = window.workers.iter().find(|row| row.tgid == ONE);
        row.map_or(0, |row| row.counters.on_cpu_ns / MS)
    };
    assert_eq!(windows.iter().map(ran).collect::<Vec<_>>(), [400, 0, 0], "in its second, and in no other");
}

#[tokio::test(start_paused = true)]
async fn a_process_that_is_forked_has_a_row_from_its_birth() {
    let kernel = gunicorn();
    let (mut recorder, _interrupt) = record(&kernel);
    let child = 5_000_003;
    run_for(&mut recorder, SECOND, |tick| {
        if tick == 3 {
            kernel.script().fork(child, MASTER);
        }
    })
    .await
    .unwrap();
    two_seconds_later(&kernel);
    kernel.script().threads.push(lived((child, 1300, [700, 0, 1000])));
    let stat = recorder.finish().unwrap().stat;
    assert_eq!(rows(&stat)[3], (child, [1700, 700, 0, 1000]));
    assert!(stat.processes().map(|row| row.born).eq([false, false, false, true]));
}

#[tokio::test(start_paused = true)]
async fn who_changes_while_threads_are_read_is_as_it_stood_at_the_edge() {
    let kernel = gunicorn();
    let (recorder, _interrupt) = record(&kernel);
    two_seconds_later(&kernel);
    let mut script = kernel.script();
    // One goes on to sleep after the edge, the other is gone before it is listed.
    let (one, other) = (script.threads.remove(1), script.threads.remove(1));
    let later = lived((ONE, 500, [1205, 0, 1300]));
    script.changes = vec![(one, Some(later)), (other, None)];
    drop(script);
    let stat = recorder.finish().unwrap().stat;
    assert_eq!(rows(&stat)[1..], [(ONE, [2000, 1000, 0, 1000]), (OTHER, [2000, 500, 500, 1000])]);
}

#[tokio::test(start_paused = true)]
async fn a_late_edge_still_adds_up() {
    let kernel = gunicorn();
    let at = |at_ms: u64| {
        // One worker runs every other half second, and the other wants to while it does.
        let ran = at_ms / 1000 * 500 + (at_ms % 1000).min(500) - 500;
        let slept = at_ms - 500 - ran;
        kernel.script().come_to(
            at_ms,
            &[(MASTER, 0, [10, 0, at_ms - 10]), (ONE, 500, [ran, 0, slept]), (OTHER, 500, [0, ran, slept])],
        );
    };
    at(1000);
    let (mut recorder, _interrupt) = record(&kernel);
    recorder.keep_windows(SECOND);
    run_for(&mut recorder, 2 * SECOND, |tick| at(1000 + 170 * u64::from(tick))).await.unwrap();
    at(4700);
    let Recorded { stat, windows, .. } = recorder.finish().unwrap();
    assert_eq!(stat.duration_ns, 3700 * MS, "and not the two seconds that were asked for");
    for (tgid, [wall, on_cpu, run_queue, blocked]) in rows(&stat) {
        assert_eq!((wall, on_cpu + run_queue + blocked), (3700, 3700), "process {tgid}");
    }
    assert!(stat.processes().all(|row| row.counters.residual_ns(&row.waits) == 0));
    assert_eq!(windows.iter().map(|window| window.duration_ns).sum::<u64>(), 3700 * MS);
    for row in stat.processes() {
        let mut sum = [0; 3];
        for part in windows.iter().flat_map(|window| &window.workers).filter(|part| part.tgid == row.tgid) {
            let of = &part.counters;
            sum = [sum[0] + of.on_cpu_ns, sum[1] + of.run_queue_ns, sum[2] + of.blocked_ns];
        }
        assert_eq!(sum, [row.counters.on_cpu_ns, row.counters.run_queue_ns, row.counters.blocked_ns]);
    }
}

#[tokio::test(start_paused = true)]
async fn samples_are_whole_when_the_table_is_emptied() {
    let kernel = gunicorn();
    let known = sampled(ONE, 100);
    kernel.script().describe(known);
    kernel.script().counts.insert(known, samples(50));
    let (mut recorder, _interrupt) = record(&kernel);
    assert!(kernel.script().is_sampling);
    run_for(&mut recorder, SECOND, |tick| {
        let mut script = kernel.script();
        match tick {
            // The plan's table has room for four.
            2 => (101..104).for_each(|hash| script.describe(sampled(ONE, hash))),
            3 => script.counts.extend((101..104).map(|hash| (sampled(ONE, hash), samples(2)))),
            5 => assert_eq!(script.counts.insert(known, samples(7)), None, "it was emptied"),
            _ => {}
        }
    })
    .await
    .unwrap();
    let Recorded { stat, profile, .. } = recorder.finish().unwrap();
    let quality = stat.quality.samples.as_ref().unwrap();
    assert_eq!((quality.total, quality.stacks), (3 * 2 + 7, 4), "without the 50 from before the window");
    assert_eq!(profile.samples.iter().map(|sample| sample.count).sum::<u64>(), 13);
    assert!(profile.samples.iter().all(|sample| (sample.tgid, sample.tid) == (ONE, ONE)));
    assert_eq!(lost(&stat), []);
}

#[tokio::test(start_paused = true)]
async fn what_another_thread_had_is_described_by_it() {
    let kernel = gunicorn();
    let (mut recorder, _interrupt) = record(&kernel);
    let known = |key, content| KnownStackRecord {
        kind: RecordKind::KnownStack as u32,
        key,
        content,
        ..KnownStackRecord::zeroed()
    };
    let (one, other, strange) = (sampled(ONE, 100), sampled(OTHER, 100), sampled(OTHER, 101));
    run_for(&mut recorder, SECOND, |tick| {
        let mut script = kernel.script();
        if tick == 2 {
            // Of content 0, as all that the script describes.
            script.describe(one);
            script.send(&known(other, 0));
            script.send(&known(strange, 1));
            script.counts.extend([(one, samples(2)), (other, samples(3)), (strange, samples(4))]);
        }
    })
    .await
    .unwrap();
    let Recorded { stat, profile, .. } = recorder.finish().unwrap();
    let seen = |tgid| profile.samples.iter().find(|row| row.tgid == tgid && row.stack.is_some()).unwrap();
    assert_eq!((seen(ONE).count, seen(OTHER).count), (2, 3));
    assert_eq!(seen(ONE).stack, seen(OTHER).stack);
    assert_eq!(lost(&stat), [("stack_not_kept", 1), ("undescribed", 4)]);
}

#[tokio::test(start_paused = true)]
async fn a_stack_that_was_never_described_is_a_loss() {
    let kernel = gunicorn();
    let (recorder, _interrupt) = record(&kernel);
    kernel.script().counts.insert(sampled(OTHER, 100), samples(3));
    assert_eq!(lost(&recorder.finish().unwrap().stat), [("undescribed", 3)]);
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_not_caught_is_tried_again_and_told() {
    let kernel = gunicorn();
    let (recorder, _interrupt) = record(&kernel);
    assert_eq!(kernel.script().snapshots, 2, "a look at the threads, and the first edge");
    kernel.script().inexact = 2;
    let caught = recorder.finish().unwrap().stat;
    assert_eq!((kernel.script().snapshots, caught.quality.notes.len()), (2 + 3, 0));

    let kernel = gunicorn();
    kernel.script().inexact = u32::MAX;
    let (recorder, _interrupt) = record(&kernel);
    kernel.script().inexact = 0;
    let missed = recorder.finish().unwrap().stat;
    assert!(missed.quality.notes[0].contains("clock could not be caught"), "{:?}", missed.quality.notes);
}

#[tokio::test(start_paused = true)]
async fn requests_are_counted_from_where_the_window_begins_anew() {
    let kernel = gunicorn();
    let (mut recorder, _interrupt) = record(&kernel);
    two_seconds_later(&kernel);
    let mut answered = [Some(10), Some(45)].into_iter();
    recorder.count_requests_with(Box::new(move || answered.next().flatten())).unwrap();
    let Recorded { stat, requests, .. } = recorder.finish().unwrap();
    assert_eq!((requests, stat.started_unix_ns, stat.duration_ns), (Some(35), 3000 * MS, 0));
}

/// A bucket of 32 bits is full after 4.8 hours of 250,000 waits a second.
#[tokio::test(start_paused = true)]
async fn counters_pass_thirty_two_bits() {
    fn count(script: &mut Script, count: u64) {
        for ThreadRecord { task, waits } in &mut script.threads {
            let socket = Reason::Socket as usize;
            (task.voluntary, task.preempted, task.migrations) = (count, count, count);
            (waits.blocked[socket].count, waits.lengths[socket][10], waits.run_queue[3]) =
                (count, count, count);
            waits.wakers[0] = count;
        }
    }
    let (kernel, nearly) = (gunicorn(), u64::from(u32::MAX) - 100);
    count(&mut kernel.script(), nearly);
    let (recorder, _interrupt) = record(&kernel);
    two_seconds_later(&kernel);
    count(&mut kernel.script(), nearly + 500_000);
    let stat = recorder.finish().unwrap().stat;
    assert_eq!(stat.processes().count(), GUNICORN.len());
    for WorkerDelta { counters, waits, .. } in stat.processes() {
        let of_socket = &waits.blocked[Reason::Socket as usize];
        let [lengths, queued] =
            [&of_socket.histogram, &waits.run_queue].map(|times| times.counts().iter().sum());
        let switches = [counters.voluntary_switches, counters.preempted_switches, counters.migrations];
        let grew = [switches, [of_socket.count, lengths, queued], [waits.wakeups[0]; 3]];
        assert_eq!(grew.concat(), [500_000; 9]);
    }
}

/// So many processes are forked in each tick, run for a millisecond on a stack that all have, and end.
const STORM: u32 = 500;

/// Forks and ends a tick's part of the storm, by PIDs that nobody had.
fn storm(kernel: &ScriptedKernel, tick: u32) {
    let mut script = kernel.script();
    let at_ms = 1000 + 100 * u64::from(tick);
    for tgid in (OTHER + 1 + tick * STORM..).take(STORM as usize) {
        script.fork(tgid, MASTER);
        script.describe(sampled(tgid, 7));
        script.counts.insert(sampled(tgid, 7), samples(2));
        script.come_to(at_ms, &[(tgid, at_ms - 3, [1, 0, 2])]);
        script.end(tgid, if tgid.is_multiple_of(2) { 9 } else { 0 });
    }
    script.come_to(at_ms, &[(MASTER, 0, [10, 0, at_ms - 10])]);
}

#[tokio::test(start_paused = true)]
async fn many_who_ended_are_sums_in_which_all_of_them_count() {
    let kernel = gunicorn();
    let (mut recorder, _living, _interrupt) = record_with_a_living_one(&kernel);
    recorder.keep_windows(SECOND);
    run_for(&mut recorder, SECOND, |tick| storm(&kernel, tick)).await.unwrap();
    let first = recorder.end_interval().unwrap();
    run_for(&mut recorder, 2 * SECOND, |tick| storm(&kernel, 10 + tick)).await.unwrap();
    let second = recorder.end_interval().unwrap();
    let Recorded { stat, profile, windows, .. } = recorder.finish_interval().unwrap();

    let half = u64::from(10 * STORM);
    for (stat, all) in [(&first, half), (&second, half), (&stat, 2 * half)] {
        let ended = |row: &WorkerDelta| row.ended.clone().unwrap_or_default();
        let storm: Vec<_> = stat.processes().filter(|row| row.tgid > OTHER).collect();
        let alone = storm.iter().filter(|row| row.ended.is_none()).count() as u64;
        let together: u64 = storm.iter().map(|row| ended(row).processes).sum();
        assert_eq!(alone + together, all);
        assert!(together > 0 && storm.len() < 4200, "{} rows", storm.len());
        assert_eq!(storm.iter().map(|row| row.counters.on_cpu_ns).sum::<u64>(), all * MS);
        let socket = |row: &&WorkerDelta| row.waits.blocked[Reason::Socket as usize].clone();
        assert_eq!(storm.iter().map(|row| socket(row).ns).sum::<u64>(), all * 2 * MS);
        assert_eq!(storm.iter().map(|row| socket(row).count).sum::<u64>(), all);
        let killed = |row: &&WorkerDelta| {
            let together = ended(row).deaths.into_iter().filter(|of| of.death == Death::Signal(9));
            u64::from(row.death == Some(Death::Signal(9))) + together.map(|of| of.count).sum::<u64>()
        };
        assert_eq!(storm.iter().map(killed).sum::<u64>(), all / 2);
        assert_eq!(lost(stat), []);
    }
    assert_eq!(profile.samples.iter().map(|sample| sample.count).sum::<u64>(), 4 * half);
    assert!(profile.samples.len() < 4200, "one for those who have a row together");
    let on_cpu = |window: &Window| {
        let storm = window.workers.iter().filter(|row| row.tgid > OTHER);
        storm.map(|row| row.counters.on_cpu_ns / MS).sum::<u64>()
    };
    // Edges of so many take long, so there may be one window or two.
    assert_eq!(windows.iter().map(on_cpu).sum::<u64>(), 2 * half);
}
