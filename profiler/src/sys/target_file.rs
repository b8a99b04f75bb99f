//! Opens files that a target names, so that no special file can block us, and no link leads elsewhere.

use std::{fs::File, io, path::Path};

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat, openat2};

/// Flags of `open`: a FIFO's writer is not waited for, and no terminal becomes ours.
const PLAIN: OFlags = OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::NOCTTY).union(OFlags::CLOEXEC);

/// Opens the regular file at a path, such as a link of the kernel's own in `/proc`.
pub fn open(path: &Path) -> io::Result<File> {
    regular(File::from(openat(CWD, path, PLAIN, Mode::empty())?))
}

/// Opens the regular file at a path below a root: no link leads out of it.
pub fn open_below(root: &Path, path: &Path) -> io::Result<File> {
    let root = openat(CWD, root, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let below = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    regular(File::from(openat2(root, path, PLAIN, Mode::empty(), below)?))
}

fn regular(file: File) -> io::Result<File> {
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::ErrorKind::InvalidInput.into()) }
}

#[cfg(test)]
mod tests {
    use std::{fs, io::Read as _, os::unix::fs::symlink};

    use super::*;

    #[test]
    fn links_stay_below_the_root_and_only_files_are_opened() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root");
        fs::create_dir_all(root.join("lib")).unwrap();
        fs::write(folder.path().join("secret"), "the host's").unwrap();
        fs::write(root.join("lib/secret"), "its own").unwrap();
        symlink("/lib/secret", root.join("absolute")).unwrap();
        symlink("../../../secret", root.join("lib/up")).unwrap();
        let mut text = String::new();
        open_below(&root, Path::new("/absolute")).unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "its own");
        assert!(open_below(&root, Path::new("/lib/up")).is_err());
        assert!(open_below(&root, Path::new("/lib")).is_err());
        rustix::fs::mkfifoat(CWD, root.join("fifo"), Mode::RUSR).unwrap();
        assert!(open_below(&root, Path::new("fifo")).is_err());
        assert!(open(&root.join("fifo")).is_err());
    }
}
