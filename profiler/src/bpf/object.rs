//! The loaded programs.

use anyhow::{Context, Result, anyhow};
use aya::{
    Btf, Ebpf, EbpfLoader, Endianness,
    maps::{MapData, RingBuf},
    programs::{
        BtfTracePoint, Iter, PerfEvent,
        perf_event::{HardwareEvent, PerfEventConfig, PerfEventScope, SamplePolicy, SoftwareEvent},
    },
    util::online_cpus,
};
use profiler_common::config::BlockedStacks;
use tokio::io::unix::AsyncFd;

use crate::{
    bpf::{
        calls,
        offsets::{RECEIPTS, TRACEPOINTS, WAKERS, can_walk, kernel_offsets},
    },
    sys::{btf, clock, limits, memory},
};

/// The eBPF object, built by `build.rs` and carried in this binary.
static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/punchclock-ebpf"));

/// How large the kernel's tables are; all of it is kernel memory, allocated when loaded.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// Processes that can be followed at once.
    pub processes: u32,
    /// Distinct stacks between two drains.
    pub stacks: u32,
    /// Ring buffer: a power of two, at least a page.
    pub ring_bytes: u32,
}

/// What the programs do, decided before they are loaded.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// How large the tables are.
    pub sizes: Sizes,
    /// True if it is looked at what threads wait for; else only the kernel's own books are read.
    pub waits: bool,
    /// What is interned when a thread leaves the CPU; nothing where the kernel cannot walk stacks.
    pub blocked: BlockedStacks,
    /// Waits that are shorter, in ns, have no stack.
    pub min_block_ns: u64,
    /// True if samples of Python threads have all native frames that can be had.
    pub native: bool,
}

/// What ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SamplingClock {
    /// The hardware's cycle counter, whose interrupt reaches everything.
    CpuCycles,
    /// A timer: what virtual machines without a hardware counter have. It cannot see code that runs with
    /// interrupts off.
    CpuClock,
}

impl SamplingClock {
    /// As perf names it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::CpuCycles => "cpu-cycles",
            Self::CpuClock => "cpu-clock",
        }
    }
}

/// The loaded and attached kernel side. Dropping it detaches and frees everything.
pub struct Kernel {
    pub(super) ebpf: Ebpf,
    /// True if it is looked at what threads receive from sockets.
    pub receipts: bool,
    ring: AsyncFd<RingBuf<MapData>>,
    #[cfg(feature = "ebpf-log")]
    log: aya_log::EbpfLogger<crate::bpf::log::Stderr>,
}

impl Kernel {
    /// Loads the programs and attaches those that follow processes and keep the books. The calling thread is the
    /// one that must take snapshots, and the only one so far.
    pub fn open(types: btf::Btf, plan: Plan) -> Result<Self> {
        let Plan { sizes, waits, blocked, min_block_ns, native } = plan;
        // It would read all of the kernel's types, 25 MB and a tenth of the start, and the object has nothing to relocate.
        // That it shall not can only be said afterwards; where it cannot read them it goes on without.
        let mut loader = limits::without_files(EbpfLoader::new).context("failed to change RLIMIT_NOFILE")?;
        // It knows no task storage, and need not.
        loader.btf(None).allow_unsupported_maps();
        let blocked = if can_walk(&types) { blocked } else { BlockedStacks::None };
        let offsets = kernel_offsets(&types).map_err(|why| anyhow!(why))?;
        let receipts = waits && types.has_tracepoint(RECEIPTS);
        let reduced = types.reduced_to(&[&TRACEPOINTS[..], &[RECEIPTS]].concat(), &["bpf_iter_task"]);
        drop(types);
        let btf = Btf::parse(&reduced, Endianness::default()).context("failed to reduce the kernel's BTF")?;
        drop(reduced);
        let (tid, system_calls, blocked) = (clock::tid(), calls::table(), blocked as u32);
        let native = u32::from(native);
        let mut ebpf = loader
            .override_global("KERNEL", bytemuck::bytes_of(&offsets), true)
            .override_global("SNAPSHOT_TID", &tid, true)
            .override_global("SYSTEM_CALLS", &system_calls, true)
            .override_global("WAITS", &u32::from(waits), true)
            .override_global("BLOCKED_STACKS", &blocked, true)
            .override_global("MIN_BLOCK_NS", &min_block_ns, true)
            .override_global("NATIVE_FRAMES", &native, true)
            .map_max_entries("PROCESSES", sizes.processes)
            .map_max_entries("STACKS", sizes.stacks)
            .map_max_entries("RING", sizes.ring_bytes)
            .load(OBJECT)
            .context("failed to load the eBPF object")?;
        for name in TRACEPOINTS.into_iter().filter(|name| waits || *name != WAKERS) {
            attach_tracepoint(&mut ebpf, name, name, &btf)?;
        }
        if receipts {
            attach_tracepoint(&mut ebpf, RECEIPTS, RECEIPTS, &btf)?;
        }
        let snapshot: &mut Iter = program(&mut ebpf, "snapshot")?;
        snapshot.load("task", &btf).context("failed to load snapshot")?;
        drop(btf);
        memory::give_back();
        let ring = ebpf.take_map("RING").context("the object has no map RING")?;
        let ring = RingBuf::try_from(ring).context("failed to map the ring buffer")?;
        Ok(Self {
            #[cfg(feature = "ebpf-log")]
            log: crate::bpf::log::start(&mut ebpf)?,
            ebpf,
            receipts,
            ring: watch(ring)?,
        })
    }

