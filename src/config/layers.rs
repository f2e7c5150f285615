//! Where settings come from: defaults, a file, the environment, flags, each over the ones before.

use super::{ConfigError, Key, PREFIX, keys::KEYS};
use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    path::{Path, PathBuf},
};
use toml::de::{DeTable, DeValue};

/// Variables that start with [`PREFIX`] and are not settings: the file's path, and what `send` and `keys` read.
const OTHER_VARIABLES: [&str; 3] = ["POSTRIDER_CONFIG", "POSTRIDER_KEY", "POSTRIDER_URL"];
/// The file that is read when no other is named.
const FILE: &str = "postrider.toml";

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Nobody set it.
    Default,
    /// A line of the file.
    File(PathBuf, usize),
    /// An environment variable.
    Variable(String),
    /// A flag.
    Flag(String),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Default => f.write_str("default"),
            Source::File(path, line) => write!(f, "{}:{line}", path.display()),
            Source::Variable(name) | Source::Flag(name) => f.write_str(name),
        }
    }
}

/// What the process was given: everything that settings are read from.
#[derive(Clone, Debug, Default)]
pub struct Given {
    /// The file that was named; it must exist then.
    pub file: Option<PathBuf>,
    /// Environment variables.
    pub variables: HashMap<String, String>,
    /// Flags, by the setting's name.
    pub flags: HashMap<&'static str, String>,
}

/// The text of each setting that was set, with its source.
pub(super) type Layers = BTreeMap<&'static str, (String, Source)>;

/// Puts the layers over each other.
pub(super) fn layers(given: &Given) -> Result<Layers, ConfigError> {
    let mut above = Layers::new();
    for key in &KEYS {
        // An empty variable is how container files spell "not set".
        if let Some(value) = given.variables.get(&key.variable()).filter(|value| !value.is_empty()) {
            above.insert(key.name, (value.clone(), Source::Variable(key.variable())));
        }
        if let Some(value) = given.flags.get(key.name) {
            above.insert(key.name, (value.clone(), Source::Flag(key.flag())));
        }
    }
    let data = above.get("data").map_or_else(|| Key::named("data").map_or("", |key| key.default), |(data, _)| data);
    let mut layers = match file(given, Path::new(data)) {
        Some((path, named)) => read(&path, named)?,
        None => Layers::new(),
    };
    layers.append(&mut above);
    Ok(layers)
}

/// Variables that look like settings and are none.
pub(super) fn strays(given: &Given) -> Vec<String> {
    let known = |name: &str| OTHER_VARIABLES.contains(&name) || KEYS.iter().any(|key| key.variable() == name);
    let mut strays: Vec<_> = given.variables.keys().filter(|name| name.starts_with(PREFIX) && !known(name)).cloned().collect();
    strays.sort();
    strays
}

/// The file to read, and whether it was named: by flag, by variable, else in the data folder, else in the working folder.
fn file(given: &Given, data: &Path) -> Option<(PathBuf, bool)> {
    let variable = || given.variables.get("POSTRIDER_CONFIG").filter(|path| !path.is_empty()).map(PathBuf::from);
    let named = given.file.clone().or_else(variable);
    let found = || [data.join(FILE), PathBuf::from(FILE)].into_iter().find(|path| path.is_file());
    named.map(|path| (path, true)).or_else(|| found().map(|path| (path, false)))
}

fn read(path: &Path, named: bool) -> Result<Layers, ConfigError> {
    match std::fs::read_to_string(path) {
        Ok(text) => parse(path, &text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !named => Ok(Layers::new()),
        Err(error) => Err(ConfigError::Unreadable { path: path.to_owned(), error: error.to_string() }),
    }
}

pub(super) fn parse(path: &Path, text: &str) -> Result<Layers, ConfigError> {
    let line = |at: usize| text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1;
    let table = DeTable::parse(text).map_err(|error| ConfigError::NotToml {
        path: path.to_owned(),
        line: error.span().map_or(1, |span| line(span.start)),
        error: error.message().to_owned(),
    })?;
    let mut layers = Layers::new();
    for (name, value) in table.get_ref() {
        let line = line(name.span().start);
        let unknown = || ConfigError::UnknownKey { path: path.to_owned(), line, name: name.get_ref().to_string() };
        let key = Key::named(name.get_ref()).ok_or_else(unknown)?;
        let source = Source::File(path.to_owned(), line);
        let value = flat(value.get_ref()).ok_or_else(|| ConfigError::bad(key, "", &source))?;
        layers.insert(key.name, (value, source));
    }
    Ok(layers)
}

/// A value's text, as a flag would give it: a list is its items between commas.
fn flat(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) => {
            let digits = number.as_str().replace('_', "");
            i64::from_str_radix(&digits, number.radix()).ok().map(|number| number.to_string())
        }
        DeValue::Array(items) if items.is_empty() => Some("none".to_owned()),
        DeValue::Array(items) => {
            let items: Option<Vec<String>> = items.iter().map(|item| flat(item.get_ref())).collect();
            items.map(|items| items.join(","))
        }
        _ => None,
    }
}
