//! Filters: conditions on a message's payload, as JSON.
//!
//! ```json
//! {"properties.amount": {"gte": 50, "lt": 500},
//!  "any": [{"properties.currency": {"in": ["USD", "EUR"]}}, {"not": {"player.country": {"exists": true}}}]}
//! ```
//! An object holds when all of its members do. A member is `any` or `all` with a list of filters, `not` with one, or a path
//! into the payload with its conditions. A path is keys with dots between them; a key in double quotes may have dots, and may
//! be `"any"`, `"all"` or `"not"`. Where an array stands on the way, any of its elements will do. A path that is absent
//! meets no condition but `{"exists": false}`.

mod evaluate;
mod operator;
mod path;

pub use evaluate::Finding;
use operator::Operator;
use path::Path;
pub use path::PayloadPath;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Bytes of a filter, as JSON without spaces.
pub const MAX_FILTER_BYTES: usize = 16 * 1024;
/// How deep `any`, `all` and `not` may stand in one another.
pub const MAX_FILTER_DEPTH: usize = 8;
/// Conditions of a filter.
pub const MAX_FILTER_CONDITIONS: usize = 64;

/// Why a filter is refused: where in it, and the rule that it breaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {rule}")]
pub struct FilterError {
    /// Where in the filter (`any[1].amount.gte`); `filter` when it is the whole.
    pub place: String,
    /// What is wrong there, as a sentence.
    pub rule: String,
}

/// Conditions on a payload, ready to be judged. It is kept and shown as it was written.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "Value", into = "Value")]
pub struct Filter {
    written: Value,
    root: Clause,
}

impl PartialEq for Filter {
    fn eq(&self, other: &Self) -> bool {
        self.written == other.written
    }
}

/// A part of a filter.
#[derive(Clone, Debug)]
enum Clause {
    All(Vec<Clause>),
    Any(Vec<Clause>),
    Not(Box<Clause>),
    Condition(Box<Condition>),
}

/// One operator on one path.
#[derive(Clone, Debug)]
struct Condition {
    path: Path,
    operator: Operator,
}

impl TryFrom<Value> for Filter {
    type Error = FilterError;

    fn try_from(written: Value) -> Result<Filter, FilterError> {
        Filter::parse(written)
    }
}

impl From<Filter> for Value {
    fn from(filter: Filter) -> Value {
        filter.written
    }
}

impl Filter {
    /// Reads a filter. `{}` holds for every payload.
    ///
    /// # Errors
    /// It is no object, has an operator or operand that is none, or is larger than [`MAX_FILTER_BYTES`],
    /// [`MAX_FILTER_DEPTH`] or [`MAX_FILTER_CONDITIONS`].
    pub fn parse(written: Value) -> Result<Filter, FilterError> {
        if written.to_string().len() > MAX_FILTER_BYTES {
            return Err(FilterError { place: "filter".into(), rule: format!("A filter has at most {MAX_FILTER_BYTES} bytes.") });
        }
        let root = Reader { conditions: 0 }.object(&written, &mut Vec::new(), 0)?;
        Ok(Filter { written, root })
    }

    /// As it was written.
    #[must_use]
    pub fn as_json(&self) -> &Value {
        &self.written
    }
}

/// Reads a filter and counts what it has read.
struct Reader {
    conditions: usize,
}

fn refused(place: &[String], rule: impl Into<String>) -> FilterError {
    let place = if place.is_empty() { "filter".into() } else { place.join(".").replace(".[", "[") };
    FilterError { place, rule: rule.into() }
}

impl Reader {
    fn object(&mut self, value: &Value, place: &mut Vec<String>, depth: usize) -> Result<Clause, FilterError> {
        let Value::Object(members) = value else {
            return Err(refused(place, "A filter is an object of paths with their conditions."));
        };
        if depth > MAX_FILTER_DEPTH {
            return Err(refused(place, format!("Filters stand at most {MAX_FILTER_DEPTH} deep in one another.")));
        }
        let mut all = Vec::with_capacity(members.len());
        for (name, value) in members {
            place.push(name.clone());
            match name.as_str() {
                "any" => all.push(Clause::Any(self.list(value, place, depth)?)),
                "all" => all.push(Clause::All(self.list(value, place, depth)?)),
                "not" => all.push(Clause::Not(Box::new(self.object(value, place, depth + 1)?))),
                path => self.conditions(path, value, place, &mut all)?,
            }
            place.pop();
        }
        match all.pop() {
            Some(one) if all.is_empty() => Ok(one),
            last => Ok(Clause::All(all.into_iter().chain(last).collect())),
        }
    }

    fn list(&mut self, value: &Value, place: &mut Vec<String>, depth: usize) -> Result<Vec<Clause>, FilterError> {
        let filters = value.as_array().filter(|filters| !filters.is_empty());
        let filters = filters.ok_or_else(|| refused(place, "It is a list of one filter or more."))?;
        let mut clauses = Vec::with_capacity(filters.len().min(MAX_FILTER_CONDITIONS));
        for (at, filter) in filters.iter().enumerate() {
            place.push(format!("[{at}]"));
            // An empty one counts too: what is bounded is the work, not the words.
            self.count(place)?;
            clauses.push(self.object(filter, place, depth + 1)?);
            place.pop();
        }
        Ok(clauses)
    }

    fn conditions(
        &mut self,
        path: &str,
        value: &Value,
        place: &mut Vec<String>,
        clauses: &mut Vec<Clause>,
    ) -> Result<(), FilterError> {
        let path = Path::parse(path).map_err(|rule| refused(place, rule))?;
        let operators: &Map<String, Value> = value
            .as_object()
            .filter(|operators| !operators.is_empty())
            .ok_or_else(|| refused(place, format!("A path has an object of conditions ({}).", Operator::NAMES.join(", "))))?;
        for (name, operand) in operators {
            place.push(name.clone());
            self.count(place)?;
            let operator = Operator::parse(name, operand).map_err(|rule| refused(place, rule))?;
            clauses.push(Clause::Condition(Box::new(Condition { path: path.clone(), operator })));
            place.pop();
        }
        Ok(())
    }

    fn count(&mut self, place: &[String]) -> Result<(), FilterError> {
        self.conditions += 1;
        if self.conditions > MAX_FILTER_CONDITIONS {
            return Err(refused(place, format!("A filter has at most {MAX_FILTER_CONDITIONS} conditions.")));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
