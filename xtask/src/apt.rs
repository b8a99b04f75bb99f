//! Debian's packages from other suites and for other machines, by apt's own client under a configuration of its own: this
//! machine's packages and lists stay as they are. The archives are those that the machine's own sources name.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};

use crate::exec::read;

const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// apt, with all of its state in one folder.
pub struct Apt {
    folder: PathBuf,
}

impl Apt {
    /// An archive of packages in a folder, which is made if it is not there; `sources` are lines of [`Archive::line`].
    pub fn new(folder: &Path, sources: &[String]) -> Result<Self> {
        for name in ["lists/partial", "cache", "none"] {
            let name = folder.join(name);
            fs::create_dir_all(&name).with_context(|| format!("failed to make {}", name.display()))?;
        }
        let here = folder.display();
        // The machine's own settings hold besides, as for a proxy; but not what it does after an update, which is for its own
        // lists, nor that a container's image may keep none of apt's caches, without which each question takes seconds.
        let configuration = format!(
            "#clear APT::Update::Post-Invoke;\n#clear APT::Update::Post-Invoke-Success;\n#clear DPkg::Post-Invoke;\n\
             Dir::State \"{here}\";\nDir::State::lists \"{here}/lists\";\nDir::State::status \"{here}/status\";\n\
             Dir::Etc::sourcelist \"{here}/sources.list\";\nDir::Etc::sourceparts \"{here}/none\";\n\
             Dir::Etc::preferences \"{here}/none/none\";\nDir::Etc::preferencesparts \"{here}/none\";\n\
             Dir::Cache \"{here}/cache\";\nDir::Cache::pkgcache \"pkgcache.bin\";\n\
             Dir::Cache::srcpkgcache \"srcpkgcache.bin\";\nAPT::Architecture \"amd64\";\n\
             APT::Architectures {{ \"amd64\"; \"arm64\"; }};\nAPT::Sandbox::User \"root\";\n\
             Acquire::Languages \"none\";\nAcquire::IndexTargets::deb::DEP-11::DefaultEnabled \"false\";\n"
        );
        for (name, text) in
            [("status", String::new()), ("sources.list", sources.concat()), ("apt.conf", configuration)]
        {
            fs::write(folder.join(name), text).with_context(|| format!("failed to write {name}"))?;
        }
        Ok(Self { folder: folder.to_owned() })
    }

    /// The folder of its state.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// One of apt's programs, under this configuration.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        // Read behind all others: what is in APT_CONFIG is read before them.
        command.arg("--config-file").arg(self.folder.join("apt.conf"));
        command
    }
}

/// A repository of packages.
pub struct Archive {
    address: String,
}

impl Archive {
    /// Where this machine gets Debian's packages from.
    pub fn debian() -> Result<Self> {
        Self::labelled("Debian")?.context("failed to find a mirror of Debian in this machine's sources")
    }

    /// Where it gets their security updates from, if it does.
    pub fn security() -> Result<Option<Self>> {
        Self::labelled("Debian-Security")
    }

    fn labelled(wanted: &str) -> Result<Option<Self>> {
        let format = ["--format", "$(REPO_URI) $(LABEL)", "Created-By: Packages"];
        let targets = read(Command::new("apt-get").arg("indextargets").args(format))
            .context("failed to ask apt for this machine's mirror")?;
        let mut repositories = targets.lines().filter_map(|line| line.rsplit_once(' '));
        let found = repositories.find(|(_, label)| *label == wanted);
        let Some((address, _)) = found else { return Ok(None) };
        ensure!(!address.contains([' ', '\n', ']']), "this machine's mirror of Debian has an odd name");
        Ok(Some(Self { address: address.to_owned() }))
    }

    /// The line of `sources.list` for a suite: `kind` is `deb` or `deb-src`.
    pub fn line(&self, kind: &str, architectures: &str, suite: &str) -> String {
        let signed =
            if Path::new(KEYRING).exists() { format!("signed-by={KEYRING} ") } else { String::new() };
        format!("{kind} [{signed}arch={architectures}] {} {suite} main\n", self.address)
    }
}
