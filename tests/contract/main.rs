//! The document that the server publishes covers the contract that compatible clients are made from (`contract.json`,
//! published under the MIT licence): every path, method, parameter, request field, successful status and answered field of it is in ours.
//! Ours may have more. Where we differ on purpose, [`DEVIATIONS`] says why, and an entry that nothing needs is a fault too.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test that meets the unexpected ends there")]

#[path = "../support/mod.rs"]
mod support;

mod cover;
mod schema;

use serde_json::{Value, json};
use support::Server;

/// The contract.
const CONTRACT: &str = include_str!("contract.json");

/// Faults that are deliberate, and why.
const DEVIATIONS: [(&str, &str); 1] = [(
    "POST /api/v1/app/{}/endpoint/{}/secret/rotate: no answer 204",
    "the current clients read 200 with the new key; those that expect 204 ignore the body",
)];

#[tokio::test]
async fn the_published_document_covers_the_contract() {
    let server = Server::start().await;
    let ours = server.api().anonymous().get("/openapi.json").await.expect(200);
    assert!(ours["openapi"].as_str().unwrap().starts_with("3.1"), "{}", ours["openapi"]);
    let contract: Value = serde_json::from_str(CONTRACT).unwrap();
    let (operations, faults) = cover::faults(&contract, &ours);
    assert_eq!(operations, 43, "the contract's operations");
    let surprising: Vec<&String> = faults.iter().filter(|fault| DEVIATIONS.iter().all(|(known, _)| known != fault)).collect();
    assert!(surprising.is_empty(), "{} faults:\n{surprising:#?}", surprising.len());
    let idle: Vec<_> = DEVIATIONS.iter().filter(|(known, _)| !faults.iter().any(|fault| fault == known)).collect();
    assert!(idle.is_empty(), "deviations that are none: {idle:?}");
}

/// A document with one operation, to test the checker with.
fn document(operation: Value) -> Value {
    json!({
        "paths": {"/thing/{id}": {"post": operation}},
        "components": {"schemas": {"Thing": {
            "type": "object",
            "required": ["name"],
            "properties": {"name": {"type": "string"}, "size": {"type": "integer", "nullable": true}}
        }}}
    })
}

fn operation() -> Value {
    json!({
        "parameters": [{"in": "path", "name": "id"}, {"in": "query", "name": "limit"}, {"in": "header", "name": "idempotency-key"}],
        "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Thing"}}}},
        "responses": {"200": {"content": {"application/json": {"schema": {"type": "array", "items": {"$ref": "#/components/schemas/Thing"}}}}}, "404": {}}
    })
}

/// The faults of a document like the contract but for one change.
fn faults_after(change: impl FnOnce(&mut Value)) -> Vec<String> {
    let contract = document(operation());
    let mut ours = contract.clone();
    change(&mut ours);
    let (operations, faults) = cover::faults(&contract, &ours);
    assert_eq!(operations, 1);
    faults
}

#[test]
fn the_checker_accepts_what_is_the_same_or_more() {
    assert_eq!(faults_after(|_| {}), Vec::<String>::new());
    let more = |ours: &mut Value| {
        let paths = ours["paths"].as_object_mut().unwrap();
        let operation = paths.remove("/thing/{id}").unwrap();
        paths.insert("/thing/{other_name}".into(), operation);
        paths.insert("/more".into(), json!({"get": {"responses": {}}}));
        ours["components"]["schemas"]["Thing"]["properties"]["more"] = json!({"type": "string"});
        ours["components"]["schemas"]["Thing"]["properties"]["size"] = json!({"type": ["integer", "null"]});
    };
    assert_eq!(faults_after(more), Vec::<String>::new());
}

#[test]
fn the_checker_sees_what_is_missing() {
    fn operation(ours: &mut Value) -> &mut Value {
        &mut ours["paths"]["/thing/{id}"]["post"]
    }
    fn thing(ours: &mut Value) -> &mut Value {
        &mut ours["components"]["schemas"]["Thing"]
    }
    let says =
        |faults: Vec<String>, word: &str| assert!(faults.iter().any(|f| f.contains(word)), "{faults:?} say nothing of {word}");
    says(faults_after(|o| o["paths"] = json!({})), "POST /thing/{}: no such operation");
    says(
        faults_after(|o| operation(o)["parameters"] = json!([{"in": "query", "name": "limit"}])),
        "header parameter idempotency-key",
    );
    says(faults_after(|o| operation(o)["parameters"][1]["required"] = json!(true)), "limit is required");
    says(faults_after(|o| operation(o)["requestBody"] = Value::Null), "takes no body");
    says(faults_after(|o| operation(o)["responses"] = json!({"201": {}})), "no answer 200");
    says(faults_after(|o| thing(o)["properties"] = json!({"name": {"type": "string"}})), "size: absent");
    says(faults_after(|o| thing(o)["required"] = json!(["name", "size"])), "request size: required");
    says(faults_after(|o| thing(o)["required"] = json!([])), "[].name: not always answered");
    says(faults_after(|o| thing(o)["properties"]["name"] = json!({"type": "integer"})), "name: string is not");
    says(faults_after(|o| thing(o)["properties"]["size"] = json!({"type": "integer"})), "request size: null is not");
}
