//! Boots: a kernel, an initial file system with what runs on it, and what came of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, anyhow};

use super::{
    HOST, Options, boot,
    findings::Findings,
    get::Package,
    image::Image,
    interpreter,
    list::{Row, What},
};
use crate::{
    dist,
    exec::{as_root, read},
    machine::Machine,
    pythons,
};

/// Bounds on a boot, of the quick part and of the thorough one.
const QUICK: Duration = Duration::from_secs(300);
const THOROUGH: Duration = Duration::from_secs(900);

/// Rows that stand for the same kernel under the same set-up.
pub struct Boot {
    pub names: Vec<&'static str>,
    pub row: Row,
    pub package: Package,
}

/// What came of a row, or of several that stand for the same.
pub struct Outcome {
    pub names: Vec<&'static str>,
    pub kernel: String,
    pub set_up: String,
    pub seconds: u64,
    pub findings: Result<Findings>,
}

impl Outcome {
    pub fn is_good(&self) -> bool {
        self.findings.as_ref().is_ok_and(|findings| findings.failures().next().is_none())
    }

    /// Says it, and is it.
    fn told(self) -> Self {
        let mark = if self.is_good() { '✓' } else { '✗' };
        let found = match &self.findings {
            Err(error) => format!("{error:#}"),
            Ok(findings) => findings.checks.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        };
        println!("{mark} {} {}, {} s: {found}", self.names.join(", "), self.kernel, self.seconds);
        self
    }
}

/// What guests are made of.
pub struct Programs<'a> {
    opts: &'a Options,
    folder: PathBuf,
    /// The guest's own program, and punchclock.
    built: BTreeMap<Machine, [PathBuf; 2]>,
    /// Where the roots of Pythons are.
    pythons: PathBuf,
}

impl<'a> Programs<'a> {
    /// Builds them for these machines.
    pub fn of(opts: &'a Options, folder: PathBuf, machines: impl Iterator<Item = Machine>) -> Result<Self> {
        let mut built = BTreeMap::new();
        for machine in machines.collect::<BTreeSet<_>>() {
            let punchclock = match &opts.binaries {
                Some(folder) => folder.join(format!("punchclock-{machine}")),
                None => dist::binary(machine)?,
            };
            built.insert(machine, [dist::build(machine, "punchclock-guest")?, punchclock]);
        }
        Ok(Self { opts, folder, built, pythons: pythons::gather(&interpreter::ROOTS)? })
    }

    fn built_for(&self, machine: Machine) -> Result<&[PathBuf; 2]> {
        self.built.get(&machine).with_context(|| format!("nothing was built for {machine}"))
    }

    /// Boots all, and those that failed once more, by themselves: as tests, they share a host with others. Which these were
    /// is said.
    pub fn try_all_twice(&self, prepared: &[(PathBuf, Boot)]) -> Result<Vec<Outcome>> {
        let mut outcomes = self.try_all(prepared)?;
        for (outcome, (kernel, boot)) in outcomes.iter_mut().zip(prepared) {
            if !outcome.is_good() {
                *outcome = self.try_on(boot, kernel);
                let now = if outcome.is_good() { "passed" } else { "failed again" };
                println!("kernels: {} failed, and {now} by itself", boot.names.join(", "));
            }
        }
        Ok(outcomes)
    }

    /// Boots all, as many at a time as there are CPUs: a guest is one busy thread. The outcomes in the boots' order.
    fn try_all(&self, prepared: &[(PathBuf, Boot)]) -> Result<Vec<Outcome>> {
        let next = AtomicUsize::new(0);
        let work = || {
            let mut outcomes = Vec::new();
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let Some((kernel, boot)) = prepared.get(index) else { return outcomes };
                outcomes.push((index, self.try_on(boot, kernel)));
            }
        };
        let cpus = thread::available_parallelism().context("failed to count the CPUs")?.get();
        let workers = thread::scope(|scope| {
            let workers: Vec<_> = (0..cpus).map(|_| scope.spawn(work)).collect();
            let ended =
                workers.into_iter().map(|worker| worker.join().map_err(|_| anyhow!("a boot panicked")));
            ended.collect::<Result<Vec<_>>>()
        })?;
        let mut outcomes: Vec<_> = workers.into_iter().flatten().collect();
        outcomes.sort_by_key(|(index, _)| *index);
        Ok(outcomes.into_iter().map(|(_, outcome)| outcome).collect())
    }

    /// Boots a kernel and says what was found.
    fn try_on(&self, boot: &Boot, kernel_file: &Path) -> Outcome {
        let Boot { names, row, package } = boot;
        let set_up = row.set_up().to_owned();
        let kernel = format!("{} ({})", package.version, package.release);
        let began = Instant::now();
        let findings = self.image(row).and_then(|(image, arguments)| {
            let limit = if self.part(row) == "thorough" { THOROUGH } else { QUICK };
            let console = boot::boot(row.machine(), kernel_file, &image, &arguments, limit)?;
            fs::remove_file(&image).with_context(|| format!("failed to remove {}", image.display()))?;
            Findings::read(&console)
        });
        let seconds = began.elapsed().as_secs();
        Outcome { names: names.clone(), kernel, set_up, seconds, findings }.told()
    }

    /// Which checks a row's guest runs.
    fn part(&self, row: &Row) -> &'static str {
        match row.what {
            What::Refused => "refused",
            What::Runs if self.opts.thorough || row.deep => "thorough",
            What::Runs => "quick",
        }
    }

    /// What a row's kernel boots with: the initial file system, and what stands on the command line.
    fn image(&self, row: &Row) -> Result<(PathBuf, String)> {
        let [guest, punchclock] = self.built_for(row.machine())?;
        let mut image = Image::new();
        image.add(Path::new("/init"), guest)?;
        image.add(Path::new("/punchclock"), punchclock)?;
        let mut arguments = vec![row.options.to_owned(), "--".to_owned(), self.part(row).to_owned()];
        if row.cgroup1 {
            arguments.push("cgroup1".to_owned());
        }
        if self.part(row) == "thorough" {
            for (version, root) in interpreter::versions(row.machine()) {
                let root = self.pythons.join(root);
                let python = interpreter::pack(&mut image, row.machine(), &root, version)?;
                arguments.push(python.display().to_string());
            }
        }
        let path = self.folder.join(format!("{}.image", row.name));
        fs::write(&path, image.end()).with_context(|| format!("failed to write {}", path.display()))?;
        Ok((path, arguments.join(" ")))
    }

    /// Runs the same checks on the host.
    pub fn try_here(&self) -> Outcome {
        let began = Instant::now();
        let findings = self.found_here();
        let kernel = findings.as_ref().map_or_else(|_| String::new(), |findings| findings.kernel.clone());
        let (names, seconds) = (vec![HOST], began.elapsed().as_secs());
        Outcome { names, kernel, set_up: "as it is".to_owned(), seconds, findings }.told()
    }

    fn found_here(&self) -> Result<Findings> {
        let [guest, punchclock] = self.built_for(Machine::here()?)?;
        let question = ["-c", "import os, sys; print(os.path.realpath(sys.executable))"];
        let python = read(Command::new("python3").args(question))?;
        let part: &[&str] = if self.opts.thorough { &["thorough", python.trim()] } else { &["quick"] };
        let mut command = as_root("env");
        command.arg(format!("PUNCHCLOCK={}", punchclock.display())).arg(guest).args(part);
        Findings::read(&read(&mut command)?)
    }
}
