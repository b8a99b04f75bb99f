//! Memory and disks: what each process has in memory, what it read and wrote, and how long it waited for that.

use profiler_common::wait::Reason;

use crate::{
    model::memory::WorkerMemory,
    render::{stat::rows::StatRow, term::grid::FilledColumn},
    units,
};

/// The columns, for rows of processes. What is not known of a row is `-`.
#[must_use]
pub fn columns(rows: &[StatRow<'_>]) -> Vec<FilledColumn> {
    let known = |head: &str, text: &dyn Fn(&WorkerMemory) -> Option<String>| {
        let texts =
            rows.iter().map(|row| row.memory.as_ref().and_then(text).unwrap_or_else(|| "-".to_owned()));
        FilledColumn::of_numbers(head, texts)
    };
    let waits = |head: &str, reason: Reason| {
        let text = |row: &StatRow<'_>| match row.waits.blocked[reason as usize].ns {
            0 => "-".to_owned(),
            ns => units::span(ns),
        };
        FilledColumn::of_numbers(head, rows.iter().map(text))
    };
    vec![
        known("memory\nRSS", &|memory| memory.rss_bytes.map(units::bytes)),
        known("\nPSS", &|memory| memory.pss_bytes.map(units::bytes)),
        known("major\nfaults", &|memory| Some(units::grouped(memory.major_faults))),
        waits("waits\nfor pages", Reason::PageFault),
        known("disk\nread", &|memory| Some(units::bytes(memory.read_bytes))),
        known("\nwritten", &|memory| Some(units::bytes(memory.written_bytes))),
        waits("waits\nfor it", Reason::Disk),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{model::fixture, render::stat::rows};

    #[test]
    fn what_is_not_known_is_blank() {
        let mut stat = fixture::stat();
        let worker = &mut stat.fleets[0].workers[1];
        worker.memory = Some(WorkerMemory {
            rss_bytes: Some(34_200_000),
            major_faults: 1_200,
            read_bytes: 4096,
            ..WorkerMemory::default()
        });
        worker.waits.blocked[Reason::Disk as usize].ns = 2_500_000;
        let rows = rows::rows(&stat.fleets[0], false);
        let row = |row: usize| -> Vec<String> {
            columns(&rows).into_iter().map(|filled| filled.texts[row].clone()).collect()
        };
        assert_eq!(row(1), ["34.2 MB", "-", "1,200", "-", "4.10 kB", "0 B", "2.50 ms"]);
        assert_eq!(row(2), ["-"; 7]);
    }
}
