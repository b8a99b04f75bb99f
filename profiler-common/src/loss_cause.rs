//! Every way to lose or degrade data, by cause. A counter that is not zero ends up in `Quality`.

/// Makes the causes from a table with a row for each: what happens, its variant, its name in JSON, and what people read: what is
/// counted, in the singular, and what became of it.
macro_rules! loss_causes {
    (
        kernel { $($(#[$kernel_doc:meta])+ $kernel:ident $kernel_name:literal: $kernel_unit:literal, $kernel_fate:literal;)+ }
        user { $($(#[$user_doc:meta])+ $user:ident $user_name:literal: $user_unit:literal, $user_fate:literal;)+ }
    ) => {
        /// One way to lose or degrade data. The kernel side counts the first ones in the per-CPU array `COUNTERS`; user space
        /// adds its own.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u32)]
        pub enum LossCause {
            $($(#[$kernel_doc])+ $kernel,)+
            $($(#[$user_doc])+ $user,)+
        }

        impl LossCause {
            /// Counters that the kernel side keeps: the size of its array.
            pub const KERNEL: u32 = [$(Self::$kernel),+].len() as u32;

            /// All causes, in the order of their numbers.
            pub const ALL: [Self; [$(Self::$kernel,)+ $(Self::$user,)+].len()] = [$(Self::$kernel,)+ $(Self::$user,)+];

            /// The name in JSON.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$kernel => $kernel_name,)+
                    $(Self::$user => $user_name,)+
                }
            }

            /// What is counted, in the singular, and what became of it.
            #[must_use]
            pub const fn says(self) -> (&'static str, &'static str) {
                match self {
                    $(Self::$kernel => ($kernel_unit, $kernel_fate),)+
                    $(Self::$user => ($user_unit, $user_fate),)+
                }
            }
        }
    };
}

loss_causes! {
    kernel {
        /// A sample was dropped: its stack was new and the ring buffer had no room for the description.
        RingFull "ring_full": "stack", "dropped (ring buffer full)";
        /// A sample was dropped: the table of stacks was full.
        StacksFull "stacks_full": "stack", "dropped (stack table full)";
        /// A process was not followed: the table of processes was full, or there was no memory to keep it.
        ProcessesFull "processes_full": "process", "not followed (no room for more)";
        /// The final counters of a thread that exited were lost: the ring buffer was full.
        ExitLost "exit_lost": "exited thread", "without its last numbers (ring buffer full)";
        /// A sample has no Python frames: the thread's slot could not be read.
        ThreadSlotRead "thread_slot_read": "stack", "without Python frames (thread slot not readable)";
        /// A sample has no Python frames: the thread state could not be read.
        ThreadStateRead "thread_state_read": "stack", "without Python frames (thread state not readable)";
        /// A sample lacks its outer Python frames: a frame could not be read.
        FrameRead "frame_read": "stack", "cut short (frame not readable)";
        /// A sample lacks its outer Python frames: more than `MAX_PY_FRAMES`.
        FramesTruncated "frames_truncated": "stack", "cut short (deeper than the frame limit)";
        /// A sample came from a thread without a Python thread state: native frames only, nothing lost.
        NoThreadState "no_thread_state": "stack", "of a thread that runs no Python";
        /// A sample came from a process whose interpreter was not known yet, or cannot be walked.
        NotWalkable "not_walkable": "stack", "without Python frames (no known Python in its process)";
        /// The notice of a process's fork or exec was lost: the ring buffer was full.
        LifecycleLost "lifecycle_lost": "fork or exec", "noticed late (ring buffer full)";
        /// A thread's waits are not known: the kernel had no memory to keep them.
        NotEnlisted "not_enlisted": "thread", "without waits (no memory in the kernel)";
        /// A thread's waits changed each time that a snapshot read them: its last wait may be missing there.
        WaitsTorn "waits_torn": "thread", "without its last wait (it changed while it was read)";
        /// Samples or waits were dropped: meanwhile a code object of their stack gave its place to another.
        CodeReplaced "code_replaced": "sample or wait", "dropped (a code object of the stack was replaced)";
        /// A thread's waits changed while threads were being read, and how they stood before was lost: the ring buffer was full.
        KeptLost "kept_lost": "thread", "whose stacks and waits may differ at an edge (ring buffer full)";
        /// A sample lacks the Python frames of another interpreter of its process, which is not walked.
        OtherInterpreter "other_interpreter": "stack", "in another interpreter of the process, which is not walked";
        /// A sample may lack its inner Python frames: the thread may be in a subinterpreter that another thread made.
        MayBeElsewhere "may_be_elsewhere": "stack", "that may lack frames (of a subinterpreter that another thread made)";
    }
    user {
        /// A code object could not be read in time.
        CodeUnreadable "code_unreadable": "code object", "not readable in time";
        /// A native stack was cut at an address that belongs to no mapping: code without frame pointers.
        Unmapped "unmapped": "native stack", "cut where an address is no code (no frame pointers)";
        /// A native stack has its leaf alone: it did not fit the Python frames.
        NativeApart "native_apart": "native stack", "kept to the leaf (no fit with the Python frames)";
        /// Samples of a stack whose description never came.
        Undescribed "undescribed": "sample or wait", "without its stack, which was never described";
        /// A ring record of an unknown kind or a wrong length.
        Undecodable "undecodable": "ring record", "not understood";
        /// The kernel skipped a run of a program, which would have interrupted itself: an event was not seen.
        RunSkipped "run_skipped": "event", "not seen (the kernel skips a program that would interrupt itself)";
        /// A stack was not described: there was no memory to keep it.
        StackNotKept "stack_not_kept": "stack", "not described (--max-memory)";
        /// The final counters of a thread that exited were lost: there was no memory to keep them.
        ExitNotKept "exit_not_kept": "exited thread", "without its last numbers (--max-memory)";
    }
}
