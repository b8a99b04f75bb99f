//! An audit's report in a browser: what a reader sees of it, and what it costs.

use std::{
    fs,
    path::Path,
    process::Command,
    sync::LazyLock,
    time::{Duration, Instant},
};

use profiler::{
    model::report::Report,
    render::{
        graph::fold::{By, GraphOptions, fold},
        report::html::html,
    },
};
use profiler_tests::{cannot_run, example, gunicorn::venv};
use serde_json::Value;

/// What `browser/read_report.py` saw of the example; none if there is no Chromium.
static SEEN: LazyLock<Option<Value>> = LazyLock::new(|| {
    if !["/usr/bin/chromium", "/usr/bin/chromedriver"].iter().all(|program| Path::new(program).exists()) {
        cannot_run("there is no Chromium, or no driver for it");
        return None;
    }
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let page = folder.path().join("report.html");
    fs::write(&page, html(&report()).expect("it can be drawn")).expect("there is room for a page");
    let output = Command::new(venv().join("bin/python"))
        .arg(here.join("browser/read_report.py"))
        .args([&page, &here.join("../target/screenshots")])
        .output()
        .expect("there is a Python in the virtual environment");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(serde_json::from_slice(&output.stdout).expect("it prints JSON"))
});

fn report() -> Report {
    example::report(120)
}

/// A value by its path; a number.
fn number(value: &Value, path: &str) -> f64 {
    value.pointer(path).and_then(Value::as_f64).unwrap_or_else(|| panic!("{path} is a number in {value}"))
}

fn words<'a>(value: &'a Value, path: &str) -> Vec<&'a str> {
    let words = value.pointer(path).and_then(Value::as_array).unwrap_or_else(|| panic!("{path} in {value}"));
    words.iter().map(|word| word.as_str().expect("it is text")).collect()
}

/// The parts of a colour.
fn rgb(value: &Value, path: &str) -> [f64; 3] {
    [0, 1, 2].map(|part| number(value, &format!("{path}/{part}")))
}

/// What was seen in the light, and in the dark.
fn themes() -> impl Iterator<Item = (&'static str, &'static Value)> {
    let seen = SEEN.as_ref().into_iter();
    seen.flat_map(|seen| ["light", "dark"].map(|theme| (theme, &seen["themes"][theme])))
}

#[test]
fn it_opens_without_network_and_complaint() {
    let Some(seen) = SEEN.as_ref() else { return };
    let requests = words(seen, "/requests");
    assert!(!requests.is_empty() && requests.iter().all(|url| url.starts_with("file://")), "{requests:?}");
    assert_eq!(words(seen, "/console"), [""; 0]);
}

#[test]
fn all_text_is_readable_in_both_themes() {
    for (theme, page) in themes() {
        let parts = [
            ("/page", 200.0),
            ("/plots", 50.0),
            ("/flames", 20.0),
            ("/zoom/contrast", 5.0),
            ("/found", 20.0),
            ("/differing", 20.0),
        ];
        for (part, texts) in parts {
            let contrast = number(page, &format!("{part}/least"));
            assert!(contrast >= 4.5, "{contrast} in {theme}: {}", page.pointer(part).unwrap_or_default());
            assert!(number(page, &format!("{part}/texts")) >= texts, "{theme} {part}: {page}");
        }
    }
}

#[test]
fn the_button_turns_light_to_dark_and_back() {
    let grounds: Vec<_> = themes().map(|(_, page)| (&page["ground"], &page["other ground"])).collect();
    if let [light, dark] = grounds[..] {
        assert_ne!(light.0, light.1);
        assert_eq!((light.0, light.1), (dark.1, dark.0));
    }
}

#[test]
fn nothing_is_wider_than_the_page() {
    let Some(seen) = SEEN.as_ref() else { return };
    for (screen, width) in [("1280 light", 1280.0), ("1280 dark", 1280.0), ("400 light", 400.0)] {
        let widths = [0, 1].map(|at| number(seen, &format!("/overflow/{screen}/{at}")));
        assert_eq!(widths.map(f64::to_bits), [width; 2].map(f64::to_bits), "{screen}: {widths:?}");
    }
}

