//! Limits how much is read of each process: lists that circle, trees without end and tables of gigabytes take no more than
//! the process has left, and what it has used comes back with time.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::sys::status::ProcStatus;

/// What can be used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Budget {
    reads: u64,
    bytes: u64,
    time: Duration,
}

/// Budget of each process. The threads and tasks of the largest services take a tenth.
const OF_ONE: Budget = Budget { reads: 1 << 21, bytes: 64 << 20, time: Duration::from_secs(2) };
/// Budget of all processes that one user started: who starts many takes nothing from others, and a thousand workers take
/// a third of it.
const OF_USER: Budget = Budget { reads: 1 << 23, bytes: 512 << 20, time: Duration::from_secs(2) };
/// Budget of all processes together: a thousand workers take a tenth.
const OF_ALL: Budget = Budget { reads: 1 << 24, bytes: 1 << 30, time: Duration::from_secs(16) };
/// All of it is there again after so long: whoever uses it up ever again takes an eighth of a core.
const BACK: Duration = Duration::from_secs(16);
/// What came back is counted in steps so long.
const STEP: Duration = Duration::from_millis(16);
/// Most processes that are remembered.
const MAX_PROCESSES: usize = 1 << 16;

static KNOWN: Mutex<Option<Accounts>> = Mutex::new(None);

/// What was used of each process, of each user's, and of all.
#[derive(Debug)]
struct Accounts {
    /// With who started the process, which it cannot change.
    each: HashMap<u32, (u32, Account)>,
    users: HashMap<u32, Account>,
    all: Account,
}

/// One process's, one user's, or that of all.
#[derive(Clone, Copy, Debug)]
struct Account {
    whole: Budget,
    left: Budget,
    counted: Instant,
    /// True if it was ever asked for more than there was.
    is_overdrawn: bool,
    /// True if it has more than may be kept of it.
    is_cut: bool,
}

impl Account {
    const fn new(whole: Budget, now: Instant) -> Self {
        Self { whole, left: whole, counted: now, is_overdrawn: false, is_cut: false }
    }

    fn take(&mut self, reads: u64, bytes: u64, now: Instant) -> bool {
        let since = now.saturating_duration_since(self.counted);
        if since >= STEP {
            let back = |whole: u64| (u128::from(whole) * since.as_nanos() / BACK.as_nanos()) as u64;
            let whole = self.whole;
            self.left = Budget {
                reads: self.left.reads.saturating_add(back(whole.reads)).min(whole.reads),
                bytes: self.left.bytes.saturating_add(back(whole.bytes)).min(whole.bytes),
                time: (self.left.time + Duration::from_nanos(back(whole.time.as_nanos() as u64)))
                    .min(whole.time),
            };
            self.counted = now;
        }
        let left = (self.left.reads.checked_sub(reads), self.left.bytes.checked_sub(bytes));
        let ((Some(reads), Some(bytes)), false) = (left, self.left.time.is_zero()) else {
            self.is_overdrawn = true;
            return false;
        };
        (self.left.reads, self.left.bytes) = (reads, bytes);
        true
    }
}

impl Accounts {
    fn new(now: Instant) -> Self {
        Self { each: HashMap::new(), users: HashMap::new(), all: Account::new(OF_ALL, now) }
    }

    /// Those of a process, of its user, and of all.
    fn of(&mut self, tgid: u32, user: impl FnOnce() -> u32, now: Instant) -> [&mut Account; 3] {
        let Self { each, users, all } = self;
        if each.len() >= MAX_PROCESSES {
            // Who has nothing left stays known, unless there are as many of those.
            each.retain(|_, (_, account)| account.is_overdrawn || account.is_cut);
            if each.len() >= MAX_PROCESSES {
                each.clear();
            }
        }
        let (user, one) = each.entry(tgid).or_insert_with(|| (user(), Account::new(OF_ONE, now)));
        [one, users.entry(*user).or_insert_with(|| Account::new(OF_USER, now)), all]
    }

    /// Takes from what is left of each of the three; false if there is not so much.
    fn take(
        &mut self,
        tgid: u32,
        user: impl FnOnce() -> u32,
        (reads, bytes): (u64, u64),
        now: Instant,
    ) -> bool {
        let [one, users, all] = self.of(tgid, user, now);
        let is_there =
            one.take(reads, bytes, now) && users.take(reads, bytes, now) && all.take(reads, bytes, now);
        one.is_overdrawn |= !is_there;
        is_there
    }
}

/// The user who started a process, as `/proc` tells; nobody's is who is gone.
fn read_user(tgid: u32) -> u32 {
    ProcStatus::of(tgid).and_then(|status| status.number("Uid", 0)).unwrap_or(u32::MAX)
}

/// The user whose budget a process's reads are taken from, since something was first read of it.
#[must_use]
pub fn user(tgid: u32) -> u32 {
    let known = with(Instant::now(), |accounts| accounts.each.get(&tgid).map(|(user, _)| *user));
    known.unwrap_or_else(|| read_user(tgid))
}

