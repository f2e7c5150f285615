//! A checked change of a source: what every way of writing one (create, update, patch) comes down to.

use super::{
    receivers::normal,
    rules,
    seal::{Forge, Texts},
    shape::{SourceIn, SourcePatch, SourceResponse},
};
use crate::{
    api::{
        patch::Patch,
        problem::Problem,
        rules::{Check, MAX_TEXT},
    },
    inbound::Rules,
    model::{Closed, Metadata, Source, SourceId, SourceScheme},
};
use std::collections::BTreeMap;

/// Longest body when nothing is said, in bytes.
const DEFAULT_MAX_BODY: u32 = 256 * 1024;
/// The window in which duplicates are recognised when nothing is said, in seconds: a day.
const DEFAULT_WINDOW_S: u32 = 86_400;
/// The prefix of event types where the scheme is the owner's.
const CUSTOM_PREFIX: &str = "custom";
/// No source can have these uids: their paths mean something else.
const TAKEN_UIDS: [&str; 1] = ["provider"];

/// What is to change. `None`: stays. All of it is checked by itself; whether the parts fit together, [`super::store`] does.
#[derive(Clone, Default)]
pub(super) struct Edit {
    name: Option<Option<String>>,
    description: Option<Option<String>>,
    label: Option<Option<String>>,
    listed: Option<Vec<String>>,
    closed: Option<Option<Closed>>,
    uid: Option<Option<String>>,
    pub(super) scheme: Option<SourceScheme>,
    pub(super) secrets: Option<Texts>,
    settings: Option<BTreeMap<String, String>>,
    methods: Option<Vec<String>>,
    max_body: Option<u32>,
    allow_cidrs: Option<Vec<String>>,
    response: Option<SourceResponse>,
    window: Option<u32>,
    prefix: Option<Option<String>>,
    forward_headers: Option<Vec<String>>,
    split: Option<bool>,
    metadata: Option<Metadata>,
}

impl Edit {
    /// Everything a full form names or leaves at its default.
    ///
    /// # Errors
    /// A field breaks its rule; there is neither a provider nor a scheme.
    pub(super) fn full(body: SourceIn) -> Result<Self, Problem> {
        let edit = Self::patch(body.into())?;
        match edit.scheme {
            Some(_) => Ok(edit),
            None => Err(Problem::field(&["body", "provider"], "missing", "Either a provider or a scheme is needed.")),
        }
    }

    /// What a patch names.
    ///
    /// # Errors
    /// A field breaks its rule.
    pub(super) fn patch(body: SourcePatch) -> Result<Self, Problem> {
        let mut check = Check::new();
        let edit = Edit {
            scheme: scheme(&mut check, body.provider, body.scheme),
            secrets: secrets(&mut check, body.secret, body.secrets),
            name: nullable(body.name),
            description: nullable(body.description),
            label: nullable(body.label),
            listed: defaulted(body.events, Vec::new),
            closed: nullable(body.status).map(|status| rules::closed(&mut check, status.as_deref())),
            uid: nullable(body.uid),
            settings: defaulted(body.settings, BTreeMap::new),
            methods: defaulted(body.methods, || vec!["POST".to_owned()]),
            max_body: defaulted(body.max_body, || DEFAULT_MAX_BODY),
            allow_cidrs: defaulted(body.allow_cidrs, Vec::new),
            response: defaulted(body.response, SourceResponse::default),
            window: defaulted(body.dedup_window, || DEFAULT_WINDOW_S),
            prefix: nullable(body.event_type_prefix),
            forward_headers: defaulted(body.forward_headers, Vec::new),
            split: defaulted(body.split, || false),
            metadata: defaulted(body.metadata, Metadata::new),
        };
        edit.check(&mut check);
        check.done()?;
        Ok(edit)
    }

