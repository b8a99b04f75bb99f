//! Gunicorn's options, as far as they tell a fleet's name and class.

/// What was typed, on the command line or in `GUNICORN_CMD_ARGS`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// `APP_MODULE`
    pub app: Option<String>,
    /// `-n`, `--name`
    pub name: Option<String>,
    /// `-k`, `--worker-class`
    pub class: Option<String>,
    /// `--threads`
    pub threads: Option<u32>,
}

/// The long options that take no value. (`--proxy-protocol` may take one; then it must be last, or written with `=`.)
const FLAGS: [&str; 23] = [
    "capture-output",
    "casefold-http-method",
    "check-config",
    "daemon",
    "disable-redirect-access-to-syslog",
    "do-handshake-on-connect",
    "enable-backlog-metric",
    "enable-stdio-inheritance",
    "initgroups",
    "log-syslog",
    "no-control-socket",
    "no-sendfile",
    "permit-obsolete-folding",
    "permit-unconventional-http-method",
    "permit-unconventional-http-version",
    "preload",
    "print-config",
    "proxy-protocol",
    "reload",
    "reuse-port",
    "spew",
    "strip-header-spaces",
    "suppress-ragged-eofs",
];

impl Options {
    /// Reads them as Python's argparse does. A running Gunicorn has read them already, so they are not checked: an
    /// abbreviation is not ambiguous, a value is there.
    #[must_use]
    pub fn parse(words: &[String]) -> Self {
        let mut options = Self::default();
        let mut words = words.iter().map(String::as_str);
        while let Some(word) = words.next() {
            let (option, value) = if word == "--" {
                ("", None)
            } else if let Some(long) = word.strip_prefix("--") {
                long.split_once('=').map_or((long, None), |(option, value)| (option, Some(value)))
            } else if let Some(short) = word.strip_prefix('-') {
                // Flags of one letter may stand before an option, and its value behind it: `-Dw4`.
                let mut letters = short.trim_start_matches(['D', 'R']).chars();
                let option = match letters.next() {
                    Some('k') => "worker-class",
                    Some('n') => "name",
                    Some(_) => "?",
                    None => "",
                };
                let value = letters.as_str();
                (option, Some(value.strip_prefix('=').unwrap_or(value)).filter(|value| !value.is_empty()))
            } else {
                options.app.get_or_insert_with(|| word.to_owned());
                continue;
            };
            let is_flag = value.is_none() && FLAGS.iter().any(|flag| flag.starts_with(option));
            if !is_flag && let Some(value) = value.or_else(|| words.next()) {
                options.set(option, value);
            }
        }
        options
    }

    fn set(&mut self, option: &str, value: &str) {
        let is = |full: &str| full.starts_with(option);
        if is("worker-class") {
            self.class = Some(value.to_owned());
        } else if is("name") {
            self.name = Some(value.to_owned());
        } else if is("threads") {
            self.threads = value.parse().ok();
        }
    }

    /// Fills in what was not typed. The application is taken from the command line only.
    pub fn fall_back_on(&mut self, other: Self) {
        self.name = self.name.take().or(other.name);
        self.class = self.class.take().or(other.class);
        self.threads = self.threads.or(other.threads);
    }
}

/// Splits as a shell does, and Python's shlex: at blanks, but for quotes and backslashes.
#[must_use]
pub fn split(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            _ if quote == Some(c) => quote = None,
            '\\' if quote != Some('\'') => word.get_or_insert_default().extend(chars.next()),
            '\'' | '"' if quote.is_none() => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            _ if quote.is_none() && c.is_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn parses(line: &str, app: &str, name: &str, class: &str, threads: u32) {
        let text = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        let expected = Options {
            app: text(app),
            name: text(name),
            class: text(class),
            threads: Some(threads).filter(|n| *n > 0),
        };
        assert_eq!(Options::parse(&split(line)), expected, "{line}");
    }

    #[test]
    fn options_in_every_spelling() {
        parses("", "", "", "", 0);
        parses("-w 4 app:app", "app:app", "", "", 0);
        parses("-w4 -kgevent app:app -n shop", "app:app", "shop", "gevent", 0);
        parses("-k gevent -b :80 app:app", "app:app", "", "gevent", 0);
        parses("-k=gevent app:app", "app:app", "", "gevent", 0);
        parses("--worker-class=gevent --worker-connections 9 app:app", "app:app", "", "gevent", 0);
        parses("--worker-cl gthread --thr 8 --na shop app:app", "app:app", "shop", "gthread", 8);
        parses("app:app --threads=4 --workers 2", "app:app", "", "", 4);
        parses("--threads many app:app", "app:app", "", "", 0);
    }

    #[test]
    fn flags_take_no_value() {
        parses("--preload --reload app:app", "app:app", "", "", 0);
        parses("--no-send app:app", "app:app", "", "", 0);
        parses("-D -R app:app", "app:app", "", "", 0);
        parses("-DRw4 app:app", "app:app", "", "", 0);
        parses("-Dk sync app:app", "app:app", "", "sync", 0);
        parses("--reload-engine poll --log-syslog --log-syslog-to udp://x app:app", "app:app", "", "", 0);
        parses("--proxy-protocol app:app", "app:app", "", "", 0);
        parses("-k sync -- app:app", "app:app", "", "sync", 0);
        parses("-c", "", "", "", 0);
    }

    #[test]
    fn the_environment_comes_second_and_names_no_application() {
        let mut options = Options::parse(&split("-k gthread app:app"));
        options.fall_back_on(Options::parse(&split("--name 'my shop' -k sync --threads 3 other:app")));
        let expected = Options {
            app: Some("app:app".to_owned()),
            name: Some("my shop".to_owned()),
            class: Some("gthread".to_owned()),
            threads: Some(3),
        };
        assert_eq!(options, expected);
    }

    #[test]
    fn words_of_a_shell() {
        assert_eq!(split(r#" a  "b c"d 'e "f' g\ h '' "#), ["a", "b cd", r#"e "f"#, "g h", ""]);
        assert_eq!(split("'open"), ["open"]);
        assert_eq!(split("end\\"), ["end"]);
    }
}