fn with<T>(now: Instant, use_them: impl FnOnce(&mut Accounts) -> T) -> T {
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    use_them(known.get_or_insert_with(|| Accounts::new(now)))
}

fn take(tgid: u32, reads: u64, bytes: u64, now: Instant) -> bool {
    with(now, |accounts| accounts.take(tgid, || read_user(tgid), (reads, bytes), now))
}

/// Runs a read of so many bytes of a process; `None` if it has not so much left.
pub fn read<T>(tgid: u32, bytes: usize, read: impl FnOnce() -> Option<T>) -> Option<T> {
    let start = Instant::now();
    if !take(tgid, 1, bytes as u64, start) {
        return None;
    }
    let result = read();
    let took = start.elapsed();
    with(start, |accounts| {
        for account in accounts.of(tgid, || read_user(tgid), start) {
            account.left.time = account.left.time.saturating_sub(took);
        }
    });
    result
}

/// Pays for bytes of a process that are gone through, or kept, again; false if it has not so much left.
#[must_use]
pub fn pay(tgid: u32, bytes: usize) -> bool {
    take(tgid, 0, bytes as u64, Instant::now())
}

/// Notes that a process has more than may be kept of it.
pub fn cut(tgid: u32) {
    let now = Instant::now();
    with(now, |accounts| {
        let [one, ..] = accounts.of(tgid, || read_user(tgid), now);
        one.is_cut = true;
    });
}

/// What is missing of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Missing {
    /// More was asked for than it had left.
    pub is_overdrawn: bool,
    /// True if the process has more than may be kept of it.
    pub is_cut: bool,
}

impl Account {
    fn missing(&self) -> Option<Missing> {
        let Self { is_overdrawn, is_cut, .. } = *self;
        (is_overdrawn || is_cut).then_some(Missing { is_overdrawn, is_cut })
    }
}

/// Gives all their budgets back to all.
#[cfg(fuzzing)]
pub fn renew() {
    *KNOWN.lock().unwrap_or_else(PoisonError::into_inner) = None;
}

/// True of a process of which more was asked for than it had left.
#[must_use]
pub fn is_overdrawn(tgid: u32) -> bool {
    let known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    known.as_ref().and_then(|known| known.each.get(&tgid)).is_some_and(|(_, account)| account.is_overdrawn)
}

/// The processes of which something is missing.
#[must_use]
pub fn incomplete() -> Vec<(u32, Missing)> {
    let known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let known = known.iter().flat_map(|known| &known.each);
    known.filter_map(|(tgid, (_, account))| Some((*tgid, account.missing()?))).collect()
}

/// Forgets a process that has ended, for its PID is used again; what is missing of it.
pub fn forget(tgid: u32) -> Option<Missing> {
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let (_, account) = known.as_mut()?.each.remove(&tgid)?;
    account.missing()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_up_comes_back_with_time() {
        let start = Instant::now();
        let mut account = Account::new(OF_ONE, start);
        assert!(account.take(OF_ONE.reads, 0, start));
        assert!(!account.take(1, 0, start) && account.is_overdrawn);
        assert!(account.take(0, OF_ONE.bytes, start), "bytes are counted apart");
        assert!(!account.take(0, 1, start));
        let later = start + BACK / 2;
        assert!(account.take(OF_ONE.reads / 2, OF_ONE.bytes / 2, later));
        assert!(!account.take(1, 0, later));
        account.left.time = Duration::ZERO;
        assert!(!account.take(0, 0, later), "no time is left");
        assert!(account.take(OF_ONE.reads, OF_ONE.bytes, later + 2 * BACK));
    }

    #[test]
    fn one_process_takes_nothing_from_another() {
        let (greedy, honest) = (u32::MAX, u32::MAX - 1);
        let reads = (0..1000).take_while(|_| read(greedy, 1 << 20, || Some(())).is_some()).count();
        assert!((64..80).contains(&reads), "{reads} MiB");
        let overdrawn = Missing { is_overdrawn: true, is_cut: false };
        assert!(incomplete().contains(&(greedy, overdrawn)));
        assert_eq!(read(honest, 8, || Some(7)), Some(7));
        assert_eq!(forget(honest), None);
        assert_eq!(forget(greedy), Some(overdrawn));
        assert_eq!(read(greedy, 8, || Some(7)), Some(7), "another has its PID");
    }

    #[test]
    fn one_user_takes_nothing_from_another() {
        let now = Instant::now();
        let mut accounts = Accounts::new(now);
        let taken = (0..1000).filter(|tgid| accounts.take(*tgid, || 1000, (1, OF_ONE.bytes), now)).count();
        assert_eq!(taken as u64, OF_USER.bytes / OF_ONE.bytes);
        assert!(accounts.take(2000, || 1001, (1, OF_ONE.bytes), now));
        assert!(
            !accounts.take(2001, || 1000, (1, 1), now),
            "it has used nothing, but its user has nothing left"
        );
    }
}
