//! A field of a partial update: left out, null, or a value. In schemas, give such a field `value_type = Option<…>`.

use serde::{Deserialize, Deserializer};

/// A field of a partial update. Needs `#[serde(default)]` on the field, or on its struct.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Patch<T> {
    /// Left out: stays as it is.
    #[default]
    Absent,
    /// `null`: taken away.
    Null,
    /// The new value.
    Value(T),
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Patch<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Option::<T>::deserialize(from).map(|value| value.map_or(Patch::Null, Patch::Value))
    }
}

/// Reads a field that may be left out but not be `null`: `#[serde(default, deserialize_with = "given")]`.
///
/// # Errors
/// It is `null`, or no `T`.
pub fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(from: D) -> Result<Option<T>, D::Error> {
    T::deserialize(from).map(Some)
}

impl<T> Patch<T> {
    /// The value, if there is one; a field that is never taken away.
    #[must_use]
    pub fn given(value: Option<T>) -> Self {
        value.map_or(Patch::Absent, Patch::Value)
    }

    /// What is said, if anything; `Some(None)` takes the field away.
    #[must_use]
    pub fn nullable(value: Option<Option<T>>) -> Self {
        value.map_or(Patch::Absent, |value| value.map_or(Patch::Null, Patch::Value))
    }

    /// Applies it to a field that may be missing.
    pub fn apply(self, field: &mut Option<T>) {
        match self {
            Patch::Absent => {}
            Patch::Null => *field = None,
            Patch::Value(value) => *field = Some(value),
        }
    }

    /// Applies it to a field that has a value when nothing is said: `null` asks for that value.
    pub fn apply_or_default(self, field: &mut T)
    where
        T: Default,
    {
        match self {
            Patch::Absent => {}
            Patch::Null => *field = T::default(),
            Patch::Value(value) => *field = value,
        }
    }

    /// The new value, if there is one.
    #[must_use]
    pub fn value(&self) -> Option<&T> {
        match self {
            Patch::Value(value) => Some(value),
            Patch::Absent | Patch::Null => None,
        }
    }

    /// What a field that is never missing becomes, if anything: `null` asks for its default.
    #[must_use]
    pub fn or_default(self) -> Option<T>
    where
        T: Default,
    {
        match self {
            Patch::Absent => None,
            Patch::Null => Some(T::default()),
            Patch::Value(value) => Some(value),
        }
    }

    /// The value changed, the two others as they are.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Patch<U> {
        match self {
            Patch::Absent => Patch::Absent,
            Patch::Null => Patch::Null,
            Patch::Value(value) => Patch::Value(change(value)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Form {
        #[serde(default)]
        rate: Patch<u16>,
        #[serde(default, deserialize_with = "given")]
        name: Option<String>,
    }

    fn applied(text: &str) -> Option<u16> {
        let mut field = Some(7);
        serde_json::from_str::<Form>(text).unwrap().rate.apply(&mut field);
        field
    }

    #[test]
    fn absent_null_and_value_differ() {
        assert_eq!(applied("{}"), Some(7));
        assert_eq!(applied(r#"{"rate":null}"#), None);
        assert_eq!(applied(r#"{"rate":3}"#), Some(3));
        assert_eq!(serde_json::from_str::<Form>(r#"{"name":"x"}"#).unwrap().name.as_deref(), Some("x"));
        assert!(serde_json::from_str::<Form>(r#"{"name":null}"#).is_err());
        assert!(serde_json::from_str::<Form>(r#"{"rate":"x"}"#).is_err());
        assert!(serde_json::from_str::<Form>(r#"{"rate":1,"rate":2}"#).is_err());
    }
}
