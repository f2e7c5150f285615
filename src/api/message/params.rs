//! The query parameters of lists, for the description of the API. [`super::Filter`] reads them.

use utoipa::IntoParams;

/// Whether payloads or answers are shown.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes parameters that are read from pairs")]
pub(in crate::api) struct ContentParam {
    /// Whether content is shown.
    #[param(default = true)]
    with_content: Option<bool>,
}

/// Which messages are shown.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes parameters that are read from pairs")]
pub(in crate::api) struct MessageParams {
    /// Only messages of this channel.
    channel: Option<String>,
    /// Only messages with this tag.
    tag: Option<String>,
    /// Only what was made before this instant.
    #[param(format = DateTime)]
    before: Option<String>,
    /// Only what was made after this instant.
    #[param(format = DateTime)]
    after: Option<String>,
    /// Whether content is shown.
    #[param(default = true)]
    with_content: Option<bool>,
    /// Only these event types; repeated or separated by commas.
    event_types: Option<Vec<String>>,
}
