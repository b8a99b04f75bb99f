//! Reads and checks a recording, or says what is wrong with it.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, ErrorKind, Read},
    path::Path,
};

use anyhow::Context;
use flate2::bufread::GzDecoder;

use crate::{
    failure::{Failure, Unreadable},
    model::{SCHEMA_VERSION, recording::Recording},
    recording::{MAGIC, validate::validate},
    sys::privileges,
};

/// The largest body that is unpacked. A recording of an hour has some ten MiB; a small file that unpacks to more
/// than this was made to exhaust our memory.
const MAX_BODY_BYTES: u64 = 256 << 20;

/// Most values of a body: each may take 64 bytes while it is read, of which its text need have but two.
const MAX_VALUES: usize = 24 << 20;

/// The longest message of a decoder, in characters: it may quote all of a text that was not expected.
const MAX_MESSAGE: usize = 200;

/// The gzip header that we write (RFC 1952): deflate, no flags, no time, default level, unknown system. Its bits
/// are in no checksum, so we accept no others.
const GZIP_HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

/// Reads a recording. Fails with [`Failure::Recording`] if the file can be read but is not a whole recording.
pub fn read(path: &Path) -> anyhow::Result<Recording> {
    let file = File::open(path).with_context(|| format!("failed to open `{}`", path.display()))?;
    let decoded = privileges::without_any(|| decode(BufReader::new(file), MAX_BODY_BYTES));
    decoded.context("failed to give up privileges")?.map_err(|error| match error {
        Stopped::Unreadable(why) => Failure::Recording { path: path.to_owned(), why }.into(),
        Stopped::Io(error) => {
            anyhow::Error::new(error).context(format!("failed to read `{}`", path.display()))
        }
    })
}

/// Why reading stopped.
#[derive(Debug)]
enum Stopped {
    Unreadable(Unreadable),
    Io(io::Error),
}

impl From<Unreadable> for Stopped {
    fn from(why: Unreadable) -> Self {
        Self::Unreadable(why)
    }
}

/// What a decoder says of a file's contents, or of the disk below it.
impl From<io::Error> for Stopped {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            ErrorKind::UnexpectedEof => Unreadable::Truncated.into(),
            // So flate2 reports a damaged stream and a wrong checksum.
            ErrorKind::InvalidInput | ErrorKind::InvalidData => Unreadable::Corrupt(error.to_string()).into(),
            _ => Self::Io(error),
        }
    }
}

fn decode(mut file: impl BufRead, max_body_bytes: u64) -> Result<Recording, Stopped> {
    check_version(version(&mut file)?)?;
    let mut header = [0; GZIP_HEADER.len()];
    file.read_exact(&mut header)?;
    if header != GZIP_HEADER {
        return Err(corrupt("its gzip header is not ours").into());
    }
    let mut body = GzDecoder::new(header.as_slice().chain(file));
    let mut json = Vec::new();
    body.by_ref().take(max_body_bytes + 1).read_to_end(&mut json)?;
    if json.len() as u64 > max_body_bytes {
        return Err(corrupt("it unpacks to more than a recording can be").into());
    }
    if !body.into_inner().fill_buf()?.is_empty() {
        return Err(corrupt("something follows its end").into());
    }
    if values(&json) > MAX_VALUES {
        return Err(corrupt("it has more values than a recording can have").into());
    }
    let mut recording: Recording = serde_json::from_slice(&json).map_err(|error| corrupt(short(&error)))?;
    check_version(recording.stat.schema_version)?;
    // What version 1 names otherwise is read by both names.
    recording.stat.schema_version = SCHEMA_VERSION;
    validate(&recording).map_err(corrupt)?;
    Ok(recording)
}

/// Reads the first line.
fn version(file: &mut impl BufRead) -> Result<u32, Stopped> {
    // One byte more than the line of the largest version has.
    let longest = MAGIC.len() as u64 + 12;
    let mut line = Vec::new();
    file.take(longest).read_until(b'\n', &mut line)?;
    if MAGIC.as_bytes().starts_with(&line) {
        return Err(Unreadable::Truncated.into());
    }
    let rest = line.strip_prefix(MAGIC.as_bytes()).ok_or(Unreadable::Foreign)?;
    let Some((b'\n', digits)) = rest.split_last() else {
        let cut = rest.iter().all(u8::is_ascii_digit) && (line.len() as u64) < longest;
        return Err(if cut { Unreadable::Truncated } else { Unreadable::Foreign }.into());
    };
    let version = str::from_utf8(digits).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    Ok(version.and_then(|text| text.parse().ok()).ok_or(Unreadable::Foreign)?)
}

