//! A set-up beside another, each where its curve is highest: who is faster, what else one has for it, and what cannot be
//! told.

use crate::{
    audit::{
        observed::WindowSlice,
        points::{self, Curve, MeasuredPoint},
    },
    model::{
        estimate::Estimate,
        report::{Point, Setup},
    },
    stats::{
        contrast::{Change, Pair, contrast, contrasts},
        ranks,
        windows::WindowSeries,
    },
    units,
};

/// A set-up must be at least so much faster than another, or cheaper, to be worth it: by as much do servers differ that were
/// started alike.
const WORTH: f64 = 1.05;
/// Late answers of one must come at least so much sooner to tell two apart.
const LATER: f64 = 1.25;
/// Throughputs that are measured within this share count as alike where nothing tells them apart; and if such a difference may
/// hide in the interval, that is said.
const ALIKE: f64 = 0.1;

/// A set-up where its curve is highest.
#[derive(Clone, Copy, Debug)]
pub struct Peak<'a> {
    /// Which one.
    pub setup: &'a Setup,
    seen: &'a MeasuredPoint,
    /// Point at which the set-up had most to do.
    busiest: &'a Point,
}

/// What a number's ratio is of: an amount, and what it is counted by.
type RatioParts = fn(&WindowSlice) -> (f64, f64);

/// What two are compared by.
const THROUGHPUT: RatioParts = |slice| (slice.requests, slice.seconds);
const PRICE_PARTS: [RatioParts; 2] =
    [|slice| (slice.cpu_ms, slice.requests), |slice| (slice.voluntary + slice.preempted, slice.requests)];
/// What less of a price is called.
const PRICES: [&str; 2] = ["less CPU time", "fewer context switches"];

fn series((amounts, per): &(Vec<f64>, Vec<f64>)) -> WindowSeries<'_> {
    WindowSeries { amounts, per }
}

impl<'a> Peak<'a> {
    /// The peak of a curve, if the set-up served.
    pub fn of((setup, seen): &'a Curve) -> Option<Self> {
        Some(Self { setup, seen: points::peak(seen)?, busiest: &seen.last()?.point })
    }

    /// Answers per second there.
    pub fn throughput(&self) -> f64 {
        self.seen.point.throughput.value
    }

    /// A number's parts in each of its windows.
    fn column(&self, parts: RatioParts) -> (Vec<f64>, Vec<f64>) {
        self.seen.slices.iter().map(parts).unzip()
    }
}

/// A set-up beside another.
#[derive(Debug)]
pub struct Comparison<'a> {
    one: &'a Peak<'a>,
    /// What it stands beside.
    pub other: &'a Peak<'a>,
    /// Throughput of the one, of that of the other; `None` if there are too few windows to tell.
    pub margin: Option<Estimate>,
    /// The one's prices, of the other's, where they differ by more than chance: they are judged together.
    prices: [Option<f64>; 2],
}

impl<'a> Comparison<'a> {
    /// Compares two.
    #[must_use]
    pub fn of(one: &'a Peak<'a>, other: &'a Peak<'a>) -> Self {
        let columns = |parts: RatioParts| [other, one].map(|peak| peak.column(parts));
        let [theirs, mine] = columns(THROUGHPUT);
        let margin = contrast(series(&theirs), series(&mine)).and_then(|contrast| contrast.ratio);
        let prices = PRICE_PARTS.map(columns);
        let pairs =
            prices.each_ref().map(|[theirs, mine]| Pair { before: series(theirs), after: series(mine) });
        let contrasts = contrasts(&pairs);
        let joint = |at: usize| contrasts[at].map(|contrast| contrast.joint).filter(Change::is_real);
        let difference = |at: usize| Some(joint(at)?.ratio?.value);
        Self { one, other, margin: margin.map(Estimate::from), prices: [0, 1].map(difference) }
    }

    /// True if the one is certainly faster by what is worth a change.
    pub fn is_surely_faster(&self) -> bool {
        self.margin.is_some_and(|margin| margin.low > WORTH)
    }

    /// True if it is faster by more than chance and by what is worth a change.
    fn is_faster(&self) -> bool {
        self.margin.is_some_and(|margin| margin.low > 1.0 && margin.value > WORTH)
    }

    /// True if it is faster or, where both are measured as fast, has an advantage.
    pub fn is_better(&self) -> bool {
        self.is_faster() || self.advantage().is_some()
    }

