//! What filters hold for, and what is no filter.

use super::*;
use proptest::prelude::*;
use serde_json::json;

fn holds(filter: Value, payload: &Value) -> bool {
    Filter::parse(filter).unwrap().holds(payload)
}

fn refusal(filter: Value) -> String {
    Filter::parse(filter).unwrap_err().to_string()
}

fn purchase() -> Value {
    json!({
        "player": {"country": "DE", "level": 7, "vip": true, "guild": null},
        "properties": {"amount": 50, "price": 9.99, "currency": "USD", "tags": ["gems", "weekend"]},
        "items": [{"sku": "gem_pack_100", "count": 1}, {"sku": "sword", "count": 3, "price.net": 4}],
        "big": 9_007_199_254_740_993_u64,
    })
}

#[test]
fn operators_compare() {
    let table = [
        ("properties.amount", json!({"gte": 50}), true),
        ("properties.amount", json!({"gt": 50}), false),
        ("properties.amount", json!({"lte": 50.0}), true),
        ("properties.amount", json!({"lt": 50.5}), true),
        ("properties.amount", json!({"gt": 10, "lt": 20}), false),
        ("properties.amount", json!({"eq": 50.0}), true),
        ("properties.amount", json!({"eq": "50"}), false),
        ("properties.amount", json!({"gt": "10"}), false),
        ("properties.price", json!({"eq": 9.99}), true),
        ("big", json!({"eq": 9_007_199_254_740_992_u64}), false),
        ("properties.currency", json!({"eq": "USD"}), true),
        ("properties.currency", json!({"ne": "USD"}), false),
        ("properties.currency", json!({"ne": "EUR"}), true),
        ("properties.currency", json!({"in": ["EUR", "USD"]}), true),
        ("properties.currency", json!({"nin": ["EUR", "USD"]}), false),
        ("properties.currency", json!({"nin": ["EUR"]}), true),
        ("properties.currency", json!({"contains": "S"}), true),
        ("properties.currency", json!({"starts_with": "US"}), true),
        ("properties.currency", json!({"ends_with": "US"}), false),
        ("properties.currency", json!({"gte": "USA"}), true),
        ("player.vip", json!({"eq": true}), true),
        ("player.guild", json!({"eq": null}), true),
        ("player.guild", json!({"exists": true}), true),
    ];
    for (path, conditions, expected) in table {
        assert_eq!(holds(json!({path: conditions}), &purchase()), expected, "{path} {conditions}");
    }
}

#[test]
fn any_element_of_an_array_will_do_and_none_may_where_it_is_denied() {
    let table = [
        ("items.sku", json!({"eq": "sword"}), true),
        ("items.count", json!({"gte": 3}), true),
        ("items.count", json!({"gte": 4}), false),
        ("items.sku", json!({"ne": "sword"}), false),
        ("items.sku", json!({"ne": "shield"}), true),
        ("items.\"price.net\"", json!({"eq": 4}), true),
        ("properties.tags", json!({"eq": "gems"}), true),
        ("properties.tags", json!({"contains": "gems"}), true),
        ("properties.tags", json!({"contains": "week"}), true),
        ("properties.tags", json!({"contains": "month"}), false),
        ("properties.tags", json!({"nin": ["gems"]}), false),
        ("items.colour", json!({"exists": false}), true),
        ("items.\"price.net\"", json!({"exists": true}), true),
    ];
    for (path, conditions, expected) in table {
        assert_eq!(holds(json!({path: conditions}), &purchase()), expected, "{path} {conditions}");
    }
}

#[test]
fn an_absent_path_meets_no_comparison() {
    for (name, operand) in [
        ("eq", json!(null)),
        ("ne", json!("x")),
        ("gt", json!(0)),
        ("gte", json!(0)),
        ("lt", json!(0)),
        ("lte", json!(0)),
        ("in", json!([null])),
        ("nin", json!(["x"])),
        ("contains", json!("")),
        ("starts_with", json!("")),
        ("ends_with", json!("")),
        ("exists", json!(true)),
    ] {
        for payload in [purchase(), json!(null), json!([]), json!("text")] {
            assert!(!holds(json!({"properties.colour": {name: operand}}), &payload), "{name}");
        }
    }
    assert!(holds(json!({"properties.colour": {"exists": false}}), &purchase()));
}

