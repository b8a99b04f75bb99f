//! Loads and attaches the eBPF object, and reads its ring buffer.

use std::{
    fs::File,
    io::{self, Read},
};

use anyhow::{Context, Error, Result, anyhow};
use aya::{
    Btf, Ebpf, EbpfLoader, Endianness,
    maps::{MapData, RingBuf},
    programs::{
        BtfTracePoint, Iter, PerfEvent,
        perf_event::{
            HardwareEvent, PerfEventConfig, PerfEventLinkId, PerfEventScope, SamplePolicy, SoftwareEvent,
        },
    },
    util::online_cpus,
};
use profiler_common::{
    config::{BlockedStacks, KernelOffsets},
    siphash::HashKey,
};
use tokio::io::unix::AsyncFd;

use crate::{
    bpf::{
        offsets::{RECV_TRACEPOINT, SWITCH_TRACEPOINT, TRACEPOINTS, WAKING_TRACEPOINT, kernel_offsets},
        refusal,
        stacks::EdgeState,
        syscalls,
    },
    failure::Failure,
    sys::{btf, limits, memory},
};

/// The eBPF object, built by `build.rs` and carried in this binary.
static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/punchclock-ebpf"));

/// The program on [`SWITCH_TRACEPOINT`] that interns the stacks of waits too; without them it is the one of the tracepoint's name.
const SWITCH_STACKS: &str = "sched_switch_stacks";

/// The map `LATE`, which holds what is counted while `STACKS` is read, has room for one stack for so many of `STACKS`.
const LATE_PART: u32 = 4;

/// Sizes of the kernel's maps; all of it is kernel memory, allocated when loaded.
#[derive(Clone, Copy, Debug)]
pub struct MapSizes {
    /// Processes that can be followed at once.
    pub processes: u32,
    /// Distinct stacks between two drains.
    pub stacks: u32,
    /// Ring buffer: a power of two, at least a page.
    pub ring_bytes: u32,
}

/// What the programs do, decided before they are loaded.
#[derive(Clone, Copy, Debug)]
pub struct ProbePlan {
    /// How large the tables are.
    pub sizes: MapSizes,
    /// True if waits are accounted; else only the kernel's own counters are read.
    pub waits: bool,
    /// What is interned when a thread leaves the CPU.
    pub blocked: BlockedStacks,
    /// Waits that are shorter, in ns, have no stack.
    pub min_block_ns: u64,
    /// True if samples of Python threads have all native frames that can be had.
    pub native: bool,
    /// True if threads are sampled, and the plan is of no use without stacks; else waits have no stacks on a kernel that
    /// refuses them.
    pub is_for_stacks: bool,
}

impl ProbePlan {
    /// A plan that only reads the kernel's own counters.
    #[must_use]
    pub const fn counters_only(sizes: MapSizes) -> Self {
        Self {
            sizes,
            waits: false,
            blocked: BlockedStacks::None,
            min_block_ns: 0,
            native: false,
            is_for_stacks: false,
        }
    }
}

/// What is read from the kernel's BTF before anything is loaded.
struct Types {
    offsets: KernelOffsets,
    /// Reduced to what is looked up in it.
    btf: Btf,
    has_recv_tracepoint: bool,
}

impl Types {
    fn of(types: btf::Btf, waits: bool) -> Result<Self> {
        let offsets = kernel_offsets(&types).map_err(|why| anyhow!(why))?;
        let has_recv_tracepoint = waits && types.has_tracepoint(RECV_TRACEPOINT);
        let reduced = types.reduced_to(&[&TRACEPOINTS[..], &[RECV_TRACEPOINT]].concat(), &["bpf_iter_task"]);
        drop(types);
        let btf = Btf::parse(&reduced, Endianness::default()).context("failed to reduce the kernel's BTF")?;
        Ok(Self { offsets, btf, has_recv_tracepoint })
    }
}

