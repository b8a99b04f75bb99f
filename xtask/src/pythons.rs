//! `pythons`: the interpreters that the tests walk and this machine has not: from newer Debian suites, unpacked into
//! `target/pythons`, one root folder each; and one that is built from a source that Debian has.

use std::{
    env, fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result};

use crate::{
    apt::{Apt, Archive},
    exec::exec,
    python_source,
};

/// Each can be had from the newest suite that has it.
const SUITES: [&str; 3] = ["trixie", "forky", "sid"];

/// Root folders, and the packages that they are made of.
const ROOTS: [Root; 7] = [
    Root { name: "3.13", packages: &["python3.13", "libpython3.13"], way: Way::Runs },
    Root { name: "3.13t", packages: &["python3.13/trixie"], way: Way::IsBuilt },
    Root { name: "3.14", packages: &["python3.14", "libpython3.14"], way: Way::Runs },
    Root { name: "3.15", packages: &["python3.15", "libpython3.15"], way: Way::Runs },
    Root { name: "pypy", packages: &["pypy3"], way: Way::Runs },
    Root {
        name: "arm64",
        packages: &[
            "libc6:arm64",
            "musl:arm64",
            "python3.13-minimal:arm64",
            "python3.14-minimal:arm64",
            "python3.15-minimal:arm64",
            "libpython3.13-minimal:arm64",
            "libpython3.14-minimal:arm64",
            "libexpat1:arm64",
            "zlib1g:arm64",
        ],
        way: Way::IsRead,
    },
    Root { name: "musl", packages: &["musl"], way: Way::IsRead },
];

/// Where programs are looked for since `/bin` and its like are links.
const LINKS: [&str; 3] = ["bin", "lib", "lib64"];

#[derive(Clone, Copy)]
struct Root {
    name: &'static str,
    packages: &'static [&'static str],
    way: Way,
}

/// What a root is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// Its programs run, once it is the root: all that they depend on is there.
    Runs,
    /// Its files are only read.
    IsRead,
    /// It is built without the GIL, from the source of the one package.
    IsBuilt,
}

impl Root {
    /// Names the packages that a root was made of, so that one of another list is made anew.
    const LIST: &str = "packages";

    fn is_in(&self, folder: &Path) -> bool {
        fs::read_to_string(folder.join(self.name).join(Self::LIST))
            .is_ok_and(|list| list == self.packages.join("\n"))
    }
}

/// Gathers what is missing of all; the folder.
pub fn run() -> Result<PathBuf> {
    gather(&ROOTS.map(|root| root.name))
}

/// Gathers what is missing of these; the folder. Nothing is asked of the network when they are there.
pub fn gather(names: &[&str]) -> Result<PathBuf> {
    let folder = env::current_dir().context("failed to find the current folder")?.join("target/pythons");
    let wanted = || ROOTS.iter().filter(|root| names.contains(&root.name));
    let missing: Vec<_> = wanted().filter(|root| !root.is_in(&folder)).collect();
    if !missing.is_empty() {
        let archive = Archive::debian()?;
        let mut sources = SUITES.map(|suite| archive.line("deb", "amd64,arm64", suite)).to_vec();
        sources.push(archive.line("deb-src", "amd64", SUITES[0]));
        let apt = Apt::new(&folder.join("apt"), &sources)?;
        exec(apt.command("apt-get").args(["--quiet", "update"]))?;
        for root in missing {
            make(root, &apt, &folder)?;
        }
        fs::remove_dir_all(apt.folder()).context("failed to remove what was downloaded")?;
    }
    for Root { name, packages, .. } in wanted() {
        eprintln!("pythons: {} has {}", folder.join(name).display(), packages.join(", "));
    }
    Ok(folder)
}

/// Downloads a root's packages and unpacks or builds them. The root is made under another name, so that there is none by
/// halves.
fn make(root: &Root, apt: &Apt, folder: &Path) -> Result<()> {
    let (archives, made) = (apt.folder().join(root.name), apt.folder().join("root"));
    if made.exists() {
        fs::remove_dir_all(&made).context("failed to remove what was left half made")?;
    }
    fs::create_dir_all(archives.join("partial"))
        .with_context(|| format!("failed to make {}", archives.display()))?;
    let mut get = apt.command("apt-get");
    get.args(["--quiet", "--yes", "--option"]).arg(format!("Dir::Cache::archives={}", archives.display()));
    match root.way {
        Way::Runs => get.args(["--no-install-recommends", "--download-only", "install"]),
        // These take no dependencies, and write into the current folder.
        Way::IsRead => get.arg("download").current_dir(&archives),
        Way::IsBuilt => get.args(["--download-only", "source"]).current_dir(&archives),
    };
    exec(get.args(root.packages).stdout(Stdio::null()))?;
    if root.way == Way::IsBuilt {
        python_source::build(&archives, &made)?;
    } else {
        extract(&archives, &made)?;
    }
    fs::write(made.join(Root::LIST), root.packages.join("\n")).context("failed to name the packages")?;
    let place = folder.join(root.name);
    if place.exists() {
        fs::remove_dir_all(&place).with_context(|| format!("failed to remove {}", place.display()))?;
    }
    fs::rename(&made, &place).with_context(|| format!("failed to make {}", place.display()))
}

/// Unpacks all packages of a folder.
fn extract(archives: &Path, made: &Path) -> Result<()> {
    let entries = fs::read_dir(archives).context("failed to list what was downloaded")?;
    for entry in entries {
        let archive = entry.context("failed to list what was downloaded")?.path();
        if archive.extension().is_some_and(|extension| extension == "deb") {
            exec(Command::new("dpkg-deb").arg("--extract").arg(&archive).arg(made))?;
        }
    }
    for link in LINKS.iter().filter(|link| !made.join(link).exists()) {
        symlink(Path::new("usr").join(link), made.join(link))
            .with_context(|| format!("failed to link {link}"))?;
    }
    Ok(())
}
