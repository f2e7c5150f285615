//! What a condition asks of a value.

use serde_json::{Number, Value};
use std::cmp::Ordering;

/// Values of a list (`in`, `nin`).
const MAX_LIST: usize = 100;

/// An operator with its operand.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Operator {
    Eq(Value),
    Ne(Value),
    Gt(Value),
    Gte(Value),
    Lt(Value),
    Lte(Value),
    In(Vec<Value>),
    Nin(Vec<Value>),
    Exists(bool),
    Contains(Value),
    StartsWith(String),
    EndsWith(String),
}

impl Operator {
    /// All names, as they are documented.
    pub(super) const NAMES: [&'static str; 12] =
        ["eq", "ne", "gt", "gte", "lt", "lte", "in", "nin", "exists", "contains", "starts_with", "ends_with"];

    /// # Errors
    /// The rule that name or operand break, as a sentence.
    pub(super) fn parse(name: &str, operand: &Value) -> Result<Operator, String> {
        match name {
            "eq" => single(operand).map(Operator::Eq),
            "ne" => single(operand).map(Operator::Ne),
            "gt" => ordered(operand).map(Operator::Gt),
            "gte" => ordered(operand).map(Operator::Gte),
            "lt" => ordered(operand).map(Operator::Lt),
            "lte" => ordered(operand).map(Operator::Lte),
            "in" => list(operand).map(Operator::In),
            "nin" => list(operand).map(Operator::Nin),
            "exists" => operand.as_bool().map(Operator::Exists).ok_or_else(|| "It is true or false.".into()),
            "contains" => single(operand).map(Operator::Contains),
            "starts_with" => text(operand).map(Operator::StartsWith),
            "ends_with" => text(operand).map(Operator::EndsWith),
            _ => Err(format!("There is no operator {name}: {} are.", Self::NAMES.join(", "))),
        }
    }

    /// Its name.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Operator::Eq(_) => "eq",
            Operator::Ne(_) => "ne",
            Operator::Gt(_) => "gt",
            Operator::Gte(_) => "gte",
            Operator::Lt(_) => "lt",
            Operator::Lte(_) => "lte",
            Operator::In(_) => "in",
            Operator::Nin(_) => "nin",
            Operator::Exists(_) => "exists",
            Operator::Contains(_) => "contains",
            Operator::StartsWith(_) => "starts_with",
            Operator::EndsWith(_) => "ends_with",
        }
    }

    /// Its operand.
    pub(super) fn operand(&self) -> Value {
        match self {
            Operator::Eq(value)
            | Operator::Ne(value)
            | Operator::Gt(value)
            | Operator::Gte(value)
            | Operator::Lt(value)
            | Operator::Lte(value)
            | Operator::Contains(value) => value.clone(),
            Operator::In(values) | Operator::Nin(values) => Value::Array(values.clone()),
            Operator::Exists(wanted) => Value::Bool(*wanted),
            Operator::StartsWith(text) | Operator::EndsWith(text) => Value::String(text.clone()),
        }
    }

    /// Whether it asks that nothing there be so, rather than something.
    pub(super) fn denies(&self) -> bool {
        matches!(self, Operator::Ne(_) | Operator::Nin(_))
    }

    /// Whether the value is as the operator says; for one that denies: as it says it must not be.
    pub(super) fn meets(&self, value: &Value) -> bool {
        let compared = |operand: &Value, wanted: fn(Ordering) -> bool| compare(value, operand).is_some_and(wanted);
        match self {
            Operator::Eq(operand) | Operator::Ne(operand) => same(value, operand),
            Operator::Gt(operand) => compared(operand, Ordering::is_gt),
            Operator::Gte(operand) => compared(operand, Ordering::is_ge),
            Operator::Lt(operand) => compared(operand, Ordering::is_lt),
            Operator::Lte(operand) => compared(operand, Ordering::is_le),
            Operator::In(operands) | Operator::Nin(operands) => operands.iter().any(|operand| same(value, operand)),
            Operator::Exists(_) => true,
            Operator::Contains(operand) => match (value, operand) {
                (Value::String(value), Value::String(part)) => value.contains(part.as_str()),
                (Value::Array(elements), operand) => elements.iter().any(|element| same(element, operand)),
                _ => false,
            },
            Operator::StartsWith(start) => value.as_str().is_some_and(|value| value.starts_with(start.as_str())),
            Operator::EndsWith(end) => value.as_str().is_some_and(|value| value.ends_with(end.as_str())),
        }
    }
}

fn single(operand: &Value) -> Result<Value, String> {
    match operand {
        Value::Array(_) | Value::Object(_) => Err("It is compared with a text, a number, true, false or null.".into()),
        operand => Ok(operand.clone()),
    }
}

fn ordered(operand: &Value) -> Result<Value, String> {
    match operand {
        Value::Number(_) | Value::String(_) => Ok(operand.clone()),
        _ => Err("It is compared with a number or a text.".into()),
    }
}

fn text(operand: &Value) -> Result<String, String> {
    operand.as_str().map(str::to_owned).ok_or_else(|| "It is compared with a text.".into())
}

fn list(operand: &Value) -> Result<Vec<Value>, String> {
    let values = operand.as_array().filter(|values| (1..=MAX_LIST).contains(&values.len()));
    values.ok_or_else(|| format!("It is a list of 1 to {MAX_LIST} values."))?.iter().map(single).collect()
}

fn same(value: &Value, operand: &Value) -> bool {
    match (value, operand) {
        (Value::Number(_), Value::Number(_)) => compare(value, operand) == Some(Ordering::Equal),
        _ => value == operand,
    }
}

/// Numbers by their value, texts by their characters; anything else has no order.
fn compare(value: &Value, operand: &Value) -> Option<Ordering> {
    match (value, operand) {
        (Value::Number(a), Value::Number(b)) => match (whole(a), whole(b)) {
            (Some(a), Some(b)) => Some(a.cmp(&b)),
            _ => a.as_f64()?.partial_cmp(&b.as_f64()?),
        },
        (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
        _ => None,
    }
}

/// Identifiers of 64 bits are compared exactly, which doubles could not.
fn whole(number: &Number) -> Option<i128> {
    number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from))
}
