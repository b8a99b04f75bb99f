//! Where code is, `name (file.py:12)`, with its path shortened to what tells it apart.
//!
//! A package's file is named from its package on, the standard library's from the library on, others by their folder
//! and name; two files that would look alike get as many folders more as it takes.

use std::collections::HashMap;

use crate::model::profile::Profile;

/// A function and its place: without a line if that is 0, and without any if `file` is empty.
#[must_use]
pub fn text(name: &str, file: &str, line: u32) -> String {
    match (file, line) {
        ("", _) => name.to_owned(),
        (file, 0) => format!("{name} ({file})"),
        (file, line) => format!("{name} ({file}:{line})"),
    }
}

/// The short names of some paths.
#[derive(Debug)]
pub struct ShortPaths<'a>(HashMap<&'a str, String>);

impl<'a> ShortPaths<'a> {
    /// Shortens paths that are shown together.
    #[must_use]
    pub fn new(paths: impl Iterator<Item = &'a str>) -> Self {
        Self(shorten(paths))
    }

    /// Shortens all paths of a profile.
    #[must_use]
    pub fn of_profile(profile: &'a Profile) -> Self {
        let files = profile.frames.rows().iter().filter_map(|frame| frame.file);
        Self::new(files.map(|file| profile.string(file)))
    }

    /// The short name of one of them; any other path as it is.
    #[must_use]
    pub fn of<'b>(&'b self, path: &'b str) -> &'b str {
        self.0.get(path).map_or(path, String::as_str)
    }
}

/// The rest of a path inside of a folder of installed packages.
#[must_use]
pub fn in_packages(path: &str) -> Option<&str> {
    let after = |folder| path.rsplit_once(folder).map(|(_, rest)| rest);
    after("/site-packages/").or_else(|| after("/dist-packages/"))
}

/// The rest of a path inside of a standard library, `…/lib/python3.11/`.
#[must_use]
pub fn in_library(path: &str) -> Option<&str> {
    let (_, rest) = path.rsplit_once("/lib/python3.")?;
    let (minor, rest) = rest.split_once('/')?;
    minor.bytes().all(|digit| digit.is_ascii_digit()).then_some(rest)
}

/// True of a Python file that is neither of an installed package nor of the standard library.
#[must_use]
pub fn is_application(path: &str) -> bool {
    let is_source = std::path::Path::new(path).extension().is_some_and(|extension| extension == "py");
    is_source && in_packages(path).is_none() && in_library(path).is_none()
}

/// The shortest name of each path, by the rule at the head of this file.
fn shorten<'a>(paths: impl Iterator<Item = &'a str>) -> HashMap<&'a str, String> {
    let mut parts: HashMap<&str, usize> = paths.map(|path| (path, usual_parts(path))).collect();
    loop {
        let mut alike: HashMap<&str, Vec<&str>> = HashMap::new();
        for (path, parts) in &parts {
            alike.entry(last_parts(path, *parts)).or_default().push(path);
        }
        alike.retain(|_, paths| paths.len() > 1);
        if alike.is_empty() {
            return parts
                .into_iter()
                .map(|(path, parts)| (path, last_parts(path, parts).to_owned()))
                .collect();
        }
        // At most one of those that look alike is already whole, so this comes to an end.
        for path in alike.into_values().flatten() {
            parts.entry(path).and_modify(|parts| *parts += 1);
        }
    }
}

/// How many parts of a path are shown if they suffice.
fn usual_parts(path: &str) -> usize {
    match in_packages(path).or_else(|| in_library(path)) {
        Some(rest) => rest.split('/').count(),
        None if path.contains(".py") => 2,
        None => 1,
    }
}

/// The last parts of a path; the whole of it if it has no more.
fn last_parts(path: &str, parts: usize) -> &str {
    match path.rmatch_indices('/').nth(parts.saturating_sub(1)) {
        Some((slash, _)) => &path[slash + 1..],
        None => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn short(paths: &[&str]) -> Vec<String> {
        let short = ShortPaths::new(paths.iter().copied());
        paths.iter().map(|path| short.of(path).to_owned()).collect()
    }

    #[test]
    fn paths_shrink_to_what_people_call_them() {
        let paths = [
            "/srv/venv/lib/python3.11/site-packages/gunicorn/workers/sync.py",
            "/usr/lib/python3/dist-packages/six.py",
            "/usr/lib/python3.11/json/decoder.py",
            "/usr/lib/python3.11/threading.py",
            "/srv/shop/app/views.py",
            "/app.py",
            "<frozen importlib._bootstrap>",
            "<string>",
            "/usr/lib/x86_64-linux-gnu/libc.so.6",
        ];
        let expected = [
            "gunicorn/workers/sync.py",
            "six.py",
            "json/decoder.py",
            "threading.py",
            "app/views.py",
            "/app.py",
            "<frozen importlib._bootstrap>",
            "<string>",
            "libc.so.6",
        ];
        assert_eq!(short(&paths), expected);
    }

    #[test]
    fn paths_that_would_look_alike_get_more_folders() {
        let paths = ["/srv/a/shop/app.py", "/srv/b/shop/app.py", "/shop/app.py", "shop/app.py"];
        assert_eq!(short(&paths), ["a/shop/app.py", "b/shop/app.py", "/shop/app.py", "shop/app.py"]);
        // The second must not end where the first, a package, began.
        let paths = ["/v/site-packages/p/s/f.py", "/srv/p/s/f.py", "/opt/q/s/f.py"];
        assert_eq!(short(&paths), ["site-packages/p/s/f.py", "srv/p/s/f.py", "q/s/f.py"]);
    }
}
