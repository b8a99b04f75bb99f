//! A file whose name appears when all its bytes are there.
//!
//! The kernel keeps it without a name until then (`O_TMPFILE`), so that nothing is left of it whatever ends this process. Only
//! to take an older file's place it has a name of its own, from one system call to the next: `link` replaces nothing, and
//! `rename` wants a name. Where a file system has no files without names, it has that name from the start.

use std::{
    fs::{File, OpenOptions, Permissions},
    io,
    os::{
        fd::AsRawFd as _,
        unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    },
    path::Path,
};

use rustix::fs::{AtFlags, CWD, linkat};
use tempfile::TempPath;

/// A file that is being written.
#[derive(Debug)]
pub struct Draft {
    file: File,
    /// Its own name, if it has one already.
    path: Option<TempPath>,
}

impl Draft {
    /// Opens a new file in a folder, with these permissions as far as the umask leaves them.
    pub fn open(folder: &Path, mode: u32) -> io::Result<Self> {
        match unnamed(folder, mode) {
            Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => named(folder, mode),
            opened => Ok(Self { file: opened?, path: None }),
        }
    }

    pub fn file(&mut self) -> &mut File {
        &mut self.file
    }

    /// Gives it its name, in place of an older file.
    pub fn publish(self, target: &Path) -> io::Result<()> {
        let Self { file, path } = self;
        let path = match path {
            Some(path) => path,
            None => match link(&file, target) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    let folder = target.parent().unwrap_or(target);
                    own_name().make_in(folder, |path| link(&file, path))?.into_temp_path()
                }
                linked => return linked,
            },
        };
        path.persist(target).map_err(|error| error.error)
    }
}

fn unnamed(folder: &Path, mode: u32) -> io::Result<File> {
    OpenOptions::new().write(true).custom_flags(libc::O_TMPFILE).mode(mode).open(folder)
}

fn named(folder: &Path, mode: u32) -> io::Result<Draft> {
    let (file, path) = own_name().permissions(Permissions::from_mode(mode)).tempfile_in(folder)?.into_parts();
    Ok(Draft { file, path: Some(path) })
}

fn own_name() -> tempfile::Builder<'static, 'static> {
    let mut name = tempfile::Builder::new();
    name.prefix(".punchclock-").suffix(".part");
    name
}

/// Gives an open file a name, by its link in `/proc`: to name it by itself wants a capability, until Linux 6.10.
fn link(file: &File, path: &Path) -> io::Result<()> {
    let ours = format!("/proc/self/fd/{}", file.as_raw_fd());
    Ok(linkat(CWD, ours, CWD, path, AtFlags::SYMLINK_FOLLOW)?)
}

#[cfg(test)]
mod tests {
    use std::{fs, io::Write as _};

    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn until_it_is_published_nothing_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("out.svg");
        let before: [&[&str]; 2] = [&[], &["out.svg"]];
        for (contents, before) in ["first", "second"].into_iter().zip(before) {
            let mut draft = Draft::open(folder.path(), 0o600).unwrap();
            draft.file().write_all(contents.as_bytes()).unwrap();
            assert_eq!(names(folder.path()), before);
            draft.publish(&target).unwrap();
            assert_eq!(names(folder.path()), ["out.svg"]);
            assert_eq!(fs::read_to_string(&target).unwrap(), contents);
        }
    }

    #[test]
    fn a_file_system_without_files_without_names_will_do() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("out.svg");
        for contents in ["first", "second"] {
            let mut draft = named(folder.path(), 0o600).unwrap();
            draft.file().write_all(contents.as_bytes()).unwrap();
            draft.publish(&target).unwrap();
            assert_eq!(fs::read_to_string(&target).unwrap(), contents);
        }
        drop(named(folder.path(), 0o600).unwrap());
        assert_eq!(names(folder.path()), ["out.svg"]);
    }
}
