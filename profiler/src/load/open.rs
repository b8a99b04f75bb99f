//! The open loop: so many requests a second, whether the server keeps up or not.
//!
//! The clock of a request starts when it was due. So the requests that a stalled server kept from being sent count
//! the stall in, as those clients would that a real server has (coordinated omission).

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use anyhow::{Context, Result};
use tokio::{io::unix::AsyncFd, sync::Notify, task::spawn_local};

use super::{client::Client, job::Job};
use crate::sys::{clock::monotonic_ns, timer::Timer};

/// Asks until the job is over, and until all that was asked is answered.
pub async fn run(job: Rc<Job>, rate_hz: f64, connections_max: u32) -> Result<()> {
    let timer = watch(Timer::new().context("failed to make a timer")?)?;
    let schedule = Rc::new(Schedule {
        started_ns: monotonic_ns(),
        interval_ns: 1e9 / rate_hz,
        next: Cell::new(0),
        busy: Cell::new(0),
        all_busy_since_ns: Cell::new(None),
        idle: RefCell::default(),
        freed: Notify::new(),
    });
    loop {
        while schedule.busy.get() < connections_max
            && let Some(due_ns) = schedule.take(&job)
        {
            schedule.busy.set(schedule.busy.get() + 1);
            if schedule.busy.get() == connections_max {
                schedule.all_busy_since_ns.set(Some(monotonic_ns()));
            }
            let client = schedule.idle.borrow_mut().pop().unwrap_or_default();
            spawn_local(ask_on(Rc::clone(&job), Rc::clone(&schedule), client, due_ns));
        }
        if job.is_over() {
            break;
        }
        if schedule.busy.get() == connections_max {
            // Who is due meanwhile is taken by the first connection that could be freed.
            tokio::select! {
                () = schedule.freed.notified() => {}
                () = job.told_to_stop() => {}
            }
            continue;
        }
        timer.get_ref().set(schedule.due_ns()).context("failed to set a timer")?;
        tokio::select! {
            // Setting it anew undoes that it went off: nothing needs to be read.
            went_off = timer.readable() => went_off.context("failed to wait for a timer")?.clear_ready(),
            () = job.told_to_stop() => {}
        }
    }
    while schedule.busy.get() > 0 {
        schedule.freed.notified().await;
    }
    Ok(())
}

#[expect(
    unsafe_code,
    reason = "tokio wants to be told that a descriptor stays open, in the thread that waits for it"
)]
fn watch(timer: Timer) -> Result<AsyncFd<Timer>> {
    // SAFETY: the timer owns its descriptor, and shows always the same.
    unsafe { AsyncFd::register(timer) }.context("failed to watch a timer")
}

/// Requests in the order in which they are due, and the connections that serve them.
struct Schedule {
    started_ns: u64,
    interval_ns: f64,
    /// How many have been taken from its head.
    next: Cell<u64>,
    /// Connections in use.
    busy: Cell<u32>,
    /// Since when all connections are in use, so that no further request can be sent, ns; `None` if one is free.
    all_busy_since_ns: Cell<Option<u64>>,
    idle: RefCell<Vec<Client>>,
    /// A connection is not in use any more.
    freed: Notify,
}

impl Schedule {
    /// Due time of the first request.
    fn due_ns(&self) -> u64 {
        self.started_ns + (self.next.get() as f64 * self.interval_ns) as u64
    }

    /// The due time of the first request in the schedule, if it is due; the request is to be sent now.
    fn take(&self, job: &Job) -> Option<u64> {
        let (due_ns, now_ns) = (self.due_ns(), monotonic_ns());
        if due_ns > now_ns || !job.take() {
            return None;
        }
        self.next.set(self.next.get() + 1);
        // The request is late by our fault only if a connection was free when it was due.
        let had_to_wait = self.all_busy_since_ns.get().is_some_and(|since_ns| since_ns <= due_ns);
        job.tally.sent(if had_to_wait { 0 } else { now_ns - due_ns });
        Some(due_ns)
    }
}

/// Asks on one connection, then for what has been waiting for one.
async fn ask_on(job: Rc<Job>, schedule: Rc<Schedule>, mut client: Client, due_ns: u64) {
    let mut due = Some(due_ns);
    while let Some(due_ns) = due {
        let outcome = client.ask(&job.template).await;
        job.tally.answered(&outcome, monotonic_ns() - due_ns);
        due = schedule.take(&job);
    }
    schedule.idle.borrow_mut().push(client);
    schedule.all_busy_since_ns.set(None);
    schedule.busy.set(schedule.busy.get() - 1);
    schedule.freed.notify_one();
}
