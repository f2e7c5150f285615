//! What forms and queries ask of the API, apart from any page: the same bytes read as every form there is, for tests that send
//! anything.

use super::{
    alerts, applications, audit, cancel, endpoint, endpoint_edit,
    fields::{Fields, segment},
    integrations, portal, replay_new,
    search::Sought,
};
use crate::api::Problem;
use serde_json::Value;

/// What is asked of the API.
#[derive(Debug)]
pub enum Asked {
    /// The body of a request.
    Body(Value),
    /// The path of one, with its query.
    Path(String),
    /// Nothing: what was sent only says what to show.
    View,
}

/// The body of a form, or a query, read as each of the forms and queries that pages take, with the form's name.
#[must_use]
pub fn read(text: &[u8]) -> Vec<(&'static str, Result<Asked, Problem>)> {
    let fields = Fields::parse(text);
    let catalogue = fields.all("type");
    let body = |read: Result<Value, Problem>| read.map(Asked::Body);
    let app = segment(fields.text("app"));
    vec![
        ("alert", body(alerts::asked(&fields))),
        ("application", body(applications::form(&fields))),
        ("audit", audit::path(&fields).map(Asked::Path)),
        ("cancellation", body(cancel::request(&fields, fields.text("since"), &catalogue))),
        ("attempts", endpoint::attempts_path(&app, "ep", &fields).map(Asked::Path)),
        ("endpoint", body(endpoint_edit::body(&fields))),
        ("integration", body(integrations::body(&fields, fields.ticked("new")))),
        ("replay", body(replay_new::request(&fields, fields.text("since"), &catalogue))),
        ("messages", Sought::read(&fields).map(|_| Asked::View)),
        ("recovery", body(endpoint::window(&fields))),
        ("endpoint in the portal", body(portal::wanted(&fields))),
    ]
}
