//! The query parameters of lists of attempts, for the description of the API. [`crate::api::message::Filter`] reads them.

use super::MessageStatus;
use utoipa::IntoParams;

/// Which standings are shown.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes parameters that are read from pairs")]
pub(in crate::api) struct StatusParams {
    /// Only this status: success 0, pending 1, fail 2, sending 3, canceled 4.
    #[param(inline)]
    status: Option<MessageStatus>,
    /// Whether the client knows the status `canceled`; otherwise it sees `fail`.
    #[param(default = false)]
    expanded_statuses: Option<bool>,
}

/// Which answers are shown.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes parameters that are read from pairs")]
pub(in crate::api) struct CodeParam {
    /// Only answers of this class: 0 (none), 100, 200, 300, 400 or 500.
    status_code_class: Option<u16>,
}

/// Whether attempts carry their message.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes parameters that are read from pairs")]
pub(in crate::api) struct WithMsgParam {
    /// Whether each attempt carries its message, without the payload.
    #[param(default = false)]
    with_msg: Option<bool>,
}

/// Which endpoint's attempts are shown.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes parameters that are read from pairs")]
pub(in crate::api) struct EndpointParam {
    /// Only attempts at this endpoint, by id or uid.
    endpoint_id: Option<String>,
}
