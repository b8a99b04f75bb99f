//! What a reason to wait is called, by who reads it. JSON, recordings and options have its name.

use profiler_common::wait::Reason;

/// In the head of a column, on a box of a flame graph, behind a thread: `page fault`.
#[must_use]
pub const fn label(reason: Reason) -> &'static str {
    words(reason).0
}

/// In a report, which people read who know none of our names: `GIL`.
#[must_use]
pub const fn title(reason: Reason) -> &'static str {
    match reason {
        Reason::Gil => "GIL",
        reason => label(reason),
    }
}

/// What is waited for, in a sentence: `a socket`.
#[must_use]
pub const fn object(reason: Reason) -> &'static str {
    words(reason).1
}

/// The label of each reason, and the object.
const fn words(reason: Reason) -> (&'static str, &'static str) {
    match reason {
        Reason::Idle => ("idle", "work"),
        Reason::Gil => ("gil", "the GIL"),
        Reason::Lock => ("lock", "a lock"),
        Reason::Socket => ("socket", "a socket"),
        Reason::Pipe => ("pipe", "a pipe"),
        Reason::Disk => ("disk", "a disk"),
        Reason::Sleep => ("sleep", "a time"),
        Reason::Child => ("child", "a child"),
        Reason::PageFault => ("page fault", "memory"),
        Reason::Signal => ("signal", "a signal"),
        Reason::Other => ("other", "something else"),
        Reason::Parked => ("parked", "work"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_known_by_their_names() {
        for reason in Reason::ALL {
            assert_eq!(label(reason), reason.name().replace('_', " "));
        }
    }
}