    /// Starts sampling every CPU that is online, so many times a second.
    pub fn sample(&mut self, rate_hz: u64) -> Result<SamplingClock> {
        let cpus = online_cpus().map_err(|(_, error)| error).context("failed to list the CPUs")?;
        let sample: &mut PerfEvent = program(&mut self.ebpf, "sample")?;
        sample.load().context("failed to load sample")?;
        let cycles = PerfEventConfig::Hardware(HardwareEvent::CpuCycles);
        let by_cycles = SamplePolicy::Frequency(rate_hz);
        let (&first, others) = cpus.split_first().context("no CPU is online")?;
        let scope = |cpu| PerfEventScope::AllProcessesOneCpu { cpu };
        let by_cycles_there = sample.attach(cycles, scope(first), by_cycles, false).is_ok();
        let (clock, config, policy) = if by_cycles_there {
            (SamplingClock::CpuCycles, cycles, by_cycles)
        } else {
            // No hardware counter here, which `record` and `doctor` say.
            let timer = PerfEventConfig::Software(SoftwareEvent::CpuClock);
            let period = SamplePolicy::Period(1_000_000_000 / rate_hz.max(1));
            sample
                .attach(timer, scope(first), period, false)
                .with_context(|| format!("failed to attach sample to CPU {first}"))?;
            (SamplingClock::CpuClock, timer, period)
        };
        for &cpu in others {
            sample
                .attach(config, scope(cpu), policy, false)
                .with_context(|| format!("failed to attach sample to CPU {cpu}"))?;
        }
        Ok(clock)
    }

    /// Stops sampling; what was counted stays to be drained.
    pub fn stop_sampling(&mut self) -> Result<()> {
        let sample: &mut PerfEvent = program(&mut self.ebpf, "sample")?;
        sample.unload().context("failed to detach sample")
    }

    /// Attaches the program that does nothing to `sched_switch`, for measurements.
    pub fn attach_empty(&mut self) -> Result<()> {
        let btf = Btf::from_sys_fs().context("failed to read the kernel's BTF")?;
        attach_tracepoint(&mut self.ebpf, "empty", "sched_switch", &btf)
    }

    /// Waits until the kernel side sends something that cannot wait: a fork or an exec.
    pub async fn readable(&self) -> Result<()> {
        self.ring.readable().await.context("failed to wait for the ring buffer")?.clear_ready();
        Ok(())
    }

    /// Takes every record out of the ring buffer.
    pub fn drain_ring(&mut self, mut take: impl FnMut(&[u8])) {
        #[cfg(feature = "ebpf-log")]
        self.log.flush();
        while let Some(record) = self.ring.get_mut().next() {
            take(&record);
        }
    }
}

#[expect(unsafe_code, reason = "tokio cannot see that the map keeps its descriptor")]
fn watch(ring: RingBuf<MapData>) -> Result<AsyncFd<RingBuf<MapData>>> {
    // SAFETY: the ring owns its map, whose descriptor stays open, and the same, until it is dropped.
    unsafe { AsyncFd::register(ring) }.context("failed to watch the ring buffer")
}

fn attach_tracepoint(ebpf: &mut Ebpf, name: &str, tracepoint: &str, btf: &Btf) -> Result<()> {
    let tracing: &mut BtfTracePoint = program(ebpf, name)?;
    tracing.load(tracepoint, btf).with_context(|| format!("failed to load {name}"))?;
    tracing.attach().with_context(|| format!("failed to attach {name}"))?;
    Ok(())
}

/// One of the object's programs.
pub(super) fn program<'a, P>(ebpf: &'a mut Ebpf, name: &str) -> Result<&'a mut P>
where
    &'a mut P: TryFrom<&'a mut aya::programs::Program>,
{
    let program = ebpf.program_mut(name).with_context(|| format!("the object has no program {name}"))?;
    <&mut P>::try_from(program).map_err(|_| anyhow!("the program {name} is of another type"))
}
