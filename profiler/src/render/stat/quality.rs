//! The quality section at the end of every text output: what was lost, how the numbers compare with the kernel's own, and
//! what punchclock itself used.

use profiler_common::loss_cause::LossCause;

use crate::{
    model::{
        accounting::StatDelta,
        quality::{Quality, SampleQuality},
    },
    render::term::{escape, grid::TableOptions, wrap::wrapped},
    units,
};

/// The quality of a window: a line that begins with `quality:`, and indented lines below it.
#[must_use]
pub fn text(stat: &StatDelta, options: TableOptions) -> String {
    let text = format!("quality: {}", sentences(&stat.quality, stat.duration_ns).join("\n"));
    let lines = text.lines().map(|sentence| wrapped(sentence, 4, options.width));
    lines.collect::<Vec<_>>().join("\n  ") + "\n"
}

/// The quality of a window of a length: what was lost and how the numbers compare, then a sentence each.
#[must_use]
pub fn sentences(quality: &Quality, duration_ns: u64) -> Vec<String> {
    let own = units::percent(quality.own_cpu_ns, duration_ns, 1);
    let mut sentences =
        vec![format!("{}; {}; punchclock used {own} % of one core", losses(quality), compared(quality))];
    let mut say = |sentence: &str| sentences.push(escape::visible(sentence).into_owned());
    if let Some(samples) = &quality.samples {
        say(&sampled(samples));
        let known = samples.gil_held.saturating_add(samples.gil_released);
        if known != 0 {
            let released = units::percent(samples.gil_released, known, 1);
            say(&format!("GIL: released in {released} % of the samples of Python threads"));
        }
        let without = samples.python_complete.saturating_add(samples.python_partial).saturating_sub(known);
        if without != 0 {
            let without = units::counted(without, "sample");
            say(&format!("GIL: none, or not known, in {without} of Python threads, which -g leaves out"));
        }
    }
    quality.notes.iter().for_each(|note| say(note));
    sentences
}

fn losses(quality: &Quality) -> String {
    let lost = &quality.lost;
    if lost.is_empty() {
        return "nothing lost".to_owned();
    }
    let loss = |(name, count): (&String, &u64)| match LossCause::ALL
        .into_iter()
        .find(|cause| cause.name() == name)
        .map(LossCause::says)
    {
        Some((noun, rest)) => format!("{} {rest}", units::counted(*count, noun)),
        None => format!("{} {}", units::grouped(*count), escape::visible(name)),
    };
    let losses: Vec<_> = lost.iter().map(loss).collect();
    losses.join(", ")
}

fn compared(quality: &Quality) -> String {
    if quality.threads_compared == 0 {
        return "not compared with /proc".to_owned();
    }
    format!(
        "largest difference from /proc {} ns, {} over {}",
        units::grouped(quality.largest_on_cpu_difference_ns),
        units::counted(quality.largest_switch_difference, "switch"),
        units::counted(quality.threads_compared, "thread"),
    )
}

fn sampled(samples: &SampleQuality) -> String {
    let SampleQuality { total, python_complete, python_partial, python_outside, stacks, event, .. } = samples;
    if *total == 0 {
        return format!("samples: none ({event})");
    }
    let outside = match python_outside {
        0 => String::new(),
        count => format!(
            ", {} % outside of any Python function (as an interpreter starts or ends)",
            units::percent(*count, *total, 1)
        ),
    };
    format!(
        "samples: {} by {event}, {} % with all Python frames, {} % with some{outside}; {}",
        units::grouped(*total),
        units::percent(*python_complete, *total, 1),
        units::percent(*python_partial, *total, 1),
        units::counted(*stacks, "distinct stack"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fixture;

    #[test]
    fn all_is_well() {
        let expected = "\
quality: nothing lost; largest difference from /proc 0 ns, 0 switches over 5 threads; punchclock used 0.3 % of one core
  samples: 8 by cpu-clock, 62.5 % with all Python frames, 12.5 % with some; 5 distinct stacks
  GIL: released in 25.0 % of the samples of Python threads
  GIL: none, or not known, in 2 samples of Python threads, which -g leaves out
";
        assert_eq!(text(&fixture::stat(), TableOptions::default()), expected);
    }

    #[test]
    fn where_no_python_function_runs_nothing_is_missing() {
        let mut stat = fixture::stat();
        stat.quality.samples.as_mut().unwrap().python_outside = 2;
        let text = text(&stat, TableOptions::default());
        assert!(text.contains("12.5 % with some, 25.0 % outside of any Python function (as"), "{text}");
    }

    #[test]
    fn losses_are_told_by_cause() {
        let mut stat = fixture::stat();
        stat.quality.count_loss(LossCause::RingFull, 1200);
        stat.quality.count_loss(LossCause::FramesTruncated, 3);
        stat.quality.lost.insert("later\x1bcause".to_owned(), 7);
        let text = text(&stat, TableOptions::default());
        let expected = "quality: 3 stacks cut short (deeper than the frame limit), 7 later\\x1bcause, \
                        1,200 stacks dropped (ring buffer full); largest";
        assert!(text.starts_with(expected), "{text}");
    }

    #[test]
    fn notes_stand_on_a_line_each_and_cannot_break_out() {
        let mut stat = fixture::stat();
        stat.quality.notes = vec!["7: `a\nb` runs no Python".to_owned(), "8: gone".to_owned()];
        stat.quality.threads_compared = 0;
        stat.quality.samples = None;
        let text = text(&stat, TableOptions::default());
        assert!(text.contains("; not compared with /proc;"), "{text}");
        assert!(text.ends_with("core\n  7: `a\\x0ab` runs no Python\n  8: gone\n"), "{text}");
    }
}
