//! Workers that die and are replaced: whose place they take, how they ended, what booting cost, and how evenly the
//! workers share the work.

use std::fs;

use profiler_tests::{
    books::{Books, state},
    gunicorn::Gunicorn,
    load::{self, Load},
    punchclock::{counter, worker, workers},
    record::Record,
    wait_for,
    watch::Watch,
    workload::signal,
};
use serde_json::{Value, json};

fn on_cpu_ns(tgid: u32) -> u64 {
    Books::of_process(tgid).values().map(|books| books.on_cpu_ns).sum()
}

fn watch(gunicorn: &Gunicorn) -> Watch {
    Watch::start(&gunicorn.master().to_string())
}

/// True if a process waits in `select`, as a sync worker does that has no work.
fn waits_for_work(tgid: u32) -> bool {
    let call = fs::read_to_string(format!("/proc/{tgid}/syscall")).unwrap_or_default();
    let number = call.split(' ').next().and_then(|number| number.parse().ok());
    number.is_some_and(|number| [libc::SYS_select, libc::SYS_pselect6].contains(&number))
}

/// Ends a worker by a signal, and waits until its successor waits for work and was seen to.
fn replace(gunicorn: &Gunicorn, watch: &mut Watch, tgid: u32, by: libc::c_int) -> u32 {
    let before = gunicorn.workers();
    signal(tgid, by);
    let fresh = || gunicorn.workers().into_iter().find(|tgid| !before.contains(tgid));
    wait_for("its successor", || state(tgid).is_none() && fresh().is_some_and(waits_for_work));
    let fresh = fresh().expect("it is there");
    watch.wait_for("its wait for work", |interval| {
        let mut workers = workers(interval).into_iter();
        workers.any(|worker| worker["tgid"] == fresh && counter(&worker["blocked_by"]["idle"], "ns") > 0)
    });
    fresh
}

/// Slot and generation.
fn place(of: &Value) -> (u64, u64) {
    (counter(of, "slot"), counter(of, "generation"))
}

#[test]
fn successors_take_the_places_of_the_dead() {
    let gunicorn = Gunicorn::start(3, &[]);
    let before = gunicorn.workers();
    wait_for("the workers to rest", || before.iter().all(|tgid| waits_for_work(*tgid)));
    let mut watch = watch(&gunicorn);
    let killed = replace(&gunicorn, &mut watch, before[1], libc::SIGKILL);
    let again = replace(&gunicorn, &mut watch, killed, libc::SIGKILL);
    let asked = replace(&gunicorn, &mut watch, before[0], libc::SIGTERM);
    let document = watch.end();
    let of = |tgid| worker(&document, tgid);
    let expected = [
        (before[0], (1, 0), json!({"exit_status": 0}), false),
        (before[1], (2, 0), json!({"signal": 9}), false),
        (before[2], (3, 0), Value::Null, false),
        (killed, (2, 1), json!({"signal": 9}), true),
        (again, (2, 2), Value::Null, true),
        (asked, (1, 1), Value::Null, true),
    ];
    for (tgid, at, death, born) in expected {
        assert_eq!((place(of(tgid)), &of(tgid)["death"]), (at, &death), "{tgid}");
        assert_eq!((&of(tgid)["exited"], &of(tgid)["born"]), (&(!death.is_null()).into(), &born.into()));
        assert_eq!(of(tgid)["boot_cpu_ns"].is_u64(), born, "{:#}", of(tgid));
    }
    assert_eq!(of(gunicorn.master()).get("slot"), None);
    let fleet = &document["fleets"][0];
    assert_eq!((counter(fleet, "boots"), counter(fleet, "deaths")), (3, 3));
    assert_eq!(workers(&document).len(), 7);
}

#[test]
fn workers_that_have_served_their_requests_end_by_themselves() {
    let gunicorn = Gunicorn::start(1, &["--max-requests", "5"]);
    let record = Record::start(&[gunicorn.master()], &["--json"]);
    let mut seen = gunicorn.workers();
    while seen.len() < 3 {
        let last = *seen.last().expect("one");
        wait_for("a worker to end and the next to wait", || {
            let next =
                gunicorn.workers().into_iter().find(|tgid| !seen.contains(tgid) && waits_for_work(*tgid));
            // A worker on its way out may drop a connection.
            let _ = next.is_none() && load::get(gunicorn.port).is_ok();
            seen.extend(next);
            state(last).is_none() && next.is_some()
        });
    }
    let recorded = record.end();
    let document = recorded.recording.stat();
    for (generation, tgid) in seen.iter().enumerate() {
        let worker = worker(document, *tgid);
        assert_eq!(place(worker), (1, generation as u64));
        let death = if generation < 2 { json!({"exit_status": 0}) } else { Value::Null };
        assert_eq!(worker["death"], death);
    }
}