/// The clock that samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SamplingClock {
    /// The hardware's cycle counter, whose interrupt reaches everything.
    CpuCycles,
    /// A timer: what virtual machines without a hardware counter have. It cannot see code that runs with
    /// interrupts off.
    CpuClock,
}

impl SamplingClock {
    /// Name of the event, as perf calls it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::CpuCycles => "cpu-cycles",
            Self::CpuClock => "cpu-clock",
        }
    }
}

/// The loaded and attached programs. Dropping it detaches and frees everything.
pub struct Probes {
    pub(super) ebpf: Ebpf,
    /// True if it is counted what threads receive from sockets.
    pub has_recv_tracepoint: bool,
    /// Why no stacks are interned though the plan has some, as a sentence: this kernel refuses to.
    pub without_stacks: Option<String>,
    sampling: Vec<PerfEventLinkId>,
    pub(super) edge_state: EdgeState,
    ring: AsyncFd<RingBuf<MapData>>,
    /// Records that were taken out of the ring to make room: their words, and how many bytes they are.
    held: Vec<(Box<[u64]>, usize)>,
    ring_bytes: u32,
    #[cfg(feature = "ebpf-log")]
    log: aya_log::EbpfLogger<crate::bpf::log::Stderr>,
}

impl Probes {
    /// Loads the programs and attaches those that follow processes and account waits. The calling thread is the
    /// one that must take snapshots, and the only one so far.
    ///
    /// A kernel that refuses the stacks of waits is used without, unless they are what the plan is for.
    pub fn open(types: btf::Btf, plan: ProbePlan) -> Result<Self> {
        let types = Types::of(types, plan.waits)?;
        let opened = Self::load_what_can_be(&types, plan);
        drop(types);
        memory::give_back();
        opened
    }

    fn load_what_can_be(types: &Types, plan: ProbePlan) -> Result<Self> {
        let stacks_refused = |error: &Error| match error.downcast_ref::<Failure>() {
            Some(failure @ Failure::Refused { program, .. }) if program == SWITCH_STACKS => {
                Some(failure.with_its_log())
            }
            _ => None,
        };
        let loaded = Self::load(types, plan);
        let Some(why) = loaded.as_ref().err().filter(|_| !plan.is_for_stacks).and_then(stacks_refused) else {
            return loaded;
        };
        let counting = Self::load(types, ProbePlan { blocked: BlockedStacks::None, ..plan })?;
        Ok(Self { without_stacks: Some(why), ..counting })
    }

