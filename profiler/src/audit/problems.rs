//! What went wrong in an audit: each problem of a set-up once, with the line of the server's output that says why.

use crate::model::report::{Problem, Setup};

/// The line above the frames of an exception.
const TRACEBACK: &str = "Traceback (most recent call last):";
/// Words of lines that tell of an error, where there is no traceback.
const ERRORS: [&str; 5] = ["error", "exception", "fatal", "critical", "failed"];
/// The longest cause that is kept, in characters: it is a sentence, and comes from a stranger.
const LONGEST: usize = 200;

/// All problems, in the order in which they came up.
#[derive(Debug, Default)]
pub struct Problems {
    /// Each with what it is known by when it comes again.
    told: Vec<(String, Problem)>,
}

impl Problems {
    /// A server did not do what it should, and this is the end of what it wrote.
    pub fn add_server(&mut self, setup: &Setup, what: String, last_words: Vec<String>) {
        let cause = cause(&last_words);
        // Ports and PIDs are others each time.
        let mut key = format!("{what}: {}", cause.as_deref().unwrap_or_default());
        key.retain(|c| !c.is_ascii_digit());
        self.add(key, Problem { setup: setup.clone(), what, times: 1, cause, last_words });
    }

    /// A server did not answer as it should under a load; what exactly may be another thing each time.
    pub fn add_load(&mut self, setup: &Setup, load: &str, what: &str) {
        let what = format!("{load} {what}");
        let problem = Problem { setup: setup.clone(), what, times: 1, ..Problem::default() };
        self.add(load.to_owned(), problem);
    }

    /// The problems.
    #[must_use]
    pub fn list(&self) -> Vec<Problem> {
        self.told.iter().map(|(_, problem)| problem.clone()).collect()
    }

    fn add(&mut self, key: String, problem: Problem) {
        match self.told.iter_mut().find(|(known, told)| *known == key && told.setup == problem.setup) {
            Some((_, told)) => told.times += 1,
            None => self.told.push((key, problem)),
        }
    }
}

/// The line that says why: the exception of the last traceback, else the last line that tells of an error.
fn cause(lines: &[String]) -> Option<String> {
    let tells_of_error = |line: &&str| {
        let line = line.to_lowercase();
        ERRORS.iter().any(|word| line.contains(word))
    };
    let line = exception(lines).or_else(|| lines.iter().rev().map(String::as_str).find(tells_of_error))?;
    Some(match line.char_indices().nth(LONGEST) {
        Some((cut, _)) => format!("{}…", &line[..cut]),
        None => line.to_owned(),
    })
}

/// The first line below the frames of the last traceback.
fn exception(lines: &[String]) -> Option<&str> {
    let begins = |(at, line): (usize, &String)| Some((at, line.find(TRACEBACK)?));
    let (at, column) = lines.iter().enumerate().rev().find_map(begins)?;
    // A log may put the same before each of its lines.
    let prefix = &lines[at][..column];
    let mut rest = lines[at + 1..].iter().map(|line| line.strip_prefix(prefix).unwrap_or(line));
    rest.find(|line| !line.starts_with([' ', '\t']))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        text.lines().map(str::to_owned).collect()
    }

    /// What Gunicorn writes about a class whose package is missing, shortened.
    const GUNICORN: &str = "\
[2026-11-27 10:15:02 +0000] [4711] [INFO] Starting gunicorn 27.0.1
Traceback (most recent call last):
  File \"gunicorn/util.py\", line 90, in load_class
    mod = importlib.import_module('.'.join(components))
          ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
ImportError: never mind
During handling of the above exception, another exception occurred:
Traceback (most recent call last):
  File \"gunicorn/workers/ggevent.py\", line 8, in <module>
    import gevent
ModuleNotFoundError: No module named 'gevent'
[2026-11-27 10:15:02 +0000] [4711] [ERROR] Reason: Worker failed to boot.";

    #[test]
    fn the_last_traceback_says_why() {
        let missing = "ModuleNotFoundError: No module named 'gevent'";
        assert_eq!(cause(&lines(GUNICORN)).as_deref(), Some(missing));
        let logged: Vec<_> = lines(GUNICORN).iter().map(|line| format!("web.1 | {line}")).collect();
        assert_eq!(cause(&logged).as_deref(), Some(missing));
        let group = "  + Exception Group Traceback (most recent call last):\n  |   File \"a.py\", line 1\n  \
                     | ExceptionGroup: two (2 sub-exceptions)\n  +-+---------------- 1 ----------------\n    \
                     | Traceback (most recent call last):\n    |   File \"a.py\", line 2\n    | ValueError: one";
        assert_eq!(cause(&lines(group)).as_deref(), Some("ValueError: one"));
    }

    #[test]
    fn without_a_traceback_the_last_error_does() {
        let said = "INFO: starting\nERROR: Error loading ASGI app. Could not import module \"x\".\nINFO: bye";
        let why = "ERROR: Error loading ASGI app. Could not import module \"x\".";
        assert_eq!(cause(&lines(said)).as_deref(), Some(why));
        // Cut off in the middle, its end is still an error's line.
        let cut = "    return f()\nRecursionError: maximum recursion depth exceeded\nbye";
        assert_eq!(cause(&lines(cut)).as_deref(), Some("RecursionError: maximum recursion depth exceeded"));
        assert_eq!(cause(&lines("starting\nbye")), None);
        assert_eq!(cause(&lines("Traceback (most recent call last):\n  File \"a.py\"")), None);
    }

    #[test]
    fn a_cause_is_bounded() {
        let long = format!("ValueError: {}", "ä".repeat(100_000));
        let cause = cause(&[TRACEBACK.to_owned(), long]).unwrap();
        assert_eq!(cause.chars().count(), LONGEST + 1);
    }

    #[test]
    fn the_same_is_told_once_with_how_often() {
        let [one, other] =
            ["gevent", "sync"].map(|class| Setup { worker_class: Some(class.to_owned()), workers: Some(2) });
        let mut problems = Problems::default();
        let in_use = |port: u16| lines(&format!("OSError: [Errno 98] Address in use: {port}"));
        for port in [40_001, 40_222, 41_000] {
            problems.add_server(&one, format!("no answer from :{port}"), in_use(port));
        }
        problems.add_server(&other, "no answer from :40001".to_owned(), in_use(40_001));
        problems.add_server(&one, "no answer from :40001".to_owned(), lines("MemoryError"));
        for answered in [3, 4] {
            problems.add_load(&one, "at 4, /slow", &format!("answered {answered} of 50"));
        }
        problems.add_load(&one, "at 8, /slow", "answered 3 of 50");
        let told = problems.list();
        let times: Vec<_> = told.iter().map(|problem| problem.times).collect();
        assert_eq!(times, [3, 1, 1, 2, 1], "{told:#?}");
        assert_eq!(told[0].cause.as_deref(), Some("OSError: [Errno 98] Address in use: 40001"));
        assert_eq!(told[3].what, "at 4, /slow answered 3 of 50");
    }
}
