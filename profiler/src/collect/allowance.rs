//! Rate limit of CPU time for work that targets can cause without end.

use std::time::Duration;

use tokio::time::Instant;

/// CPU time that may be used at once; a stack takes some tens of µs.
const AT_ONCE: Duration = Duration::from_secs(4);
/// One part in so many of the time that passes becomes CPU time that may be used again.
const PART: u32 = 2;

/// What is left of it.
#[derive(Debug)]
pub struct Allowance {
    left: Duration,
    counted: Instant,
}

impl Default for Allowance {
    fn default() -> Self {
        Self { left: AT_ONCE, counted: Instant::now() }
    }
}

impl Allowance {
    /// True if something is left.
    pub fn has_any(&mut self, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.counted);
        self.left = (self.left + passed / PART).min(AT_ONCE);
        self.counted = now;
        !self.left.is_zero()
    }

    /// Notes that so much CPU time was used.
    pub fn spend(&mut self, used: Duration) {
        self.left = self.left.saturating_sub(used);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_much_at_once_and_then_a_part() {
        let mut allowance = Allowance::default();
        let start = allowance.counted;
        allowance.spend(Duration::from_millis(3999));
        assert!(allowance.has_any(start));
        allowance.spend(Duration::from_secs(1));
        assert!(!allowance.has_any(start));
        let later = start + Duration::from_secs(1);
        assert!(allowance.has_any(later));
        allowance.spend(Duration::from_millis(499));
        assert!(allowance.has_any(later));
        allowance.spend(Duration::from_millis(1));
        assert!(!allowance.has_any(later));
    }
}
