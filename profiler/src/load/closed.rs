//! The closed loop: so many clients, each of which asks again as soon as it is answered.

use std::{rc::Rc, time::Duration};

use tokio::{task::JoinSet, time::sleep};

use super::{client::Client, job::Job};
use crate::sys::clock::monotonic_ns;

/// How long a client lets a server be that did not take its request: one that is down is not asked at full speed.
const PAUSE: Duration = Duration::from_millis(10);

/// Asks until the job is over, and until all that was asked is answered.
pub async fn run(job: Rc<Job>, concurrency: u32) {
    let mut clients = JoinSet::new();
    for _ in 0..concurrency {
        clients.spawn_local(ask_again(Rc::clone(&job)));
    }
    while clients.join_next().await.is_some() {}
}

async fn ask_again(job: Rc<Job>) {
    let mut client = Client::default();
    while job.take() {
        job.tally.sent(0);
        let sent_ns = monotonic_ns();
        let outcome = client.ask(&job.template).await;
        job.tally.answered(&outcome, monotonic_ns() - sent_ns);
        if outcome.answer.is_err_and(|request_error| !request_error.is_from_server()) {
            sleep(PAUSE).await;
        }
    }
}
