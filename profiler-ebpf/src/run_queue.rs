//! Reads a CPU's run queue, in whose clock the kernel counts, and what interrupts the CPU.

use crate::{
    kernel::{KERNEL, KernelAddress, KernelField, KernelPtr},
    rodata,
};

/// `struct rq` (kernel/sched/sched.h): a CPU's run queue.
pub enum Rq {}

const CLOCK: KernelField<Rq, u64> = KernelField::at(&KERNEL.rq_clock);
const CLOCK_TASK: KernelField<Rq, u64> = KernelField::at(&KERNEL.rq_clock_task);

/// `struct cfs_rq` (kernel/sched/sched.h): a control group's part of a run queue.
pub enum CfsRq {}

const RQ: KernelField<CfsRq, KernelPtr<Rq>> = KernelField::at(&KERNEL.cfs_rq_rq);

impl KernelPtr<CfsRq> {
    /// The run queue that it is a part of.
    pub fn rq(self) -> KernelPtr<Rq> {
        self.read(RQ)
    }
}

impl KernelPtr<Rq> {
    /// Clock of the run queue, ns; a switch has just set it.
    pub fn clock(self) -> u64 {
        self.read(CLOCK)
    }

    /// `clock` less the time that interrupts and a hypervisor took, ns.
    pub fn clock_task(self) -> u64 {
        self.read(CLOCK_TASK)
    }

    /// Preemption count of the CPU (include/linux/preempt.h): another of its variables, as far from this one on each CPU.
    /// 0 if the loader did not find it.
    #[inline(always)]
    pub fn preempt_count(self) -> u32 {
        let from_here = rodata::read(&KERNEL.preempt_count_from_rq);
        if from_here == 0 {
            return 0;
        }
        let address = (self.as_ptr() as u64).wrapping_add_signed(i64::from(from_here));
        KernelAddress::new(address).get()
    }
}
