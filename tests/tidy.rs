//! The source tree's own rules, as a test: sizes, a first line that says what a file is for, imports that point down, pure
//! modules that stay pure, and no traces of anybody's machine.
//!
//! The checkers take text, and are themselves tested on small samples at the bottom.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test that meets the unexpected ends there")]

use postrider::model::System;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// Lines of the longest file, without its tests.
const MAX_LINES: usize = 500;
/// Lines of the middle file, without its tests.
const MAX_MEDIAN_LINES: usize = 150;
/// Lines of `src/lib.rs`, the map.
const MAX_MAP_LINES: usize = 100;

/// Lines of all files of a documented system's surface together, without their tests.
const MAX_SURFACE_LINES: usize = 400;

/// Modules of `src/`, low to high. A module imports from lower rows only.
const LAYERS: [&[&str]; 10] = [
    &["model"],
    &["clock"],
    &["random"],
    &["crypto"],
    &["mail", "outbound", "store"],
    &["routing"],
    &["lanes"],
    &["flow", "inbound", "upkeep", "alerts"],
    &["api", "outbox", "systems", "dashboard", "config", "telemetry", "shutdown"],
    &["cli"],
];
/// Of one layer, and yet: receiving, upkeep and alerts work through the engine, the systems are surfaces on what the API does, what
/// comes by the outbox keeps its rules, and the dashboard shows all of it.
const NEIGHBOURS: [(&str, &str); 7] = [
    ("alerts", "flow"),
    ("inbound", "flow"),
    ("upkeep", "flow"),
    ("systems", "api"),
    ("outbox", "api"),
    ("dashboard", "api"),
    ("dashboard", "systems"),
];
/// Modules that only `cli` may import.
const CLI_ONLY: [&str; 3] = ["config", "telemetry", "shutdown"];
/// Files and folders that decide and do nothing else.
const PURE: [&str; 4] = ["model", "flow/matching.rs", "flow/signing.rs", "flow/retry.rs"];
/// What pure code does not touch.
const IMPURE: [&str; 3] = ["tokio", "clock", "store"];

