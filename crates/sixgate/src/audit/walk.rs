//! Walks a folder and audits each file, on a few threads.

use sixgate_audit::{Finding, Language, MAX_FILE, Skipped};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{IsTerminal as _, Read as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// Folders of other people's code and of builds.
const NOT_ENTERED: [&str; 9] =
    [".git", ".hg", ".svn", "target", "node_modules", "vendor", "third_party", "__pycache__", ".venv"];
/// More threads than this only wait for the disk.
const THREADS: usize = 8;
/// How long it works before it shows progress.
const PATIENCE: Duration = Duration::from_millis(700);

/// One finding and the file that it is in.
#[derive(Debug)]
pub(super) struct Place {
    /// Relative to what was audited, with `/`: the same wherever it is called from.
    pub(super) path: String,
    /// As an editor finds it from where the command was called.
    pub(super) shown: String,
    pub(super) language: Language,
    pub(super) finding: Finding,
}

/// What became of all files.
#[derive(Debug, Default)]
pub(super) struct Audit {
    pub(super) found: Vec<Place>,
    /// Files read, by language.
    pub(super) read: BTreeMap<Language, usize>,
    pub(super) octets: u64,
    /// Files not read, by reason.
    pub(super) skipped: BTreeMap<&'static str, usize>,
    /// Those of them that are in a known language, or that could not be read, with the reason.
    pub(super) skipped_files: Vec<(String, String)>,
    /// Folders not entered, by name.
    pub(super) folders: BTreeMap<String, usize>,
    pub(super) allowed: usize,
    pub(super) dropped: usize,
    /// Findings in test code that are not shown.
    pub(super) in_tests: usize,
    /// Findings that the baseline knows.
    pub(super) known: usize,
    pub(super) took: Duration,
}

impl Audit {
    fn skip(&mut self, path: String, reason: &'static str, detail: Option<String>) {
        *self.skipped.entry(reason).or_default() += 1;
        if reason != Skipped::Language.name() {
            self.skipped_files.push((path, detail.unwrap_or_else(|| reason.to_owned())));
        }
    }
}

enum Outcome {
    Read(sixgate_audit::Audited, u64),
    Skipped(Skipped),
    Failed(std::io::Error),
}

/// Audits what a path leads to.
///
/// # Errors
/// A sentence where the path is nothing that can be audited.
pub(super) fn audit(root: &Path, vendored: bool) -> Result<Audit, String> {
    let begin = Instant::now();
    let kind =
        std::fs::metadata(root).map_err(|error| format!("cannot audit {}: {error}", root.display()))?;
    let mut audit = Audit::default();
    let mut files = Vec::new();
    if kind.is_dir() {
        std::fs::read_dir(root).map_err(|error| format!("cannot audit {}: {error}", root.display()))?;
        collect(root, vendored, &mut audit, &mut files);
    } else if kind.is_file() {
        let name = root.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        if Language::of(&name, &first_line(root)).is_none() {
            return Err(format!(
                "cannot audit {}: it is in no language that is known here\n  = help: {}",
                root.display(),
                Language::ALL.map(Language::name).join(", ")
            ));
        }
        files.push((root.to_owned(), name));
    } else {
        return Err(format!("cannot audit {}: neither a folder nor a file", root.display()));
    }
    let root = if kind.is_file() { root.parent().unwrap_or(Path::new("")) } else { root };
    read(&files, root, begin, &mut audit);
    audit.took = begin.elapsed();
    // Nothing read shall not look like nothing found.
    if audit.read.is_empty() {
        let skipped: usize = audit.skipped.values().sum();
        return Err(format!(
            "nothing was read: of {skipped} files none is a source in a known language\n  = help: {}; \
             folders such as vendor and target are entered with --vendored",
            Language::ALL.map(Language::name).join(", ")
        ));
    }
    Ok(audit)
}

fn first_line(path: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    let _ = File::open(path).map(|file| file.take(200).read_to_end(&mut bytes));
    bytes
}

/// Every file below a folder, in the order of names; symbolic links are not followed.
fn collect(root: &Path, vendored: bool, audit: &mut Audit, files: &mut Vec<(PathBuf, String)>) {
    let mut folders = vec![(root.to_owned(), String::new())];
    while let Some((folder, prefix)) = folders.pop() {
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) => {
                audit.skip(prefix, "unreadable", Some(error.to_string()));
                continue;
            }
        };
        let mut entries: Vec<_> = entries.filter_map(Result::ok).collect();
        entries.sort_by_key(std::fs::DirEntry::file_name);
        let mut below = Vec::new();
        for entry in entries {
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = format!("{prefix}{name}");
            match entry.file_type() {
                Ok(kind) if kind.is_dir() && !vendored && NOT_ENTERED.contains(&name.as_str()) => {
                    *audit.folders.entry(name).or_default() += 1;
                }
                Ok(kind) if kind.is_dir() => below.push((entry.path(), path + "/")),
                Ok(kind) if kind.is_file() => files.push((entry.path(), path)),
                Ok(kind) if kind.is_symlink() => audit.skip(path, "symbolic links", None),
                Ok(_) => audit.skip(path, "no files", None),
                Err(error) => audit.skip(path, "unreadable", Some(error.to_string())),
            }
        }
        folders.extend(below.into_iter().rev());
    }
}

