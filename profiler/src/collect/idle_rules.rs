//! Tells waits for work from other waits: the table of rules by server and library.
//!
//! The kernel tells what a thread waits on: a socket, a lock, a time. Whether it waits there for work only its Python
//! stack tells: by the function that waits, which is the innermost one that is not plumbing.

use profiler_common::wait::Reason;

use crate::{
    fleet::servers::{Functions, SERVERS},
    model::plumbing,
};

/// Where threads of libraries wait for work, whichever server they serve.
const LIBRARIES: &[Functions] = &[
    // Event loops: whoever waits there has nothing else to do, whatever its tasks wait for.
    ("gevent/hub.py", &["run"]),
    ("eventlet/hubs/hub.py", &["run"]),
    ("eventlet/hubs/poll.py", &["wait"]),
    ("eventlet/hubs/selects.py", &["wait"]),
    ("trio/_core/_io_epoll.py", &["get_events"]),
    ("asyncio/base_events.py", &["_run_once", "run_forever"]),
    ("asyncio/runners.py", &["run"]),
    ("tornado/ioloop.py", &["start"]),
    // Threads of a pool that wait for their next task.
    ("concurrent/futures/thread.py", &["_worker"]),
    ("gevent/threadpool.py", &["run"]),
    // The standard library's servers, and its thread that writes logs.
    ("socketserver.py", &["serve_forever"]),
    ("logging/handlers.py", &["_monitor", "dequeue"]),
];

/// All functions that wait for work: the servers' and the libraries'.
fn functions_that_wait() -> impl Iterator<Item = &'static Functions> {
    SERVERS.iter().flat_map(|server| server.waits_for_work).chain(LIBRARIES)
}

/// What a waiting thread runs, as far as Python is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Runs {
    /// The thread runs Python; or it is not known what it runs.
    Python,
    /// The thread belongs to an interpreter, and runs no Python just now.
    Nothing,
    /// The thread waits in native code that Python never called, for something that may come to whoever waits there: for a
    /// lock, a time, one of several descriptors.
    Native {
        /// True of its process's first thread, whose process has an interpreter then.
        is_first: bool,
    },
}

/// What a thread waits for, by what the kernel says and the Python stack on which it waits, root first, as names and
/// files.
#[must_use]
pub fn reclassify<'a>(
    reason: Reason,
    runs: Runs,
    stack: impl DoubleEndedIterator<Item = (&'a str, &'a str)>,
) -> Reason {
    // These are what they are, whoever asks for them; a child's end is what some masters wait for.
    let certain = [Reason::Idle, Reason::Gil, Reason::Disk, Reason::PageFault, Reason::Signal];
    if certain.contains(&reason) {
        return reason;
    }
    let mut innermost_first = stack.rev().peekable();
    let has_frames = innermost_first.peek().is_some();
    let (mut waits_for_work, mut through_threading) = (false, false);
    let waiting = innermost_first.find(|(name, file)| {
        waits_for_work = functions_that_wait().any(|rule| matches(rule, name, file));
        let is_plumbing = plumbing::is_plumbing(file);
        through_threading |= is_plumbing && reason == Reason::Lock;
        waits_for_work || !is_plumbing
    });
    // A thread whose own function waits for an event, a queue or a condition has nothing to do until it is told.
    let is_told =
        through_threading && innermost_first.next().is_some_and(|(_, file)| plumbing::is_threading(file));
    match (waiting, runs) {
        _ if reason == Reason::Child && !waits_for_work => reason,
        // uWSGI and mod_wsgi, which are C, enter Python for each request: outside of it they wait for one.
        (None, Runs::Nothing | Runs::Native { is_first: true }) => Reason::Idle,
        (None, Runs::Native { is_first: false }) => Reason::Parked,
        // `threading.Timer`, which runs nothing of its own.
        (None, Runs::Python) if has_frames && reason == Reason::Lock => Reason::Idle,
        (Some(_), _) if waits_for_work || is_told => Reason::Idle,
        _ => reason,
    }
}

