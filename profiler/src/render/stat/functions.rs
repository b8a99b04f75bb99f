//! The heaviest functions as a table: own time and total, on a CPU and waiting.

use crate::{
    model::{
        accounting::StatDelta,
        function_times::{self, FunctionTimes},
        profile::Profile,
    },
    render::{
        location::{self, ShortPaths},
        term::{
            escape,
            grid::{self, Column, RowKind, TableOptions},
        },
    },
    units,
};

/// How many functions are listed.
const LISTED: usize = 10;

/// A table for each fleet that ran Python functions; empty if none did.
#[must_use]
pub fn text(stat: &StatDelta, profile: &Profile, options: TableOptions) -> String {
    let paths = ShortPaths::of_profile(profile);
    let several = stat.fleets.len() > 1;
    let mut text = String::new();
    for fleet in &stat.fleets {
        let times = heaviest(function_times::of(fleet, profile));
        if times.is_empty() {
            continue;
        }
        let left = times.len().saturating_sub(LISTED);
        let rows = times.into_iter().take(LISTED).map(|time| {
            let place = location::text(&time.name, paths.of(&time.file), time.line);
            let ns = [time.own_cpu_ns, time.total_cpu_ns, time.own_blocked_ns, time.total_blocked_ns];
            let times = ns.map(|ns| if ns == 0 { "-".to_owned() } else { units::span(ns) });
            let place = escape::visible(&place).into_owned();
            (RowKind::Process, [place].into_iter().chain(times).collect())
        });
        let of = if several { format!(" of {}", escape::visible(&fleet.name)) } else { String::new() };
        let head = format!("heaviest functions{of}");
        text += &grid::text(&columns(&head), rows, options);
        text.push('\n');
        if left != 0 {
            text += &["… and ", &units::counted(left as u64, "other function"), "\n"].concat();
        }
        text.push('\n');
    }
    text
}

/// The heaviest functions first: the application's by the time with what they call, libraries' by their own, for their callers
/// are on every stack. Functions without either are left out.
fn heaviest(mut times: Vec<FunctionTimes>) -> Vec<FunctionTimes> {
    let weight = |time: &FunctionTimes| {
        let own = time.own_cpu_ns.saturating_add(time.own_blocked_ns);
        let total = time.total_cpu_ns.saturating_add(time.total_blocked_ns);
        if location::is_application(&time.file) { total } else { own }
    };
    times.retain(|time| weight(time) != 0);
    // Of those that are alike the one goes first whose own time is more, which is the order that they come in.
    times.sort_by_key(|time| std::cmp::Reverse(weight(time)));
    times
}

fn columns(functions: &str) -> [Column; 5] {
    let number = |head: &str| Column { head: head.to_owned(), gap: 1, is_text: false };
    let functions = Column { head: format!("\n{functions}"), gap: 1, is_text: true };
    [functions, number("on-CPU\nown"), number("\ntotal"), number("waiting\nown"), number("\ntotal")]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fixture;

    #[test]
    fn the_heaviest_come_first_with_both_kinds_of_time() {
        let recording = fixture::recording();
        let text = text(&recording.stat, &recording.profile, TableOptions::default());
        let rows: Vec<_> =
            text.lines().skip(3).map(|row| row.split_whitespace().collect::<Vec<_>>()).collect();
        let expected =
            ["application", "(shop/wsgi_app.py:11)", "300", "ms", "500", "ms", "115", "ms", "115", "ms"];
        assert_eq!(rows[0], expected, "{text}");
        let names: Vec<_> = rows.iter().filter_map(|row| row.first().copied()).collect();
        assert_eq!(
            names,
            ["application", "loads", "SyncWorker.run"],
            "a library's callers are left out: {text}"
        );
    }

    #[test]
    fn without_python_there_is_no_table() {
        let mut recording = fixture::recording();
        recording.profile.samples.clear();
        recording.profile.blocked.clear();
        assert_eq!(text(&recording.stat, &recording.profile, TableOptions::default()), "");
    }
}
