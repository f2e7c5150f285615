//! Webhooks as requests and answers carry them, and their rules.

use crate::{
    api::{Patch, Problem, Stamp, rules::Check},
    model::{Closed, Source},
    systems::uuid,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The longest name, in characters.
const MAX_NAME: usize = 120;
/// The longest source, in characters.
const MAX_SOURCE: usize = 100;
/// The longest description, in characters.
const MAX_DESCRIPTION: usize = 2000;
/// Event types of an allow-list at most.
const MAX_EVENTS: usize = 1000;
/// The longest event type, in characters.
const MAX_EVENT: usize = 256;
/// What a webhook's source is when nothing is said.
pub(super) const CUSTOM: &str = "custom";

/// A webhook to be created.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WebhookIn {
    /// For people.
    #[schema(min_length = 1, max_length = 120, example = "Stripe events")]
    pub(super) name: String,
    /// Where events are forwarded to: public HTTP(S). By default the webhook's own receive URL, which is nowhere.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub(super) url: Patch<String>,
    /// Event types that are routed; by default all.
    #[schema(example = json!(["payment_intent.succeeded"]))]
    pub(super) events: Option<Vec<String>>,
    /// Who sends: a known provider's name (its signature is taken too), or any other word.
    #[schema(max_length = 100, default = "custom")]
    pub(super) source: Option<String>,
    /// For people, at more length.
    #[schema(max_length = 2000)]
    pub(super) description: Option<String>,
}

/// Changes to a webhook: what is left out stays.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WebhookPatch {
    /// For people.
    pub(super) name: Option<String>,
    /// Where events are forwarded to; null or empty: the receive URL, which is nowhere.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub(super) url: Patch<String>,
    /// Event types that are routed; empty or null: all.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>)]
    pub(super) events: Patch<Vec<String>>,
    /// Who sends; null: `custom`.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub(super) source: Patch<String>,
    /// For people, at more length; null takes it away.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub(super) description: Patch<String>,
    /// Whether it receives; `status` keeps in step.
    pub(super) enabled: Option<bool>,
    /// `active`, `paused` or `disabled`; `enabled` keeps in step.
    #[schema(example = "paused")]
    pub(super) status: Option<String>,
}

/// A webhook.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct WebhookOut {
    /// Its id, a UUID.
    #[schema(format = "uuid")]
    pub(super) id: String,
    /// For people.
    pub(super) name: String,
    /// Where events are forwarded to.
    pub(super) url: String,
    /// Who sends.
    pub(super) source: String,
    /// For people, at more length.
    pub(super) description: Option<String>,
    /// Event types that are routed; empty: all.
    pub(super) events: Vec<String>,
    /// `active`, `paused` or `disabled`.
    pub(super) status: &'static str,
    /// Whether it receives.
    pub(super) enabled: bool,
    /// Events that were forwarded, or wait for it.
    pub(super) delivery_count: u64,
    /// When the last attempt to forward one began.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub(super) last_delivery_at: Option<Stamp>,
    /// When it was created.
    #[schema(value_type = String, format = DateTime)]
    pub(super) created_at: Stamp,
    /// When it was last changed.
    #[schema(value_type = String, format = DateTime)]
    pub(super) updated_at: Stamp,
    /// Where third parties post to.
    pub(super) receive_url: String,
    /// What third parties sign with. Shown when it is made, and never again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) secret: Option<String>,
}

impl WebhookOut {
    /// A webhook as it is shown; `forwarded` is its outbound URL if it has one.
    pub(super) fn new(source: Source, receive_url: String, forwarded: Option<String>) -> Self {
        WebhookOut {
            id: uuid::text(source.id.0),
            name: source.name,
            url: forwarded.unwrap_or_else(|| receive_url.clone()),
            source: source.label.unwrap_or_else(|| CUSTOM.to_owned()),
            description: source.description,
            events: source.listed,
            status: match source.closed {
                None => "active",
                Some(Closed::Paused) => "paused",
                Some(Closed::Disabled) => "disabled",
            },
            enabled: source.closed.is_none(),
            delivery_count: 0,
            last_delivery_at: None,
            created_at: Stamp(source.created_at),
            updated_at: Stamp(source.updated_at),
            receive_url,
            secret: None,
        }
    }
}

impl WebhookIn {
    /// As a patch of a webhook that has nothing yet.
    pub(super) fn into_patch(self) -> WebhookPatch {
        WebhookPatch {
            name: Some(self.name),
            url: self.url,
            events: Patch::given(self.events),
            source: Patch::given(self.source),
            description: Patch::given(self.description),
            enabled: None,
            status: None,
        }
    }
}

