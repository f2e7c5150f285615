//! x
/// How long a result may wait.
pub const SETTLE_SYNC: std::time::Duration = std::time::Duration::from_millis(50);
