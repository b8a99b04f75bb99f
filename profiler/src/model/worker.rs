//! What a process is in its fleet.

use serde::{Deserialize, Serialize};

/// A process's part in its fleet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Forked the workers and watches them.
    Master,
    /// Does the work.
    Worker,
    /// A child of a worker, or of a master but not of the workers' kind.
    Helper,
}

impl Role {
    /// The word in tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Master => "master",
            Self::Worker => "worker",
            Self::Helper => "helper",
        }
    }
}
