//! Scopes: what a limited key may do, decided by method and path, before the handler is asked. What is not listed here takes
//! the scope `manage`, so that a new route is never open by omission.

use crate::model::Scope;
use axum::http::Method;

/// Beginnings of the paths at which looking takes no more than `read`.
const READABLE: [&str; 18] = [
    "/api/v1/alert",
    "/api/v1/app",
    "/api/v1/audit",
    "/api/v1/auth/whoami",
    "/api/v1/background-task",
    "/api/v1/branding",
    "/api/v1/erase",
    "/api/v1/event-type",
    "/api/v1/filter",
    "/api/v1/health",
    "/api/v1/key",
    "/api/v1/operational-webhook",
    "/api/v1/profile",
    "/api/v1/proxy",
    "/api/v1/replay",
    "/api/v1/retention",
    "/api/v1/source",
    "/api/v1/stats",
];

/// The scope that a request needs.
pub(super) fn needed(method: &Method, path: &str) -> Scope {
    let below = |start: &str| path.strip_prefix(start).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    if matches!(*method, Method::GET | Method::HEAD) {
        let open = READABLE.iter().any(|start| below(start)) && !path.ends_with("/secret");
        return if open { Scope::Read } else { Scope::Manage };
    }
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    match (method, segments.as_slice()) {
        (&Method::POST, ["api", "v1", "app", _, "msg"] | ["api", "v1", "app", _, "endpoint", _, "send-example"]) => Scope::Send,
        (&Method::POST, ["api", "v1", "auth", "app-portal-access", _] | ["api", "v1", "auth", "app", _, "expire-all"]) => {
            Scope::Portal
        }
        _ => Scope::Manage,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_listed_takes_manage() {
        for (method, path, scope) in [
            (Method::GET, "/api/v1/app", Scope::Read),
            (Method::GET, "/api/v1/app/a/endpoint/b", Scope::Read),
            (Method::HEAD, "/api/v1/app/a/msg", Scope::Read),
            (Method::GET, "/api/v1/app/a/endpoint/b/secret", Scope::Manage),
            (Method::GET, "/api/v1/retention", Scope::Read),
            (Method::GET, "/api/v1/erase/task_1", Scope::Read),
            (Method::PUT, "/api/v1/retention", Scope::Manage),
            (Method::POST, "/api/v1/erase", Scope::Manage),
            (Method::GET, "/api/v1/branding", Scope::Read),
            (Method::PUT, "/api/v1/branding", Scope::Manage),
            (Method::GET, "/api/v1/user", Scope::Manage),
            (Method::GET, "/api/v1/master-key/rotate", Scope::Manage),
            (Method::GET, "/api/v1/applications", Scope::Manage),
            (Method::GET, "/api/v1/webhooks", Scope::Manage),
            (Method::POST, "/api/v1/app/a/msg", Scope::Send),
            (Method::POST, "/api/v1/app/a/msg/", Scope::Manage),
            (Method::POST, "/api/v1/app/a/msg/b/endpoint/c/resend", Scope::Manage),
            (Method::DELETE, "/api/v1/app/a/msg", Scope::Manage),
            (Method::POST, "/api/v1/app", Scope::Manage),
            (Method::POST, "/api/v1/auth/app-portal-access/a", Scope::Portal),
            (Method::POST, "/v1/anything", Scope::Manage),
            (Method::POST, "/", Scope::Manage),
        ] {
            assert_eq!(needed(&method, path), scope, "{method} {path}");
        }
    }
}
