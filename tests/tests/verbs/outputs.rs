//! What `record` leaves, and that `report` makes the same of a recording.

use std::{fs, os::unix::fs::MetadataExt as _};

use profiler_tests::{
    books::Books,
    punchclock::{counter, json, punchclock, run, worker},
    record::{Record, Recorded, folded},
    recording::Recording,
    truth::busy,
    wait_for,
    workload::{Workload, signal},
};

fn record(workload: &Workload, arguments: &[&str]) -> Recorded {
    Record::start(&[workload.tgid()], &[&["-r", "499"], arguments].concat())
        .end_after(&[workload.tgid()], 300)
}

#[test]
fn a_report_is_byte_for_byte_what_record_wrote() {
    let (workload, _) = busy();
    for shape in [&[][..], &["--by", "thread", "--weight", "samples", "--native", "--kernel"]] {
        let outputs = ["-o", "one.svg", "-o", "one.folded", "-o", "one.json"];
        let recorded = record(&workload, &[&outputs, shape].concat());
        let punch = recorded.path("all.punch").display().to_string();
        let again = ["svg", "folded", "json", "punch"].map(|end| (end, recorded.path(&format!("two.{end}"))));
        let paths: Vec<_> = again.iter().map(|(_, path)| path.display().to_string()).collect();
        let outputs: Vec<_> = paths.iter().flat_map(|path| ["-o", path]).collect();
        let output = run(&[&["report", &punch][..], &outputs, shape].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        for (end, path) in again {
            let first =
                recorded.path(&if end == "punch" { "all.punch".to_owned() } else { format!("one.{end}") });
            assert!(
                fs::read(&first).expect("record wrote it") == fs::read(path).expect("report wrote it"),
                "{end}"
            );
            assert!(recorded.stderr().contains(&first.file_name().expect("a name").display().to_string()));
        }
    }
}

#[test]
fn the_picture_tells_how_it_was_made() {
    let (workload, _) = busy();
    let recorded = record(&workload, &["-o", "out.svg", "-o", "out.folded", "--weight", "samples"]);
    let samples = recorded.recording.counted("total");
    assert_eq!(recorded.folded("out.folded").iter().map(|(_, count)| count).sum::<u64>(), samples);
    let svg = recorded.text("out.svg");
    let title = svg.split("<text id=\"title\"").nth(1).and_then(|rest| rest.split("</text>").next());
    let title = title.expect("a title").replace(',', "");
    let seconds = recorded.recording.stat()["duration_ns"].as_f64().expect("a number") / 1e9;
    for part in ["generator.py", "499 Hz", &format!("{seconds:.1} s"), &samples.to_string()] {
        assert!(title.contains(part), "{part} in {title}");
    }
}

#[test]
fn a_recording_gives_every_shape_and_the_numbers() {
    let (workload, _) = busy();
    let recorded = record(&workload, &["-o", "out.json"]);
    let punch = recorded.path("all.punch").display().to_string();
    let root = |by: &str| {
        let path = recorded.path("by.folded");
        let output = run(&["report", &punch, "--by", by, "-o", &path.display().to_string()]);
        assert!(output.status.success());
        let stacks = folded(&fs::read_to_string(path).expect("report wrote it"));
        assert!(stacks.iter().all(|(stack, _)| stack[0] == stacks[0].0[0]));
        stacks[0].0[0].clone()
    };
    assert_eq!(root("fleet"), "python generator.py");
    assert_eq!(root("worker"), format!("worker {}", workload.pid()));
    assert!(root("thread").ends_with(&format!("/{}", workload.pid())));
    assert_eq!(root("class"), "worker");
    let written: serde_json::Value = serde_json::from_str(&recorded.text("out.json")).expect("JSON");
    assert_eq!(json(&["report", &punch, "--json"]), written);
    let table = run(&["report", &punch]);
    assert!(String::from_utf8_lossy(&table.stdout).contains(&format!("worker {}", workload.pid())));
}

#[test]
fn without_an_output_there_is_one_with_a_telling_name() {
    let (workload, _) = busy();
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let mut command = punchclock(&["record", "-d", "1", "-p", &workload.pid()]);
    let output = command.current_dir(folder.path()).output().expect("punchclock is built");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    let entries = folder.path().read_dir().expect("it is a folder").flatten();
    let names: Vec<_> = entries.map(|entry| entry.file_name().display().to_string()).collect();
    for end in [".svg", ".punch"] {
        let name = names.iter().find(|name| name.ends_with(end)).expect(end);
        assert!(name.contains("generator.py"), "{name}");
        assert!(stderr.contains(name.as_str()), "{name} in {stderr}");
    }
    assert_eq!(names.len(), 2, "{names:?}");
}

/// `SIGUSR1` writes what there is, and the recording goes on.
#[test]
fn a_signal_writes_what_was_recorded_so_far() {
    let (workload, _) = busy();
    let used = || Books::of_process(workload.tgid()).values().map(|books| books.on_cpu_ns).sum::<u64>();
    let told = |recording: &Recording| counter(worker(recording.stat(), workload.tgid()), "on_cpu_ns");
    let record = Record::start(&[workload.tgid()], &["-r", "499"]);
    let path = record.path("all.punch");
    let file = || fs::metadata(&path).ok().map(|file| file.ino());
    let so_far = || {
        let (until, older) = (used() + 300_000_000, file());
        wait_for("the CPU time to pass", || used() >= until);
        let before = used();
        signal(record.pid(), libc::SIGUSR1);
        wait_for("a file", || file() != older);
        (before, Recording::read(&path), used())
    };
    let ((before, first, after), (next_before, second, next_after)) = (so_far(), so_far());
    assert!(first.counted("total") > 50, "{}", first.counted("total"));
    let between = told(&second) - told(&first);
    assert!((next_before - after..=next_after - before).contains(&between), "{between}");
    let last = record.end();
    assert!(
        told(&last.recording) > told(&second) && last.recording.counted("total") >= second.counted("total")
    );
    assert_eq!(last.stderr().matches("wrote all.punch").count(), 3, "{}", last.stderr());
}

/// A recording that is killed leaves what it had a short while before, and says so; one that ends leaves nothing of the kind.
#[test]
fn a_killed_recording_leaves_a_part() {
    let (workload, _) = busy();
    let [killed, ended] = [(); 2].map(|()| Record::start(&[workload.tgid()], &[]));
    let part = |record: &Record| record.path("all.punch.part");
    wait_for("both parts", || part(&killed).exists() && part(&ended).exists());
    let before = Books::of_process(workload.tgid())[&workload.tgid()].on_cpu_ns;
    signal(killed.pid(), libc::SIGKILL);
    assert!(!killed.path("all.punch").exists());
    let told = json(&["report", &part(&killed).display().to_string(), "--json"]);
    let on_cpu = counter(worker(&told, workload.tgid()), "on_cpu_ns");
    assert!(on_cpu <= before && on_cpu > 2_000_000_000, "{on_cpu} of {before}");
    let notes = told["quality"]["notes"].as_array().expect("notes");
    assert!(
        notes.iter().any(|note| note.as_str().is_some_and(|note| note.contains("had not ended"))),
        "{notes:?}"
    );
    let ended = ended.end();
    assert!(!ended.path("all.punch.part").exists() && !ended.stderr().contains("part"), "{}", ended.stderr());
    assert!(ended.recording.notes().iter().all(|note| !note.contains("had not ended")));
}

/// Who loses the terminal loses no recording.
#[test]
fn a_recording_ends_with_its_terminal() {
    let (workload, _) = busy();
    let record = Record::start(&[workload.tgid()], &[]);
    signal(record.pid(), libc::SIGHUP);
    let recorded = record.wait();
    assert!(counter(worker(recorded.recording.stat(), workload.tgid()), "on_cpu_ns") > 0);
}