    fn check(&self, check: &mut Check) {
        self.name.iter().flatten().for_each(|name| check.title(&["body", "name"], name, 0..=MAX_TEXT));
        self.description.iter().flatten().for_each(|text| check.text(&["body", "description"], text, 0));
        self.label.iter().flatten().for_each(|text| check.title(&["body", "label"], text, 0..=MAX_TEXT));
        self.listed.iter().for_each(|events| rules::listed(check, events));
        self.uid.iter().flatten().for_each(|uid| uid_rules(check, uid));
        self.settings.iter().for_each(|settings| rules::settings(check, settings));
        self.methods.iter().for_each(|methods| rules::methods(check, methods));
        self.max_body.iter().for_each(|bytes| rules::max_body(check, *bytes));
        self.allow_cidrs.iter().for_each(|cidrs| rules::cidrs(check, cidrs));
        self.response.iter().for_each(|response| rules::response(check, response));
        self.window.iter().for_each(|seconds| rules::window(check, *seconds));
        self.prefix.iter().flatten().for_each(|prefix| rules::prefix(check, prefix));
        self.forward_headers.iter().for_each(|names| rules::forwarded(check, names));
        self.metadata.iter().for_each(|metadata| check.metadata(&["body", "metadata"], metadata));
    }

    /// Applies the change; secrets and settings are sealed.
    ///
    /// # Errors
    /// The vault refuses.
    pub(super) fn apply(&self, source: &mut Source, forge: &Forge<'_>) -> Result<(), Problem> {
        let before = source.clone();
        set(&mut source.uid, self.uid.clone());
        set(&mut source.description, self.description.clone());
        set(&mut source.label, self.label.clone());
        set(&mut source.listed, self.listed.as_deref().map(normal));
        set(&mut source.closed, self.closed);
        set(&mut source.scheme, self.scheme.clone());
        set(&mut source.methods, self.methods.clone());
        set(&mut source.max_body, self.max_body);
        set(&mut source.allow_cidrs, self.allow_cidrs.clone());
        set(&mut source.answer, self.response.clone().map(Into::into));
        set(&mut source.dedup_window_s, self.window);
        set(&mut source.split, self.split);
        set(&mut source.metadata, self.metadata.clone());
        let lower = |names: &Vec<String>| names.iter().map(|name| name.to_ascii_lowercase()).collect();
        set(&mut source.forward_headers, self.forward_headers.as_ref().map(lower));
        set(&mut source.name, self.name.clone().map(|name| name.unwrap_or_else(|| title(&source.scheme))));
        set(
            &mut source.event_type_prefix,
            self.prefix.clone().map(|prefix| prefix.unwrap_or_else(|| default_prefix(&source.scheme))),
        );
        if let Some(settings) = &self.settings {
            source.settings = forge.settings(settings, &before.settings)?;
        }
        if let Some(secrets) = &self.secrets {
            source.secrets = forge.replace(&before.secrets, secrets)?;
            source.awaits_secret &= secrets.is_empty();
        }
        if *source != before {
            source.updated_at = forge.now;
        }
        Ok(())
    }
}

fn set<T>(slot: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *slot = value;
    }
}

fn nullable<T>(value: Patch<T>) -> Option<Option<T>> {
    match value {
        Patch::Absent => None,
        Patch::Null => Some(None),
        Patch::Value(value) => Some(Some(value)),
    }
}

fn defaulted<T>(value: Patch<T>, default: impl FnOnce() -> T) -> Option<T> {
    nullable(value).map(|value| value.unwrap_or_else(default))
}

/// The provider's title; nothing where the scheme is the owner's.
fn title(scheme: &SourceScheme) -> String {
    match Rules::of(scheme) {
        Ok(Rules::Provider(provider)) => provider.title.to_string(),
        _ => String::new(),
    }
}

fn default_prefix(scheme: &SourceScheme) -> String {
    match scheme {
        SourceScheme::Provider(name) => name.clone(),
        SourceScheme::Custom(_) => CUSTOM_PREFIX.to_owned(),
    }
}

