//! Which kernels are tried, by rule and not by number: what Debian's suites have now.

use crate::machine::Machine;

/// Where kernels come from: suites of the main archive and, for each, the suite of its security updates.
pub const SUITES: [(&str, Option<&str>); 7] = [
    ("bullseye", Some("bullseye-security")),
    ("bookworm", Some("bookworm-security")),
    ("bookworm-backports", None),
    ("trixie", Some("trixie-security")),
    ("trixie-backports", None),
    ("sid", None),
    ("experimental", None),
];

/// Suites in which the newest kernel is, whichever has it.
const NEWEST: &[&str] = &["trixie-backports", "sid", "experimental"];

/// The rows of the matrix.
pub const ROWS: [Row; 20] = [
    Row { what: What::Refused, ..row("bullseye", &["bullseye"], "amd64") },
    Row { deep: true, ..row("bookworm", &["bookworm"], "amd64") },
    row("bookworm-rt", &["bookworm"], "rt-amd64"),
    row("bookworm-backports", &["bookworm-backports"], "amd64"),
    row("trixie", &["trixie"], "amd64"),
    row("trixie-cloud", &["trixie"], "cloud-amd64"),
    Row { deep: true, ..row("trixie-rt", &["trixie"], "rt-amd64") },
    row("trixie-backports", &["trixie-backports"], "amd64"),
    row("trixie-backports-rt", &["trixie-backports"], "rt-amd64"),
    row("sid", &["sid"], "amd64"),
    row("experimental", &["experimental"], "amd64"),
    Row { deep: true, ..row("newest", NEWEST, "amd64") },
    row("trixie-arm64", &["trixie"], "arm64"),
    row("newest-arm64", NEWEST, "arm64"),
    Row { options: "preempt=none", ..row("preempt-none", &["trixie"], "amd64") },
    Row { options: "preempt=voluntary", ..row("preempt-voluntary", &["trixie"], "amd64") },
    Row { options: "preempt=full", ..row("preempt-full", &["trixie"], "amd64") },
    Row { options: "lockdown=integrity", ..row("lockdown-integrity", &["trixie"], "amd64") },
    Row {
        options: "lockdown=confidentiality",
        what: What::Refused,
        ..row("lockdown-confidentiality", &["trixie"], "amd64")
    },
    Row { cgroup1: true, ..row("cgroup1", &["trixie"], "amd64") },
];

/// One kernel under one set-up.
#[derive(Clone, Copy)]
pub struct Row {
    pub name: &'static str,
    /// The newest of these counts.
    pub suites: &'static [&'static str],
    /// Behind `linux-image-`: the metapackage that stands for the newest kernel of a kind.
    pub flavour: &'static str,
    /// On the kernel's command line.
    pub options: &'static str,
    /// Whether control groups are mounted as they were before version 2.
    pub cgroup1: bool,
    /// What is expected.
    pub what: What,
    /// Whether CI runs the thorough part, too.
    pub deep: bool,
}

/// What a kernel can.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum What {
    Runs,
    /// It must be refused, and be told so.
    Refused,
}

const fn row(name: &'static str, suites: &'static [&'static str], flavour: &'static str) -> Row {
    Row { name, suites, flavour, options: "", cgroup1: false, what: What::Runs, deep: false }
}

impl Row {
    /// The machine it is for.
    pub fn machine(&self) -> Machine {
        if self.flavour.ends_with("arm64") { Machine::Aarch64 } else { Machine::X86_64 }
    }

    /// The metapackage, as apt is asked for it.
    pub fn metapackage(&self) -> String {
        format!("linux-image-{}:{}", self.flavour, self.machine().debian())
    }

    /// How it is booted, in words.
    pub fn set_up(&self) -> &'static str {
        if self.cgroup1 { "cgroup v1" } else { self.options }
    }

    /// Whether a word on the command line means it: its name, or the beginning of its kernel's version, with a flavour behind
    /// it or not: `6.1`, `7.3-rt`.
    pub fn is_meant(&self, word: &str, version: &str) -> bool {
        let (number, flavour) = word.split_once('-').unwrap_or((word, ""));
        let rest = version.strip_prefix(number);
        let is_version =
            !number.is_empty() && rest.is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_digit()));
        word == self.name || is_version && self.flavour.starts_with(flavour)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_means_its_kernels_and_no_longer_number() {
        let rt = row("trixie-rt", &["trixie"], "rt-amd64");
        for (word, version, is_meant) in [
            ("trixie-rt", "6.12.118", true),
            ("trixie", "6.12.118", false),
            ("6.12", "6.12.118", true),
            ("6.12-rt", "6.12.118", true),
            ("6.12-cloud", "6.12.118", false),
            ("6.1", "6.12.118", false),
            ("6.1", "6.1.192", true),
            ("7.3", "7.3~rc7", true),
        ] {
            assert_eq!(rt.is_meant(word, version), is_meant, "{word} {version}");
        }
    }
}
