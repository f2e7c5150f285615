//! What a refusal says, before a system puts it in its own form.

use crate::api::Problem;
use axum::http::StatusCode;

/// What a refusal says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Said {
    /// The status. A body that breaks a rule is a 400 on the systems' surfaces.
    pub(crate) status: StatusCode,
    /// One word that stays the same.
    pub(crate) code: String,
    /// The field at fault, as `retry_policy.max_retries`, if it is one's.
    pub(crate) field: Option<String>,
    /// A sentence for people, which names the field.
    pub(crate) message: String,
}

/// What a problem says. Of several faults the first is told.
pub(crate) fn said(problem: &Problem) -> Said {
    let status = match problem.status() {
        StatusCode::UNPROCESSABLE_ENTITY | StatusCode::UNSUPPORTED_MEDIA_TYPE => StatusCode::BAD_REQUEST,
        status => status,
    };
    if let Problem::Invalid(faults) = problem
        && let Some(fault) = faults.first()
    {
        let place = fault.loc.get(1..).unwrap_or_default().join(".");
        let field = (!place.is_empty()).then_some(place);
        let message = field.as_ref().map_or_else(|| fault.msg.to_string(), |field| format!("{field}: {}", fault.msg));
        return Said { status, code: fault.kind.to_string(), field, message };
    }
    let words = problem.clone().words();
    Said { status, code: words.code.into_owned(), field: None, message: words.detail.into_owned() }
}

/// What the API calls what surfaces manage.
const NOUNS: [&str; 2] = ["endpoint", "source"];

/// The problem in a surface's words: its noun for what is not there, and its name for a field of the API (`body.eventTypes`,
/// or `body.3.eventTypes` in a list).
pub(crate) fn worded(mut problem: Problem, noun: &str, names: &[(&str, &str)]) -> Problem {
    if NOUNS.iter().any(|ours| problem == Problem::not_found(ours)) {
        return Problem::not_found(noun);
    }
    if let Problem::Invalid(faults) = &mut problem {
        for fault in faults {
            let listed = fault.loc.get(1).is_some_and(|part| part.bytes().all(|b| b.is_ascii_digit()));
            if let Some(part) = fault.loc.get_mut(if listed { 2 } else { 1 })
                && let Some((_, name)) = names.iter().find(|(from, _)| from == part)
            {
                part.clear();
                part.push_str(name);
            }
        }
    }
    problem
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::systems::listed::placed_in;

    #[test]
    fn the_field_is_named_in_the_message() {
        let told = said(&Problem::field(&["body", "headers", "x-a"], "pattern", "It is not a header."));
        assert_eq!((told.status.as_u16(), told.code.as_str(), told.field.as_deref()), (400, "pattern", Some("headers.x-a")));
        assert_eq!(told.message, "headers.x-a: It is not a header.");
        let told = said(&Problem::field(&["body"], "type_error", "An object."));
        assert_eq!((told.field, told.message.as_str()), (None, "An object."));
        let told = said(&Problem::not_found("webhook"));
        assert_eq!((told.status.as_u16(), told.code.as_str()), (404, "not_found"));
    }

    #[test]
    fn fields_have_the_names_of_the_system() {
        let names = [("eventTypes", "events")];
        let problem = Problem::field(&["body", "eventTypes", "0"], "unknown", "");
        let worded = |problem| worded(problem, "hook", &names);
        assert_eq!(worded(problem.clone()), Problem::field(&["body", "events", "0"], "unknown", ""));
        assert_eq!(worded(placed_in(problem, 3)), Problem::field(&["body", "3", "events", "0"], "unknown", ""));
        let header = Problem::field(&["body", "headers", "eventTypes"], "pattern", "");
        assert_eq!(worded(header.clone()), header);
        assert_eq!(worded(Problem::not_found("endpoint")), Problem::not_found("hook"));
        assert_eq!(worded(Problem::not_found("application")), Problem::not_found("application"));
    }
}