    /// By what it is better than an equally fast one, if it is: a clause. First who makes the unlucky wait least where
    /// all are busy, then who is cheaper.
    fn advantage(&self) -> Option<String> {
        if self.margin?.value * (1.0 + ALIKE) < 1.0 {
            return None;
        }
        let (mine, theirs) = (self.one.setup, self.other.setup);
        if mine.worker_class == theirs.worker_class && mine.workers != theirs.workers {
            return (mine.workers < theirs.workers).then(|| "it needs fewer workers".to_owned());
        }
        if let Some(late) = self.late_answers() {
            let [of_mine, of_theirs] = late.shown();
            let level = self.one.busiest.level;
            // A price is no advantage of one that seems to make the unlucky wait longer.
            if late.is_chance && late.is_earlier() {
                return self.cheaper();
            }
            return (late.is_earlier() && !late.is_chance).then(|| {
                format!("at {level}, 99 % of its answers take up to {of_mine} ms, not {of_theirs}")
            });
        }
        self.cheaper()
    }

    /// By what an answer of it costs less, if that is sure: a clause.
    fn cheaper(&self) -> Option<String> {
        let prices = self.prices.iter().zip(PRICES);
        let (ratio, what) = prices
            .filter_map(|(ratio, what)| Some(((*ratio)?, what)))
            .find(|(ratio, _)| *ratio * WORTH < 1.0 || *ratio > WORTH)?;
        let saved = units::decimal((1.0 - ratio) * 100.0, 1);
        (ratio < 1.0).then(|| format!("it takes {saved} % {what} for each request"))
    }

    /// How late the answers of both come where they are busiest; `None` if the two are not worth telling apart.
    fn late_answers(&self) -> Option<LateAnswers> {
        let [mine, theirs] = [self.one.busiest, self.other.busiest];
        let is_chance = ranks::chance_apart(mine.windows, theirs.windows) >= 0.05;
        let (mine, theirs) = (mine.latency_p99_ms?, theirs.latency_p99_ms?);
        let are_apart = mine.high * LATER < theirs.low || theirs.high * LATER < mine.low;
        are_apart.then_some(LateAnswers { mine, theirs, is_chance })
    }

    /// Why the one is recommended, or that it cannot be: a sentence.
    pub fn reason(&self) -> String {
        let [one, other] = [self.one, self.other].map(|peak| peak.setup.name());
        let Some(Estimate { low, high, .. }) = self.margin else {
            return format!("There are too few windows to tell {one} from {other}");
        };
        if self.is_faster() {
            return format!("{one} answers the most requests per second");
        }
        match self.advantage() {
            Some(why) if high < 1.0 => {
                format!("{one} answers fewer requests per second, which is not worth more workers; {why}")
            }
            Some(why) => {
                format!("No difference in throughput was measured between {one} and {other}; {why}")
            }
            None if let Some(late) = self.late_answers().filter(|late| late.is_chance) => {
                let ([mine, theirs], level) = (late.shown(), self.one.busiest.level);
                format!(
                    "At {level}, 99 % of the answers take up to {mine} ms with {one} and {theirs} ms with {other}, in too few \
                     windows to be sure; throughput does not tell them apart"
                )
            }
            None => {
                let hidden = high.max(1.0 / low) - 1.0;
                let hidden = if hidden > ALIKE { hidden_words(hidden) } else { String::new() };
                format!(
                    "Nothing worth a change tells {one} from {other}: neither throughput nor late answers, nor CPU time \
                     and switches of a request{hidden}"
                )
            }
        }
    }
}

/// How long 99 % of the answers take at most, ms, in windows that are apart.
struct LateAnswers {
    mine: Estimate,
    theirs: Estimate,
    /// True if as many windows fall so apart by chance.
    is_chance: bool,
}

impl LateAnswers {
    fn is_earlier(&self) -> bool {
        self.mine.value < self.theirs.value
    }

    fn shown(&self) -> [String; 2] {
        [self.mine, self.theirs].map(|latency| units::decimal(latency.value, 0))
    }
}

/// What an interval leaves open: a clause.
fn hidden_words(share: f64) -> String {
    let percent = units::decimal(share * 100.0, 0);
    let much = if share.is_finite() { format!(" of up to {percent} %") } else { String::new() };
    format!("; a difference{much} may hide in the interval, which more rounds (--rounds) would tell")
}
