//! Waits until a server answers.

use std::time::Duration;

use anyhow::{Context, Result};
use tokio::time::{Instant, sleep};

use super::{
    client::{Client, RequestTemplate},
    request_error::RequestError,
    target::TargetUrl,
};

/// Pause after the first try; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
/// Longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_millis(200);

/// Asks again and again, for at most so long, until a server answers with a status below 500; returns that. Fails with
/// what became of the last try.
pub async fn first_answer(target: &TargetUrl, within: Duration) -> Result<u16> {
    let deadline = Instant::now() + within;
    let mut pause = FIRST_PAUSE;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let outcome = Client::default().ask(&RequestTemplate::new(target, false, left)).await;
        let request_error = match outcome.answer {
            Ok(status) | Err(RequestError::Status(status @ 200..500)) => return Ok(status),
            Err(request_error) => request_error,
        };
        if Instant::now() + pause >= deadline {
            let url = target.url();
            return Err(request_error)
                .with_context(|| format!("failed to get an answer from {url} in {within:?}"));
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}