#[test]
fn files_are_small_and_say_what_they_are_for() {
    let sources = sources();
    let mut faults: Vec<String> = sources.iter().flat_map(|(path, text)| faults_of_file(path, text)).collect();
    faults.extend(fault_of_median(sources.iter().map(|(_, text)| lines(text)).collect()));
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn surfaces_are_thin() {
    let sources = sources();
    let sizes: Vec<(System, usize)> = System::ALL.map(|system| (system, lines_of_surface(system.name(), &sources))).to_vec();
    let fat: Vec<String> = sizes.iter().filter_map(|(system, lines)| fault_of_surface(system.name(), *lines)).collect();
    assert!(fat.is_empty(), "{}", fat.join("\n"));
}

#[test]
fn imports_point_down() {
    let sources = sources();
    let ours: Vec<_> = sources.iter().filter_map(|(path, text)| Some((path.strip_prefix("src/")?, text))).collect();
    let faults: Vec<String> = ours.iter().flat_map(|(path, text)| faults_of_imports(path, text)).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn tracked_files_name_no_machine() {
    let mut files = Vec::new();
    walk(root(), &mut files);
    let faults: Vec<String> = files
        .iter()
        .filter_map(|path| Some((path, fs::read_to_string(path).ok()?)))
        .flat_map(|(path, text)| faults_of_traces(&shown(path), &text))
        .collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// What is wrong with one file, `path` from the root of the repository.
fn faults_of_file(path: &str, text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    if !text.starts_with("//!") {
        faults.push(format!("{path}: opens without a `//!` line that says what it is for"));
    }
    let most = if path == "src/lib.rs" { MAX_MAP_LINES } else { MAX_LINES };
    let lines = lines(text);
    if lines > most {
        faults.push(format!("{path}: {lines} lines without tests, over {most}"));
    }
    faults
}

/// Lines of the file or folder of a surface.
fn lines_of_surface(name: &str, sources: &[(String, String)]) -> usize {
    let (file, folder) = (format!("src/systems/{name}.rs"), format!("src/systems/{name}/"));
    let own = sources.iter().filter(|(path, _)| *path == file || path.starts_with(&folder));
    own.map(|(_, text)| lines(text)).sum()
}

fn fault_of_surface(name: &str, lines: usize) -> Option<String> {
    match lines {
        0 => Some(format!("the surface {name} is not where surfaces are")),
        lines if lines > MAX_SURFACE_LINES => {
            Some(format!("the surface {name} has {lines} lines, over {MAX_SURFACE_LINES}: what others need too moves down"))
        }
        _ => None,
    }
}

fn fault_of_median(mut lines: Vec<usize>) -> Option<String> {
    lines.sort_unstable();
    let median = *lines.get(lines.len() / 2)?;
    (median > MAX_MEDIAN_LINES).then(|| format!("the median file has {median} lines, over {MAX_MEDIAN_LINES}"))
}

/// What is wrong with the imports of one file, `path` from `src/`.
fn faults_of_imports(path: &str, text: &str) -> Vec<String> {
    let code = without_comments(without_tests(text));
    let module = path.split('/').next().unwrap().trim_end_matches(".rs");
    let mut faults = Vec::new();
    let used = modules_used(path, &code);
    if PURE.iter().any(|pure| path == *pure || path.strip_prefix(pure).is_some_and(|rest| rest.starts_with('/'))) {
        let touched = used.iter().map(String::as_str).chain(has_word(&code, "tokio").then_some("tokio"));
        faults.extend(touched.filter(|name| IMPURE.contains(name)).map(|name| format!("{path}: pure code that uses `{name}`")));
    }
    if matches!(module, "lib" | "main") {
        return faults;
    }
    let Some(own) = layer(module) else { return vec![format!("{path}: `{module}` has no place among the layers")] };
    for name in used.into_iter().filter(|name| name != module) {
        let neighbours = NEIGHBOURS.contains(&(module, name.as_str()));
        if !neighbours && layer(&name).is_some_and(|other| other >= own) {
            faults.push(format!("{path}: `{module}` imports `{name}`, which is not below it"));
        } else if CLI_ONLY.contains(&name.as_str()) && module != "cli" {
            faults.push(format!("{path}: only `cli` may import `{name}`"));
        }
    }
    faults
}

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|row| row.contains(&module))
}

/// Modules of the crate that the code names: after `crate::`, inside `crate::{…}`, and above itself by `super::super`.
fn modules_used(path: &str, code: &str) -> Vec<String> {
    let depth = path.split('/').count() - usize::from(path.ends_with("/mod.rs"));
    let mut used: Vec<String> = Vec::new();
    for from_root in ["crate::".to_owned(), "super::".repeat(depth)] {
        for (at, _) in code.match_indices(&from_root) {
            if code[..at].ends_with("super::") || code[..at].ends_with(is_word) {
                continue;
            }
            let rest = &code[at + from_root.len()..];
            used.extend(match rest.strip_prefix('{') {
                Some(group) => heads(group),
                None => vec![word(rest).to_owned()],
            });
        }
    }
    used.retain(|name| layer(name).is_some());
    used.sort();
    used.dedup();
    used
}

/// The first word of each item of a `use` group, up to the brace that closes it.
fn heads(group: &str) -> Vec<String> {
    let mut depth = 0usize;
    let mut fresh = true;
    let mut heads = Vec::new();
    for (at, letter) in group.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => fresh = true,
            letter if fresh && is_word(letter) => {
                heads.push(word(&group[at..]).to_owned());
                fresh = false;
            }
            _ => {}
        }
    }
    heads
}

fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

fn word(text: &str) -> &str {
    &text[..text.find(|c| !is_word(c)).unwrap_or(text.len())]
}

