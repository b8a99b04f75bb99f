//! Builds the eBPF object that `src/bpf` embeds: `OUT_DIR/punchclock-ebpf`.
//!
//! It only builds. Where a compiler or the linker is missing it fails with the one command that installs them.

// Shared with `cargo xtask setup`, so that what setup installs is what is looked for here.
#[path = "../xtask/src/bpf_toolchain.rs"]
mod bpf_toolchain;

use std::{env, fs, path::Path, process::exit};

use bpf_toolchain::TARGET;

fn main() {
    for source in ["profiler-ebpf", "profiler-common", "xtask/src/bpf_toolchain.rs", "Cargo.lock"] {
        println!("cargo::rerun-if-changed=../{source}");
    }
    if let Err(message) = build() {
        eprintln!("error: {message}");
        exit(1);
    }
}

fn build() -> Result<(), String> {
    let found = bpf_toolchain::find();
    let (compiler, linker) = found.ok_or(
        "found no rustc with a BPF target together with a bpf-linker of its LLVM's version: run `cargo xtask setup`",
    )?;
    let out = env::var_os("OUT_DIR").ok_or("OUT_DIR is not set: cargo runs this")?;
    let machine =
        env::var("CARGO_CFG_TARGET_ARCH").map_err(|_| "CARGO_CFG_TARGET_ARCH is not set: cargo runs this")?;
    // A folder of its own: the cargo around us holds the lock on the usual one.
    let target = Path::new(&out).join("ebpf");
    let mut cargo = compiler.cargo("build", &linker, &machine);
    if env::var_os("CARGO_FEATURE_EBPF_LOG").is_some() {
        cargo.args(["--features", "log"]);
    }
    let status = cargo.arg("--target-dir").arg(&target).status();
    let status = status.map_err(|error| format!("failed to start cargo for the eBPF object: {error}"))?;
    if !status.success() {
        return Err(format!("failed to build the eBPF object ({status}); its compiler's messages are above"));
    }
    let name = "punchclock-ebpf";
    let object = target.join(TARGET).join("release").join(name);
    fs::copy(&object, Path::new(&out).join(name))
        .map_err(|error| format!("failed to copy {}: {error}", object.display()))?;
    Ok(())
}
