//! Parses a server's command-line options, as far as they tell its name and its workers' class.

/// How a program's options are written.
#[derive(Clone, Copy, Debug)]
pub struct Grammar {
    /// The long options that are wanted, flags among them.
    pub wanted: &'static [&'static str],
    /// Letters, and the wanted options that they stand for. Letters that are named nowhere take a value.
    pub letters: &'static [(char, &'static str)],
    /// Letters that take no value.
    pub letter_flags: &'static str,
    /// Long options that take no value. Each may be typed with `no-` before it.
    pub flags: &'static [&'static str],
    /// True if the first letters of a long option do, as with argparse and getopt, but not with click.
    pub abbreviates: bool,
}

/// Options and words of a command line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommandOptions {
    /// Words that are neither options nor their values.
    pub words: Vec<String>,
    /// The wanted options in their order; flags have an empty value.
    values: Vec<(&'static str, String)>,
}

impl CommandOptions {
    /// Reads them as the program does. It runs, so it has read them already, and they are not checked: an
    /// abbreviation is not ambiguous, a value is there.
    #[must_use]
    pub fn parse(words: &[String], grammar: &Grammar) -> Self {
        let mut options = Self::default();
        let mut words = words.iter().map(String::as_str).peekable();
        while let Some(word) = words.next() {
            if word == "--" {
                options.words.extend(words.map(str::to_owned));
                break;
            }
            let (option, value) = if let Some(long) = word.strip_prefix("--") {
                let (typed, value) =
                    long.split_once('=').map_or((long, None), |(typed, value)| (typed, Some(value)));
                if value.is_none() && grammar.is_flag(typed) {
                    options.values.extend(grammar.long(typed).map(|flag| (flag, String::new())));
                    continue;
                }
                (grammar.long(typed), value)
            } else if let Some(short) = word.strip_prefix('-').filter(|short| !short.is_empty()) {
                // Flags of one letter may stand before an option, and its value behind it: `-Dw4`.
                let flags =
                    short.len() - short.trim_start_matches(|c| grammar.letter_flags.contains(c)).len();
                let letter_values = short[..flags].chars().filter_map(|flag| grammar.letter(flag));
                options.values.extend(letter_values.map(|flag| (flag, String::new())));
                let mut letters = short[flags..].chars();
                let Some(letter) = letters.next() else { continue };
                let value = letters.as_str();
                let value = value.strip_prefix('=').unwrap_or(value);
                (grammar.letter(letter), Some(value).filter(|value| !value.is_empty()))
            } else {
                options.words.push(word.to_owned());
                continue;
            };
            // An option that is not known to be a flag shows it by what follows.
            let value = value.or_else(|| words.next_if(|next| !next.starts_with('-')));
            options.values.extend(option.map(|option| (option, value.unwrap_or_default().to_owned())));
        }
        options
    }

    /// A wanted option's value: the last that was typed.
    #[must_use]
    pub fn get(&self, option: &str) -> Option<&str> {
        let typed = self.values.iter().rev().find(|(typed, _)| *typed == option);
        typed.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// The value of an option as a number.
    #[must_use]
    pub fn number(&self, option: &str) -> Option<u32> {
        self.get(option)?.parse().ok()
    }

    /// True if it was typed, with a value or without.
    #[must_use]
    pub fn has(&self, option: &str) -> bool {
        self.values.iter().any(|(typed, _)| *typed == option)
    }

    /// Fills in what was not typed; words are not taken over.
    pub fn fall_back_on(&mut self, other: Self) {
        self.values.splice(..0, other.values);
    }
}

impl Grammar {
    fn long(&self, typed: &str) -> Option<&'static str> {
        self.wanted.iter().copied().find(|option| self.is_typed(typed, option))
    }

