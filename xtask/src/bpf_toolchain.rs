//! Finds what builds the eBPF object: a rustc with a BPF target, and a bpf-linker that fits it.
//!
//! `profiler/build.rs` includes this file by its path, because a build script that depended on xtask would make
//! every build of the profiler wait for xtask. So it uses std only; and it looks, but never installs.

use std::{
    env,
    ffi::OsStr,
    path::{Path, PathBuf},
    process::Command,
};

/// What the eBPF object is built for.
pub const TARGET: &str = "bpfel-unknown-none";

/// The first rustc that can build for BPF and has its linker, and that linker.
pub fn find() -> Option<(Compiler, PathBuf)> {
    let mut compilers = [Compiler::nightly, Compiler::packaged].into_iter().filter_map(|find| find());
    compilers.find_map(|compiler| compiler.linker().map(|linker| (compiler, linker)))
}

/// A rustc that can build for [`TARGET`].
pub struct Compiler {
    rustc: PathBuf,
    /// The major version of its LLVM, which the linker's must equal: an older one cannot read what this one writes.
    pub llvm: u32,
    /// Whether `core` for BPF has to be built from source: a rustup nightly.
    build_std: bool,
}

impl Compiler {
    /// Rustup's nightly, if it has the source of `core`.
    pub fn nightly() -> Option<Self> {
        // Asked about a toolchain it has not, rustup would install it.
        let question = ["which", "--toolchain", "nightly", "rustc"];
        let rustc = read(Command::new("rustup").args(question).env("RUSTUP_AUTO_INSTALL", "0"))?;
        Self::at(rustc.trim(), "src/rust/library/core", true)
    }

    /// The distribution's rustc, if it ships `core` for BPF, as Debian's packages can.
    pub fn packaged() -> Option<Self> {
        Self::at("/usr/bin/rustc", TARGET, false)
    }

    /// The rustc at this path, if `lib/rustlib` beside it has `part` and it is new enough for this workspace.
    fn at(rustc: &str, part: &str, build_std: bool) -> Option<Self> {
        let rustc = PathBuf::from(rustc);
        let rustlib = rustc.parent()?.with_file_name("lib").join("rustlib");
        if !rustlib.join(part).exists() {
            return None;
        }
        let version = read(Command::new(&rustc).arg("-vV"))?;
        let field = |name| version.lines().find_map(|line| line.strip_prefix(name));
        let minor = |release: &str| release.split('.').nth(1)?.parse::<u32>().ok();
        if minor(field("release: ")?)? < minor(env!("CARGO_PKG_RUST_VERSION"))? {
            return None;
        }
        let llvm = number(field("LLVM version: ")?)?;
        Some(Self { rustc, llvm, build_std })
    }

    /// The first bpf-linker on PATH or in cargo's own folder that runs and has this compiler's LLVM.
    pub fn linker(&self) -> Option<PathBuf> {
        let path = env::var_os("PATH").unwrap_or_default();
        env::split_paths(&path)
            .chain(cargo_home().map(|cargo_home| cargo_home.join("bin")))
            .map(|folder| folder.join("bpf-linker"))
            .find(|linker| linker.is_file() && self.fits(linker))
    }

    fn fits(&self, linker: &Path) -> bool {
        // It names its LLVM only as a shared library; one that was linked statically is taken at its word.
        let libraries = read(Command::new("ldd").arg(linker)).unwrap_or_default();
        let llvm = libraries.split_once("libLLVM").and_then(|(_, version)| number(version));
        llvm.is_none_or(|llvm| llvm == self.llvm) && read(Command::new(linker).arg("--version")).is_some()
    }

    /// A tool of the same toolchain.
    pub fn beside(&self, tool: &str) -> PathBuf {
        self.rustc.with_file_name(tool)
    }