    fn load(types: &Types, plan: ProbePlan) -> Result<Self> {
        let Types { offsets, btf, has_recv_tracepoint } = types;
        let ProbePlan { sizes, waits, blocked, min_block_ns, native, is_for_stacks } = plan;
        // The loader reads all of the kernel's BTF when it is made: 25 MB, and a tenth of the start. The object needs none of
        // it, but that can only be set afterwards. So it is made while no file can be opened, and goes on without.
        let mut loader = limits::without_files(EbpfLoader::new).context("failed to change RLIMIT_NOFILE")?;
        // It knows no task storage, and need not.
        loader.btf(None).allow_unsupported_maps();
        let definition_key = random_key().context("failed to read /dev/urandom")?;
        let mut ebpf = loader
            .override_global("KERNEL", bytemuck::bytes_of(offsets), true)
            .override_global("SYSTEM_CALLS", &syscalls::table(), true)
            .override_global("DEFINITION_KEY", &definition_key, true)
            .override_global("WAITS", &u32::from(waits), true)
            .override_global("BLOCKED_STACKS", &(blocked as u32), true)
            .override_global("MIN_BLOCK_NS", &min_block_ns, true)
            .override_global("NATIVE_FRAMES", &u32::from(native), true)
            .map_max_entries("PROCESSES", sizes.processes)
            .map_max_entries("STACKS", sizes.stacks)
            .map_max_entries("LATE", sizes.stacks.div_ceil(LATE_PART))
            .map_max_entries("RING", sizes.ring_bytes)
            .load(OBJECT)
            .context("failed to load the eBPF object")?;
        let switch = if waits && blocked != BlockedStacks::None { SWITCH_STACKS } else { SWITCH_TRACEPOINT };
        let wanted = TRACEPOINTS.into_iter().filter(|name| waits || *name != WAKING_TRACEPOINT);
        let programs: Vec<_> = wanted
            .chain(has_recv_tracepoint.then_some(RECV_TRACEPOINT))
            .map(|tracepoint| (if tracepoint == SWITCH_TRACEPOINT { switch } else { tracepoint }, tracepoint))
            .collect();
        // All are loaded before one is attached: what this kernel refuses leaves no trace.
        for &(name, tracepoint) in &programs {
            let tracing: &mut BtfTracePoint = program(&mut ebpf, name)?;
            tracing.load(tracepoint, btf).map_err(|error| refusal::explain(name, error))?;
        }
        let snapshot: &mut Iter = program(&mut ebpf, "snapshot")?;
        snapshot.load("task", btf).map_err(|error| refusal::explain("snapshot", error))?;
        if is_for_stacks {
            let sample: &mut PerfEvent = program(&mut ebpf, "sample")?;
            sample.load().map_err(|error| refusal::explain("sample", error))?;
        }
        for (name, _) in programs {
            let tracing: &mut BtfTracePoint = program(&mut ebpf, name)?;
            tracing.attach().with_context(|| format!("failed to attach {name}"))?;
        }
        let ring = ebpf.take_map("RING").context("the object has no map RING")?;
        let ring = RingBuf::try_from(ring).context("failed to map the ring buffer")?;
        Ok(Self {
            #[cfg(feature = "ebpf-log")]
            log: crate::bpf::log::start(&mut ebpf)?,
            ebpf,
            has_recv_tracepoint: *has_recv_tracepoint,
            without_stacks: None,
            sampling: Vec::new(),
            edge_state: EdgeState::default(),
            ring: watch(ring)?,
            held: Vec::new(),
            ring_bytes: sizes.ring_bytes,
        })
    }

    /// Starts sampling every CPU that is online, so many times a second. Wants a plan that is for stacks.
    pub fn sample(&mut self, rate_hz: u64) -> Result<SamplingClock> {
        let cpus = online_cpus().map_err(|(_, error)| error).context("failed to list the CPUs")?;
        let sample: &mut PerfEvent = program(&mut self.ebpf, "sample")?;
        let cycles = PerfEventConfig::Hardware(HardwareEvent::CpuCycles);
        let by_cycles = SamplePolicy::Frequency(rate_hz);
        let (&first, others) = cpus.split_first().context("no CPU is online")?;
        let scope = |cpu| PerfEventScope::AllProcessesOneCpu { cpu };
        let (clock, config, policy) = if let Ok(link) = sample.attach(cycles, scope(first), by_cycles, false)
        {
            self.sampling.push(link);
            (SamplingClock::CpuCycles, cycles, by_cycles)
        } else {
            // No hardware counter here, which `record` and `doctor` say.
            let timer = PerfEventConfig::Software(SoftwareEvent::CpuClock);
            let period = SamplePolicy::Period(1_000_000_000 / rate_hz.max(1));
            let link = sample
                .attach(timer, scope(first), period, false)
                .with_context(|| format!("failed to attach sample to CPU {first}"))?;
            self.sampling.push(link);
            (SamplingClock::CpuClock, timer, period)
        };
        for &cpu in others {
            let link = sample
                .attach(config, scope(cpu), policy, false)
                .with_context(|| format!("failed to attach sample to CPU {cpu}"))?;
            self.sampling.push(link);
        }
        Ok(clock)
    }

