//! Tests of the generator against a server that counts as well.

use std::{net::TcpListener, time::Duration};

use super::{
    server::{Act, Behaviour, TestServer},
    *,
};
use crate::{model::load::Load, sys::clock::monotonic_ns};

const CLOSED: Pattern = Pattern::Closed { concurrency: 4 };

fn requests(requests: u64) -> LoadOptions {
    LoadOptions { requests: Some(requests), ..LoadOptions::default() }
}

/// The whole of a load that ends by itself.
fn whole(target: &TargetUrl, pattern: Pattern, options: LoadOptions) -> (Load, LoadReading) {
    assert!(options.requests.is_some());
    let generator = Generator::start(target, pattern, options).unwrap();
    let mut start = generator.reading();
    while !generator.is_finished() {
        std::thread::yield_now();
    }
    let end = generator.stop().unwrap();
    // From the very beginning.
    (start.completed, start.sent, start.late, start.resent) = (0, 0, 0, 0);
    start.errors.clear();
    start.latency.reset();
    (between(&start, &end), end)
}

fn errors(load: &Load) -> Vec<(&str, u64)> {
    load.errors.iter().map(|(name, count)| (name.as_str(), *count)).collect()
}

#[test]
fn what_only_announces_an_answer_is_none() {
    let server = TestServer::start(|_| Act::Announce);
    let (load, _) = whole(&server.target(), CLOSED, requests(100));
    assert_eq!((load.requests, load.errors(), server.seen().requests), (100, 0, 100), "{:?}", load.errors);
    let server = TestServer::start(|_| Act::Answer(101));
    let (load, _) = whole(&server.target(), CLOSED, requests(10));
    assert_eq!(load.requests, 0, "{:?}", load.errors);
}

#[test]
fn requests_are_counted_on_both_sides() {
    let server = TestServer::start(|_| Act::Answer(200));
    let (load, end) = whole(&server.target(), CLOSED, requests(1000));
    assert_eq!((load.requests, load.errors(), server.seen().requests), (1000, 0, 1000));
    assert_eq!((end.sent, end.late, end.resent, end.latency.len()), (1000, 0, 0, 1000));
    assert_eq!(server.seen().connections, 4, "connections are kept");
    let latency = load.latency.unwrap();
    assert!(!latency.from_due_time);
    let rising = [
        Some(1),
        Some(latency.p50_ns),
        latency.p90_ns,
        latency.p95_ns,
        Some(latency.p99_ns),
        Some(latency.max_ns),
    ];
    assert!(rising.is_sorted() && rising.iter().all(Option::is_some), "{latency:?}");
    assert!(latency.mean_ns <= latency.max_ns && latency.max_ns <= load.duration_ns + load.duration_ns / 100);
    let cpu_ns = load.own_cpu_ns.unwrap();
    assert!(0 < cpu_ns && cpu_ns < load.duration_ns, "{cpu_ns} of {}", load.duration_ns);
}

#[test]
fn each_request_may_have_its_own_connection() {
    let server = TestServer::start(|_| Act::Answer(200));
    let (load, end) = whole(&server.target(), CLOSED, LoadOptions { keep_alive: false, ..requests(200) });
    assert_eq!((load.requests, load.errors(), end.resent), (200, 0, 0));
    assert_eq!(server.seen().connections, 200);
}

#[test]
fn concurrency_is_reached_and_never_passed() {
    let server = TestServer::start(|_| Act::Gather(7));
    let (load, _) = whole(&server.target(), Pattern::Closed { concurrency: 7 }, requests(500));
    assert_eq!((load.requests, server.seen().busy_max), (500, 7));
}

#[test]
fn a_server_may_close_between_requests() {
    for act in [(|_| Act::LastAnswer) as Behaviour, |_| Act::LastAnswerUnsaid] {
        let server = TestServer::start(act);
        let (load, _) = whole(&server.target(), CLOSED, requests(100));
        assert_eq!((load.requests, load.errors()), (100, 0), "{:?}", load.errors);
        assert_eq!(server.seen().connections, 100);
    }
}

#[test]
fn what_goes_wrong_is_counted_by_kind() {
    let odd = TestServer::start(|request| Act::Answer([200, 503, 404, 302][request as usize % 4]));
    let (load, end) = whole(&odd.target(), CLOSED, requests(400));
    assert_eq!((load.requests, errors(&load)), (200, vec![("status 404", 100), ("status 503", 100)]));
    assert_eq!((end.latency.len(), odd.seen().connections), (200, 4));

    let cases: [(Behaviour, _); 4] = [
        (|_| Act::CloseEarly, "closed early"),
        (|_| Act::Reset, "reset"),
        (|_| Act::Babble, "malformed answer"),
        (|_| Act::Ignore, "timeout"),
    ];
    for (act, name) in cases {
        let server = TestServer::start(act);
        let options = LoadOptions { timeout: Duration::from_millis(300), ..requests(8) };
        let (load, end) = whole(&server.target(), CLOSED, options);
        assert_eq!((load.requests, errors(&load), end.latency.len()), (0, vec![(name, 8)], 0));
        assert_eq!((load.latency, server.seen().requests), (None, 8));
    }
}

#[test]
fn who_does_not_listen_refuses() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = TargetUrl::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
    drop(listener);
    let (load, _) = whole(&target, CLOSED, requests(8));
    assert_eq!((load.requests, errors(&load)), (0, vec![("refused", 8)]));
}

const STALL: Duration = Duration::from_millis(500);

