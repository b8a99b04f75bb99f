//! A recording: everything that one run of `record` learned, complete enough to render anything from later.

use serde::{Deserialize, Serialize};

use crate::model::{accounting::StatDelta, profile::Profile, window::Window};

/// The body of a `.punch` file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recording {
    /// Where and how it was made.
    pub about: About,
    /// Sampled stacks.
    pub profile: Profile,
    /// Exact numbers of the same window.
    pub stat: StatDelta,
    /// The recording's window second by second.
    #[serde(default)]
    pub windows: Vec<Window>,
    /// Requests that were answered in the window, if somebody counted them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests: Option<u64>,
}

/// Where and how a recording was made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// punchclock's version.
    pub version: String,
    /// Command line of punchclock.
    pub command: String,
    /// The host's name.
    pub host: String,
    /// The kernel's release.
    pub kernel: String,
    /// CPUs online.
    pub cpus: u32,
}