fn check_version(version: u32) -> Result<(), Unreadable> {
    match version {
        1..=SCHEMA_VERSION => Ok(()),
        0 => Err(corrupt("there is no version 0")),
        newer => Err(Unreadable::Newer(newer)),
    }
}

/// How many values a JSON text has at most: each but the first follows a separator.
fn values(json: &[u8]) -> usize {
    let (mut count, mut in_text, mut is_escaped) = (1, false, false);
    for byte in json {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = in_text,
            b'"' => in_text = !in_text,
            b',' | b':' | b'[' if !in_text => count += 1,
            _ => {}
        }
    }
    count
}

/// A decoder's message, cut.
fn short(error: &serde_json::Error) -> String {
    let message = error.to_string();
    match message.char_indices().nth(MAX_MESSAGE) {
        Some((cut, _)) => format!("{}… at line {} column {}", &message[..cut], error.line(), error.column()),
        None => message,
    }
}

fn corrupt(why: impl Into<String>) -> Unreadable {
    Unreadable::Corrupt(why.into())
}

#[cfg(test)]
mod tests {
    use std::{fs, io::Write};

    use flate2::{Compression, write::GzEncoder};

    use super::*;
    use crate::{
        model::{
            fixture,
            tables::{Frame, MAX_ROWS},
        },
        recording::write,
    };

    fn bytes() -> Vec<u8> {
        let mut bytes = Vec::new();
        write(&fixture::recording(), &mut bytes).unwrap();
        bytes
    }

    /// A file with a body of our own.
    fn file(version: &str, body: &[u8]) -> Vec<u8> {
        let mut gzip = GzEncoder::new(format!("{MAGIC}{version}\n").into_bytes(), Compression::default());
        gzip.write_all(body).unwrap();
        gzip.finish().unwrap()
    }

