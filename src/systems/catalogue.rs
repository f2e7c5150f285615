//! A system's event types in an organization's catalogue.

use crate::{
    api::{Api, Problem, page::MAX_LIMIT},
    model::{Address, EventType, Kind, OrgId, Record, Time},
    store::{Change, Conflict, ListPage, StoreError},
};
use serde_json::{Map, Value, json};

/// An event type that a system's document names.
#[derive(Clone, Copy, Debug)]
pub struct Seed {
    /// Its name.
    pub name: &'static str,
    /// What happened, for people.
    pub description: &'static str,
    /// A heading to show it under.
    pub group: &'static str,
    /// May be subscribed to, and is not emitted yet.
    pub reserved: bool,
    /// An example of its data, as JSON; empty for none.
    pub example: &'static str,
}

impl Seed {
    /// Its schemas by version, which hold its example; `None` when there is none.
    #[must_use]
    pub fn schemas(&self) -> Option<Map<String, Value>> {
        let example: Value = serde_json::from_str(self.example).ok()?;
        match json!({ "1": { "type": "object", "title": self.name, "examples": [example] } }) {
            Value::Object(schemas) => Some(schemas),
            _ => None,
        }
    }

    fn event_type(&self, org: OrgId, now: Time) -> EventType {
        EventType {
            org,
            name: self.name.to_owned(),
            description: self.description.to_owned(),
            archived: false,
            deprecated: false,
            reserved: self.reserved,
            schemas: self.schemas(),
            group_name: (!self.group.is_empty()).then(|| self.group.to_owned()),
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
pub(crate) async fn on_first_use(api: &Api, org: OrgId, catalogue: &[Seed]) -> Result<(), Problem> {
    let now = api.engine.clock.now();
    for seed in catalogue {
        if api.engine.store.find(&Address::event_type(org, seed.name), now).await?.is_some() {
            return Ok(());
        }
    }
    let inserts = catalogue.iter().map(|seed| Change::Insert(Record::EventType(seed.event_type(org, now))));
    match api.engine.change(inserts.collect()).await {
        // Somebody else has just written them.
        Ok(()) | Err(StoreError::Conflict(Conflict::Record(_))) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// The event types that an organization can have delivered today: neither archived nor reserved.
///
/// # Errors
/// The store is away.
pub(crate) async fn delivered(api: &Api, org: OrgId) -> Result<Vec<EventType>, Problem> {
    let (scope, now) = (org.to_string(), api.engine.clock.now());
    let (mut all, mut after) = (Vec::new(), None::<String>);
    loop {
        let page = ListPage { after: after.as_deref(), backwards: false, limit: MAX_LIMIT };
        let found = api.engine.store.list(Kind::EventType, &scope, page, now).await?;
        let last = found.len() < MAX_LIMIT;
        after = found.last().map(|stored| stored.record.address().key);
        all.extend(found.into_iter().filter_map(|stored| match stored.record {
            Record::EventType(entry) if !entry.archived && !entry.reserved => Some(entry),
            _ => None,
        }));
        if last {
            return Ok(all);
        }
    }
}
