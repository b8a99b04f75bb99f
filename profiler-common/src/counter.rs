//! Every way to lose or degrade data, by cause. A counter that is not zero ends up in `Quality`.

/// One cause. The kernel side counts the first ones in the per-CPU array `COUNTERS`; user space adds its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u32)]
pub enum Counter {
    /// A sample was dropped: its stack was new and the ring buffer had no room for the description.
    RingFull = 0,
    /// A sample was dropped: the table of stacks was full.
    StacksFull = 1,
    /// A process was not followed: the table of processes was full.
    ProcessesFull = 2,
    /// The last books of a thread that exited were lost: the ring buffer was full.
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
    /// A code object could not be read in time.
    CodeUnreadable = 14,
    /// A native stack was cut at an address that belongs to no mapping: code without frame pointers.
    Unmapped = 15,
    /// A native stack has its leaf alone: it did not fit the Python frames.
    NativeApart = 16,
    /// Samples of a stack whose description never came.
    Undescribed = 17,
    /// A ring record of an unknown kind or a wrong length.
    Undecodable = 18,
    /// The kernel skipped a run of a program, which would have interrupted itself: an event was not seen.
    RunSkipped = 19,
}

impl Counter {
    /// Counters that the kernel side keeps: the size of its array.
    pub const KERNEL: u32 = 14;

    /// All causes, in the order of their numbers.
    pub const ALL: [Self; 20] = [
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
        Self::CodeUnreadable,
        Self::Unmapped,
        Self::NativeApart,
        Self::Undescribed,
        Self::Undecodable,
        Self::RunSkipped,
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
            Self::CodeUnreadable => "code_unreadable",
            Self::Unmapped => "unmapped",
            Self::NativeApart => "native_apart",
            Self::Undescribed => "undescribed",
            Self::Undecodable => "undecodable",
            Self::RunSkipped => "run_skipped",
        }
    }

    /// The phrase that follows the count in a sentence.
    #[must_use]
    pub const fn says(self) -> &'static str {
        match self {
            Self::RingFull => "stacks dropped (ring buffer full)",
            Self::StacksFull => "stacks dropped (stack table full)",
            Self::ProcessesFull => "processes not followed (process table full)",
            Self::ExitLost => "exited threads without their last numbers (ring buffer full)",
            Self::ThreadSlotRead => "stacks without Python frames (thread slot not readable)",
            Self::ThreadStateRead => "stacks without Python frames (thread state not readable)",
            Self::FrameRead => "stacks cut short (frame not readable)",
            Self::FramesTruncated => "stacks cut short (deeper than the frame limit)",
            Self::NoThreadState => "stacks of threads that run no Python",
            Self::NotWalkable => "stacks without Python frames (no known Python in their process)",
            Self::LifecycleLost => "forks or execs noticed late (ring buffer full)",
            Self::NotEnlisted => "threads without their waits (no memory in the kernel)",
            Self::WaitsTorn => "threads whose last wait is not told (it changed while it was read)",
            Self::CodeReplaced => "samples or waits dropped (a code object of their stack was replaced)",
            Self::CodeUnreadable => "code objects not readable in time",
            Self::Unmapped => "native stacks cut where an address is no code (no frame pointers)",
            Self::NativeApart => "native stacks kept to their leaf (they did not fit the Python frames)",
            Self::Undescribed => "samples or waits whose stack was never described",
            Self::Undecodable => "ring records not understood",
            Self::RunSkipped => "events not seen (the kernel skips a program that would interrupt itself)",
        }
    }
}
