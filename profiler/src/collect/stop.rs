//! The user's request to stop (Ctrl-C, SIGTERM), heard by a thread of its own: the first ends what is under way, the second
//! ends this process at once. A terminal that is gone (SIGHUP) asks to stop, too, unless `nohup` says that it does not.

use std::{process, sync::OnceLock, thread, time::Duration};

use anyhow::{Context, Result};
use tokio::{
    runtime::Builder,
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
};

use crate::sys::{privileges, signals};

/// Exit status of a process that a signal ended, less the signal's number, as shells report it.
const BY_SIGNAL: i32 = 128;

/// Whether the user asked to stop. All of a process are one.
#[derive(Clone, Debug)]
pub struct Stop(pub(super) watch::Receiver<bool>);

impl Stop {
    /// Listens from the first call on. Without a listener either signal ends the process.
    pub fn listen() -> Result<Self> {
        static HEARD: OnceLock<watch::Receiver<bool>> = OnceLock::new();
        if let Some(heard) = HEARD.get() {
            return Ok(Self(heard.clone()));
        }
        let runtime = Builder::new_current_thread().enable_io().build();
        let runtime = runtime.context("failed to start the runtime of the listener")?;
        let (interrupt, terminate, hangup) = {
            let _within = runtime.enter();
            let hangup = signals::is_ignored(libc::SIGHUP)
                .and_then(|is_ignored| (!is_ignored).then(|| signal(SignalKind::hangup())).transpose());
            (signal(SignalKind::interrupt()), signal(SignalKind::terminate()), hangup)
        };
        let interrupt = interrupt.context("failed to catch SIGINT")?;
        let terminate = terminate.context("failed to catch SIGTERM")?;
        let hangup = hangup.context("failed to catch SIGHUP")?;
        let (say, heard) = watch::channel(false);
        let listener = thread::Builder::new().name("signals".to_owned());
        let listen = move || {
            // It only listens. To give up what one has is always allowed.
            let _ = privileges::keep_nothing();
            runtime.block_on(hear(interrupt, terminate, hangup, &say));
        };
        listener.spawn(listen).context("failed to start the listener")?;
        Ok(Self(HEARD.get_or_init(|| heard).clone()))
    }

    /// True once it was asked for.
    #[must_use]
    pub fn is_asked(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until it is asked for.
    pub async fn asked(&self) {
        // The listener lives as long as the process.
        let _ = self.0.clone().wait_for(|is_asked| *is_asked).await;
    }

    /// Lets time pass; true if the user wants to stop.
    pub async fn within(&self, duration: Duration) -> bool {
        tokio::time::timeout(duration, self.asked()).await.is_ok()
    }
}

async fn hear(
    mut interrupt: Signal,
    mut terminate: Signal,
    mut hangup: Option<Signal>,
    say: &watch::Sender<bool>,
) {
    loop {
        let number = tokio::select! {
            _ = interrupt.recv() => Some(libc::SIGINT),
            _ = terminate.recv() => Some(libc::SIGTERM),
            // It may come twice, of the shell and of the kernel.
            () = next(&mut hangup) => None,
        };
        let was_asked = say.send_replace(true);
        if let Some(number) = number.filter(|_| was_asked) {
            process::exit(BY_SIGNAL + number);
        }
    }
}

/// Waits for a signal; for ever, if it is not listened to.
async fn next(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => {
            signal.recv().await;
        }
        None => std::future::pending().await,
    }
}
