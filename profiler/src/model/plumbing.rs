//! Files whose functions wait on behalf of their callers. The function that waits is the innermost one of another file.

use crate::model::{
    profile::Profile,
    tables::{Frame, FrameKind, StackId},
};

/// Modules of the standard library whose functions wait on behalf of their callers.
const LIBRARY_PLUMBING: &[&str] = &[
    "selectors.py",
    "socket.py",
    "ssl.py",
    "queue.py",
    "threading.py",
    "multiprocessing/connection.py",
    "multiprocessing/popen_fork.py",
    "multiprocessing/process.py",
    "multiprocessing/queues.py",
    "multiprocessing/synchronize.py",
];

/// Packages that are plumbing: folders and files.
const PACKAGE_PLUMBING: &[&str] = &[
    "billiard/connection.py",
    "billiard/compat.py",
    "billiard/queues.py",
    "billiard/synchronize.py",
    "gevent/_threading.py",
    "kombu/connection.py",
    "kombu/transport/",
    "kombu/utils/eventio.py",
    "redis/",
];

/// The module in which every thread of Python begins.
const THREADING: &str = "threading.py";

/// True if a file's functions wait for their callers.
#[must_use]
pub fn is_plumbing(file: &str) -> bool {
    LIBRARY_PLUMBING.iter().any(|module| is_of_library(file, module))
        || PACKAGE_PLUMBING.iter().any(|part| file.starts_with(part) || file.contains(&format!("/{part}")))
}

/// True of the module `threading`.
#[must_use]
pub fn is_threading(file: &str) -> bool {
    is_of_library(file, THREADING)
}

/// The Python frame of whom a stack's time is: the innermost one that is not plumbing; the innermost one where all are, as in
/// a timer's thread.
#[must_use]
pub fn responsible(profile: &Profile, stack: Option<StackId>) -> Option<&Frame> {
    let mut python = profile.frames_of(stack);
    python.retain(|frame| frame.kind == FrameKind::Python);
    let is_own = |frame: &&&Frame| !frame.file.is_some_and(|file| is_plumbing(profile.string(file)));
    python.iter().rfind(is_own).or(python.last()).copied()
}

/// A module of the library lies in a folder like `python3.11`; `rq/queue.py` is no module of the library. In applications
/// that are frozen into one file it has no folder at all.
fn is_of_library(file: &str, module: &str) -> bool {
    let Some(folder) = file.strip_suffix(module) else { return false };
    let folder = folder.strip_suffix('/').map(|folder| folder.rsplit('/').next().unwrap_or(folder));
    file == module || folder.is_some_and(|name| name.starts_with("python3"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fixture;

    #[test]
    fn who_is_behind_plumbing_is_responsible() {
        let mut profile = Profile::default();
        let python = |name, file| (FrameKind::Python, name, file, 1);
        let (view, bootstrap) = (python("view", "/srv/shop/app.py"), python("_bootstrap", "threading.py"));
        let wait = python("wait", "/usr/lib/python3.11/threading.py");
        let native = (FrameKind::Native, "futex", "/lib/libc.so.6", 0);
        for (frames, name) in [
            (&[bootstrap, view, wait, native][..], Some("view")),
            (&[bootstrap, wait, native], Some("wait")),
            (&[native], None),
        ] {
            let stack = fixture::stack(&mut profile, frames);
            let found = responsible(&profile, stack).map(|frame| profile.string(frame.name));
            assert_eq!(found, name);
        }
    }

    #[test]
    fn modules_of_the_library_are_told_from_an_applications_own() {
        for file in ["/usr/lib/python3.11/queue.py", "queue.py", "multiprocessing/queues.py"] {
            assert!(is_plumbing(file), "{file}");
        }
        for file in ["/srv/shop/queue.py", "shop/queue.py", "/srv/queue.py", "rq/queue.py", "myqueue.py"] {
            assert!(!is_plumbing(file), "{file}");
        }
        assert!(is_threading("threading.py") && !is_threading("shop/threading.py"));
        assert!(is_plumbing("redis/client.py") && is_plumbing("/srv/lib/redis/client.py"));
        assert!(!is_plumbing("myredis/client.py"));
    }
}
