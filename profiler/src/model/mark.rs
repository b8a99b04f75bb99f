//! Marks: lines of stacks that are no code.

/// What is missing from a stack, and why; or what a thread did that has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mark {
    /// The stack is of a greenlet, which has no callers.
    Greenlet,
    /// The stack is of gevent's hub, a greenlet that waits for the others.
    GeventHub,
    /// Python frames further out could not be walked.
    OuterFramesMissing,
    /// Native frames further out have no addresses of code.
    OuterFramesUnknown,
    /// An interpreter of this thread that is not walked may have more.
    SubinterpreterMayBeMissing,
    /// The thread runs another interpreter, which is not walked.
    OtherInterpreterMissing,
    /// A code object could not be read.
    UnreadablePythonFrame,
    /// Neither kernel nor user frames were seen.
    NoStack,
    /// The stack's description was lost.
    StackLost,
    /// No frame of the stack is Python's, and only those are shown.
    NoPythonFrames,
    /// The stack has no frame that is shown.
    NoFrames,
    /// Waits that had no stack.
    NoStackKept,
    /// The thread ran.
    OnCpu,
    /// The thread waited for a CPU.
    RunQueue,
    /// The process ran so little that no sample hit it.
    NotSampled,
}

impl Mark {
    /// The text of its line.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Greenlet => "[greenlet]",
            Self::GeventHub => "[gevent hub]",
            Self::OuterFramesMissing => "[outer frames missing]",
            Self::OuterFramesUnknown => "[outer frames unknown]",
            Self::SubinterpreterMayBeMissing => "[frames of a subinterpreter may be missing]",
            Self::OtherInterpreterMissing => "[frames of another interpreter missing]",
            Self::UnreadablePythonFrame => "[unreadable Python frame]",
            Self::NoStack => "[no stack]",
            Self::StackLost => "[stack lost]",
            Self::NoPythonFrames => "[no Python frames]",
            Self::NoFrames => "[no frames]",
            Self::NoStackKept => "[no stack was kept]",
            Self::OnCpu => "[on CPU]",
            Self::RunQueue => "[run queue]",
            Self::NotSampled => "[ran, not sampled]",
        }
    }
}
