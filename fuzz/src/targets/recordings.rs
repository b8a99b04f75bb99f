//! A recording, and everything that is made of one. The first byte says whether the rest is the file or only its body, which is
//! packed then; the second how it is drawn.

use std::{io::Write as _, os::fd::AsRawFd as _, path::PathBuf};

use flate2::{Compression, write::GzEncoder};
use profiler::{
    findings,
    fleet::servers,
    model::{
        diff::{Per, diff, refusal},
        recording::Recording,
    },
    recording,
    render::{
        compare::{self, PageOptions},
        graph::{
            differential::{self, ComparedRecordings},
            flamegraph,
            fold::{By, GraphOptions, TimeKind, Weight, fold},
            folded,
        },
        json,
        stat::{self, idle::IdleReport},
        term::{escape, grid::TableOptions},
    },
};

use crate::{
    inert,
    targets::{file, take},
};

/// As recordings begin.
const FIRST_LINE: &[u8] = b"punchclock recording v2\n";

pub fn run(mut input: &[u8]) {
    let [is_body, shape] = take(&mut input);
    let read = if is_body % 2 == 1 {
        let mut gzip = GzEncoder::new(FIRST_LINE.to_vec(), Compression::default());
        gzip.write_all(input).expect("there is room");
        read(&gzip.finish().expect("there is room"))
    } else {
        read(input)
    };
    match read {
        Ok(recording) => render(&recording, shape_of(shape)),
        Err(error) => inert::check(&escape::visible(&format!("{error:#}"))),
    }
}

fn read(bytes: &[u8]) -> anyhow::Result<Recording> {
    let file = file(bytes);
    recording::read(&PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd())))
}

fn write(recording: &Recording) -> Vec<u8> {
    let mut bytes = Vec::new();
    recording::write(recording, &mut bytes).expect("there is room");
    bytes
}

fn shape_of(byte: u8) -> GraphOptions {
    let is = |bit: u8| byte >> bit & 1 == 1;
    GraphOptions {
        by: [By::Fleet, By::Worker, By::Thread, By::Task, By::Class][usize::from(byte % 5)],
        time: [TimeKind::OnCpu, TimeKind::OffCpu, TimeKind::Wall][usize::from(byte % 3)],
        weight: if is(7) { Weight::Samples } else { Weight::Time },
        idle: is(6),
        gil: is(5),
        native: is(4),
        kernel: is(3),
        inverted: is(2),
    }
}

fn render(recording: &Recording, shape: GraphOptions) {
    // What is written is read, and written so again.
    let again = write(&read(&write(recording)).expect("it was written so"));
    assert!(again == write(recording));

    let look = TableOptions { width: Some(80), switches: true, threads: true, colour: false };
    let findings = findings::of(&recording.stat, &recording.profile);
    let compared = PageOptions { verbose: true, width: 80, colour: false };
    let audit = IdleReport::new(&recording.profile, &recording.stat, servers::idle_design);
    let diff = diff(("before", recording), ("after", recording), None);
    for text in [
        stat::text(&recording.stat, &recording.profile, &findings, look),
        folded::text(&fold(recording, shape)),
        audit.text(look),
        compare::text(&diff, compared),
        compare::markdown(&diff, true),
        refusal(recording, recording).map(|why| escape::visible(&why).into_owned()).unwrap_or_default(),
    ] {
        inert::check(&text);
    }
    let documents = [
        stat::json(&recording.stat, &findings),
        stat::json_line(&recording.stat, &findings),
        audit.json(),
        json::document(&diff),
    ];
    for document in documents {
        inert::check(&document.expect("all of it is numbers and texts"));
    }
    let (before, after) = (("before", recording), ("after", recording));
    let comparison = ComparedRecordings { before, after, per: Per::Wall, inverted: shape.inverted };
    let graphs = [
        flamegraph::svg(recording, shape).expect("it can be drawn"),
        differential::svg(comparison).expect("it can be drawn").unwrap_or_default(),
    ];
    for graph in graphs {
        // The script that is in each is indented.
        inert::check(&String::from_utf8(graph).expect("it is text").replace('\t', " "));
    }
}
