//! A condition that punchclock has of a host: what was found, and what helps where it is not fulfilled.

use serde::Serialize;

/// How a condition stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "status", rename_all = "lowercase")]
pub enum CheckStatus {
    /// Fulfilled.
    Ok,
    /// Something is lost, the rest works.
    Degraded {
        /// What.
        lost: String,
        /// The one command that helps.
        fix: String,
    },
    /// What it is needed for does not work without it.
    Missing {
        /// What for.
        needed_for: String,
        /// The one command that helps.
        fix: String,
    },
}

/// One condition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What it is about.
    pub name: String,
    /// What was found.
    pub found: String,
    /// How it stands.
    #[serde(flatten)]
    pub status: CheckStatus,
}

impl Check {
    /// It is fulfilled.
    #[must_use]
    pub fn ok(name: &str, found: impl Into<String>) -> Self {
        Self { name: name.to_owned(), found: found.into(), status: CheckStatus::Ok }
    }

    /// Something is lost without it, the rest works.
    #[must_use]
    pub fn degraded(name: &str, found: impl Into<String>, lost: &str, fix: &str) -> Self {
        let status = CheckStatus::Degraded { lost: lost.to_owned(), fix: fix.to_owned() };
        Self { name: name.to_owned(), found: found.into(), status }
    }

    /// Something does not work without it.
    #[must_use]
    pub fn missing(name: &str, found: impl Into<String>, needed_for: &str, fix: &str) -> Self {
        let status = CheckStatus::Missing { needed_for: needed_for.to_owned(), fix: fix.to_owned() };
        Self { name: name.to_owned(), found: found.into(), status }
    }

    /// True if something does not work without it.
    #[must_use]
    pub const fn is_missing(&self) -> bool {
        matches!(self.status, CheckStatus::Missing { .. })
    }
}
