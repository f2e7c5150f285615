//! Postrider sends, receives and operates webhooks. Modules in flow order.
pub mod clock;
pub mod model;
pub mod random;
pub mod store;
