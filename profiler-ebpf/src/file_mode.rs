//! Finds what a file descriptor of a thread is: `i_mode` of its file.

use crate::{
    kernel::{KERNEL, KernelAddress, KernelField, KernelPtr},
    task::{Task, TaskStruct},
};

/// `struct files_struct` (include/linux/fdtable.h): the descriptors of a process.
enum FilesStruct {}
/// `struct fdtable` (include/linux/fdtable.h): an array of them.
enum FdTable {}
/// `struct file` (include/linux/fs.h).
enum File {}
/// `struct inode` (include/linux/fs.h).
enum Inode {}

const FILES: KernelField<TaskStruct, KernelPtr<FilesStruct>> = KernelField::at(&KERNEL.task_files);
const FDT: KernelField<FilesStruct, KernelPtr<FdTable>> = KernelField::at(&KERNEL.files_fdt);
const MAX_FDS: KernelField<FdTable, u32> = KernelField::at(&KERNEL.fdt_max_fds);
const FD: KernelField<FdTable, KernelAddress<KernelAddress<File>>> = KernelField::at(&KERNEL.fdt_fd);
const F_INODE: KernelField<File, KernelAddress<Inode>> = KernelField::at(&KERNEL.file_inode);
const I_MODE: KernelField<Inode, u16> = KernelField::at(&KERNEL.inode_mode);

impl Task {
    /// The mode of the file behind a descriptor (include/uapi/linux/stat.h): `None` for a number that is none, 0 if it
    /// cannot be read.
    #[inline(always)]
    pub fn file_mode(self, descriptor: u32) -> Option<u16> {
        let table = self.read(FILES).read(FDT);
        let (len, files) = (table.read(MAX_FDS), table.read(FD));
        (descriptor < len).then(|| files.element(descriptor).get().read(F_INODE).read(I_MODE))
    }
}
