//! `pythons`: the interpreters that the tests walk and this machine has not: from newer Debian suites, unpacked into
//! `target/pythons`, one root folder each; and one that is built from a source that Debian has.
//!
//! By apt's own client, under a configuration of its own: the machine's packages and lists stay as they are. The mirror is
//! the one that the machine's own sources name.

use std::{
    env, fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};

use crate::{
    exec::{exec, read},
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

/// Gathers what is missing; the folder. Nothing is asked of the network when all is there.
pub fn run() -> Result<PathBuf> {
    let folder = env::current_dir().context("failed to find the current folder")?.join("target/pythons");
    let missing: Vec<_> = ROOTS.iter().filter(|root| !root.is_in(&folder)).collect();
    if !missing.is_empty() {
        let apt = Apt::new(&folder.join("apt"))?;
        exec(apt.command("apt-get").args(["--quiet", "update"]))?;
        for root in missing {
            apt.make(root, &folder)?;
        }
        fs::remove_dir_all(&apt.folder).context("failed to remove what was downloaded")?;
    }
    for Root { name, packages, .. } in ROOTS {
        eprintln!("pythons: {} has {}", folder.join(name).display(), packages.join(", "));
    }
    Ok(folder)
}

/// apt, under a configuration of its own.
struct Apt {
    folder: PathBuf,
}

impl Apt {
    fn new(folder: &Path) -> Result<Self> {
        for name in ["lists/partial", "none"] {
            let name = folder.join(name);
            fs::create_dir_all(&name).with_context(|| format!("failed to make {}", name.display()))?;
        }
        let (mirror, keyring) = (mirror()?, "/usr/share/keyrings/debian-archive-keyring.gpg");
        let signed =
            if Path::new(keyring).exists() { format!("signed-by={keyring} ") } else { String::new() };
        let binary = SUITES.map(|suite| format!("deb [{signed}arch=amd64,arm64] {mirror} {suite} main\n"));
        let source = format!("deb-src [{signed}arch=amd64] {mirror} {} main\n", SUITES[0]);
        let here = folder.display();
        // The machine's own settings hold besides, as for a proxy; but not what it does after an update, which is for its own
        // lists.
        let configuration = format!(
            "#clear APT::Update::Post-Invoke;\n#clear APT::Update::Post-Invoke-Success;\n#clear DPkg::Post-Invoke;\n\
             Dir::State \"{here}\";\nDir::State::lists \"{here}/lists\";\nDir::State::status \"{here}/status\";\n\
             Dir::Etc::sourcelist \"{here}/sources.list\";\nDir::Etc::sourceparts \"{here}/none\";\n\
             Dir::Etc::preferences \"{here}/none/none\";\nDir::Etc::preferencesparts \"{here}/none\";\n\
             Dir::Cache \"{here}/cache\";\nAPT::Architecture \"amd64\";\n\
             APT::Architectures {{ \"amd64\"; \"arm64\"; }};\nAPT::Sandbox::User \"root\";\n\
             Acquire::Languages \"none\";\nAcquire::IndexTargets::deb::DEP-11::DefaultEnabled \"false\";\n"
        );
        for (name, text) in [
            ("status", String::new()),
            ("sources.list", binary.concat() + &source),
            ("apt.conf", configuration),
        ] {
            fs::write(folder.join(name), text).with_context(|| format!("failed to write {name}"))?;
        }
        Ok(Self { folder: folder.to_owned() })
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        // Read behind all others: what is in APT_CONFIG is read before them.
        command.arg("--config-file").arg(self.folder.join("apt.conf"));
        command
    }

    /// Downloads a root's packages and unpacks or builds them. The root is made under another name, so that there is none by
    /// halves.
    fn make(&self, root: &Root, folder: &Path) -> Result<()> {
        let (archives, made) = (self.folder.join(root.name), self.folder.join("root"));
        if made.exists() {
            fs::remove_dir_all(&made).context("failed to remove what was left half made")?;
        }
        fs::create_dir_all(archives.join("partial"))
            .with_context(|| format!("failed to make {}", archives.display()))?;
        let mut get = self.command("apt-get");
        get.args(["--quiet", "--yes", "--option"])
            .arg(format!("Dir::Cache::archives={}", archives.display()));
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

/// Where this machine gets Debian's packages from.
fn mirror() -> Result<String> {
    let format = ["--format", "$(REPO_URI) $(LABEL)", "Created-By: Packages"];
    let targets = read(Command::new("apt-get").arg("indextargets").args(format))
        .context("failed to ask apt, from which these interpreters come, for its mirror")?;
    let mut repositories = targets.lines().filter_map(|line| line.rsplit_once(' '));
    let mirror = repositories.find(|(_, label)| *label == "Debian").map(|(uri, _)| uri.to_owned());
    let mirror = mirror.context("failed to find a mirror of Debian in this machine's sources")?;
    ensure!(!mirror.contains([' ', '\n', ']']), "this machine's mirror of Debian has an odd name");
    Ok(mirror)
}