    /// Stops sampling; what was counted stays to be drained.
    pub fn stop_sampling(&mut self) -> Result<()> {
        let sample: &mut PerfEvent = program(&mut self.ebpf, "sample")?;
        // It stays loaded: what it lost is still to be asked.
        self.sampling.drain(..).try_for_each(|link| sample.detach(link)).context("failed to detach sample")
    }

    /// Attaches the program that does nothing to `sched_switch`, for measurements.
    pub fn attach_empty(&mut self) -> Result<()> {
        let btf = Btf::from_sys_fs().context("failed to read the kernel's BTF")?;
        let empty: &mut BtfTracePoint = program(&mut self.ebpf, "empty")?;
        empty.load(SWITCH_TRACEPOINT, &btf).context("failed to load empty")?;
        empty.attach().map(drop).context("failed to attach empty")
    }

    /// Waits until the kernel side sends something that cannot wait: a fork or an exec.
    pub async fn readable(&self) -> Result<()> {
        self.ring.readable().await.context("failed to wait for the ring buffer")?.clear_ready();
        Ok(())
    }

    /// Takes every record out of the ring buffer that is there now. Whoever sends faster than we read keeps nobody here: what
    /// is taken is no more than the ring has room for.
    pub fn drain_ring(&mut self, mut take: impl FnMut(&[u8])) {
        #[cfg(feature = "ebpf-log")]
        self.log.flush();
        for (words, bytes) in std::mem::take(&mut self.held) {
            take(&bytemuck::cast_slice(&words)[..bytes]);
        }
        self.take_records(take);
    }

    /// Takes out what there is, to be handled later: while somebody reads for long the ring would fill up. Of more than
    /// [`MOST_HELD_BYTES`] the rest stays in the ring.
    pub(super) fn hold_records(&mut self) {
        let mut held = std::mem::take(&mut self.held);
        let bytes: usize = held.iter().map(|(words, _)| size_of_val(&**words)).sum();
        if bytes < MOST_HELD_BYTES {
            self.take_records(|record| {
                let mut words = vec![0; record.len().div_ceil(size_of::<u64>())].into_boxed_slice();
                bytemuck::cast_slice_mut(&mut words)[..record.len()].copy_from_slice(record);
                held.push((words, record.len()));
            });
        }
        self.held = held;
    }

    fn take_records(&mut self, mut take: impl FnMut(&[u8])) {
        let mut bytes_left = self.ring_bytes as usize;
        while let Some(record) = self.ring.get_mut().next() {
            take(&record);
            match bytes_left.checked_sub(RECORD_HEADER_BYTES + record.len()) {
                Some(left) => bytes_left = left,
                None => break,
            }
        }
    }
}

/// Most that is taken out of the ring ahead of its time.
const MOST_HELD_BYTES: usize = 64 << 20;

/// What the ring buffer keeps before each record (`BPF_RINGBUF_HDR_SZ`).
const RECORD_HEADER_BYTES: usize = 8;

/// A secret of this session's.
fn random_key() -> io::Result<HashKey> {
    let mut key = HashKey::default();
    File::open("/dev/urandom")?.read_exact(bytemuck::bytes_of_mut(&mut key))?;
    Ok(key)
}

#[expect(unsafe_code, reason = "tokio cannot see that the map keeps its descriptor")]
fn watch(ring: RingBuf<MapData>) -> Result<AsyncFd<RingBuf<MapData>>> {
    // SAFETY: the ring owns its map, whose descriptor stays open, and the same, until it is dropped.
    unsafe { AsyncFd::register(ring) }.context("failed to watch the ring buffer")
}

/// One of the object's programs.
pub(super) fn program<'a, P>(ebpf: &'a mut Ebpf, name: &str) -> Result<&'a mut P>
where
    &'a mut P: TryFrom<&'a mut aya::programs::Program>,
{
    let program = ebpf.program_mut(name).with_context(|| format!("the object has no program {name}"))?;
    <&mut P>::try_from(program).map_err(|_| anyhow!("the program {name} is of another type"))
}
