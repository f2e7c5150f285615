//! The provider table: one row for each sender whose webhooks are known by name, compiled in from `providers.toml`.

use crate::{HandshakeKind, Scheme, Special, scheme::Place};
use serde::Deserialize;
use std::sync::LazyLock;

/// The table as it is written.
const TABLE: &str = include_str!("providers.toml");

/// How the requests of a provider are judged.
#[derive(Clone, Debug)]
pub(crate) enum Rule {
    /// By a scheme of the grammar.
    Scheme(Box<Scheme>),
    /// By a function of its own, and where the id and the type are that the function does not find.
    Special(Special, Option<Place>, Option<Place>),
}

/// How far a row has been tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Evidence {
    /// Against signatures that the provider, its SDK or another verifier's tests have published.
    Published,
    /// Against signatures computed from the provider's description.
    Computed,
}

/// Something beside the secret that a scheme needs.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Setting {
    /// Its name.
    pub name: String,
    /// Whether requests cannot be judged without it.
    #[serde(default)]
    pub required: bool,
    /// What it is, for people.
    pub about: String,
}

impl Setting {
    /// Its name for a refusal, which lives as long as the program.
    pub(crate) fn static_name(&self) -> &'static str {
        let own = |provider: &'static Provider| provider.settings.iter().find(|setting| setting.name == self.name);
        providers().iter().find_map(own).map_or("setting", |setting| setting.name.as_str())
    }
}

/// How several events come in one request.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Batch {
    /// Path of the array in the JSON body (`value`); empty: the body is the array.
    pub elements: String,
    /// Where in an element its id is, if it has one.
    #[serde(default)]
    pub id: Option<Place>,
    /// Where in an element its type is, if it has one.
    #[serde(default, rename = "type")]
    pub event_type: Option<Place>,
}

/// A sender whose webhooks are known by name.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "Row")]
pub struct Provider {
    /// Its name: lower-case letters, digits and hyphens.
    pub name: String,
    /// Its name for people.
    pub title: String,
    /// Where it documents its signatures.
    pub docs: String,
    /// How far the row has been tried; nothing for the generic forms.
    pub evidence: Option<Evidence>,
    /// What it needs beside the secret.
    pub settings: Vec<Setting>,
    /// How several events come in one request, if they do.
    pub batch: Option<Batch>,
    /// How it asks whether an address wants its events, if it does.
    pub handshake: Option<HandshakeKind>,
    pub(crate) rule: Rule,
}

/// A row as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    name: String,
    title: String,
    docs: String,
    #[serde(default)]
    evidence: Option<Evidence>,
    #[serde(default)]
    settings: Vec<Setting>,
    #[serde(default)]
    batch: Option<Batch>,
    #[serde(default)]
    handshake: Option<HandshakeKind>,
    #[serde(default)]
    scheme: Option<Box<Scheme>>,
    #[serde(default)]
    special: Option<Special>,
    #[serde(default)]
    id: Option<Place>,
    #[serde(default, rename = "type")]
    event_type: Option<Place>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    provider: Vec<Provider>,
}

impl TryFrom<Row> for Provider {
    type Error = String;

    fn try_from(row: Row) -> Result<Provider, String> {
        let Row { name, title, docs, evidence, settings, batch, handshake, scheme, special, id, event_type } = row;
        let rule = match (scheme, special) {
            (Some(scheme), None) if id.is_none() && event_type.is_none() => Rule::Scheme(scheme),
            (None, Some(special)) => Rule::Special(special, id, event_type),
            _ => return Err(format!("{name}: a row has a scheme, or a special with an id and a type")),
        };
        Ok(Provider { name, title, docs, evidence, settings, batch, handshake, rule })
    }
}

impl Provider {
    /// Its scheme, if the grammar can say it.
    #[must_use]
    pub fn scheme(&self) -> Option<&Scheme> {
        match &self.rule {
            Rule::Scheme(scheme) => Some(scheme),
            Rule::Special(..) => None,
        }
    }

    /// Whether sender and receiver have the same secret, so that a receiver can make one up.
    #[must_use]
    pub fn symmetric(&self) -> bool {
        match &self.rule {
            Rule::Scheme(scheme) => scheme.symmetric(),
            Rule::Special(special, ..) => !matches!(special, Special::Paypal | Special::AwsSns),
        }
    }
}

fn read(text: &str) -> Result<Vec<Provider>, toml::de::Error> {
    toml::from_str::<Table>(text).map(|table| table.provider)
}

/// All rows, in the order of their names.
#[must_use]
pub fn providers() -> &'static [Provider] {
    static PROVIDERS: LazyLock<Vec<Provider>> = LazyLock::new(|| {
        #[expect(clippy::expect_used, reason = "the table is compiled in, and a test reads it")]
        read(TABLE).expect("the provider table can be read")
    });
    &PROVIDERS
}

/// The row of that name.
#[must_use]
pub fn provider(name: &str) -> Option<&'static Provider> {
    providers().iter().find(|provider| provider.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::Path;

    #[test]
    fn the_table_is_sound() {
        let all = read(TABLE).unwrap_or_else(|error| panic!("{error}"));
        assert!(all.len() >= 66, "{}", all.len());
        assert!(all.is_sorted_by(|a, b| a.name < b.name), "rows are in the order of their names, each once");
        for row in &all {
            let name = &row.name;
            assert!(name.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-'), "{name}");
            assert!(row.docs.starts_with("https://"), "{name}: {}", row.docs);
            assert!(!row.title.is_empty() && provider(name).is_some(), "{name}");
            if let Some(batch) = &row.batch {
                assert!(Path::parse(&batch.elements).is_ok(), "{name}");
            }
        }
    }
}