fn matches((rules_file, names): &Functions, name: &str, file: &str) -> bool {
    let name = name.rsplit('.').next().unwrap_or(name);
    let in_file =
        file.strip_suffix(rules_file).is_some_and(|folder| folder.is_empty() || folder.ends_with('/'));
    in_file && (names.is_empty() || names.contains(&name))
}

#[cfg(test)]
mod tests {
    use Reason::{Idle, Lock, Pipe, Sleep, Socket};

    use super::*;

    const PACKAGES: &str = "/srv/venv/lib/python3.11/site-packages";
    const LIBRARY: &str = "/usr/lib/python3.11";

    /// Settles a stack, root first, of names and files below the packages (`!`) or the library (`-`).
    fn reclassified(reason: Reason, stack: &[(&str, &str)]) -> Reason {
        let path = |file: &str| match file.split_at(1) {
            ("!", file) => format!("{PACKAGES}/{file}"),
            ("-", file) => format!("{LIBRARY}/{file}"),
            _ => file.to_owned(),
        };
        let stack: Vec<_> = stack.iter().map(|(name, file)| (*name, path(file))).collect();
        let runs = if stack.is_empty() { Runs::Nothing } else { Runs::Python };
        reclassify(reason, runs, stack.iter().map(|(name, file)| (*name, file.as_str())))
    }

    #[test]
    fn gunicorn() {
        let sync = |name| reclassified(Socket, &[(name, "!gunicorn/workers/sync.py")]);
        assert_eq!(sync("SyncWorker.wait"), Idle);
        assert_eq!(sync("wait"), Idle, "before 3.11");
        assert_eq!(sync("SyncWorker.handle"), Socket, "it reads a request");
        let gthread =
            [("ThreadWorker.run", "!gunicorn/workers/gthread.py"), ("EpollSelector.select", "-selectors.py")];
        assert_eq!(reclassified(Socket, &gthread), Idle);
        assert_eq!(reclassified(Socket, &[("Hub.run", "!gevent/hub.py")]), Idle);
        let thread =
            [("_WorkerGreenlet.run", "!gevent/threadpool.py"), ("Queue.get", "!gevent/_threading.py")];
        assert_eq!(reclassified(Lock, &thread), Idle);
        let task = [thread[0], ("_WorkerGreenlet.__run_task", "!gevent/threadpool.py")];
        assert_eq!(reclassified(Lock, &task), Lock);
        let master = [("Arbiter.wait_for_signals", "!gunicorn/arbiter.py"), ("Queue.get", "-queue.py")];
        assert_eq!(reclassified(Lock, &master), Idle);
        let asgi_on_uvloop = [master[0], ("ASGIWorker.run", "!gunicorn/workers/gasgi.py")];
        assert_eq!(reclassified(Socket, &asgi_on_uvloop), Idle);
    }

    #[test]
    fn event_loops() {
        let asyncio = [
            ("BaseEventLoop.run_forever", "-asyncio/base_events.py"),
            ("BaseEventLoop._run_once", "-asyncio/base_events.py"),
            ("EpollSelector.select", "-selectors.py"),
        ];
        assert_eq!(reclassified(Socket, &asyncio), Idle);
        let blocking =
            [asyncio[0], asyncio[1], ("Handle._run", "-asyncio/events.py"), ("view", "/srv/app.py")];
        assert_eq!(reclassified(Sleep, &blocking), Sleep, "it blocks the loop");
        assert_eq!(reclassified(Socket, &[("Server.run", "!uvicorn/server.py")]), Idle, "uvloop");
        assert_eq!(reclassified(Socket, &[("asyncio_run", "!uvicorn/_compat.py")]), Idle, "the same");
    }

