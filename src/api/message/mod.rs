//! Messages: `…/msg…`.

mod body;
mod create;
mod filter;
mod given;
mod inline;
pub(crate) mod labels;
mod params;
mod read;
mod shape;

pub(in crate::api) use create::{accept, create, limits};
pub(in crate::api) use filter::{Asked, Filter};
pub(crate) use given::Given;
pub(in crate::api) use given::MAX_CHANNELS;
pub(in crate::api) use params::{ContentParam, MessageParams};
pub(in crate::api) use read::find;
pub(in crate::api) use shape::{Content, MessageOut, OriginOut};

use super::Shared;
use utoipa_axum::{router::OpenApiRouter, routes};

/// The operations on messages.
pub fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(read::list, create::create)).routes(routes!(read::get)).routes(routes!(read::expunge))
}