impl WebhookPatch {
    /// Checks the rules, except what needs the network.
    ///
    /// # Errors
    /// 400 naming the field.
    pub(super) fn check(&self) -> Result<(), Problem> {
        let mut check = Check::new();
        let mut text = |field: &str, text: &str, least: usize, most: usize| {
            let fits = (least..=most).contains(&text.trim().chars().count());
            check.rule(fits, &["body", field], "length", format!("It has {least} to {most} characters."));
        };
        self.name.iter().for_each(|name| text("name", name, 1, MAX_NAME));
        self.source.value().into_iter().for_each(|source| text("source", source, 0, MAX_SOURCE));
        self.description.value().into_iter().for_each(|words| text("description", words, 0, MAX_DESCRIPTION));
        let events = self.events.value().map(Vec::as_slice).unwrap_or_default();
        let fits = events.len() <= MAX_EVENTS && events.iter().all(|event| event.trim().chars().count() <= MAX_EVENT);
        check.rule(fits, &["body", "events"], "length", format!("At most {MAX_EVENTS} of at most {MAX_EVENT} characters."));
        check.done()?;
        self.closed().map(drop)
    }

    /// What becomes of the webhook: `None` leaves it, `Some(None)` opens it.
    pub(super) fn closed(&self) -> Result<Option<Option<Closed>>, Problem> {
        let asked = match self.status.as_deref() {
            None => return Ok(self.enabled.map(|enabled| (!enabled).then_some(Closed::Disabled))),
            Some("active") => None,
            Some("paused") => Some(Closed::Paused),
            Some("disabled") => Some(Closed::Disabled),
            Some(_) => {
                return Err(Problem::field(&["body", "status"], "unknown", "It is `active`, `paused` or `disabled`."));
            }
        };
        if self.enabled.is_some_and(|enabled| enabled != asked.is_none()) {
            return Err(Problem::field(&["body", "enabled"], "exclusive", "It contradicts `status`."));
        }
        Ok(Some(asked))
    }

    /// Changes what it names, except the URL.
    pub(super) fn apply(&self, source: &mut Source) -> Result<(), Problem> {
        if let Some(name) = &self.name {
            source.name = name.trim().to_owned();
        }
        self.source.clone().map(|text| text.trim().to_owned()).apply(&mut source.label);
        source.label = source.label.take().filter(|label| !label.is_empty());
        self.description.clone().apply(&mut source.description);
        match &self.events {
            Patch::Absent => {}
            Patch::Null => source.listed = Vec::new(),
            Patch::Value(events) => source.listed = normal(events),
        }
        match self.closed()? {
            // Who is paused already stays paused when all that is asked for is that it does not receive.
            Some(Some(Closed::Disabled)) if self.status.is_none() && source.closed.is_some() => {}
            Some(closed) => source.closed = closed,
            None => {}
        }
        Ok(())
    }
}

/// Event types without what surrounds them, in lower case, each once.
fn normal(events: &[String]) -> Vec<String> {
    let mut normal: Vec<String> = Vec::with_capacity(events.len());
    for event in events.iter().map(|event| event.trim().to_lowercase()).filter(|event| !event.is_empty()) {
        if !normal.contains(&event) {
            normal.push(event);
        }
    }
    normal
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patch(text: &str) -> WebhookPatch {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn event_types_are_normalised() {
        let given = [" A.b ", "a.B", "", "c", " "].map(str::to_owned);
        assert_eq!(normal(&given), ["a.b", "c"]);
    }

    #[test]
    fn status_and_enabled_are_one() {
        assert_eq!(patch("{}").closed(), Ok(None));
        assert_eq!(patch(r#"{"enabled": true}"#).closed(), Ok(Some(None)));
        assert_eq!(patch(r#"{"enabled": false}"#).closed(), Ok(Some(Some(Closed::Disabled))));
        assert_eq!(patch(r#"{"status": "paused"}"#).closed(), Ok(Some(Some(Closed::Paused))));
        assert_eq!(patch(r#"{"status": "paused", "enabled": false}"#).closed(), Ok(Some(Some(Closed::Paused))));
        for bad in [r#"{"status": "paused", "enabled": true}"#, r#"{"status": "active", "enabled": false}"#, r#"{"status": "on"}"#]
        {
            assert!(patch(bad).check().is_err(), "{bad}");
        }
    }

    #[test]
    fn texts_are_bounded() {
        let text = |field: &str, length: usize| patch(&serde_json::json!({ field: "é".repeat(length) }).to_string()).check();
        for (field, most) in [("name", MAX_NAME), ("source", MAX_SOURCE), ("description", MAX_DESCRIPTION)] {
            assert!(text(field, most).is_ok() && text(field, most + 1).is_err(), "{field}");
        }
        assert!(patch(r#"{"name": " "}"#).check().is_err());
        assert!(serde_json::from_str::<WebhookPatch>(r#"{"secret": "x"}"#).is_err());
    }
}
