//! Names by which fleets are asked for and told apart: a glob over applications and servers, and behind an `@` the address
//! where one listens.

use std::collections::HashMap;

use crate::{failure::Failure, fleet::Fleet};

/// The most fleets that a refusal lists.
const MAX_LISTED: usize = 8;

/// True if a fleet is meant by a name: `shop*`, `gunicorn`, `shop:app@:8001`, `@/run/shop.sock`.
pub(super) fn answers(fleet: &Fleet, name: &str) -> bool {
    is_called(fleet, name) || is_at(fleet, name)
}

/// Refuses an address that is not one fleet's: containers may have the same one. A glob stands for as many as there are.
pub(super) fn refuse_ambiguous(fleets: &[Fleet], name: &str) -> Result<(), Failure> {
    let answering: Vec<_> = fleets.iter().filter(|fleet| answers(fleet, name)).collect();
    let is_exact = !name.contains(['*', '?']) && !answering.iter().any(|fleet| is_called(fleet, name));
    if answering.len() < 2 || !is_exact {
        return Ok(());
    }
    let shown = |fleet: &&Fleet| {
        let lead = fleet.members.first().map(|member| format!(" (PID {})", member.tgid)).unwrap_or_default();
        format!("{} {} at {}{lead}", fleet.server, fleet.name, fleet.listening.join(", "))
    };
    let mut listed: Vec<_> = answering.iter().take(MAX_LISTED).map(shown).collect();
    let more = answering.len() - listed.len();
    listed.extend((more > 0).then(|| format!("and {more} more")));
    let why =
        format!("`{name}` is the address of several fleets, name one with `-p PID`: {}", listed.join("; "));
    Err(Failure::Usage(why))
}

/// Appends to the names of fleets that would be called the same where each listens; what listens nowhere keeps its name.
pub(super) fn tell_apart(fleets: &mut [Fleet]) {
    let key = |fleet: &Fleet| (fleet.server.clone(), fleet.name.clone());
    let mut times: HashMap<_, usize> = HashMap::new();
    for fleet in &*fleets {
        *times.entry(key(fleet)).or_default() += 1;
    }
    for fleet in fleets.iter_mut().filter(|fleet| times[&key(fleet)] > 1) {
        if let Some(address) = fleet.listening.first() {
            fleet.name = format!("{}@{address}", fleet.name);
        }
    }
}

/// True if a fleet's name is this one, and what may have told it apart from others.
pub(super) fn is_told_apart(fleet: &Fleet, name: &str) -> bool {
    fleet.name.strip_prefix(name).is_some_and(|address| address.starts_with('@'))
}

fn is_called(fleet: &Fleet, name: &str) -> bool {
    matches(name, &fleet.name) || matches(name, &fleet.server)
}

/// True if some `@` of a name has what the fleet is called before it, or nothing, and one of its addresses behind it.
fn is_at(fleet: &Fleet, name: &str) -> bool {
    name.match_indices('@').any(|(at, _)| {
        let (called, address) = (&name[..at], &name[at + 1..]);
        let listens = || fleet.listening.iter().any(|listening| is_address(address, listening));
        (called.is_empty() || is_called(fleet, called)) && listens()
    })
}

/// True of a whole address, of its port with a colon before it or without, and of a socket's path.
fn is_address(asked: &str, listening: &str) -> bool {
    let short = match listening.strip_prefix("unix:") {
        Some(path) => path,
        None => listening.rfind(':').map_or(listening, |colon| &listening[colon..]),
    };
    [listening, short, short.trim_start_matches(':')].into_iter().any(|address| matches(asked, address))
}

