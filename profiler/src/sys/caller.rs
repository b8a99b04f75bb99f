//! The user who called `sudo`: files are written, and programs started, as that user.
#![expect(unsafe_code, reason = "std knows no file-system IDs, groups and effective IDs")]

use std::{
    env,
    ffi::CString,
    io,
    os::unix::{ffi::OsStringExt as _, process::CommandExt as _},
    process::Command,
    sync::OnceLock,
};

/// More groups than anybody is in.
const MAX_GROUPS: u16 = 1 << 12;

static CALLER: OnceLock<Caller> = OnceLock::new();

/// A user, and the groups he is in.
#[derive(Debug)]
struct Caller {
    uid: libc::uid_t,
    gid: libc::gid_t,
}

/// Learns who called `sudo`, if we run as root for somebody else, and takes on his groups. From then on we may write as him
/// without any capability. For a process of one thread.
pub fn learn() -> io::Result<()> {
    // SAFETY: no arguments, cannot fail.
    let is_root = unsafe { libc::geteuid() } == 0;
    let id = |name| env::var(name).ok()?.parse().ok();
    let Some((uid, gid)) = id("SUDO_UID").zip(id("SUDO_GID")).filter(|(uid, _)| is_root && *uid != 0) else {
        return Ok(());
    };
    let groups = groups_of(gid);
    let unchanged = libc::uid_t::MAX;
    // SAFETY: `groups` is as long as it is said to be; the others take no memory.
    unsafe {
        succeed(libc::setgroups(groups.len(), groups.as_ptr()))?;
        // In the saved IDs he does no harm, and is at hand.
        succeed(libc::setresgid(unchanged, unchanged, gid))?;
        succeed(libc::setresuid(unchanged, unchanged, uid))?;
    }
    // Nobody has learnt it before.
    let _ = CALLER.set(Caller { uid, gid });
    Ok(())
}

/// His groups, by the name that `sudo` tells; where there is no such name, the one that it tells.
fn groups_of(gid: libc::gid_t) -> Vec<libc::gid_t> {
    let Some(name) = env::var_os("SUDO_USER").and_then(|name| CString::new(name.into_vec()).ok()) else {
        return vec![gid];
    };
    let mut groups = vec![0; usize::from(MAX_GROUPS)];
    let mut count = libc::c_int::from(MAX_GROUPS);
    // SAFETY: there is room for so many groups, and the name ends in NUL.
    let found = unsafe { libc::getgrouplist(name.as_ptr(), gid, groups.as_mut_ptr(), &raw mut count) };
    if found < 0 {
        return vec![gid];
    }
    groups.truncate(usize::try_from(count).unwrap_or(0));
    groups
}

/// True if somebody called `sudo`.
#[must_use]
pub fn is_known() -> bool {
    CALLER.get().is_some()
}

/// His user ID, if somebody called `sudo`.
#[must_use]
pub fn uid() -> Option<u32> {
    CALLER.get().map(|caller| caller.uid)
}

/// Touches files with his rights and no others; with ours if nobody called `sudo`.
pub fn with_his_rights<T>(run: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    let Some(caller) = CALLER.get() else { return run() };
    let _rights = Rights::of(caller)?;
    run()
}

/// This thread's file system identity as the caller; ours again when dropped.
struct Rights;

impl Rights {
    fn of(caller: &Caller) -> io::Result<Self> {
        let rights = Self;
        // SAFETY: neither takes memory.
        let taken = unsafe {
            libc::setfsgid(caller.gid);
            libc::setfsuid(caller.uid);
            // It tells what was before, and nobody can become this.
            libc::setfsuid(libc::uid_t::MAX).cast_unsigned()
        };
        if taken == caller.uid { Ok(rights) } else { Err(io::ErrorKind::PermissionDenied.into()) }
    }
}

impl Drop for Rights {
    fn drop(&mut self) {
        // SAFETY: neither takes memory, and our effective IDs can always be taken.
        unsafe {
            libc::setfsuid(libc::geteuid());
            libc::setfsgid(libc::getegid());
        }
    }
}

/// Has a program run as him; as us if nobody called `sudo`.
pub fn start_as_him(command: &mut Command) {
    let Some(&Caller { uid, gid }) = CALLER.get() else { return };
    // SAFETY: both are safe to call between fork and exec. We have his groups already.
    unsafe {
        command.pre_exec(move || {
            succeed(libc::setresgid(gid, gid, gid))?;
            succeed(libc::setresuid(uid, uid, uid))
        });
    }
}

fn succeed(returned: libc::c_int) -> io::Result<()> {
    if returned == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
