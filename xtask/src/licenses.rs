//! `licenses`: every dependency's licence against deny.toml. It does what `cargo deny check licenses` does with that
//! file, without the minutes it takes to build cargo-deny.

use std::{fs, iter::Peekable};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::{cargo::cargo, exec::read};

pub fn run() -> Result<()> {
    let policy = Policy::parse(&fs::read_to_string("deny.toml").context("failed to read deny.toml")?);
    let metadata = read(cargo().args(["metadata", "--format-version=1", "--locked"]))?;
    let metadata: Value = serde_json::from_str(&metadata).context("failed to parse cargo's metadata")?;
    let packages = metadata["packages"].as_array().context("failed to find packages in cargo's metadata")?;
    let mut refused = 0;
    for package in packages {
        let [name, version, license] =
            ["name", "version", "license"].map(|key| package[key].as_str().unwrap_or_default());
        if !policy.accepts(name, license) {
            println!("{name} {version}: `{license}` is not allowed by deny.toml");
            refused += 1;
        }
    }
    ensure!(refused == 0, "failed to accept the licences of {refused} of {} packages", packages.len());
    Ok(())
}

/// What deny.toml's `[licenses]` says.
struct Policy {
    allow: Vec<String>,
    /// Crate → what it, and no other, may be licensed under.
    exceptions: Vec<(String, Vec<String>)>,
}

impl Policy {
    /// Reads the two lists as deny.toml promises to write them; anything else in it is left to cargo-deny.
    fn parse(toml: &str) -> Self {
        let (mut allow, mut exceptions) = (Vec::new(), Vec::new());
        for line in toml.lines().map(|line| line.split('#').next().unwrap_or_default().trim()) {
            let mut quoted = line.split('"').skip(1).step_by(2).map(str::to_owned);
            if line.starts_with('"') {
                allow.extend(quoted);
            } else if line.starts_with("{ crate") {
                exceptions.extend(quoted.next().map(|name| (name, quoted.collect())));
            }
        }
        Self { allow, exceptions }
    }

    fn accepts(&self, name: &str, expression: &str) -> bool {
        let own =
            self.exceptions.iter().filter(|(krate, _)| krate == name).flat_map(|(_, licenses)| licenses);
        let allowed: Vec<_> = self.allow.iter().chain(own).map(String::as_str).collect();
        // `MIT/Apache-2.0` is how `OR` was written before SPDX.
        let expression = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
        let mut words = expression.split_whitespace().peekable();
        any(&mut words, &allowed) && words.next().is_none()
    }
}

/// `a OR b`: one of them suffices. Both sides are read in either case.
fn any<'a>(words: &mut Peekable<impl Iterator<Item = &'a str>>, allowed: &[&str]) -> bool {
    let mut accepted = all(words, allowed);
    while words.next_if_eq(&"OR").is_some() {
        accepted |= all(words, allowed);
    }
    accepted
}

/// `a AND b`: it takes both, and binds tighter.
fn all<'a>(words: &mut Peekable<impl Iterator<Item = &'a str>>, allowed: &[&str]) -> bool {
    let mut accepted = one(words, allowed);
    while words.next_if_eq(&"AND").is_some() {
        accepted &= one(words, allowed);
    }
    accepted
}

/// One licence, with its exception if it has one, or a whole expression in parentheses.
fn one<'a>(words: &mut Peekable<impl Iterator<Item = &'a str>>, allowed: &[&str]) -> bool {
    let Some(word) = words.next() else { return false };
    if word == "(" {
        return any(words, allowed) & words.next_if_eq(&")").is_some();
    }
    let mut license = word.to_owned();
    if words.next_if_eq(&"WITH").is_some() {
        license = format!("{word} WITH {}", words.next().unwrap_or_default());
    }
    allowed.contains(&license.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DENY: &str = "[licenses]\nallow = [\n    \"MIT\", # why\n    \"Unicode-3.0\",\n]\n\
                        exceptions = [\n    { crate = \"inferno\", allow = [\"CDDL-1.0\"] },\n]\n";

    #[test]
    fn expressions_are_accepted_as_spdx_reads_them() {
        let accepts = |name, expression| Policy::parse(DENY).accepts(name, expression);
        for expression in
            ["MIT", "MIT/Apache-2.0", "GPL-2.0-only OR MIT", "(MIT OR Apache-2.0) AND Unicode-3.0"]
        {
            assert!(accepts("any", expression), "{expression}");
        }
        for expression in
            ["", "GPL-2.0-only", "MIT AND GPL-2.0-only", "MIT WITH LLVM-exception", "MIT)", "(MIT"]
        {
            assert!(!accepts("any", expression), "{expression}");
        }
        assert!(accepts("inferno", "CDDL-1.0"));
        assert!(!accepts("other", "CDDL-1.0"));
    }
}
