//! Postrider sends, receives and operates webhooks. Modules in flow order.
pub mod api;
pub mod cli;
pub mod clock;
pub mod config;
pub mod crypto;
pub mod flow;
pub mod inbound;
pub mod lanes;
pub mod model;
pub mod outbound;
pub mod random;
pub mod routing;
pub mod shutdown;
pub mod store;
pub mod systems;
pub mod telemetry;
pub mod upkeep;
