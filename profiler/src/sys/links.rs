//! Symbolic links, followed by hand.
//!
//! Who runs as root must not be led by others. A link in a folder that anyone may write to is refused, wherever
//! on the way it lies; the user's own links are followed. Between this look and the use of the path, the kernel's
//! `fs.protected_symlinks` does the same for folders like `/tmp`.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

/// As many links as the kernel follows in one path.
const MAX_LINKS: u32 = 40;

/// Where a path leads: an absolute path without links, or why it is not followed, as a clause.
pub fn resolve(path: &Path) -> io::Result<PathBuf> {
    let mut path = std::path::absolute(path)?;
    for _ in 0..MAX_LINKS {
        let Some((link, rest)) = first_link(&path) else {
            return Ok(path);
        };
        let folder = link.parent().unwrap_or(link);
        if fs::metadata(folder)?.permissions().mode() & 0o002 != 0 {
            let why = format!("`{}` is a symbolic link in a folder that anyone may write to", link.display());
            return Err(io::Error::other(why));
        }
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
    use std::{fs::Permissions, os::unix::fs::symlink};

    use super::*;

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
            assert!(resolve(&path).unwrap_err().to_string().ends_with("a folder that anyone may write to"));
        }
        assert_eq!(resolve(&own.join("circle.svg")).unwrap_err().to_string(), "too many symbolic links");

        // What leads there is the same file.
        assert_eq!(
            resolve(&own.join("link.svg")).unwrap().canonicalize().unwrap(),
            old.canonicalize().unwrap()
        );
        assert_eq!(resolve(&shared.join("plain.svg")).unwrap(), shared.join("plain.svg"));
    }
}
