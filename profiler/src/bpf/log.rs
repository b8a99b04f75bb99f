//! The programs' log lines on standard error: for debugging builds only (feature `ebpf-log`).

use anyhow::{Context, Result};
use aya::Ebpf;
use aya_log::EbpfLogger;
use log::{Log, Metadata, Record};

/// Writes each line as it comes.
pub struct Stderr;

impl Log for Stderr {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        eprintln!("eBPF {}: {}", record.target(), record.args());
    }

    fn flush(&self) {}
}

/// Begins to collect the lines; `flush` shows them.
pub fn start(ebpf: &mut Ebpf) -> Result<EbpfLogger<Stderr>> {
    EbpfLogger::init_with_logger(ebpf, Stderr).context("failed to read the programs' log")
}
