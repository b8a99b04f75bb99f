//! The checks of a host as text: a line each, with what is lost and what helps below it.

use crate::model::check::{Check, CheckStatus};

/// All checks, and below them what works.
#[must_use]
pub fn text(checks: &[Check], summary: &str) -> String {
    checks.iter().map(sentence).collect::<String>() + summary + "\n"
}

fn sentence(check: &Check) -> String {
    let Check { name, found, status } = check;
    match status {
        CheckStatus::Ok => format!("✓ {name}: {found}\n"),
        CheckStatus::Degraded { lost, fix } => {
            format!("! {name}: {found}\n    lost  {lost}\n    help  {fix}\n")
        }
        CheckStatus::Missing { needed_for, fix } => {
            format!("✗ {name}: {found}\n    needed for  {needed_for}\n    help        {fix}\n")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn below_what_is_not_well_stands_what_helps() {
        let checks = [
            Check::ok("kernel", "6.1"),
            Check::degraded("kallsyms", "hides addresses", "names", "sysctl a=0"),
            Check::missing("CAP_BPF", "not effective", "loading", "sudo"),
        ];
        let expected = "\
✓ kernel: 6.1
! kallsyms: hides addresses
    lost  names
    help  sysctl a=0
✗ CAP_BPF: not effective
    needed for  loading
    help        sudo
ps ✓
";
        assert_eq!(text(&checks, "ps ✓"), expected);
    }
}