    /// `cargo build` or `cargo clippy` for the eBPF crate, whose programs read the registers of this machine (as
    /// `CARGO_CFG_TARGET_ARCH` names it), free of what the cargo around us has set.
    pub fn cargo(&self, verb: &str, linker: &Path, machine: &str) -> Command {
        // `build-std` wants the nightly's own cargo; a distribution's rustc works with any.
        let around = env::var_os("CARGO").map_or_else(|| "cargo".into(), PathBuf::from);
        let cargo = if self.build_std { self.beside("cargo") } else { around };
        // Only the clippy made with this rustc can read its `core`.
        let mut command =
            Command::new(if verb == "clippy" { self.beside("cargo-clippy") } else { cargo.clone() });
        command.args([verb, "--package", "profiler-ebpf", "--release", "--target", TARGET]);
        if self.build_std {
            command.args(["-Z", "build-std=core"]);
        }
        for (name, _) in env::vars_os().filter(|(name, _)| !is_for_any_build(name)) {
            command.env_remove(name);
        }
        // BTF, made from the debug information, is what maps and `tp_btf` programs are checked by when loaded;
        // v3 has 32-bit jumps and arithmetic, and every kernel we support knows it.
        // Bpf-linker's default has LLVM leave every fill of more than a word to a function that stores byte by byte:
        // 400 instructions of every stack's walk, and the verifier looks through each.
        let fixed = [
            "-Cdebuginfo=2",
            "-Ctarget-cpu=v3",
            "-Clink-arg=--btf",
            "-Clink-arg=--disable-expand-memcpy-in-order",
        ];
        let mut flags = fixed.map(str::to_owned).to_vec();
        flags.push(format!("-Clinker={}", linker.display()));
        flags.extend(without_paths());
        // With `build-std`, `core` is compiled from here.
        let library = self.rustc.parent().map(|bin| bin.with_file_name("lib").join("rustlib/src/rust"));
        flags.extend(library.map(|library| format!("--remap-path-prefix={}=rust", library.display())));
        command
            .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"))
            .env("AYA_BPF_TARGET_ARCH", machine)
            .env("CARGO", cargo)
            .env("RUSTC", &self.rustc);
        // The eBPF crates need unstable features; a distribution's rustc is a stable one.
        command.env("RUSTC_BOOTSTRAP", "1");
        command
    }
}

/// Flags of rustc by which what it makes does not depend on where it was made.
pub fn without_paths() -> Vec<String> {
    // Both crates that this file is part of lie in the workspace's root.
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_owned);
    let folders = [(root, "punchclock"), (cargo_home(), "cargo")];
    let folders = folders.into_iter().filter_map(|(folder, name)| Some((folder?, name)));
    folders.map(|(folder, name)| format!("--remap-path-prefix={}={name}", folder.display())).collect()
}

fn cargo_home() -> Option<PathBuf> {
    let home = env::var_os("HOME").map(|home| Path::new(&home).join(".cargo"));
    env::var_os("CARGO_HOME").map(PathBuf::from).or(home)
}

/// Whether a variable of our environment is as true for the eBPF object as for what is built around it. Of cargo's and
/// rustc's own only where they keep and fetch things, and how many jobs there may be: all others choose profiles,
/// flags, targets and wrappers, the host's, or describe the crate whose build script we are.
fn is_for_any_build(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    let starts = |prefixes: &[&str]| prefixes.iter().any(|prefix| name.starts_with(prefix));
    let kept = ["CARGO_HOME", "CARGO_HTTP_", "CARGO_MAKEFLAGS", "CARGO_NET_", "CARGO_REGISTR", "RUSTUP_"];
    starts(&kept) || !starts(&["AYA_", "CARGO", "RUST"])
}

/// What `command` prints, if it succeeds.
fn read(command: &mut Command) -> Option<String> {
    let output = command.output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The first number in `text`.
fn number(text: &str) -> Option<u32> {
    text.split(|c: char| !c.is_ascii_digit()).find(|digits| !digits.is_empty())?.parse().ok()
}