fn has_word(code: &str, wanted: &str) -> bool {
    code.match_indices(wanted).any(|(at, _)| !code[..at].ends_with(is_word) && word(&code[at..]) == wanted)
}

fn without_comments(code: &str) -> String {
    code.lines().filter(|line| !line.trim_start().starts_with("//")).flat_map(|line| [line, "\n"]).collect()
}

/// The text up to the unit tests, which stand at a file's bottom.
fn without_tests(text: &str) -> &str {
    let marks = ["#[cfg(test)]\nmod tests {", "#[cfg(test)]\npub(crate) mod tests {"];
    let end = marks.iter().filter_map(|mark| text.find(mark)).min();
    &text[..end.unwrap_or(text.len())]
}

fn lines(text: &str) -> usize {
    without_tests(text).trim_end().lines().count()
}

/// Paths of somebody's machine in a file that is published.
fn faults_of_traces(path: &str, text: &str) -> Vec<String> {
    let traces = [concat!("/ro", "ot/"), concat!("/wo", "rk/"), concat!("/ho", "me/"), concat!("/tmp", "/wt")];
    let found = traces.iter().filter(|trace| {
        let starts = |at: usize| !text[..at].ends_with(|c: char| is_word(c) || matches!(c, '.' | '-' | '}' | '/'));
        text.match_indices(**trace).any(|(at, _)| starts(at))
    });
    found.map(|trace| format!("{path}: names {trace}")).collect()
}

/// Rust sources of both packages, without those that are tests only; paths from the root of the repository.
fn sources() -> Vec<(String, String)> {
    let mut files = Vec::new();
    for folder in ["src", "postrider-signature/src"] {
        walk(&root().join(folder), &mut files);
    }
    let texts: BTreeMap<PathBuf, String> =
        files.into_iter().filter(|path| path.extension().is_some_and(|e| e == "rs")).map(|p| (p.clone(), read(&p))).collect();
    let tests: Vec<PathBuf> = texts.iter().flat_map(|(path, text)| test_modules(path, text)).collect();
    let kept = texts.into_iter().filter(|(path, _)| !tests.iter().any(|test| path.starts_with(test)));
    let kept: Vec<_> = kept.map(|(path, text)| (shown(&path), text)).collect();
    assert!(kept.len() > 20, "the walk found {} sources only", kept.len());
    kept
}

/// Files and folders of the modules that a file declares for tests only.
fn test_modules(path: &Path, text: &str) -> Vec<PathBuf> {
    let stem = path.file_stem().unwrap().to_str().unwrap();
    let folder = path.parent().unwrap();
    let folder = if matches!(stem, "mod" | "lib" | "main") { folder.to_owned() } else { folder.join(stem) };
    let declared = text.split("#[cfg(test)]").skip(1).filter_map(|after| {
        let line = after.trim_start().lines().next()?;
        let (_, name) = line.strip_suffix(';')?.rsplit_once("mod ")?;
        Some(name.to_owned())
    });
    declared.flat_map(|name| [folder.join(format!("{name}.rs")), folder.join(name)]).collect()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap().display().to_string()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Files below a folder, without what is built or belongs to git.
fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display())) {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if matches!(name, "target" | ".git" | "node_modules" | "data") || path.is_symlink() {
            continue;
        }
        if path.is_dir() { walk(&path, files) } else { files.push(path) }
    }
}

#[test]
fn the_checker_sees_a_long_file() {
    let long = "//! Long.\n".to_owned() + &"let x = 1;\n".repeat(MAX_LINES);
    assert_eq!(faults_of_file("src/a.rs", &long).len(), 1);
    let tested = "//! Short.\n#[cfg(test)]\nmod tests {\n".to_owned() + &"let x = 1;\n".repeat(MAX_LINES) + "}\n";
    assert_eq!(faults_of_file("src/a.rs", &tested), Vec::<String>::new());
    let map = "//! Map.\n".to_owned() + &"pub mod a;\n".repeat(MAX_MAP_LINES);
    assert_eq!(faults_of_file("src/lib.rs", &map).len(), 1);
    assert_eq!(faults_of_file("src/a.rs", "fn main() {}").len(), 1);
    assert!(fault_of_median(vec![1, 151, 400]).is_some());
    assert!(fault_of_median(vec![1, 150, 400]).is_none());
}

