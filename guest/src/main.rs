//! Tries punchclock on a kernel. In a virtual machine it is `/init`, the only program beside punchclock; on a host it is
//! run as root. `cargo xtask kernels` builds both and reads what is found, one line of JSON a check.
//!
//! `punchclock-guest quick|thorough|refused [cgroup1] [PYTHON…]`; as `work WHAT` it is the program that is watched.

mod books;
mod bounded;
mod checks;
mod init;
mod report;
mod sys;
mod tree;
mod work;

use std::{
    env,
    path::{Path, PathBuf},
    process::{self, ExitCode},
};

use anyhow::{Result, bail};

use crate::{bounded::Punchclock, report::Report};

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    let is_init = process::id() == 1;
    let ran = if is_init { init::prepare(&words).and_then(|()| run(&words)) } else { run(&words) };
    if let Err(error) = &ran {
        eprintln!("error: {error:#}");
    }
    if is_init {
        init::power_off();
    }
    if ran.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn run(words: &[String]) -> Result<()> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let [what, rest @ ..] = words.as_slice() else { bail!("what to do is not said") };
    if *what == "work" {
        return work::run(rest);
    }
    let punchclock = Punchclock::new(env::var_os("PUNCHCLOCK").map_or("/punchclock".into(), PathBuf::from))?;
    let pythons: Vec<&Path> = rest.iter().filter(|word| word.starts_with('/')).map(Path::new).collect();
    let mut report = Report::new()?;
    match *what {
        "refused" => checks::refused(&mut report, &punchclock),
        "quick" => checks::quick(&mut report, &punchclock),
        "thorough" => checks::thorough(&mut report, &punchclock, &pythons),
        other => bail!("there are no checks called {other}"),
    }
    report.end()
}
