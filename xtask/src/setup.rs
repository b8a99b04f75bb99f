//! `setup`: installs what is missing to build, test and, on request, lint and bench.
//!
//! A rustup nightly that can build for BPF is taken as it is; to install one comes after Debian's packages, because
//! those bring the LLVM that the linker needs, while the newest nightly's is rarely to be had.

use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};

use crate::{
    bpf_toolchain::{self, Compiler},
    cargo::cargo,
    exec::{as_root, exec, which},
};

const LINKER: &str = "bpf-linker@0.13.0";

#[derive(clap::Args, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch on the command line")]
pub struct Options {
    /// Also clippy for the eBPF crate, as `cargo xtask ci` needs it
    #[arg(long)]
    pub lint: bool,
    /// Also the tools that `cargo xtask bench` compares punchclock with
    #[arg(long)]
    pub bench: bool,
    /// Also what `cargo xtask test` needs and Python's package index has not: servers, and a browser for reports
    #[arg(long)]
    pub test: bool,
    /// Also the compiler of the engine that `cargo xtask fuzz` is built with, which is C++
    #[arg(long)]
    pub fuzz: bool,
    /// Also the emulators in which `cargo xtask kernels` boots
    #[arg(long)]
    pub kernels: bool,
}

pub fn run(&Options { lint, bench, test, fuzz, kernels }: &Options) -> Result<()> {
    let mut apt = Apt::default();
    python(&mut apt)?;
    let compiler = toolchain(&mut apt)?;
    if lint {
        clippy(&mut apt, &compiler)?;
    }
    if test {
        servers(&mut apt)?;
        builds(&mut apt)?;
        let tools = [("chromium", "chromium"), ("chromedriver", "chromium-driver")];
        apt.install("a browser to look at reports with", &missing(&tools))?;
    }
    if bench {
        let tools = [
            ("cpudist", "libbpf-tools"),
            ("bpftrace", "bpftrace"),
            ("bpftool", "bpftool"),
            ("perf", "linux-perf"),
        ];
        apt.install("to compare with", &missing(&tools))?;
    }
    // Lints are of what is fuzzed with, too.
    if fuzz || lint {
        apt.install("to build what fuzzes", &missing(&[("c++", "g++")]))?;
    }
    if kernels {
        let emulators =
            [("qemu-system-x86_64", "qemu-system-x86"), ("qemu-system-aarch64", "qemu-system-arm")];
        apt.install("to boot other kernels in", &missing(&emulators))?;
    }
    eprintln!("setup: nothing is missing");
    Ok(())
}

