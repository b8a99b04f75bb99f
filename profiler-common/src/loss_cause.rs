//! Every way to lose or degrade data, by cause. A counter that is not zero ends up in `Quality`.

/// One way to lose or degrade data. The kernel side counts the first ones in the per-CPU array `COUNTERS`; user space adds its
/// own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u32)]
pub enum LossCause {
    /// A sample was dropped: its stack was new and the ring buffer had no room for the description.
    RingFull = 0,
    /// A sample was dropped: the table of stacks was full.
    StacksFull = 1,
    /// A process was not followed: the table of processes was full, or there was no memory to keep it.
    ProcessesFull = 2,
    /// The final counters of a thread that exited were lost: the ring buffer was full.
    ExitLost = 3,
    /// A sample has no Python frames: the thread's slot could not be read.
    ThreadSlotRead = 4,
    /// A sample has no Python frames: the thread state could not be read.
    ThreadStateRead = 5,
    /// A sample lacks its outer Python frames: a frame could not be read.
    FrameRead = 6,
    /// A sample lacks its outer Python frames: more than `MAX_PY_FRAMES`.
    FramesTruncated = 7,
    /// A sample came from a thread without a Python thread state: native frames only, nothing lost.
    NoThreadState = 8,
    /// A sample came from a process whose interpreter was not known yet, or cannot be walked.
    NotWalkable = 9,
    /// The notice of a process's fork or exec was lost: the ring buffer was full.
    LifecycleLost = 10,
    /// A thread's waits are not known: the kernel had no memory to keep them.
    NotEnlisted = 11,
    /// A thread's waits changed each time that a snapshot read them: its last wait may be missing there.
    WaitsTorn = 12,
    /// Samples or waits were dropped: meanwhile a code object of their stack gave its place to another.
    CodeReplaced = 13,
    /// A thread's waits changed while threads were being read, and how they stood before was lost: the ring buffer was full.
    KeptLost = 14,
    /// A sample lacks the Python frames of another interpreter of its process, which is not walked.
    OtherInterpreter = 15,
    /// A sample may lack its inner Python frames: the thread may be in a subinterpreter that another thread made.
    MayBeElsewhere = 16,
    /// A code object could not be read in time.
    CodeUnreadable = 17,
    /// A native stack was cut at an address that belongs to no mapping: code without frame pointers.
    Unmapped = 18,
    /// A native stack has its leaf alone: it did not fit the Python frames.
    NativeApart = 19,
    /// Samples of a stack whose description never came.
    Undescribed = 20,
    /// A ring record of an unknown kind or a wrong length.
    Undecodable = 21,
    /// The kernel skipped a run of a program, which would have interrupted itself: an event was not seen.
    RunSkipped = 22,
    /// A stack was not described: there was no memory to keep it.
    StackNotKept = 23,
    /// The final counters of a thread that exited were lost: there was no memory to keep them.
    ExitNotKept = 24,
}

impl LossCause {
    /// Counters that the kernel side keeps: the size of its array.
    pub const KERNEL: u32 = 17;

    /// All causes, in the order of their numbers.
    pub const ALL: [Self; 25] = [
        Self::RingFull,
        Self::StacksFull,
        Self::ProcessesFull,
        Self::ExitLost,
        Self::ThreadSlotRead,
        Self::ThreadStateRead,
        Self::FrameRead,
        Self::FramesTruncated,
        Self::NoThreadState,
        Self::NotWalkable,
        Self::LifecycleLost,
        Self::NotEnlisted,
        Self::WaitsTorn,
        Self::CodeReplaced,
        Self::KeptLost,
        Self::OtherInterpreter,
        Self::MayBeElsewhere,
        Self::CodeUnreadable,
        Self::Unmapped,
        Self::NativeApart,
        Self::Undescribed,
        Self::Undecodable,
        Self::RunSkipped,
        Self::StackNotKept,
        Self::ExitNotKept,
    ];

    /// The name in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::RingFull => "ring_full",
            Self::StacksFull => "stacks_full",
            Self::ProcessesFull => "processes_full",
            Self::ExitLost => "exit_lost",
            Self::ThreadSlotRead => "thread_slot_read",
            Self::ThreadStateRead => "thread_state_read",
            Self::FrameRead => "frame_read",
            Self::FramesTruncated => "frames_truncated",
            Self::NoThreadState => "no_thread_state",
            Self::NotWalkable => "not_walkable",
            Self::LifecycleLost => "lifecycle_lost",
            Self::NotEnlisted => "not_enlisted",
            Self::WaitsTorn => "waits_torn",
            Self::CodeReplaced => "code_replaced",
            Self::KeptLost => "kept_lost",
            Self::OtherInterpreter => "other_interpreter",
            Self::MayBeElsewhere => "may_be_elsewhere",
            Self::CodeUnreadable => "code_unreadable",
            Self::Unmapped => "unmapped",
            Self::NativeApart => "native_apart",
            Self::Undescribed => "undescribed",
            Self::Undecodable => "undecodable",
            Self::RunSkipped => "run_skipped",
            Self::StackNotKept => "stack_not_kept",
            Self::ExitNotKept => "exit_not_kept",
        }
    }

    /// What is counted, in the singular, and what became of it.
    #[must_use]
    pub const fn says(self) -> (&'static str, &'static str) {
        match self {
            Self::RingFull => ("stack", "dropped (ring buffer full)"),
            Self::StacksFull => ("stack", "dropped (stack table full)"),
            Self::ProcessesFull => ("process", "not followed (no room for more)"),
            Self::ExitLost => ("exited thread", "without its last numbers (ring buffer full)"),
            Self::ThreadSlotRead => ("stack", "without Python frames (thread slot not readable)"),
            Self::ThreadStateRead => ("stack", "without Python frames (thread state not readable)"),
            Self::FrameRead => ("stack", "cut short (frame not readable)"),
            Self::FramesTruncated => ("stack", "cut short (deeper than the frame limit)"),
            Self::NoThreadState => ("stack", "of a thread that runs no Python"),
            Self::NotWalkable => ("stack", "without Python frames (no known Python in its process)"),
            Self::LifecycleLost => ("fork or exec", "noticed late (ring buffer full)"),
            Self::NotEnlisted => ("thread", "without waits (no memory in the kernel)"),
            Self::WaitsTorn => ("thread", "without its last wait (it changed while it was read)"),
            Self::CodeReplaced => ("sample or wait", "dropped (a code object of the stack was replaced)"),
            Self::KeptLost => ("thread", "whose stacks and waits may differ at an edge (ring buffer full)"),
            Self::OtherInterpreter => ("stack", "in another interpreter of the process, which is not walked"),
            Self::MayBeElsewhere => {
                ("stack", "that may lack frames (of a subinterpreter that another thread made)")
            }
            Self::CodeUnreadable => ("code object", "not readable in time"),
            Self::Unmapped => ("native stack", "cut where an address is no code (no frame pointers)"),
            Self::NativeApart => ("native stack", "kept to the leaf (no fit with the Python frames)"),
            Self::Undescribed => ("sample or wait", "without its stack, which was never described"),
            Self::Undecodable => ("ring record", "not understood"),
            Self::RunSkipped => {
                ("event", "not seen (the kernel skips a program that would interrupt itself)")
            }
            Self::StackNotKept => ("stack", "not described (--max-memory)"),
            Self::ExitNotKept => ("exited thread", "without its last numbers (--max-memory)"),
        }
    }
}
