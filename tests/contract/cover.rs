//! Whether one OpenAPI document covers another.

use crate::schema::{Flat, flat, resolve};
use serde_json::Value;
use std::collections::BTreeMap;

const METHODS: [&str; 6] = ["get", "post", "put", "patch", "delete", "head"];
/// How deep schemas are compared.
const MAX_DEPTH: usize = 8;

/// Which way a schema's values travel: what must hold of ours differs.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    Request,
    Answer,
}

/// The number of the contract's operations, and what ours lacks.
pub(crate) fn faults(contract: &Value, ours: &Value) -> (usize, Vec<String>) {
    let known: BTreeMap<String, &Value> = operations(ours).collect();
    let mut faults = Vec::new();
    let mut count = 0;
    for (name, wanted) in operations(contract) {
        count += 1;
        match known.get(&name) {
            None => faults.push(format!("{name}: no such operation")),
            Some(found) => {
                let mut check = Check { contract, ours, name: &name, faults: &mut faults };
                check.parameters(wanted, found);
                check.request(wanted, found);
                check.answers(wanted, found);
            }
        }
    }
    (count, faults)
}

/// Operations by method and path, the names of path parameters left out. `HEAD` goes with `GET`.
fn operations(document: &Value) -> impl Iterator<Item = (String, &Value)> {
    let paths = document["paths"].as_object().into_iter().flatten();
    paths.flat_map(|(path, item)| {
        let methods = METHODS.iter().filter_map(move |method| Some((*method, item.get(*method)?)));
        methods.map(move |(method, operation)| (format!("{} {}", method.to_uppercase(), nameless(path)), operation))
    })
}

fn nameless(path: &str) -> String {
    let parts = path.split('/').map(|part| if part.starts_with('{') { "{}" } else { part });
    parts.collect::<Vec<_>>().join("/")
}

struct Check<'a> {
    contract: &'a Value,
    ours: &'a Value,
    name: &'a str,
    faults: &'a mut Vec<String>,
}

impl<'a> Check<'a> {
    fn fault(&mut self, what: &str) {
        self.faults.push(format!("{}: {what}", self.name));
    }

    fn parameters(&mut self, wanted: &'a Value, found: &'a Value) {
        let wanted = parameters(self.contract, wanted);
        let found = parameters(self.ours, found);
        for (name, schema) in &wanted {
            match found.get(name) {
                None => self.fault(&format!("no {} parameter {}", name.0, name.1)),
                Some(ours) if ours["required"] == true && schema["required"] != true => {
                    self.fault(&format!("{} parameter {} is required", name.0, name.1));
                }
                Some(_) => {}
            }
        }
        for (name, ours) in found.iter().filter(|(name, _)| !wanted.contains_key(*name)) {
            if ours["required"] == true {
                self.fault(&format!("{} parameter {} is new and required", name.0, name.1));
            }
        }
    }

    fn request(&mut self, wanted: &'a Value, found: &'a Value) {
        let Some(wanted) = body(self.contract, &wanted["requestBody"]) else { return };
        match body(self.ours, &found["requestBody"]) {
            None => self.fault("takes no body"),
            Some(found) => self.compare(Way::Request, "", wanted, found),
        }
    }

    fn answers(&mut self, wanted: &'a Value, found: &'a Value) {
        let all = wanted["responses"].as_object().into_iter().flatten();
        for (status, wanted) in all.filter(|(status, _)| status.starts_with('2')) {
            let found = &found["responses"][status];
            if found.is_null() {
                self.fault(&format!("no answer {status}"));
                continue;
            }
            match (body(self.contract, wanted), body(self.ours, found)) {
                (Some(wanted), Some(found)) => self.compare(Way::Answer, "", wanted, found),
                (Some(_), None) => self.fault(&format!("answer {status} has no body")),
                (None, _) => {}
            }
        }
    }

    fn compare(&mut self, way: Way, at: &str, wanted: &'a Value, found: &'a Value) {
        if at.matches(['.', '[']).count() > MAX_DEPTH {
            return;
        }
        let (wanted, found) = (flat(self.contract, wanted), flat(self.ours, found));
        self.types(way, at, &wanted, &found);
        for (name, schema) in &wanted.fields {
            let place = format!("{at}.{name}");
            match found.fields.get(name) {
                None if found.types.is_empty() => {} // anything goes
                None => self.fault(&format!("{}: absent", said(way, &place))),
                Some(ours) => self.compare(way, &place, schema, ours),
            }
        }
        match way {
            Way::Request => {
                for name in found.required.difference(&wanted.required) {
                    self.fault(&format!("{}: required", said(way, &format!("{at}.{name}"))));
                }
            }
            Way::Answer => {
                for name in wanted.required.difference(&found.required).filter(|_| !found.types.is_empty()) {
                    self.fault(&format!("{}: not always answered", said(way, &format!("{at}.{name}"))));
                }
            }
        }
        if let (Some(wanted), Some(found)) = (wanted.items, found.items) {
            self.compare(way, &format!("{at}[]"), wanted, found);
        }
    }

    /// A request may be of every type that the contract allows; an answer is of one of them.
    fn types(&mut self, way: Way, at: &str, wanted: &Flat<'_>, found: &Flat<'_>) {
        if found.types.is_empty() || wanted.types.is_empty() {
            return;
        }
        let (these, those) = if way == Way::Request { (&wanted.types, &found.types) } else { (&found.types, &wanted.types) };
        for kind in these.difference(those) {
            // The current clients take an absent value and a null for the same in answers.
            if way == Way::Answer && kind == "null" {
                continue;
            }
            self.fault(&format!("{}: {kind} is not allowed", said(way, at)));
        }
    }
}

fn said(way: Way, place: &str) -> String {
    let way = if way == Way::Request { "request" } else { "answer" };
    format!("{way} {}", place.trim_start_matches('.'))
}

fn parameters<'d>(document: &'d Value, operation: &'d Value) -> BTreeMap<(String, String), &'d Value> {
    let all = operation["parameters"].as_array().into_iter().flatten().map(|p| resolve(document, p));
    let place =
        |p: &Value| (p["in"].as_str().unwrap_or_default().to_owned(), p["name"].as_str().unwrap_or_default().to_lowercase());
    all.filter(|p| p["in"] != "path").map(|p| (place(p), p)).collect()
}

/// The JSON schema of a request's or an answer's body.
fn body<'d>(document: &'d Value, holder: &'d Value) -> Option<&'d Value> {
    resolve(document, holder).get("content")?.get("application/json")?.get("schema")
}
