//! Strict order: which of an endpoint's deliveries go one after the other.

use super::PayloadPath;
use serde::{Deserialize, Serialize};

/// The longest ordering key, in bytes.
pub const MAX_ORDERING_KEY: usize = 256;

/// Within which key deliveries to an endpoint are kept in order: a digest of its text, so that keys of any length take the
/// same room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct OrderKey(pub u128);

/// Which of an endpoint's deliveries go one after the other: of those with the same key, one at a time, in the order in
/// which their messages were accepted. A message without a key goes whenever it is due.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "lowercase", from = "Written")]
pub enum Order {
    /// Those whose messages carry the same ordering key.
    Key,
    /// Those whose payloads have the same value at this path.
    Payload {
        /// The path.
        path: PayloadPath,
    },
    /// All.
    All,
}

/// As it is read. A variant without fields would take any.
#[derive(Deserialize)]
#[serde(tag = "by", rename_all = "lowercase", deny_unknown_fields)]
enum Written {
    Key {},
    Payload { path: PayloadPath },
    All {},
}

impl From<Written> for Order {
    fn from(written: Written) -> Self {
        match written {
            Written::Key {} => Order::Key,
            Written::Payload { path } => Order::Payload { path },
            Written::All {} => Order::All,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_order_is_written_as_an_object() {
        let path = PayloadPath::parse("order.id").unwrap();
        let all = [
            (Order::Key, json!({"by": "key"})),
            (Order::Payload { path }, json!({"by": "payload", "path": "order.id"})),
            (Order::All, json!({"by": "all"})),
        ];
        for (order, written) in all {
            assert_eq!(serde_json::to_value(&order).unwrap(), written);
            assert_eq!(serde_json::from_value::<Order>(written).unwrap(), order);
        }
        for wrong in [
            json!({"by": "key", "path": "x"}),
            json!({"by": "all", "more": 1}),
            json!("key"),
            json!({"by": "payload"}),
            json!({"by": "tag"}),
            json!({"by": "payload", "path": "a..b"}),
        ] {
            assert!(serde_json::from_value::<Order>(wrong.clone()).is_err(), "{wrong}");
        }
    }
}