fn scheme(check: &mut Check, provider: Patch<String>, scheme: Patch<serde_json::Value>) -> Option<SourceScheme> {
    match (provider, scheme) {
        (Patch::Value(name), Patch::Absent | Patch::Null) => Some(SourceScheme::Provider(name)),
        (Patch::Absent | Patch::Null, Patch::Value(scheme)) => Some(SourceScheme::Custom(rules::scheme(check, &scheme))),
        (Patch::Absent, Patch::Absent) => None,
        (Patch::Value(_), Patch::Value(_)) => {
            check.rule(false, &["body", "scheme"], "exclusive", "Either a provider or a scheme, not both.");
            None
        }
        (provider, _) => {
            let field = if provider == Patch::Null { "provider" } else { "scheme" };
            check.rule(false, &["body", field], "type_error", "It cannot be null: a source has a provider or a scheme.");
            None
        }
    }
}

fn secrets(check: &mut Check, one: Patch<String>, all: Patch<Vec<String>>) -> Option<Texts> {
    let both = one.value().is_some() && all.value().is_some();
    check.rule(!both, &["body", "secrets"], "exclusive", "Either a secret or several, not both.");
    let (field, texts) = match (nullable(one), nullable(all)) {
        (None, None) => return None,
        (Some(Some(one)), _) => ("secret", vec![one]),
        (_, Some(Some(all))) => ("secrets", all),
        _ => ("secret", Vec::new()),
    };
    rules::secrets(check, field, &texts);
    Some(texts.into_iter().map(zeroize::Zeroizing::new).collect())
}

/// A uid in the form of an id, or of another path, could never be found.
fn uid_rules(check: &mut Check, uid: &str) {
    let at = ["body", "uid"];
    check.name(&at, uid);
    let rule = "A uid may not have the form of a source's id.";
    check.rule(uid.parse::<SourceId>().is_err(), &at, "pattern", rule);
    check.rule(!TAKEN_UIDS.contains(&uid), &at, "reserved", "This uid is the name of another path.");
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn patch(body: Value) -> Result<Edit, Problem> {
        Edit::patch(serde_json::from_value(body).unwrap())
    }

    fn faults(body: Value) -> Vec<String> {
        match patch(body) {
            Err(Problem::Invalid(items)) => items.into_iter().map(|item| item.loc.join(".")).collect(),
            Err(other) => panic!("{other:?}"),
            Ok(_) => Vec::new(),
        }
    }

    #[test]
    fn every_fault_is_named_at_once() {
        let body = json!({
            "maxBody": 1, "dedupWindow": 9_999_999, "allowCidrs": ["10.0.0.0/8", "x"], "methods": ["TRACE"],
            "response": {"status": 404, "headers": {"connection": "close"}}, "uid": "provider",
        });
        let found = faults(body);
        for place in ["maxBody", "dedupWindow", "allowCidrs.1", "methods", "response.status", "response.headers.connection", "uid"]
        {
            assert!(found.contains(&format!("body.{place}")), "{place} is not in {found:?}");
        }
    }

    #[test]
    fn a_source_has_one_scheme_and_one_way_of_secrets() {
        assert_eq!(faults(json!({"provider": "github", "scheme": {}})), ["body.scheme"]);
        assert_eq!(faults(json!({"provider": null})), ["body.provider"]);
        assert_eq!(faults(json!({"scheme": null})), ["body.scheme"]);
        assert_eq!(faults(json!({"scheme": "text"})), ["body.scheme"]);
        assert_eq!(faults(json!({"secret": "a", "secrets": ["b"]})), ["body.secrets"]);
        assert!(patch(json!({"provider": "github", "scheme": null})).unwrap().scheme.is_some());
        assert!(patch(json!({})).unwrap().scheme.is_none());
        assert!(patch(json!({"secret": null})).unwrap().secrets.unwrap().is_empty());
        assert!(Edit::full(SourceIn::default()).is_err());
    }

    #[test]
    fn null_asks_for_the_default_and_absence_for_nothing() {
        let edit = patch(json!({"maxBody": null, "dedupWindow": null, "methods": null, "eventTypePrefix": null})).unwrap();
        assert_eq!((edit.max_body, edit.window, edit.prefix), (Some(DEFAULT_MAX_BODY), Some(DEFAULT_WINDOW_S), Some(None)));
        assert_eq!(edit.methods.unwrap(), ["POST"]);
        assert!(edit.split.is_none() && edit.metadata.is_none() && edit.secrets.is_none() && edit.settings.is_none());
    }
}
