//! The built-in load generator, on a thread of its own.

use std::{
    rc::Rc,
    sync::{Arc, atomic::AtomicU64, mpsc},
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::{Context, Result, anyhow, ensure};
use tokio::{sync::oneshot, task::LocalSet};

use super::{
    client::RequestTemplate, closed, cpus, job::Job, open, reading::LoadReading, tally::Tally,
    target::TargetUrl,
};

/// When requests are sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pattern {
    /// A number of clients, each of which asks again as soon as it is answered.
    Closed {
        /// How many.
        concurrency: u32,
    },
    /// Evenly so many requests a second, answered or not.
    Open {
        /// How many.
        rate_hz: f64,
        /// More are not sent at once: what is due then waits, and its clock runs.
        connections_max: u32,
    },
}

/// How requests are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoadOptions {
    /// Connections are kept for the next request; else each request has one of its own.
    pub keep_alive: bool,
    /// Longest time from sending a request, connecting included, to the end of its answer.
    pub timeout: Duration,
    /// How many to send in all; no end if absent.
    pub requests: Option<u64>,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self { keep_alive: true, timeout: Duration::from_secs(30), requests: None }
    }
}

/// A load that is being made, on a thread of its own; dropped, it ends at once.
pub struct Generator {
    tally: Arc<Tally>,
    /// A word to it stops asking; dropped, it stops everything.
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<Result<()>>>,
}

impl Generator {
    /// Starts to ask. Fails if the pattern asks for nothing, or if there can be no thread.
    pub fn start(target: &TargetUrl, pattern: Pattern, options: LoadOptions) -> Result<Self> {
        match pattern {
            Pattern::Closed { concurrency } => ensure!(concurrency > 0, "a load needs a concurrency above 0"),
            Pattern::Open { rate_hz, connections_max } => {
                ensure!(rate_hz.is_finite() && rate_hz > 0.0, "a load needs a rate above 0");
                ensure!(connections_max > 0, "a load needs a connection");
            }
        }
        let from_due_time = matches!(pattern, Pattern::Open { .. });
        let tally = Arc::new(Tally::new(from_due_time).context("failed to make a histogram")?);
        let (stop, stopped) = oneshot::channel();
        let (begun, has_begun) = mpsc::channel();
        let (worker_tally, target) = (Arc::clone(&tally), target.clone());
        let work = move || {
            worker_tally.begin();
            // Nobody would be there to hear it only if `start` had panicked.
            let _ = begun.send(());
            let result = run(&target, pattern, options, Arc::clone(&worker_tally), stopped);
            worker_tally.end();
            result
        };
        let thread = thread::Builder::new().name("punchclock-load".to_owned()).spawn(work);
        let thread = thread.context("failed to start the load generator's thread")?;
        has_begun.recv().context("failed to start the load generator")?;
        Ok(Self { tally, stop: Some(stop), thread: Some(thread) })
    }

    /// All that it has seen so far.
    #[must_use]
    pub fn reading(&self) -> LoadReading {
        self.tally.reading()
    }

    /// Counts the requests answered as they should be, as they are answered.
    #[must_use]
    pub fn completed(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.tally.completed)
    }

    /// The tid of its thread, which is one of this process.
    #[must_use]
    pub fn tid(&self) -> u32 {
        self.tally.tid()
    }

    /// Keeps to CPUs that none of these processes may use, if there are any; else that it does not, in a sentence.
    #[must_use]
    pub fn shares_cpus_with(&self, tgids: &[u32]) -> Option<String> {
        cpus::keep_apart(&[self.tid()], tgids)
    }

    /// True once all requests it was to send are answered, or if it failed, as `stop` will tell.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Sends nothing any more, and waits for the answers to what was sent: at most the timeout of a request. Returns
    /// the final reading; fails if the generator had failed.
    pub fn stop(mut self) -> Result<LoadReading> {
        if let Some(stop) = self.stop.take() {
            // One that is finished hears nothing.
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            thread.join().map_err(|_| anyhow!("the load generator panicked"))??;
        }
        Ok(self.tally.reading())
    }
}

impl Drop for Generator {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // What it failed by, who drops it does not want to know.
            let _ = thread.join();
        }
    }
}

fn run(
    target: &TargetUrl,
    pattern: Pattern,
    options: LoadOptions,
    tally: Arc<Tally>,
    stopped: oneshot::Receiver<()>,
) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build();
    let runtime = runtime.context("failed to start the load generator's runtime")?;
    let template = RequestTemplate::new(target, options.keep_alive, options.timeout);
    let job = Rc::new(Job::new(template, tally, options.requests));
    let ask = async {
        match pattern {
            Pattern::Closed { concurrency } => closed::run(Rc::clone(&job), concurrency).await,
            Pattern::Open { rate_hz, connections_max } => {
                open::run(Rc::clone(&job), rate_hz, connections_max).await?;
            }
        }
        Ok(())
    };
    let work = async {
        let mut ask = std::pin::pin!(ask);
        tokio::select! {
            result = &mut ask => return result,
            word = stopped => {
                if word.is_err() {
                    return Ok(());
                }
            }
        }
        job.stop();
        ask.await
    };
    // What still runs when it returns is dropped with the set.
    LocalSet::new().block_on(&runtime, work)
}