/// The packages of those programs that are not there.
fn missing(tools: &[(&str, &'static str)]) -> Vec<&'static str> {
    tools.iter().filter(|(program, _)| which(program).is_none()).map(|(_, package)| *package).collect()
}

fn python(apt: &mut Apt) -> Result<()> {
    // Debian's python3 has `venv` without the `ensurepip` it calls.
    let works = || succeeds(Command::new("python3").args(["-c", "import venv, ensurepip"]));
    if works() {
        return Ok(());
    }
    apt.install("virtual environments for Python", &["python3", "python3-venv"])?;
    if !works() {
        bail!("failed to import venv and ensurepip in the python3 that comes first on PATH");
    }
    Ok(())
}

/// A compiler and its linker: those that are there, else by the first way that succeeds.
fn toolchain(apt: &mut Apt) -> Result<Compiler> {
    if let Some((compiler, _)) = bpf_toolchain::find() {
        return Ok(compiler);
    }
    let ways: [fn(&mut Apt) -> Result<Compiler>; 3] =
        [|_| Compiler::nightly().context("failed to find a rustup nightly with rust-src"), packaged, nightly];
    for way in ways {
        match way(apt).and_then(|compiler| linker(apt, &compiler).map(|()| compiler)) {
            Ok(compiler) => return Ok(compiler),
            Err(error) => eprintln!("setup: {error:#}"),
        }
    }
    bail!("failed to get a rustc with a BPF target and its linker; the reasons are above")
}

fn packaged(apt: &mut Apt) -> Result<Compiler> {
    if Compiler::packaged().is_none() {
        apt.install("a rustc with a BPF target", &["rustc-web", "libstd-rust-web-dev-bpf"])?;
    }
    Compiler::packaged().context("failed to find a recent /usr/bin/rustc with a BPF target")
}

fn nightly(_: &mut Apt) -> Result<Compiler> {
    // An installed nightly is only added to: `toolchain install` would update it.
    let question = ["which", "--toolchain", "nightly", "rustc"];
    let installed = succeeds(Command::new("rustup").args(question).env("RUSTUP_AUTO_INSTALL", "0"));
    let words = if installed {
        "component add rust-src --toolchain nightly"
    } else {
        "toolchain install nightly --profile minimal --component rust-src"
    };
    exec(Command::new("rustup").args(words.split(' ')))?;
    Compiler::nightly().context("failed to find rust-src in rustup's nightly")
}

fn linker(apt: &mut Apt, compiler: &Compiler) -> Result<()> {
    if compiler.linker().is_some() {
        return Ok(());
    }
    let llvm = format!("llvm-{}", compiler.llvm);
    let prefix = env::var_os("LLVM_PREFIX").map_or_else(|| Path::new("/usr/lib").join(&llvm), PathBuf::from);
    let mut packages = Vec::new();
    if !prefix.join("bin/llvm-config").exists() || !prefix.join("include").exists() {
        packages.push(format!("{llvm}-dev"));
    }
    // LLVM is C++: linking to it takes libstdc++, which gcc alone does not bring.
    if which("g++").is_none() {
        packages.push("g++".into());
    }
    let packages = packages.iter().map(String::as_str).collect::<Vec<_>>();
    apt.install("the BPF linker's LLVM, the major version of rustc's", &packages)?;
    eprintln!("setup: building {LINKER} with {llvm}, which takes a minute or two");
    let features = ["--no-default-features", "--features", &llvm];
    exec(cargo().args(["install", LINKER, "--locked"]).args(features).env("LLVM_PREFIX", prefix))?;
    compiler.linker().context("failed to find the bpf-linker that was just installed")?;
    Ok(())
}

/// Apache and Redis. What is installed are their programs only, without the packages that would start them as services.
fn servers(apt: &mut Apt) -> Result<()> {
    let apache = Path::new("/usr/lib/apache2/modules/mod_wsgi.so").exists() && which("apache2").is_some();
    let redis = which("redis-check-rdb").is_some();
    let servers = [(apache, "libapache2-mod-wsgi-py3"), (redis, "redis-tools")];
    let missing = servers.into_iter().filter(|(is_there, _)| !is_there);
    apt.install("servers to test with", &missing.map(|(_, package)| package).collect::<Vec<_>>())
}

/// What `cargo xtask pythons` builds with.
fn builds(apt: &mut Apt) -> Result<()> {
    let mut packages = missing(&[("gcc", "gcc"), ("make", "make"), ("xz", "xz-utils")]);
    if !Path::new("/usr/include/zlib.h").exists() {
        packages.push("zlib1g-dev");
    }
    apt.install("to build Python with", &packages)
}

fn clippy(apt: &mut Apt, compiler: &Compiler) -> Result<()> {
    if compiler.beside("cargo-clippy").exists() {
        return Ok(());
    }
    if compiler.beside("rustc") == Path::new("/usr/bin/rustc") {
        return apt.install("clippy for the eBPF crate", &["rust-web-clippy"]);
    }
    exec(Command::new("rustup").args(["component", "add", "clippy", "--toolchain", "nightly"]))
}

/// Debian's and Ubuntu's package manager, told once to look what there is.
#[derive(Default)]
struct Apt {
    updated: bool,
}

impl Apt {
    fn install(&mut self, what: &str, packages: &[&str]) -> Result<()> {
        if packages.is_empty() {
            return Ok(());
        }
        let list = packages.join(" ");
        if which("apt-get").is_none() {
            bail!("failed to install {what}: there is no apt-get; on Debian the packages are {list}");
        }
        eprintln!("setup: installing {what}: {list}");
        if !self.updated {
            exec(as_root("apt-get").args(["update", "--quiet=2"]))?;
            self.updated = true;
        }
        // Nothing else may go: rustc-web, for one, would have Debian's own rustup removed.
        let options = ["install", "--yes", "--no-install-recommends", "--no-remove"];
        let quietly = ["--quiet=2", "--option=Dpkg::Use-Pty=0"];
        let apt_get = ["DEBIAN_FRONTEND=noninteractive", "apt-get"];
        exec(as_root("env").args(apt_get).args(options).args(quietly).args(packages))
    }
}

fn succeeds(command: &mut Command) -> bool {
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}
