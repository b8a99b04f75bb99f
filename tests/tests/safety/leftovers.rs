//! What is attached goes with its punchclock, however that ends; and two of them do not disturb each other.

use std::{
    fs::File,
    os::unix::process::CommandExt,
    process::{Child, Stdio},
};

use profiler_tests::{
    attached::Attached,
    books::Books,
    punchclock::{counter, punchclock, worker},
    record::Record,
    recording::total,
    truth::busy,
    wait_for,
    watch::Watch,
    workload::{Workload, kill, signal},
};

/// A verb at work, in a folder of its own.
struct Running {
    child: Child,
    folder: tempfile::TempDir,
}

impl Running {
    /// Starts it, and waits until it is at work; what it holds then.
    fn start(verb: &str, workload: &Workload) -> (Self, Attached) {
        let folder = tempfile::tempdir().expect("there is room for a folder");
        let said = folder.path().join("said");
        let mut command = punchclock(&[verb, "-d", "300", "-p", &workload.pid()]);
        command.args(if verb == "stat" { &["-i", "0.1"][..] } else { &[] });
        command.stdout(File::create(&said).expect("there is room")).stderr(Stdio::null());
        let command = command.current_dir(folder.path()).process_group(0);
        let child = command.spawn().expect("punchclock is built: cargo xtask test");
        let running = Self { child, folder };
        let attached = || Attached::to(running.child.id());
        let speaks = || said.metadata().is_ok_and(|about| about.len() > 0);
        wait_for("its window", || if verb == "stat" { speaks() } else { attached().clocks() > 0 });
        let attached = attached();
        for kind in ["prog_id", "map_id", "link_id"] {
            assert!(attached.count(kind) >= 3, "{attached:?}");
        }
        (running, attached)
    }

    fn end(&mut self, by: libc::c_int) -> Option<i32> {
        signal(self.child.id(), by);
        self.child.wait().expect("it is our child").code()
    }

    /// How many files there are besides what it said.
    fn files(&self) -> usize {
        self.folder.path().read_dir().expect("it is there").count() - 1
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        kill(self.child.id(), libc::SIGKILL);
        // Collected already, unless the test failed.
        let _ = self.child.wait();
    }
}

#[test]
fn kill_9_leaves_no_program_no_map_and_no_file_behind() {
    let (workload, _) = busy();
    for verb in ["stat", "record"] {
        let (mut running, attached) = Running::start(verb, &workload);
        assert!(attached.remains());
        assert_eq!(running.end(libc::SIGKILL), None);
        assert_eq!(running.files(), 0);
        wait_for("the kernel to drop what it held", || !attached.remains());
    }
}

#[test]
fn an_interruption_leaves_nothing_behind() {
    let (workload, _) = busy();
    for by in [libc::SIGINT, libc::SIGTERM] {
        for verb in ["stat", "record"] {
            let (mut running, attached) = Running::start(verb, &workload);
            assert_eq!(running.end(by), Some(0), "{verb} with data ends well");
            wait_for("the kernel to drop what it held", || !attached.remains());
        }
    }
}

#[test]
fn two_at_once_see_the_same() {
    let (workload, _) = busy();
    workload.stop();
    let before = Books::of_thread(workload.tgid(), workload.tgid()).expect("it lives");
    let watch = Watch::start(&workload.pid());
    let records = ["999", "333"].map(|rate| Record::start(&[workload.tgid()], &["-r", rate]));
    workload.go_on_for(500);
    let after = Books::of_thread(workload.tgid(), workload.tgid()).expect("it lives");
    let recorded = records.map(Record::end);
    let stat = watch.end();
    for document in [&stat, recorded[0].recording.stat(), recorded[1].recording.stat()] {
        let row = worker(document, workload.tgid());
        assert_eq!(counter(row, "on_cpu_ns"), after.on_cpu_ns - before.on_cpu_ns);
        assert_eq!(counter(row, "preempted_switches"), after.preempted - before.preempted);
    }
    for (recorded, expected) in recorded.iter().zip([500, 165]) {
        let samples = recorded.recording.samples_of(workload.tgid());
        assert!(total(&samples) >= expected * 9 / 10, "{} samples", total(&samples));
        assert!(samples.iter().all(|sample| !sample.functions().is_empty()));
    }
}
