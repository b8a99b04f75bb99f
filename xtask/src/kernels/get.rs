//! Kernels from the machine's mirrors, unpacked under `target/kernels`: of each only what is booted.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};

use super::list::{ROWS, Row, SUITES};
use crate::{
    apt::{Apt, Archive},
    exec::{exec, line, read},
};

/// The packages of all suites.
pub struct Kernels {
    apt: Apt,
    folder: PathBuf,
}

/// A package that has a kernel.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Package {
    /// The kernel's own name for itself: `6.12.118+deb13-amd64`.
    pub release: String,
    /// Its name, with the machine it is for, and its version.
    wanted: String,
    /// Where the kernel lies in it.
    file: String,
    /// Which kernel it is: `6.12.118`, where a release may only tell `6.1.0-56`.
    pub version: String,
}

impl Kernels {
    /// Asks the mirrors what there is.
    pub fn new(folder: &Path) -> Result<Self> {
        let (debian, security) = (Archive::debian()?, Archive::security()?);
        let mut sources = Vec::new();
        for (suite, updates) in SUITES {
            // Lists are long: of a machine's packages only where a row asks for them.
            let is_for_arm = ROWS.iter().any(|row| row.flavour == "arm64" && row.suites.contains(&suite));
            let machines = if is_for_arm { "amd64,arm64" } else { "amd64" };
            sources.push(debian.line("deb", machines, suite));
            let archive = security.as_ref().zip(updates);
            sources.extend(archive.map(|(archive, suite)| archive.line("deb", machines, suite)));
        }
        let apt = Apt::new(&folder.join("apt"), &sources)?;
        exec(apt.command("apt-get").args(["--quiet=2", "update"]))?;
        Ok(Self { apt, folder: folder.to_owned() })
    }

    /// Removes the kernels that no row means any more.
    pub fn keep_only(&self, packages: &[&Package]) -> Result<()> {
        for entry in fs::read_dir(&self.folder).context("failed to list the kernels")? {
            let path = entry.context("failed to list the kernels")?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let is_kernel = name.starts_with("linux-");
            if is_kernel && !packages.iter().any(|package| package.wanted == name) {
                fs::remove_file(&path).with_context(|| format!("failed to remove {}", path.display()))?;
            }
        }
        Ok(())
    }

    /// What the newest metapackage of a row's suites stands for.
    pub fn resolve(&self, row: &Row) -> Result<Package> {
        let metapackage = row.metapackage();
        // The newest comes first: name | version | archive suite/component machine Packages
        let versions = read(self.apt.command("apt-cache").args(["madison", &metapackage]))?;
        let is_in = |suite: &str| {
            row.suites
                .iter()
                .any(|of| *of == suite || suite.strip_prefix(of).is_some_and(|rest| rest == "-security"))
        };
        let version = versions.lines().find_map(|line| {
            let mut columns = line.split('|').map(str::trim).skip(1);
            let (version, place) = (columns.next()?, columns.next()?);
            is_in(place.split([' ', '/']).rev().nth(3)?).then_some(version)
        });
        let version =
            version.with_context(|| format!("failed to find {metapackage} in {}", row.suites.join(", ")))?;
        let image = self.needs(&metapackage, version, "linux-image-")?;
        // Up to 6.x it is the kernel; since 7.x it only needs it.
        let binary = self.needs(&image, version, "linux-binary-").ok();
        let name = binary.as_deref().unwrap_or(&image);
        let release = image.trim_start_matches("linux-image-").to_owned();
        let file = match binary {
            Some(_) => format!("./usr/lib/modules/{release}/vmlinuz"),
            None => format!("./boot/vmlinuz-{release}"),
        };
        let wanted = format!("{name}:{}={version}", row.machine().debian());
        let version = version.split_once('-').map_or(version, |(version, _)| version).to_owned();
        Ok(Package { release, wanted, file, version })
    }

    /// The package with a beginning that a package needs in its own version.
    fn needs(&self, package: &str, version: &str, beginning: &str) -> Result<String> {
        let wanted = format!("{package}={version}");
        let text = read(self.apt.command("apt-cache").args(["show", &wanted]))?;
        let depends = text.lines().find_map(|line| line.strip_prefix("Depends: ")).unwrap_or_default();
        let mut names = depends.split([',', '|']).filter_map(|word| word.split_whitespace().next());
        let found = names.find(|name| name.starts_with(beginning));
        found.map(str::to_owned).with_context(|| format!("failed to find a {beginning}… that {wanted} needs"))
    }

    /// Its kernel; downloaded unless it is there.
    pub fn get(&self, package: &Package) -> Result<PathBuf> {
        let kernel = self.folder.join(&package.wanted);
        if kernel.exists() {
            return Ok(kernel);
        }
        let download = self.folder.join("download");
        if download.exists() {
            fs::remove_dir_all(&download).context("failed to remove what was left half done")?;
        }
        fs::create_dir_all(&download).with_context(|| format!("failed to make {}", download.display()))?;
        exec(
            self.apt
                .command("apt-get")
                .args(["--quiet=2", "download", &package.wanted])
                .current_dir(&download),
        )?;
        let mut archives = fs::read_dir(&download).context("failed to list what was downloaded")?;
        let archive = archives.next().context("nothing was downloaded")?.context("failed to list it")?.path();
        let part = download.join("vmlinuz");
        unpack(&archive, &package.file, &part)?;
        fs::rename(&part, &kernel).with_context(|| format!("failed to make {}", kernel.display()))?;
        fs::remove_dir_all(&download).context("failed to remove what was downloaded")?;
        Ok(kernel)
    }
}

/// Unpacks one file of a package.
fn unpack(archive: &Path, file: &str, to: &Path) -> Result<()> {
    let mut dpkg = Command::new("dpkg-deb");
    dpkg.arg("--fsys-tarfile").arg(archive).stdout(Stdio::piped());
    let line = line(&dpkg);
    let mut dpkg = dpkg.spawn().with_context(|| format!("failed to start `{line}`"))?;
    let tar = dpkg.stdout.take().context("failed to hear dpkg-deb")?;
    let to = File::create(to).with_context(|| format!("failed to make {}", to.display()))?;
    exec(Command::new("tar").args(["--extract", "--to-stdout", file]).stdin(tar).stdout(to))?;
    let status = dpkg.wait().context("failed to wait for dpkg-deb")?;
    ensure!(status.success(), "failed to run `{line}` ({status})");
    Ok(())
}