/// `*` stands for any text, `?` for any character.
fn matches(glob: &str, text: &str) -> bool {
    let (glob, text): (Vec<char>, Vec<char>) = (glob.chars().collect(), text.chars().collect());
    let (mut g, mut t) = (0, 0);
    // Where the last `*` stands, and how far it reaches.
    let mut star = None;
    while t < text.len() {
        if glob.get(g) == Some(&'*') {
            star = Some((g, t));
            g += 1;
        } else if glob.get(g).is_some_and(|c| *c == '?' || *c == text[t]) {
            (g, t) = (g + 1, t + 1);
        } else if let Some((at, reach)) = star {
            star = Some((at, reach + 1));
            (g, t) = (at + 1, reach + 1);
        } else {
            return false;
        }
    }
    glob[g..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fleet(name: &str, listening: &[&str]) -> Fleet {
        let listening = listening.iter().map(|address| (*address).to_owned()).collect();
        Fleet { listening, ..Fleet::new("gunicorn", name) }
    }

    #[test]
    fn by_name_and_address() {
        let shop = fleet("shop:app", &["127.0.0.1:8001", "[::1]:8001", "unix:/run/shop.sock"]);
        for name in [
            "shop:app",
            "gunicorn@:8001",
            "shop:app@8001",
            "shop*@127.0.0.1:8001",
            "@[::1]:8001",
            "@/run/shop.sock",
            "gunicorn@unix:/run/*",
        ] {
            assert!(answers(&shop, name), "{name}");
        }
        for name in ["blog:app@:8001", "shop:app@:800", "@:001", "shop:app@", "@", ":8001", "shop@:8001"] {
            assert!(!answers(&shop, name), "{name}");
        }
        assert!(answers(&fleet("shop@host", &[]), "shop@host"), "Celery's nodes have such names");
        assert!(answers(&fleet("a@b", &["unix:@c"]), "a@b@@c"), "an abstract socket");
    }

    #[test]
    fn an_address_means_one_fleet() {
        let mut fleets = vec![fleet("shop", &["10.0.0.1:80"]), fleet("blog", &["10.0.0.2:80"])];
        for name in ["gunicorn", "@:*", "shop@:80", "@10.0.0.1:80", "none"] {
            assert!(refuse_ambiguous(&fleets, name).is_ok(), "{name}");
        }
        let refusal = refuse_ambiguous(&fleets, "gunicorn@:80").unwrap_err().to_string();
        let expected = "`gunicorn@:80` is the address of several fleets, name one with `-p PID`: \
                        gunicorn shop at 10.0.0.1:80; gunicorn blog at 10.0.0.2:80";
        assert_eq!(refusal, expected);
        fleets.extend(vec![fleet("wiki", &["10.0.0.3:80"]); MAX_LISTED]);
        let refusal = refuse_ambiguous(&fleets, "@:80").unwrap_err().to_string();
        assert!(refusal.ends_with("gunicorn wiki at 10.0.0.3:80; and 2 more"), "{refusal}");
    }

    #[test]
    fn two_of_one_application_are_told_apart() {
        let mut fleets = [
            fleet("shop", &["127.0.0.1:1", "[::1]:1"]),
            fleet("shop", &["unix:/run/shop.sock"]),
            fleet("shop", &[]),
            fleet("blog", &["127.0.0.1:2"]),
        ];
        tell_apart(&mut fleets);
        let names: Vec<_> = fleets.iter().map(|fleet| &*fleet.name).collect();
        assert_eq!(names, ["shop@127.0.0.1:1", "shop@unix:/run/shop.sock", "shop", "blog"]);
        assert!(is_told_apart(&fleets[0], "shop") && !is_told_apart(&fleets[3], "blog"));
    }

    #[test]
    fn globs() {
        for (glob, text) in [
            ("*", ""),
            ("a*c", "abbc"),
            ("a*c", "ac"),
            ("*b*", "abc"),
            ("a**?", "ab"),
            ("é?", "éü"),
            ("*ab", "aab"),
        ] {
            assert!(matches(glob, text), "{glob} {text}");
        }
        for (glob, text) in
            [("", "a"), ("a", ""), ("?", ""), ("a*c", "abcd"), ("*?b", "b"), ("[a]", "a"), ("A", "a")]
        {
            assert!(!matches(glob, text), "{glob} {text}");
        }
        assert!(!matches(&"*a".repeat(50), &"a".repeat(49)));
    }
}