#[test]
fn clauses_combine() {
    assert!(holds(json!({}), &json!(1)));
    let two = |a: i32, b: &str| json!({"properties.amount": {"gte": a}, "player.country": {"eq": b}});
    assert!(holds(two(50, "DE"), &purchase()) && !holds(two(51, "DE"), &purchase()) && !holds(two(50, "FR"), &purchase()));
    assert!(holds(json!({"any": [two(51, "DE"), two(50, "DE")]}), &purchase()));
    assert!(!holds(json!({"all": [two(51, "DE"), two(50, "DE")]}), &purchase()));
    assert!(holds(json!({"not": two(51, "DE"), "player.level": {"eq": 7}}), &purchase()));
    assert!(holds(json!({"not": {"properties.colour": {"eq": "red"}}}), &purchase()));
    assert!(holds(json!({"\"not\"": {"eq": 1}, "\"any\"": {"exists": false}}), &json!({"not": 1})));
}

#[test]
fn what_is_no_filter_is_refused_with_its_place() {
    assert!(refusal(json!([])).starts_with("filter: A filter is an object"));
    assert!(refusal(json!({"a": {"gte": 1, "near": 2}})).starts_with("a.near: There is no operator near"));
    assert!(
        refusal(json!({"any": [{"a": {"eq": 1}}, {"b": {"like": 1}}]})).starts_with("any[1].b.like: There is no operator like")
    );
    assert!(refusal(json!({"any": []})).starts_with("any: It is a list"));
    assert!(refusal(json!({"not": [1]})).starts_with("not: A filter is an object"));
    assert!(refusal(json!({"a": "USD"})).starts_with("a: A path has an object"));
    assert!(refusal(json!({"a": {}})).starts_with("a: A path has an object"));
    assert!(refusal(json!({"a..b": {"eq": 1}})).starts_with("a..b: A key"));
    for (name, operand) in [
        ("eq", json!([1])),
        ("gt", json!(true)),
        ("in", json!([])),
        ("in", json!([[1]])),
        ("exists", json!("yes")),
        ("starts_with", json!(1)),
        ("nin", json!(vec![1; 101])),
    ] {
        assert!(refusal(json!({"a": {name: operand}})).starts_with(&format!("a.{name}: ")));
    }
}

#[test]
fn filters_are_bounded() {
    let deep = |n: usize| (0..n).fold(json!({"a": {"eq": 1}}), |inner, _| json!({"not": inner}));
    assert!(Filter::parse(deep(MAX_FILTER_DEPTH)).is_ok());
    assert!(refusal(deep(MAX_FILTER_DEPTH + 1)).contains("deep"));
    let wide = |n: usize| Value::Object((0..n).map(|n| (format!("k{n}"), json!({"eq": n}))).collect());
    assert!(Filter::parse(wide(MAX_FILTER_CONDITIONS)).is_ok());
    assert!(refusal(wide(MAX_FILTER_CONDITIONS + 1)).contains("conditions"));
    assert!(refusal(json!({"any": vec![json!({}); MAX_FILTER_CONDITIONS + 1]})).contains("conditions"));
    assert!(refusal(json!({"a": {"eq": "x".repeat(MAX_FILTER_BYTES)}})).contains("bytes"));
}

#[test]
fn every_part_is_explained() {
    let filter = Filter::parse(json!({"any": [{"properties.amount": {"gte": 60}}, {"not": {"x": {"exists": true}}}]})).unwrap();
    let finding = serde_json::to_value(filter.explain(&purchase())).unwrap();
    assert_eq!(
        finding,
        json!({"clause": "any", "holds": true, "parts": [
            {"clause": "gte", "holds": false, "path": "properties.amount", "operand": 60, "found": [50]},
            {"clause": "not", "holds": true, "parts": [
                {"clause": "exists", "holds": false, "path": "x", "operand": true, "found": []}]}]})
    );
}

#[test]
fn a_filter_is_kept_as_it_was_written() {
    let written = json!({"a.b": {"in": [1, 2]}});
    let filter: Filter = serde_json::from_value(written.clone()).unwrap();
    assert_eq!(serde_json::to_value(&filter).unwrap(), written);
    assert_eq!(filter.as_json(), &written);
    assert!(serde_json::from_value::<Filter>(json!({"a": {"near": 1}})).is_err());
}

fn any_json() -> impl Strategy<Value = Value> {
    let word = prop_oneof![
        Just("any".to_owned()),
        Just("all".to_owned()),
        Just("not".to_owned()),
        Just("eq".to_owned()),
        Just("nin".to_owned()),
        Just("exists".to_owned()),
        ".{0,6}",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        word.clone().prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 64, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((word.clone(), inner), 0..6).prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn no_filter_and_no_payload_break_the_judge(filter in any_json(), payload in any_json()) {
        if let Ok(filter) = Filter::parse(filter) {
            prop_assert_eq!(filter.explain(&payload).holds, filter.holds(&payload));
        }
    }
}
