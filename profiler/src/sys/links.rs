//! Resolves symbolic links by hand, so that root is not led astray.
//!
//! Who runs as root must not be led by others. A link in a folder that anyone may write to is refused, wherever
//! on the way it lies, and as root one in a folder of somebody else; the user's own links are followed. Between this look and
//! the use of the path, the kernel's `fs.protected_symlinks` does the same for folders like `/tmp`.

use std::{
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

/// Most links in one path that are followed, as many as by the kernel.
const MAX_LINKS: u32 = 40;

/// Where a path leads.
#[derive(Debug)]
pub struct Way {
    /// The absolute path, without links.
    pub end: PathBuf,
    /// True if a link was followed that somebody else than root may have placed.
    pub was_led: bool,
}

/// Follows a path, for one who called `sudo` if there is one; or why it is not followed, as a clause.
pub fn resolve(path: &Path, caller: Option<u32>) -> io::Result<Way> {
    let is_root = rustix::process::geteuid().is_root();
    let (mut path, mut was_led) = (std::path::absolute(path)?, false);
    for _ in 0..MAX_LINKS {
        let Some((link, rest)) = first_link(&path) else {
            return Ok(Way { end: path, was_led });
        };
        let folder = link.parent().unwrap_or(link);
        let about = fs::metadata(folder)?;
        let refused = |of_whom: &str| {
            let why = format!("`{}` is a symbolic link in a folder {of_whom}", link.display());
            Err(io::Error::other(why))
        };
        if about.mode() & 0o002 != 0 {
            return refused("that anyone may write to");
        }
        if is_root && about.uid() != 0 && Some(about.uid()) != caller {
            return refused("of another user");
        }
        was_led |= about.uid() != 0 || about.mode() & 0o020 != 0;
        path = folder.join(fs::read_link(link)?).components().chain(rest.components()).collect();
    }
    Err(io::Error::other("too many symbolic links"))
}

/// The first symbolic link of an absolute path, and what follows it.
fn first_link(path: &Path) -> Option<(&Path, &Path)> {
    let prefixes: Vec<&Path> = path.ancestors().collect();
    let link = prefixes.into_iter().rev().find(|prefix| prefix.is_symlink())?;
    Some((link, path.strip_prefix(link).ok()?))
}

#[cfg(test)]
mod tests {
    use std::{
        fs::Permissions,
        os::unix::fs::{PermissionsExt as _, chown, symlink},
    };

    use super::*;

    fn end(path: &Path) -> io::Result<PathBuf> {
        resolve(path, None).map(|way| way.end)
    }

    #[test]
    fn they_are_followed_only_where_nobody_else_places_them() {
        let folder = tempfile::tempdir().unwrap();
        let (own, shared) = (folder.path().join("own"), folder.path().join("shared"));
        for path in [&own, &shared] {
            fs::create_dir(path).unwrap();
        }
        fs::set_permissions(&shared, Permissions::from_mode(0o1777)).unwrap();
        let old = folder.path().join("old.svg");
        fs::write(&old, "old").unwrap();
        symlink("../old.svg", own.join("link.svg")).unwrap();
        symlink(&old, shared.join("link.svg")).unwrap();
        symlink(&own, shared.join("folder")).unwrap();
        symlink(shared.join("link.svg"), own.join("indirect.svg")).unwrap();
        symlink("circle.svg", own.join("circle.svg")).unwrap();

        for path in [shared.join("link.svg"), shared.join("folder/out.svg"), own.join("indirect.svg")] {
            assert!(end(&path).unwrap_err().to_string().ends_with("a folder that anyone may write to"));
        }
        assert_eq!(end(&own.join("circle.svg")).unwrap_err().to_string(), "too many symbolic links");

        // What leads there is the same file.
        assert_eq!(end(&own.join("link.svg")).unwrap().canonicalize().unwrap(), old.canonicalize().unwrap());
        assert_eq!(end(&shared.join("plain.svg")).unwrap(), shared.join("plain.svg"));
    }
    #[test]
    fn root_is_led_by_nobody_but_who_called_it() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("link.svg");
        symlink("end.svg", &link).unwrap();
        assert!(!rustix::process::geteuid().is_root() || !resolve(&link, Some(1000)).unwrap().was_led);
        if chown(folder.path(), Some(1000), None).is_ok() {
            for caller in [None, Some(1001)] {
                assert!(resolve(&link, caller).unwrap_err().to_string().ends_with("of another user"));
            }
            let way = resolve(&link, Some(1000)).unwrap();
            assert!(way.was_led && way.end.ends_with("end.svg"));
        }
    }
}
