//! The systems' event types, and how they come into an organization's catalogue.

use crate::{
    api::{Api, Problem, page::MAX_LIMIT},
    model::{Address, EventType, Kind, OrgId, Record, System, Time},
    store::{Change, Conflict, ListPage, StoreError},
};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::{collections::BTreeMap, sync::LazyLock};

/// The table as it is written.
const TABLE: &str = include_str!("catalogue.toml");

/// An event type that a system's document names.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seed {
    /// Its name.
    pub name: String,
    /// What happened, for people.
    pub description: String,
    /// Its category.
    pub category: String,
    /// May be subscribed to, and is not emitted yet.
    #[serde(default)]
    pub reserved: bool,
    /// An example of its data, as JSON.
    pub example: Option<String>,
}

/// The event types that a system's document names.
pub(super) fn of(system: System) -> &'static [Seed] {
    static TYPES: LazyLock<BTreeMap<String, Vec<Seed>>> = LazyLock::new(|| {
        #[expect(clippy::expect_used, reason = "the table is compiled in, and a test reads it")]
        toml::from_str(TABLE).expect("the table of event types can be read")
    });
    TYPES.get(system.name()).map(Vec::as_slice).unwrap_or_default()
}

impl Seed {
    /// Its schemas by version, which hold its example; `None` when there is none.
    #[must_use]
    pub fn schemas(&self) -> Option<Map<String, Value>> {
        let example: Value = serde_json::from_str(self.example.as_deref()?).ok()?;
        match json!({ "1": { "type": "object", "title": self.name, "examples": [example] } }) {
            Value::Object(schemas) => Some(schemas),
            _ => None,
        }
    }

    fn event_type(&self, org: OrgId, now: Time) -> EventType {
        EventType {
            org,
            name: self.name.clone(),
            description: self.description.clone(),
            archived: false,
            deprecated: false,
            reserved: self.reserved,
            schemas: self.schemas(),
            group_name: Some(self.category.clone()),
            feature_flags: None,
            created_at: now,
            updated_at: now,
        }
    }
}

/// Writes a system's event types into the catalogue when none of them is there: its surface is used for the first time.
///
/// # Errors
/// The store is away.
pub(crate) async fn on_first_use(api: &Api, org: OrgId, system: System) -> Result<(), Problem> {
    let now = api.engine.clock.now();
    for seed in of(system) {
        if api.engine.store.find(&Address::event_type(org, &seed.name), now).await?.is_some() {
            return Ok(());
        }
    }
    let inserts = of(system).iter().map(|seed| Change::Insert(Record::EventType(seed.event_type(org, now))));
    match api.engine.change(inserts.collect()).await {
        // Somebody else has just written them.
        Ok(()) | Err(StoreError::Conflict(Conflict::Record(_))) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// The event types that an organization can have delivered today, as a system counts them: neither archived nor reserved,
/// and in one of the categories of its document or in none.
///
/// # Errors
/// The store is away.
pub(crate) async fn delivered(api: &Api, org: OrgId, system: System) -> Result<Vec<String>, Problem> {
    let ours = |category: &str| of(system).iter().any(|seed| seed.category == category);
    let (scope, now) = (org.to_string(), api.engine.clock.now());
    let (mut all, mut after) = (Vec::new(), None::<String>);
    loop {
        let page = ListPage { after: after.as_deref(), backwards: false, limit: MAX_LIMIT };
        let found = api.engine.store.list(Kind::EventType, &scope, page, now).await?;
        let last = found.len() < MAX_LIMIT;
        after = found.last().map(|stored| stored.record.address().key);
        all.extend(found.into_iter().filter_map(|stored| match stored.record {
            Record::EventType(entry) if entry.archived || entry.reserved => None,
            Record::EventType(entry) => entry.group_name.as_deref().is_none_or(ours).then_some(entry.name),
            _ => None,
        }));
        if last {
            return Ok(all);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_system_has_event_types_with_words_and_examples_that_are_json() {
        for system in System::ALL {
            assert!(!of(system).is_empty(), "{system}");
            for seed in of(system) {
                assert!(!seed.description.is_empty() && !seed.category.is_empty(), "{}", seed.name);
                assert!(seed.example.is_none() || seed.schemas().unwrap()["1"]["examples"][0].is_object(), "{}", seed.name);
            }
        }
    }
}
