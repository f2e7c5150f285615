//! Judging a payload by a filter, and telling how it was judged.

use super::{Clause, Condition, Filter, operator::Operator};
use serde::Serialize;
use serde_json::Value;

/// Values that are shown of what a path leads to.
const SHOWN: usize = 8;

/// How one part of a filter was judged.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// `all`, `any`, `not`, or the operator of a condition.
    pub clause: &'static str,
    /// Whether it holds.
    pub holds: bool,
    /// A condition's path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// What a condition compares with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operand: Option<Value>,
    /// What the path leads to, the first few; empty when it is absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub found: Option<Vec<Value>>,
    /// The parts of `all`, `any` and `not`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<Finding>,
}

impl Filter {
    /// Whether a payload meets the filter.
    #[must_use]
    pub fn holds(&self, payload: &Value) -> bool {
        self.root.holds(payload)
    }

    /// How each part of the filter judges a payload.
    #[must_use]
    pub fn explain(&self, payload: &Value) -> Finding {
        self.root.explain(payload)
    }
}

impl Clause {
    fn holds(&self, payload: &Value) -> bool {
        match self {
            Clause::All(clauses) => clauses.iter().all(|clause| clause.holds(payload)),
            Clause::Any(clauses) => clauses.iter().any(|clause| clause.holds(payload)),
            Clause::Not(clause) => !clause.holds(payload),
            Clause::Condition(condition) => condition.holds(payload),
        }
    }

    fn explain(&self, payload: &Value) -> Finding {
        let (clause, parts) = match self {
            Clause::Condition(condition) => return condition.explain(payload),
            Clause::All(clauses) => ("all", clauses.iter().map(|clause| clause.explain(payload)).collect()),
            Clause::Any(clauses) => ("any", clauses.iter().map(|clause| clause.explain(payload)).collect()),
            Clause::Not(clause) => ("not", vec![clause.explain(payload)]),
        };
        Finding { clause, holds: self.holds(payload), path: None, operand: None, found: None, parts }
    }
}

impl Condition {
    fn holds(&self, payload: &Value) -> bool {
        let mut present = false;
        let met = self.path.any(payload, &mut |value| {
            present = true;
            self.operator.meets(value)
        });
        match self.operator {
            Operator::Exists(wanted) => present == wanted,
            _ if self.operator.denies() => present && !met,
            _ => met,
        }
    }

    fn explain(&self, payload: &Value) -> Finding {
        let mut found = Vec::new();
        self.path.any(payload, &mut |value| {
            found.push(value.clone());
            found.len() == SHOWN
        });
        Finding {
            clause: self.operator.name(),
            holds: self.holds(payload),
            path: Some(self.path.to_string()),
            operand: Some(self.operator.operand()),
            found: Some(found),
            parts: Vec::new(),
        }
    }
}