#[test]
fn a_click_on_a_frame_zooms() {
    for (theme, page) in themes() {
        let zoom = &page["zoom"];
        assert!(number(zoom, "/before") < 0.5, "{theme}: {zoom}");
        for width in ["/after", "/widest"] {
            assert!((number(zoom, width) - 1.0).abs() < 0.01, "{theme}: {zoom}");
        }
        let name = zoom["name"].as_str().expect("it has a name");
        assert!(zoom["details"].as_str().is_some_and(|details| details.starts_with(name)), "{theme}: {zoom}");
        assert_eq!(zoom["restored"], true, "{theme}");
    }
}

/// What is searched for: it occurs in boxes that call each other.
const WORD: &str = "pricing.py";

#[test]
fn search_marks_what_it_finds_and_tells_its_share() {
    // The truth: the time of all stacks in which it occurs, of all time.
    let report = report();
    let best = report.series[0].recording.as_ref().expect("it was recorded");
    let folded = fold(best, GraphOptions { by: By::Class, ..GraphOptions::default() });
    let total: u64 = folded.values().sum();
    let with = folded.iter().filter(|(stack, _)| stack.iter().any(|label| label.text.contains(WORD)));
    let share = with.map(|(_, ns)| ns).sum::<u64>() as f64 * 100.0 / total as f64;
    assert!(share > 5.0 && share < 50.0, "{share}");
    for (theme, page) in themes() {
        let search = &page["search"];
        let has_word = |name: &&str| name.contains(WORD);
        let (found, missed) = (words(search, "/found"), words(search, "/missed"));
        assert!(found.iter().any(has_word) && !missed.iter().any(has_word), "{theme}: {search}");
        assert!(found.iter().all(|name| name.is_empty() || has_word(name)), "{theme}: {search}");
        let told = search["share"].as_str().expect("it is text");
        let told: f64 = told.strip_suffix(" % matches").and_then(|told| told.parse().ok()).expect(told);
        assert!((told - share).abs() < 0.06, "{theme}: {told} is not {share}");
    }
}

#[test]
fn a_difference_is_red_where_more_is_used_and_blue_where_less() {
    for (theme, page) in themes() {
        let difference = &page["difference"];
        let caption = difference["caption"].as_str().expect("it is text");
        assert!(caption.contains("red where gthread × 4 takes more than gevent × 4"), "{caption}");
        // What `example.rs` gives a request of each.
        let details = difference["details"].as_str().expect("it is text");
        assert!(
            details.contains("2,310 µs per request in gthread × 4, 1,940 µs in gevent × 4 (+19.1 %)"),
            "{details}"
        );
        let [here, all, there] =
            ["only here", "all", "only there"].map(|path| rgb(difference, &format!("/{path}")));
        let redder = |colour: [f64; 3]| colour[0] - colour[2];
        assert!(redder(here) > redder(all) + 20.0, "{theme}: {difference}");
        assert!(redder(there) < redder(all) - 20.0, "{theme}: {difference}");
    }
}

#[test]
fn keys_lead_through_a_flame_graph() {
    let Some(seen) = SEEN.as_ref() else { return };
    let class = "gthread";
    let names = words(seen, "/keys/names");
    assert_eq!((names[0], names[2], names[3]), (class, class, class), "{seen}");
    assert!(names[1].starts_with("Thread._bootstrap"), "{names:?}");
}

#[test]
fn a_report_of_24_runs_is_quick_and_small() {
    let report = example::report(3000);
    assert_eq!(report.runs.len(), 24);
    // The quickest of three: others may have the CPU meanwhile.
    let drawn = (0..3).map(|_| {
        let start = Instant::now();
        let page = html(&report).expect("it can be drawn");
        (start.elapsed(), page.len())
    });
    let (took, bytes) = drawn.min().expect("there are three");
    assert!(took <= Duration::from_secs(2), "{took:?}");
    assert!(bytes <= 5_000_000, "{bytes} bytes");
}
