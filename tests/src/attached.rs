//! The eBPF objects that a process holds, and whether the kernel still has them once the process is gone.

use std::{
    fs, io,
    os::fd::{AsRawFd as _, FromRawFd, OwnedFd},
};

/// `bpf(2)`'s commands that look an object up by its id (`enum bpf_cmd`, include/uapi/linux/bpf.h).
const LOOK_UP: [(&str, libc::c_int); 3] = [("prog_id", 13), ("map_id", 14), ("link_id", 30)];

/// Its commands that tell the next id of a program, a map and a link.
pub const LOOK_ON: [libc::c_int; 3] = [11, 12, 31];

/// What a process holds.
#[derive(Clone, Debug, Default)]
pub struct Attached {
    /// `prog_id`, `map_id` or `link_id`, and the id.
    objects: Vec<(&'static str, u32)>,
    clocks: usize,
}

impl Attached {
    /// Descriptors that a process holds.
    #[must_use]
    pub fn to(tgid: u32) -> Self {
        let mut attached = Self::default();
        for entry in fs::read_dir(format!("/proc/{tgid}/fdinfo")).into_iter().flatten().flatten() {
            let about = fs::read_to_string(entry.path()).unwrap_or_default();
            let fields: Vec<_> = about.lines().filter_map(|line| line.split_once(":\t")).collect();
            let has = |key: &str| fields.iter().any(|(name, _)| *name == key);
            // A link tells its program's id, too.
            let key = if has("link_type") {
                "link_id"
            } else if has("map_type") {
                "map_id"
            } else {
                "prog_id"
            };
            let kind = LOOK_UP.iter().map(|(name, _)| *name).find(|name| *name == key);
            let id = fields.iter().find(|(name, _)| *name == key).and_then(|(_, id)| id.trim().parse().ok());
            attached.objects.extend(kind.zip(id));
            attached.clocks += usize::from(fields.contains(&("link_type", "perf")));
        }
        attached
    }

    /// How many sampling clocks drive its programs.
    #[must_use]
    pub fn clocks(&self) -> usize {
        self.clocks
    }

    /// How many objects of a kind there are: `prog_id`, `map_id` or `link_id`.
    #[must_use]
    pub fn count(&self, kind: &str) -> usize {
        self.objects.iter().filter(|(name, _)| *name == kind).count()
    }

    /// How many entries its hash maps have together, those that do not make room by themselves.
    #[must_use]
    pub fn entries(&self) -> u64 {
        let maps = self.objects.iter().filter(|(kind, _)| *kind == "map_id");
        maps.filter_map(|(_, id)| entries(*id)).sum()
    }

    /// True as long as the kernel has any of the objects.
    #[must_use]
    pub fn remains(&self) -> bool {
        self.objects.iter().any(|(kind, id)| {
            let (_, command) = LOOK_UP.iter().find(|(name, _)| name == kind).expect("a known kind");
            exists(*command, *id)
        })
    }
}

#[expect(unsafe_code, reason = "std has no bpf(2)")]
fn exists(command: libc::c_int, id: u32) -> bool {
    // The id, where to search on from, flags.
    let attributes = [id, 0, 0, 0];
    // SAFETY: the kernel reads as many bytes as it is told there are.
    let fd = unsafe { libc::syscall(libc::SYS_bpf, command, attributes.as_ptr(), size_of_val(&attributes)) };
    if fd < 0 {
        let error = io::Error::last_os_error();
        assert_eq!(error.raw_os_error(), Some(libc::ENOENT), "bpf(2) looks up {id}: {error}");
        return false;
    }
    // SAFETY: the call has just opened it for us.
    drop(unsafe { OwnedFd::from_raw_fd(fd.try_into().expect("a descriptor")) });
    true
}

/// How many entries a hash map has; `None` of one that forgets the oldest, of what is no hash map, and of what is gone.
#[expect(unsafe_code, reason = "std has no bpf(2)")]
fn entries(id: u32) -> Option<u64> {
    const FD_BY_ID: libc::c_int = 14;
    const NEXT_KEY: libc::c_int = 4;
    /// `BPF_MAP_TYPE_HASH`.
    const HASH: &str = "1";
    let attributes = [id, 0, 0];
    // SAFETY: the kernel reads as many bytes as it is told there are.
    let fd = unsafe { libc::syscall(libc::SYS_bpf, FD_BY_ID, attributes.as_ptr(), size_of_val(&attributes)) };
    // SAFETY: the call has just opened it for us.
    let map = unsafe { OwnedFd::from_raw_fd(fd.try_into().ok().filter(|fd: &i32| *fd >= 0)?) };
    let about = fs::read_to_string(format!("/proc/self/fdinfo/{}", map.as_raw_fd())).ok()?;
    let field = |name: &str| {
        about.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(":\t").map(str::trim))
    };
    if field("map_type")? != HASH {
        return None;
    }
    let mut key = vec![0_u8; field("key_size")?.parse().ok()?];
    let mut entries = 0;
    let mut before = 0_u64;
    loop {
        let next = key.as_mut_ptr() as u64;
        // `map_fd`, `key`, `next_key`; without a key the first one is next.
        let attributes = [map.as_raw_fd() as u64, before, next];
        // SAFETY: the kernel reads and writes a key, which has as many bytes.
        let found =
            unsafe { libc::syscall(libc::SYS_bpf, NEXT_KEY, attributes.as_ptr(), size_of_val(&attributes)) };
        if found < 0 {
            return Some(entries);
        }
        (entries, before) = (entries + 1, next);
    }
}

/// The ids of all objects of a kind; the command is of [`LOOK_ON`].
#[must_use]
#[expect(unsafe_code, reason = "std has no bpf(2)")]
pub fn ids(command: libc::c_int) -> Vec<u32> {
    let mut ids = Vec::new();
    loop {
        // Where to search on from, the next id, flags.
        let mut attributes = [ids.last().copied().unwrap_or(0), 0, 0];
        let size = size_of_val(&attributes);
        // SAFETY: the kernel reads and writes as many bytes as it is told there are.
        let found = unsafe { libc::syscall(libc::SYS_bpf, command, attributes.as_mut_ptr(), size) };
        if found < 0 {
            let error = io::Error::last_os_error();
            assert_eq!(error.raw_os_error(), Some(libc::ENOENT), "bpf(2) looks on: {error}");
            return ids;
        }
        ids.push(attributes[1]);
    }
}