#[test]
fn a_boot_costs_what_the_worker_has_used_when_it_first_waits_for_work() {
    let gunicorn = Gunicorn::serving("heavy_boot", 1, &[]);
    let first = gunicorn.workers()[0];
    let mut watch = watch(&gunicorn);
    let fresh = replace(&gunicorn, &mut watch, first, libc::SIGKILL);
    let used_by_then = on_cpu_ns(fresh);
    let answer = load::get(gunicorn.port).expect("it answers");
    let document = watch.end();
    let mut words = answer.lines().last().expect("a body").split(' ');
    let mut number = || words.next().and_then(|word| word.parse::<u64>().ok()).expect("a number");
    assert_eq!(number(), u64::from(fresh));
    // What it said when its import was done, before it waited; and the kernel's book while it waits.
    let used_at_import = number();
    let boot = counter(worker(&document, fresh), "boot_cpu_ns");
    assert!((used_at_import..=used_by_then).contains(&boot), "{used_at_import} ≤ {boot} ≤ {used_by_then}");
    assert!(used_at_import >= 200_000_000 && used_by_then < 2 * used_at_import, "{used_by_then}");
}

#[test]
fn a_worker_that_does_nothing_is_an_imbalance() {
    let gunicorn = Gunicorn::start(2, &[]);
    let [stopped, works] = gunicorn.workers()[..] else { panic!("two workers") };
    let watch = watch(&gunicorn);
    signal(stopped, libc::SIGSTOP);
    let load = Load::start(gunicorn.port, 2);
    let before = on_cpu_ns(works);
    wait_for("the other to work", || on_cpu_ns(works) > before + 500_000_000);
    drop(load);
    signal(stopped, libc::SIGCONT);
    let document = watch.end();
    let imbalance = &document["fleets"][0]["imbalance"];
    let used = [stopped, works].map(|tgid| counter(worker(&document, tgid), "on_cpu_ns") as f64);
    let sum: f64 = used.iter().sum();
    for (index, tgid) in [stopped, works].into_iter().enumerate() {
        let share = &imbalance["shares"][index];
        assert_eq!((&share["slot"], &share["tgids"]), (&json!(index + 1), &json!([tgid])));
        let cpu = share["cpu"].as_f64().expect("a share");
        assert!((cpu - used[index] / sum).abs() < 1e-9, "{share}");
    }
    // Of two, the deviation by the mean is what one has more than the other by what they have together.
    let cv = imbalance["cpu_cv"].as_f64().expect("a number");
    assert!((cv - (used[1] - used[0]).abs() / sum).abs() < 1e-9 && cv > 0.8, "{imbalance}");
    assert!(imbalance["wakeups_cv"].is_f64());
}

/// A connection wakes every worker that waits at the same socket; those that come too late find nothing.
#[test]
fn each_wakeup_has_work_or_is_empty() {
    let gunicorn = Gunicorn::start(4, &[]);
    let tgids = gunicorn.workers();
    let rest = || wait_for("the workers to rest", || tgids.iter().all(|tgid| waits_for_work(*tgid)));
    rest();
    let watch = watch(&gunicorn);
    let requests = 40;
    for _ in 0..requests {
        load::get(gunicorn.port).expect("it answers");
        rest();
    }
    // A worker that was woken may not have run by then, and the last wait of each must have begun.
    watch.wait_for("an interval of rest", |interval| {
        let idle = |worker: &&Value| counter(&worker["blocked_by"]["idle"], "count") == 0;
        workers(interval).iter().filter(|worker| worker["role"] == "worker").all(idle)
    });
    let document = watch.end();
    let sum = |of: fn(&Value) -> u64| tgids.iter().map(|tgid| of(worker(&document, *tgid))).sum::<u64>();
    let ended = sum(|worker| counter(&worker["blocked_by"]["idle"], "count"));
    let empty = sum(|worker| counter(worker, "empty_wakeups"));
    // The wait of each from before us, and its first one on a stack that is new, have none before to compare with.
    let unknown = 2 * tgids.len() as u64;
    assert!((ended - unknown..=ended).contains(&(empty + requests)), "{ended} waits ended, {empty} empty");
    assert!(empty > 0, "{ended} waits ended, all with work");
    assert!(worker(&document, gunicorn.master()).get("empty_wakeups").is_none(), "a master has no work");
}