    fn letter(&self, letter: char) -> Option<&'static str> {
        self.letters.iter().find(|(known, _)| *known == letter).map(|(_, option)| *option)
    }

    fn is_flag(&self, typed: &str) -> bool {
        let positive = typed.strip_prefix("no-").unwrap_or(typed);
        self.flags.iter().any(|flag| *flag == positive || self.is_typed(typed, flag))
    }

    fn is_typed(&self, typed: &str, option: &str) -> bool {
        typed == option || (self.abbreviates && !typed.is_empty() && option.starts_with(typed))
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

    /// Options that are parsed as by argparse.
    const GRAMMAR: Grammar = Grammar {
        wanted: &["worker-class", "name", "threads", "daemon"],
        letters: &[('k', "worker-class"), ('n', "name"), ('D', "daemon")],
        letter_flags: "DR",
        flags: &["daemon", "no-sendfile", "reload", "preload", "log-syslog", "proxy-protocol"],
        abbreviates: true,
    };

    fn parse(line: &str, grammar: &Grammar) -> CommandOptions {
        CommandOptions::parse(&split(line), grammar)
    }

    #[track_caller]
    fn parses(line: &str, words: &[&str], name: &str, class: &str, threads: u32) {
        let options = parse(line, &GRAMMAR);
        let expected = (words, name, class, threads);
        let word_list: Vec<_> = options.words.iter().map(String::as_str).collect();
        let get = |option| options.get(option).unwrap_or_default();
        let seen = (&*word_list, get("name"), get("worker-class"), options.number("threads").unwrap_or(0));
        assert_eq!(seen, expected, "{line}");
    }

    #[test]
    fn options_in_every_spelling() {
        parses("", &[], "", "", 0);
        parses("-w 4 app:app", &["app:app"], "", "", 0);
        parses("-w4 -kgevent app:app -n shop", &["app:app"], "shop", "gevent", 0);
        parses("-k gevent -b :80 app:app", &["app:app"], "", "gevent", 0);
        parses("-k=gevent app:app", &["app:app"], "", "gevent", 0);
        parses("--worker-class=gevent --worker-connections 9 app:app", &["app:app"], "", "gevent", 0);
        parses("--worker-cl gthread --thr 8 --na shop app:app", &["app:app"], "shop", "gthread", 8);
        parses("app:app --threads=4 --workers 2", &["app:app"], "", "", 4);
        parses("--threads many app:app", &["app:app"], "", "", 0);
        parses("-k sync -k gthread app:app", &["app:app"], "", "gthread", 0);
        parses("-c", &[], "", "", 0);
    }

    #[test]
    fn flags_take_no_value() {
        parses("--preload --reload app:app", &["app:app"], "", "", 0);
        parses("--no-send app:app", &["app:app"], "", "", 0);
        parses("--no-reload app:app", &["app:app"], "", "", 0);
        parses("-D -R app:app", &["app:app"], "", "", 0);
        parses("-DRw4 app:app", &["app:app"], "", "", 0);
        parses("-Dk sync app:app", &["app:app"], "", "sync", 0);
        parses("--reload-engine poll --log-syslog --log-syslog-to udp://x app:app", &["app:app"], "", "", 0);
        parses("--unknown --proxy-protocol app:app", &["app:app"], "", "", 0);
        parses("-k sync -- app:app", &["app:app"], "", "sync", 0);
        assert!(["-D", "--daemon", "--daem", "-RD"].iter().all(|line| parse(line, &GRAMMAR).has("daemon")));
        assert!(!parse("-R daemon", &GRAMMAR).has("daemon"));
    }

    #[test]
    fn click_knows_no_abbreviations() {
        let click = Grammar { wanted: &["http"], flags: &["http2"], abbreviates: false, ..GRAMMAR };
        let options = parse("--http h11 --ht x app:app", &click);
        assert_eq!((options.get("http"), &*options.words), (Some("h11"), &["app:app".to_owned()][..]));
    }

    #[test]
    fn the_environment_comes_second_and_brings_no_words() {
        let mut options = parse("-k gthread app:app", &GRAMMAR);
        options.fall_back_on(parse("--name 'my shop' -k sync --threads 3 other:app", &GRAMMAR));
        assert_eq!(options.words, ["app:app"]);
        assert_eq!((options.get("name"), options.get("worker-class")), (Some("my shop"), Some("gthread")));
        assert_eq!(options.number("threads"), Some(3));
    }

    #[test]
    fn words_of_a_shell() {
        assert_eq!(split(r#" a  "b c"d 'e "f' g\ h '' "#), ["a", "b cd", r#"e "f"#, "g h", ""]);
        assert_eq!(split("'open"), ["open"]);
        assert_eq!(split("end\\"), ["end"]);
    }
}