    fn refusal(bytes: &[u8]) -> Unreadable {
        match decode(bytes, MAX_BODY_BYTES) {
            Err(Stopped::Unreadable(why)) => why,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_was_written_is_read() {
        assert_eq!(decode(bytes().as_slice(), MAX_BODY_BYTES).unwrap(), fixture::recording());
    }

    #[test]
    fn cut_anywhere_it_is_truncated() {
        let bytes = bytes();
        for length in 0..bytes.len() {
            let why = refusal(&bytes[..length]);
            assert!(matches!(why, Unreadable::Truncated), "{length} of {}: {why}", bytes.len());
        }
    }

    #[test]
    fn no_flipped_bit_passes_for_another_recording() {
        let bytes = bytes();
        let first_line = format!("{MAGIC}{SCHEMA_VERSION}\n").len();
        let deflate = first_line + GZIP_HEADER.len()..bytes.len() - 8;
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            // A few bits of deflate carry nothing: they fill up its last byte, or choose between two earlier
            // places with the same text.
            if let Ok(recording) = decode(flipped.as_slice(), MAX_BODY_BYTES) {
                assert_eq!(recording, fixture::recording(), "bit {bit}");
                assert!(deflate.contains(&(bit / 8)), "bit {bit}");
            }
        }
    }

    #[test]
    fn version_1_is_read() {
        let mut recording = fixture::recording();
        recording.stat.fleets[0].workers[1].empty_wakeups = Some(7);
        let mut old = serde_json::to_value(&recording).unwrap();
        old["stat"]["schema_version"] = 1.into();
        let worker = old["stat"]["fleets"][0]["workers"][1].as_object_mut().unwrap();
        let empty = worker.remove("empty_wakeups").unwrap();
        worker.insert("vain_wakeups".to_owned(), empty);
        let file = file("1", &serde_json::to_vec(&old).unwrap());
        assert_eq!(decode(file.as_slice(), MAX_BODY_BYTES).unwrap(), recording);
    }

    #[test]
    fn a_recording_that_does_not_tell_where_code_is_is_read() {
        let mut recording = fixture::recording();
        let mut old = serde_json::to_value(&recording).unwrap();
        let profile = old["profile"].as_object_mut().unwrap();
        profile.remove("binaries").unwrap();
        profile.remove("mappings").unwrap();
        for frame in profile["frames"].as_array_mut().unwrap() {
            frame.as_object_mut().unwrap().retain(|key, _| !["first_line", "place"].contains(&key.as_str()));
        }
        let file = file("2", &serde_json::to_vec(&old).unwrap());
        let profile = &mut recording.profile;
        (profile.binaries, profile.mappings) = Default::default();
        let known =
            |&Frame { kind, name, file, line, .. }: &_| Frame { file, line, ..Frame::named(kind, name) };
        profile.frames = profile.frames.rows().iter().map(known).collect::<Vec<_>>().into();
        assert_eq!(decode(file.as_slice(), MAX_BODY_BYTES).unwrap(), recording);
    }

    #[test]
    fn newer_versions_are_told_apart() {
        assert!(matches!(refusal(&file("3", b"what will be")), Unreadable::Newer(3)));
        assert!(matches!(refusal(b"punchclock recording v4294967295\nxyz"), Unreadable::Newer(u32::MAX)));
        let mut recording = fixture::recording();
        recording.stat.schema_version = 3;
        let json = serde_json::to_vec(&recording).unwrap();
        assert!(matches!(refusal(&file("1", &json)), Unreadable::Newer(3)));
        assert!(matches!(refusal(&file("0", b"{}")), Unreadable::Corrupt(_)));
    }

    #[test]
    fn what_is_no_recording_is_foreign() {
        for text in [
            "GIF89a",
            "punchclock record",
            "punchclock recording vX\n",
            "punchclock recording v99999999999\n",
        ] {
            let mut bytes = text.as_bytes().to_vec();
            bytes.extend([0; 100]);
            assert!(matches!(refusal(&bytes), Unreadable::Foreign), "{text}");
        }
        assert!(matches!(refusal(b"\x7fELF"), Unreadable::Foreign));
    }

    #[test]
    fn damage_within_is_corrupt() {
        let mut tail = bytes();
        tail.push(0);
        for bytes in [tail, file("1", b"{}"), file("1", b"[[[["), file("1", b"{\"about\":{}}")] {
            assert!(matches!(refusal(&bytes), Unreadable::Corrupt(_)));
        }
    }

    #[test]
    fn a_bomb_is_refused() {
        let bomb = file("1", &[b' '; 4097]);
        assert!(bomb.len() < 100);
        match decode(bomb.as_slice(), 4096) {
            Err(Stopped::Unreadable(Unreadable::Corrupt(why))) => {
                assert!(why.starts_with("it unpacks to more"));
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_text_of_many_values_is_refused_before_it_is_read() {
        assert_eq!(values(br#"{"a,:[\\\",":[1,2,"\\"],"b":3}"#), 7);
        let json = format!("[{}0]", "0,".repeat(MAX_VALUES));
        let why = refusal(&file("1", json.as_bytes())).to_string();
        assert!(why.contains("more values"), "{why}");
    }

    #[test]
    fn a_table_of_many_rows_is_refused_while_it_is_read() {
        let mut recording = serde_json::to_value(fixture::recording()).unwrap();
        recording["profile"]["strings"] = "@".into();
        let strings = format!("[{}\"\"]", "\"\",".repeat(MAX_ROWS));
        let json = recording.to_string().replace("\"@\"", &strings);
        let why = refusal(&file("1", json.as_bytes())).to_string();
        assert!(why.contains("too many rows"), "{why}");
    }

    #[test]
    fn what_a_message_quotes_is_cut() {
        let mut recording = serde_json::to_value(fixture::recording()).unwrap();
        recording["profile"]["frames"][0]["kind"] = "\u{1b}x".repeat(1 << 20).into();
        let why = refusal(&file("1", recording.to_string().as_bytes())).to_string();
        assert!(why.contains("unknown variant") && why.len() < 1000, "{} bytes", why.len());
    }

    #[test]
    fn files_have_their_names_in_the_message() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.punch");
        let message = read(&path).unwrap_err().to_string();
        assert_eq!(message, format!("failed to open `{}`", path.display()));
        fs::write(&path, "nothing").unwrap();
        let error = read(&path).unwrap_err();
        assert!(matches!(error.downcast_ref(), Some(Failure::Recording { why: Unreadable::Foreign, .. })));
        fs::write(&path, bytes()).unwrap();
        assert_eq!(read(&path).unwrap(), fixture::recording());
    }
}