#[test]
fn an_open_loop_sees_who_waited_behind_a_stall() {
    let act = |request| if request == 50 { Act::Stall(STALL) } else { Act::Answer(200) };
    // Over two seconds a fourth of the requests are due while nobody is answered.
    let server = TestServer::start(act);
    let pattern = Pattern::Open { rate_hz: 200.0, connections_max: 3 };
    let (load, end) = whole(&server.target(), pattern, requests(400));
    assert_eq!((load.requests, load.errors(), end.sent, server.seen().requests), (400, 0, 400, 400));
    assert!(server.seen().connections <= 3 && server.seen().busy_max <= 3);
    assert!(load.duration_ns > 1_990_000_000, "{}", load.duration_ns);
    let latency = load.latency.unwrap();
    assert!(latency.from_due_time);
    assert!(latency.p99_ns > 400_000_000, "{latency:?}");
    // Of evenly 100 that wait at most 500 ms, 50 wait more than half of it.
    let waited = end.latency.count_between(250_000_000, u64::MAX);
    assert!(waited >= 50, "{waited}");

    let server = TestServer::start(act);
    let (load, end) = whole(&server.target(), Pattern::Closed { concurrency: 3 }, requests(400));
    assert!(load.latency.unwrap().max_ns >= STALL.as_nanos() as u64);
    let waited = end.latency.count_between(250_000_000, u64::MAX);
    assert!(waited <= 3, "each client waits for one answer: {waited}");
}

#[test]
fn an_open_loop_opens_connections_as_it_needs_them() {
    let server = TestServer::start(|_| Act::Gather(20));
    let pattern = Pattern::Open { rate_hz: 1000.0, connections_max: 50 };
    let (load, _) = whole(&server.target(), pattern, requests(200));
    assert_eq!((load.requests, load.errors()), (200, 0));
    assert!((20..=50).contains(&server.seen().busy_max), "{:?}", server.seen());
}

#[test]
fn a_reading_is_consistent_at_any_time() {
    let server = TestServer::start(|request| Act::Answer(if request % 3 == 0 { 500 } else { 200 }));
    let generator = Generator::start(&server.target(), CLOSED, LoadOptions::default()).unwrap();
    let first = generator.reading();
    let mut last = first.clone();
    while last.completed < 500 {
        let reading = generator.reading();
        assert_eq!(reading.completed, reading.latency.len());
        let over = reading.completed + reading.errors.values().sum::<u64>();
        assert!(reading.sent >= over && reading.sent - over <= 4, "{} {over}", reading.sent);
        assert!(reading.at_ns >= last.at_ns && reading.own_cpu_ns >= last.own_cpu_ns);
        let load = between(&first, &reading);
        assert_eq!(load.requests, reading.completed - first.completed);
        last = reading;
    }
    let counter = generator.completed();
    let end = generator.stop().unwrap();
    assert_eq!(counter.load(std::sync::atomic::Ordering::Relaxed), end.completed);
    assert_eq!(end.sent, server.seen().requests, "all that was sent is answered");
    assert_eq!(end.sent, end.completed + end.errors.values().sum::<u64>());
}

#[test]
fn a_dropped_generator_is_gone_at_once() {
    let server = TestServer::start(|_| Act::Ignore);
    for pattern in [CLOSED, Pattern::Open { rate_hz: 10.0, connections_max: 1 }] {
        let before = server.seen().requests;
        let generator = Generator::start(&server.target(), pattern, LoadOptions::default()).unwrap();
        let task = format!("/proc/self/task/{}", generator.tid());
        while server.seen().requests == before {
            std::thread::yield_now();
        }
        assert!(std::fs::exists(&task).unwrap());
        let began_ns = monotonic_ns();
        drop(generator);
        assert!(monotonic_ns() - began_ns < 10_000_000_000, "it does not wait for a timeout");
        // The kernel takes a thread out of its lists a little after it can be joined.
        while std::fs::exists(&task).unwrap() {
            assert!(monotonic_ns() - began_ns < 10_000_000_000, "its thread is still there");
            std::thread::yield_now();
        }
    }
}

#[test]
fn nothing_is_asked_for_refused() {
    let target = TargetUrl::parse("http://127.0.0.1/").unwrap();
    for pattern in [
        Pattern::Closed { concurrency: 0 },
        Pattern::Open { rate_hz: 0.0, connections_max: 1 },
        Pattern::Open { rate_hz: f64::NAN, connections_max: 1 },
        Pattern::Open { rate_hz: 1.0, connections_max: 0 },
    ] {
        assert!(Generator::start(&target, pattern, LoadOptions::default()).is_err(), "{pattern:?}");
    }
}

fn first_answer_of(target: &TargetUrl, within: Duration) -> anyhow::Result<u16> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(first_answer(target, within))
}

#[test]
fn a_server_is_up_when_it_answers() {
    let late = TestServer::start(|request| Act::Answer(if request < 3 { 502 } else { 404 }));
    assert_eq!(first_answer_of(&late.target(), Duration::from_secs(20)).unwrap(), 404);
    assert_eq!(late.seen().requests, 4);

    let broken = TestServer::start(|_| Act::Answer(500));
    let error = first_answer_of(&broken.target(), Duration::from_millis(300)).unwrap_err();
    assert!(format!("{error:#}").ends_with("in 300ms: status 500"), "{error:#}");
    let deaf = TestServer::start(|_| Act::Ignore);
    let error = first_answer_of(&deaf.target(), Duration::from_millis(300)).unwrap_err();
    assert!(format!("{error:#}").ends_with("in 300ms: timeout"), "{error:#}");
}