    #[test]
    fn pools() {
        let thread = [("Thread.run", "-threading.py"), ("_worker", "-concurrent/futures/thread.py")];
        assert_eq!(reclassified(Lock, &thread), Idle);
        let task = [thread[0], thread[1], ("view", "/srv/app.py")];
        assert_eq!(reclassified(Sleep, &task), Sleep, "a view that sleeps");
        let multiprocessing =
            [("worker", "-multiprocessing/pool.py"), ("Connection._recv", "-multiprocessing/connection.py")];
        assert_eq!(reclassified(Pipe, &multiprocessing), Idle);
        let feeder =
            [thread[0], ("Queue._feed", "-multiprocessing/queues.py"), ("Condition.wait", "-threading.py")];
        assert_eq!(reclassified(Lock, &feeder), Idle);
        assert_eq!(reclassified(Lock, &[thread[0], feeder[2]]), Idle, "a timer");
        assert_eq!(reclassified(Sleep, &[thread[0], feeder[2]]), Sleep);
        let own = ("poll_flags", "/srv/app.py");
        assert_eq!(reclassified(Lock, &[thread[0], own, feeder[2]]), Idle, "a thread that waits to be told");
        assert_eq!(reclassified(Lock, &[thread[0], own]), Lock, "it takes a lock itself");
        assert_eq!(
            reclassified(Lock, &[thread[0], own, ("load", "/srv/app.py"), feeder[2]]),
            Lock,
            "it asked for something"
        );
        assert_eq!(
            reclassified(Lock, &[("<module>", "/srv/app.py"), own, feeder[2]]),
            Lock,
            "not the thread's own function"
        );
    }

    #[test]
    fn masters_and_loops_of_other_servers() {
        let hypercorn = [("run", "!hypercorn/run.py"), ("wait", "-multiprocessing/connection.py")];
        assert_eq!(reclassified(Socket, &hypercorn), Idle);
        let trio =
            [("run", "!trio/_core/_run.py"), ("EpollIOManager.get_events", "!trio/_core/_io_epoll.py")];
        assert_eq!(reclassified(Socket, &trio), Idle);
        assert_eq!(reclassified(Socket, &[trio[0], ("view", "/srv/app.py")]), Socket, "it blocks the loop");
        let eventlet = [("Hub.run", "!eventlet/hubs/hub.py"), ("Hub.wait", "!eventlet/hubs/poll.py")];
        assert_eq!(reclassified(Socket, &eventlet), Idle);
        let watcher = [
            ("Thread.run", "-threading.py"),
            ("AbstractWorker._watcher", "!granian/server/common.py"),
            ("BaseProcess.join", "-multiprocessing/process.py"),
            ("Popen.poll", "-multiprocessing/popen_fork.py"),
        ];
        assert_eq!(reclassified(Reason::Child, &watcher), Idle);
        let own = [watcher[0], ("view", "/srv/app.py"), watcher[2], watcher[3]];
        assert_eq!(reclassified(Reason::Child, &own), Reason::Child, "a view that waits for its own process");
        assert_eq!(reclassified(Socket, &[("poll", "!waitress/wasyncore.py")]), Idle);
    }

    #[test]
    fn frozen_applications_whose_files_have_no_folders() {
        let pool = [("_worker", "concurrent/futures/thread.py")];
        assert_eq!(reclassified(Lock, &pool), Idle);
        let timer = [("Thread.run", "threading.py"), ("Condition.wait", "threading.py")];
        assert_eq!(reclassified(Lock, &timer), Idle);
        let queue = [pool[0], ("view", "app.py"), ("Queue.get", "queue.py"), timer[1]];
        assert_eq!(reclassified(Lock, &queue), Lock);
        assert_eq!(reclassified(Socket, &[("SyncWorker.wait", "gunicorn/workers/sync.py")]), Idle);
    }