fn one(path: &Path, name: &str) -> Outcome {
    let read = || -> std::io::Result<Outcome> {
        let mut file = File::open(path)?;
        let mut bytes = Vec::new();
        // A name without a promise: the first line may tell.
        if Language::by_name(name).is_none() {
            file.by_ref().take(200).read_to_end(&mut bytes)?;
            if Language::of(name, &bytes).is_none() {
                return Ok(Outcome::Skipped(Skipped::Language));
            }
        }
        file.take(MAX_FILE as u64 + 1 - bytes.len() as u64).read_to_end(&mut bytes)?;
        Ok(match sixgate_audit::audit(name, &bytes) {
            Ok(audited) => Outcome::Read(audited, bytes.len() as u64),
            Err(skipped) => Outcome::Skipped(skipped),
        })
    };
    read().unwrap_or_else(Outcome::Failed)
}

/// A file's path as the user would type it.
fn shown(root: &Path, name: &str) -> String {
    let root = root.strip_prefix(".").unwrap_or(root);
    root.join(name).to_string_lossy().into_owned()
}

fn read(files: &[(PathBuf, String)], root: &Path, begin: Instant, audit: &mut Audit) {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(THREADS);
    let next = AtomicUsize::new(0);
    let (sender, results) = mpsc::sync_channel(1024);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            let (sender, next) = (sender.clone(), &next);
            scope.spawn(move || {
                while let Some((path, name)) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if sender.send((name, one(path, name))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        let mut progress = Progress::new(begin, files.len());
        for (name, outcome) in results {
            progress.step();
            match outcome {
                Outcome::Read(audited, octets) => {
                    *audit.read.entry(audited.language).or_default() += 1;
                    audit.octets += octets;
                    audit.allowed += audited.allowed as usize;
                    audit.dropped += audited.dropped as usize;
                    let language = audited.language;
                    let places = audited.findings.into_iter();
                    audit.found.extend(places.map(|finding| Place {
                        path: name.clone(),
                        shown: shown(root, name),
                        language,
                        finding,
                    }));
                }
                Outcome::Skipped(reason) => audit.skip(name.clone(), reason.name(), None),
                Outcome::Failed(error) => audit.skip(name.clone(), "unreadable", Some(error.to_string())),
            }
        }
    });
    // Threads finish in any order.
    audit.skipped_files.sort();
    audit.found.sort_by(|a, b| (&a.path, a.finding.line).cmp(&(&b.path, b.finding.line)));
}

/// A line on standard error that tells how far it is, on a terminal, once it takes long.
struct Progress {
    begin: Instant,
    shown: Option<Instant>,
    done: usize,
    all: usize,
    terminal: bool,
}

impl Progress {
    fn new(begin: Instant, all: usize) -> Self {
        Self { begin, shown: None, done: 0, all, terminal: std::io::stderr().is_terminal() }
    }

    fn step(&mut self) {
        self.done += 1;
        if !self.terminal || self.begin.elapsed() < PATIENCE {
            return;
        }
        if self.shown.is_none_or(|shown| shown.elapsed() > Duration::from_millis(100)) {
            crate::say(&format!("\r{} of {} files ", self.done, self.all));
            self.shown = Some(Instant::now());
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown.is_some() {
            crate::say("\r\x1b[K");
        }
    }
}
