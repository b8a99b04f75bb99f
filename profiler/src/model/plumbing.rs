//! Files whose functions wait on behalf of their callers. The function that waits is the innermost one of another file.

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