    #[test]
    fn celery() {
        let job = [
            ("Worker.workloop", "!billiard/pool.py"),
            ("Worker._make_recv_method.<locals>._recv", "!billiard/pool.py"),
            ("Connection._recv", "!billiard/connection.py"),
        ];
        assert_eq!(reclassified(Pipe, &job), Idle);
        let task = [job[0], ("trace_task", "!celery/app/trace.py"), ("add", "/srv/tasks.py")];
        assert_eq!(reclassified(Sleep, &task), Sleep, "a task that sleeps");
        let transport = ("Transport.drain_events", "!kombu/transport/virtual/base.py");
        let polling = [("synloop.<locals>._loop_cycle", "!celery/worker/loops.py"), transport];
        assert_eq!(reclassified(Sleep, &polling), Idle, "it polls its broker");
        let result = [task[2], ("BaseResultConsumer.drain_events", "!celery/backends/rpc.py"), transport];
        assert_eq!(reclassified(Socket, &result), Socket, "it waits for a task's result");
    }

    #[test]
    fn job_queues() {
        let rq = [
            ("Queue.dequeue_any", "!rq/queue.py"),
            ("Queue.lpop", "!rq/queue.py"),
            ("Redis.execute_command", "!redis/client.py"),
            ("SocketBuffer._read_from_socket", "!redis/_parsers/socket.py"),
        ];
        assert_eq!(reclassified(Socket, &rq), Idle);
        let cache = [("view", "/srv/app.py"), rq[2], rq[3]];
        assert_eq!(reclassified(Socket, &cache), Socket, "a view that asks redis");
    }

    #[test]
    fn waits_inside_of_a_request_stay_what_they_are() {
        let view = [("_worker", "-concurrent/futures/thread.py"), ("view", "/srv/app.py")];
        assert_eq!(reclassified(Socket, &view), Socket, "psycopg2 and libpq are C");
        let requests = [
            view[0],
            view[1],
            ("HTTPConnection.getresponse", "!urllib3/connection.py"),
            ("HTTPResponse._read_status", "-http/client.py"),
            ("SocketIO.readinto", "-socket.py"),
        ];
        assert_eq!(reclassified(Socket, &requests), Socket);
        let queue = [view[0], view[1], ("Queue.get", "-queue.py"), ("Condition.wait", "-threading.py")];
        assert_eq!(reclassified(Lock, &queue), Lock);
        assert_eq!(reclassified(Lock, &[view[1]]), Lock, "threading.Lock is C");
        assert_eq!(reclassified(Sleep, &[view[1]]), Sleep, "time.sleep is C");
    }

    #[test]
    fn servers_in_c() {
        assert_eq!(reclassified(Socket, &[]), Idle, "uWSGI's epoll");
        let module = [("<module>", "/srv/venv/bin/pyuwsgi"), ("application", "/srv/app.py")];
        assert_eq!(reclassified(Socket, &module[..1]), Idle, "in uWSGI as a module");
        assert_eq!(reclassified(Socket, &module), Socket, "in its application");
        assert_eq!(reclassified(Lock, &[]), Idle, "uWSGI's lock around accept");
        let native = |reason, is_first| reclassify(reason, Runs::Native { is_first }, [].into_iter());
        assert_eq!(
            (native(Lock, false), native(Socket, true)),
            (Reason::Parked, Idle),
            "a pool's; uWSGI's master"
        );
        assert_eq!(reclassify(Socket, Runs::Python, [].into_iter()), Socket, "it receives");
    }

    #[test]
    fn what_is_certain_stays() {
        let idle = [("SyncWorker.wait", "!gunicorn/workers/sync.py")];
        for reason in [Reason::Gil, Reason::Disk, Reason::PageFault, Reason::Signal] {
            assert_eq!(reclassified(reason, &idle), reason);
        }
        assert_eq!(reclassified(Reason::Child, &[("view", "/srv/app.py")]), Reason::Child);
        assert_eq!(reclassified(Reason::Child, &[]), Reason::Child);
        assert_eq!(reclassified(Socket, &[("wait", "/srv/mygunicorn/workers/sync.py")]), Socket);
    }
}
