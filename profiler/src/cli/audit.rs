//! Arguments of `punchclock audit`.

use std::path::PathBuf;

use clap::Args;

use crate::{
    cli::{Bounds, Target, parse_seconds, written},
    formats,
};

/// `punchclock audit`
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("length").args(["requests", "duration"]))]
pub struct Audit {
    /// Which processes.
    #[command(flatten)]
    pub target: Target,
    /// How much is kept.
    #[command(flatten)]
    pub bounds: Bounds,
    /// Start servers with this command, for each class and number of workers: {class}, {workers} and {port} are filled in
    #[arg(long, value_name = "CMD", conflicts_with_all = ["fleet", "pid", "all"], required_unless_present = "url")]
    pub serve: Option<String>,
    /// Worker classes to try: sync,gthread,gevent
    #[arg(long, value_name = "CLASS", value_delimiter = ',', requires = "serve")]
    pub classes: Vec<String>,
    /// Numbers of workers to try: 4, or 1,2,4, or 1..8 [default: one for each CPU]
    #[arg(long, value_name = "NUMBERS", value_parser = parse_numbers, requires = "serve")]
    pub workers: Option<NumberList>,
    /// Requests under way at once, to try: each client asks again when it has its answer
    #[arg(long, value_name = "NUMBERS", value_parser = parse_numbers, default_value = "1,2,4,8,16,32", conflicts_with = "rate_per_second")]
    pub concurrency: NumberList,
    /// Requests per second, to try, whether answers come or not; latency counts from when a request was due
    #[arg(long = "rate", value_name = "NUMBERS", value_parser = parse_numbers)]
    pub rate_per_second: Option<NumberList>,
    /// Answers in a window
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..))]
    pub requests: Option<u64>,
    /// Seconds of a window [default: 5]
    #[arg(short, long, value_name = "SECONDS", value_parser = parse_seconds)]
    pub duration: Option<f64>,
    /// What to ask for: a URL, or with --serve a path [default: /]; repeatable, each is audited for itself
    #[arg(long, value_name = "URL")]
    pub url: Vec<String>,
    /// Open a connection for each request
    #[arg(long)]
    pub no_keep_alive: bool,
    /// Make the load with this command instead: wrk, ab, oha, hey or another; {url}, {concurrency} and {duration} are
    /// filled in
    #[arg(long, value_name = "CMD", conflicts_with = "requests")]
    pub generator: Option<String>,
    /// Seconds under load before each window
    #[arg(long, value_name = "SECONDS", default_value_t = 1.0, value_parser = parse_seconds)]
    pub warm_up: f64,
    /// Seconds to watch an idle server
    #[arg(long, value_name = "SECONDS", default_value_t = 5.0, value_parser = parse_seconds)]
    pub idle: f64,
    /// Rounds at least
    #[arg(long, value_name = "NUMBER", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub rounds: u32,
    /// More rounds until each throughput is known to so many per cent
    #[arg(long, value_name = "PERCENT", default_value_t = 5.0)]
    pub tight: f64,
    /// Seconds after which no other round is begun
    #[arg(long, value_name = "SECONDS", default_value_t = 900.0, value_parser = parse_seconds)]
    pub limit: f64,
    /// Write here; repeatable. The extension says what
    #[arg(short, long, value_name = "FILE", help = written(formats::AUDIT, "a page"))]
    pub output: Vec<PathBuf>,
    /// Also print the last lines of servers that did not come up
    #[arg(short, long)]
    pub verbose: bool,
    /// Print the report as JSON
    #[arg(long)]
    pub json: bool,
}

/// Some numbers, rising, each once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NumberList(pub Vec<u32>);

/// `4`, `1,2,4` or `1..8`, whose end is in it.
fn parse_numbers(text: &str) -> Result<NumberList, String> {
    let number = |text: &str| text.trim().parse::<u32>().ok().filter(|number| (1..=100_000).contains(number));
    let part = |part: &str| match part.split_once("..") {
        None => number(part).map(|one| one..=one),
        Some((from, to)) => Some(number(from)?..=number(to.trim_start_matches('='))?),
    };
    let parts: Option<Vec<_>> = text.split(',').map(part).collect();
    let mut numbers: Vec<u32> = parts.into_iter().flatten().flatten().take(1000).collect();
    numbers.sort_unstable();
    numbers.dedup();
    if numbers.is_empty() {
        Err("not numbers like 4, 1,2,4 or 1..8".to_owned())
    } else {
        Ok(NumberList(numbers))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_as_people_write_them() {
        let numbers = |text| parse_numbers(text).map(|numbers| numbers.0);
        assert_eq!(numbers("4").unwrap(), [4]);
        assert_eq!(numbers("10,20,5,10").unwrap(), [5, 10, 20]);
        assert_eq!(numbers("1..4").unwrap(), [1, 2, 3, 4]);
        assert_eq!(numbers("1..=3,8").unwrap(), [1, 2, 3, 8]);
        for text in ["", "0", "a", "1,", "4..1", "..", "1..", "-1", "1..1000000"] {
            assert!(numbers(text).is_err(), "{text}");
        }
    }
}
