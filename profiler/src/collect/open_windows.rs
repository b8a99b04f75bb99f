//! The windows that are open: what each counts from, and who leaves and joins it meanwhile.

use std::{
    collections::{HashMap, HashSet},
    iter,
};

use profiler_common::wait::Reason;

use crate::{
    bpf::{Counts, KernelSide},
    collect::{
        counts,
        departed::{Departed, SEVERAL},
        departed_sums::DepartedSums,
        event_handler::EventHandler,
        session::{Session, SessionEdge},
        stacks::Stacks,
    },
    model::{
        quality::Losses,
        waits::{Blocked, Histogram, Reclassified},
    },
};

/// One edge of a window, or of a part of it: threads, and counts of stacks.
#[derive(Clone, Debug)]
pub struct RecorderEdge {
    /// Threads, and what was lost between the kernel side and us.
    pub edge: SessionEdge,
    /// Counts of stacks.
    pub stacks: Counts,
    /// What had been lost by then between the kernel side and the names.
    pub losses: Losses,
    /// Requests answered by then, since somebody began to count.
    pub requests: Option<u64>,
    /// What those did from here to their ends who are not listed any more.
    pub departed: DepartedSums,
}

/// The windows that are open.
#[derive(Clone, Debug)]
pub struct OpenWindows {
    /// Where the whole one began.
    pub whole: RecorderEdge,
    /// Where the last interval ended, if there are intervals.
    pub interval: Option<RecorderEdge>,
}

impl OpenWindows {
    fn each(&mut self) -> impl Iterator<Item = &mut RecorderEdge> {
        iter::once(&mut self.whole).chain(&mut self.interval)
    }

    /// Takes in processes that are followed from an edge on, with what was counted on their stacks by then.
    pub fn let_in(&mut self, new: &HashSet<u32>, edge: &SessionEdge, stacks: &Counts) {
        for window in self.each() {
            window.edge.stat.include(&edge.stat, |tgid| new.contains(&tgid));
            window.stacks.extend(stacks.iter().map(|(key, count)| (*key, count.clone())));
            window.edge.throttled_ns.extend(edge.throttled_ns.iter().filter(|(tgid, _)| new.contains(tgid)));
        }
    }

    /// Makes sums of those who are not listed any more. All that was counted on their stacks is out of the kernel's table.
    pub fn let_go<K: KernelSide>(
        &mut self,
        departed: &Departed,
        session: &mut Session<K>,
        handler: &mut EventHandler,
    ) {
        let joined = handler.stacks.joined(departed);
        let counted = counts::take(session.kernel.emptied(), &joined);
        for window in self.each() {
            let before = counts::take(&mut window.stacks, &joined);
            let since = counts::between(&before, counted.clone());
            window.let_go(departed, &reclassified(&handler.stacks, &since), session, handler);
            counts::put(&mut window.stacks, before, &joined);
        }
        counts::put(session.kernel.emptied(), counted, &joined);
        handler.stacks.join(&joined);
    }
}

impl RecorderEdge {
    /// Makes sums, in the window that begins here, of those who are not listed any more; `reclassified` tells what their waits in it
    /// were for.
    fn let_go<K: KernelSide>(
        &mut self,
        departed: &Departed,
        reclassified: &HashMap<u32, Vec<Reclassified>>,
        session: &Session<K>,
        handler: &EventHandler,
    ) {
        let has_gil = |tgid| handler.has_gil(tgid);
        self.departed.take_threads(&mut self.edge.stat, departed, reclassified, has_gil);
        for process in &departed.processes {
            let tgid = process.1.tgid;
            let death = session.deaths().get(&tgid).copied();
            self.departed.take_process(process, handler.boot_cpu_ns(tgid), death);
            self.edge.throttled_ns.remove(&tgid);
        }
    }
}

/// The waits of a window that were for something else than the kernel says, by tgid; in sums of those who are not listed any more
/// they are moved already.
pub fn reclassified(stacks: &Stacks, window: &Counts) -> HashMap<u32, Vec<Reclassified>> {
    let mut reclassified: HashMap<_, Vec<_>> = HashMap::new();
    for (key, count) in window.iter().filter(|(key, _)| key.tid != SEVERAL) {
        let kernels = Reason::ALL.get(key.reason as usize).copied();
        if let Some((from, to)) = kernels.zip(stacks.reason(key)).filter(|(from, to)| from != to) {
            let histogram = Histogram::between(&[0; _], &count.lengths.unpacked());
            let waits = Blocked { ns: count.ns, count: count.count, histogram };
            let of_stack = Reclassified { tid: stacks.tid_of(key), from, to, waits };
            reclassified.entry(key.tgid).or_default().push(of_stack);
        }
    }
    reclassified
}
