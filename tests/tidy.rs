//! The shape of the code, checked: who may import whom, how long things may get, which names and shortcuts are banned, what lies at the top.
//!
//! It reads the sources as tokens, compiles nothing, and lists every fault with what to do about it.
//! To allow an oversized file or function for a while, add it to `OVERSIZE` with its present size; that table may only shrink.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use walk::Walk;

#[path = "tidy/cases.rs"]
mod cases;
#[path = "tidy/walk.rs"]
mod walk;

const FILE_LINES_MAX: usize = 400;
const FN_LINES_MAX: usize = 70;
const MAIN_LINES_MAX: usize = 60;

/// `(path, lines)` for a file, `(path::function, lines)` for a function.
const OVERSIZE: &[(&str, usize)] = &[];

/// Imports go down. A top-level module may use lower ranks only; those of rank 7 may also use each other.
const RANKS: &[(&str, u8)] = &[
    ("model", 1),
    ("protocol", 2),
    ("wire", 2),
    ("clock", 3),
    ("pause", 3),
    ("metrics", 3),
    ("config", 3),
    ("switches", 3),
    ("namespaces", 3),
    ("registry", 3),
    ("net", 4),
    ("logging", 4),
    ("actors", 5),
    ("http", 6),
    ("console", 6),
    ("node", 7),
    ("cli", 7),
    ("main", 7),
    ("lib", 7),
];
/// These serve the rest of their own rank too.
const SERVE_THEIR_RANK: &[&str] = &["clock", "metrics"];

const TYPE_SUFFIXES_BANNED: &[&str] = &["Manager", "Util", "Utils", "Info", "Data", "Helper", "Helpers"];
const MODULES_BANNED: &[&str] = &["common", "util", "utils", "helper", "helpers", "misc", "manager", "info", "data"];
const TOP_LEVEL: &[&str] = &["Cargo.toml", "Cargo.lock", "README.md", "LICENSE", "src", "config", "docker", "tests", "benches"];
const STATUS_FILE: &str = "src/http/reply.rs";

#[test]
fn the_sources_keep_their_shape() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = BTreeMap::new();
    for folder in ["src", "tests", "benches"] {
        for path in rust_files(&root.join(folder)) {
            let name = path.strip_prefix(root).expect("it was found below the root").to_string_lossy().replace('\\', "/");
            files.insert(name, std::fs::read_to_string(&path).expect("a source file is UTF-8 text"));
        }
    }
    assert!(files.contains_key("src/lib.rs"), "no src/lib.rs below {}: nothing was checked", root.display());
    no_faults(&inspect(&files, OVERSIZE));
}

#[test]
fn the_top_level_holds_only_what_it_should() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let listed = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output()
        .expect("git lists the files of the repository");
    assert!(listed.status.success(), "git ls-files: {}", String::from_utf8_lossy(&listed.stderr));
    let names: BTreeSet<String> = String::from_utf8_lossy(&listed.stdout)
        .split('\0')
        .filter_map(|path| path.split('/').next())
        .filter(|name| !name.is_empty() && root.join(name).exists())
        .map(str::to_owned)
        .collect();
    assert!(names.contains("Cargo.toml"), "git knows no Cargo.toml here: nothing was checked");
    no_faults(&strangers(&names));
}

fn strangers(names: &BTreeSet<String>) -> Vec<String> {
    let stranger = |name: &&String| !name.starts_with('.') && !TOP_LEVEL.contains(&name.as_str());
    let fault = |name| format!("{name}: not a name for the top level; move it below one of {}", TOP_LEVEL.join(", "));
    names.iter().filter(stranger).map(fault).collect()
}

fn no_faults(faults: &[String]) {
    let mut list = String::new();
    for fault in faults {
        let _ = writeln!(list, "  {fault}");
    }
    assert!(faults.is_empty(), "{} to mend:\n{list}", faults.len());
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let Ok(entries) = std::fs::read_dir(folder) else { return found };
    for entry in entries {
        let path = entry.expect("a readable folder").path();
        if path.is_dir() && !path.ends_with("target") {
            found.extend(rust_files(&path));
        } else if path.extension().is_some_and(|ext| ext == "rs") {
            found.push(path);
        }
    }
    found
}

/// All faults of `files` (path → text); `oversize` is the table of exceptions.
fn inspect(files: &BTreeMap<String, String>, oversize: &[(&str, usize)]) -> Vec<String> {
    let mut faults = Vec::new();
    let mut sizes = BTreeMap::new();
    let mut walks = Vec::new();
    for (path, text) in files {
        sizes.insert(path.clone(), (text.lines().count(), if path == "src/main.rs" { MAIN_LINES_MAX } else { FILE_LINES_MAX }));
        if !text.starts_with("//!") {
            faults.push(format!("{path}:1: starts without a `//!` head: say what the file is, promises, and never does"));
        }
        match text.parse() {
            Ok(tokens) => walks.push(Walk::over(path, tokens)),
            Err(err) => faults.push(format!("{path}: does not parse: {err}")),
        }
    }
    let test_files: BTreeSet<String> = walks.iter().flat_map(|walk| walk.test_modules.iter().cloned()).collect();
    for walk in walks {
        let only_for_tests = test_files.iter().any(|module| is_module_file(&walk.path, module));
        faults.extend(walk.faults);
        if !only_for_tests {
            faults.extend(walk.faults_unless_test);
        }
        sizes.extend(walk.fn_lines.into_iter().map(|(name, lines)| (name, (lines, FN_LINES_MAX))));
    }
    faults.extend(judge_sizes(&sizes, oversize));
    faults.sort();
    faults
}

/// Whether `path` is the file of `module` (`src/a/b`), or lies below it.
fn is_module_file(path: &str, module: &str) -> bool {
    path.strip_prefix(module).is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
}

fn judge_sizes(sizes: &BTreeMap<String, (usize, usize)>, oversize: &[(&str, usize)]) -> Vec<String> {
    let mut faults = Vec::new();
    for (name, &(lines, max)) in sizes {
        match oversize.iter().find(|(listed, _)| listed == name) {
            None if lines > max => faults.push(format!("{name}: {lines} lines, {max} are allowed: split it by what it does")),
            Some(&(_, allowed)) if lines > allowed => {
                faults.push(format!("{name}: grew to {lines} lines from {allowed}: exceptions only shrink"));
            }
            Some(_) if lines <= max => faults.push(format!("{name}: {lines} lines now: delete its row in OVERSIZE")),
            Some(&(_, allowed)) if lines < allowed => faults.push(format!("{name}: {lines} lines now: lower its row in OVERSIZE")),
            _ => {}
        }
    }
    let gone = oversize.iter().filter(|(name, _)| !sizes.contains_key(*name));
    faults.extend(gone.map(|(name, _)| format!("{name}: is gone: delete its row in OVERSIZE")));
    faults
}

fn rank(module: &str) -> Option<u8> {
    RANKS.iter().find(|(name, _)| *name == module).map(|(_, rank)| *rank)
}