#[test]
fn the_checker_sees_a_fat_surface() {
    let tested = |lines: usize| "//! x\n".repeat(lines) + "#[cfg(test)]\nmod tests {\n}\n";
    let file = |path: &str, lines| (path.to_owned(), tested(lines));
    let sources = [file("src/systems/a/mod.rs", 300), file("src/systems/a/b.rs", 101), file("src/systems/ab.rs", 400)];
    assert_eq!((lines_of_surface("a", &sources), lines_of_surface("ab", &sources), lines_of_surface("b", &sources)), (401, 400, 0));
    assert!(fault_of_surface("a", 401).is_some() && fault_of_surface("ab", 400).is_none() && fault_of_surface("b", 0).is_some());
}

#[test]
fn the_checker_sees_an_import_that_points_up() {
    let faults = |path, text| faults_of_imports(path, text).len();
    assert_eq!(faults("store/mod.rs", "use crate::model::Time;"), 0);
    assert_eq!(faults("store/mod.rs", "use crate::flow::Engine;"), 1);
    assert_eq!(faults("store/mod.rs", "use crate::{\n  model::{A, B},\n  api::C,\n};"), 1);
    assert_eq!(faults("store/mod.rs", "fn f() { crate::lanes::x() }"), 1);
    assert_eq!(faults("store/mod.rs", "use super::api::X;"), 1);
    assert_eq!(faults("store/embedded/mod.rs", "use super::super::api::X;"), 1);
    assert_eq!(faults("store/embedded/read.rs", "use super::super::api;\nuse super::flow;"), 0, "those are its own");
    assert_eq!(faults("store/mod.rs", "// crate::flow is above\n#[cfg(test)]\nmod tests {\n    use crate::flow::X;\n}"), 0);
    assert_eq!(faults("flow/mod.rs", "use crate::config::X;"), 1);
    assert_eq!(faults("api/mod.rs", "use crate::config::X;"), 1);
    assert_eq!(faults("cli/mod.rs", "use crate::{config::X, shutdown, telemetry};"), 0);
    assert_eq!(faults("unheard_of/mod.rs", ""), 1);
}

#[test]
fn the_checker_sees_impure_code() {
    let faults = |path, text| faults_of_imports(path, text).len();
    assert_eq!(faults("flow/retry.rs", "use crate::model::Time;"), 0);
    assert_eq!(faults("flow/retry.rs", "use crate::{clock::Clock, model::Time};"), 1);
    assert_eq!(faults("flow/matching.rs", "fn f() { tokio::spawn(x) }"), 1);
    assert_eq!(faults("flow/signing.rs", "use crate::store::Store;"), 1);
    assert_eq!(faults("model/time.rs", "use crate::clock::Clock;"), 2, "impure, and upwards");
    assert_eq!(faults("flow/deliver.rs", "use crate::clock::Clock;"), 0);
}

#[test]
fn the_checker_sees_traces_and_test_modules() {
    assert_eq!(faults_of_traces("a", concat!("see /ro", "ot/x")).len(), 1);
    assert_eq!(faults_of_traces("a", concat!("https://example.com/wo", "rk/x")).len(), 0);
    let declared = test_modules(Path::new("src/a/mod.rs"), "#[cfg(test)]\npub mod conformance;\n#[cfg(test)]\nmod tests {\n}");
    assert_eq!(declared, [Path::new("src/a/conformance.rs"), Path::new("src/a/conformance")]);
    let declared = test_modules(Path::new("src/a/lane.rs"), "#[cfg(test)]\nmod tests;\n");
    assert_eq!(declared, [Path::new("src/a/lane/tests.rs"), Path::new("src/a/lane/tests")]);
}
