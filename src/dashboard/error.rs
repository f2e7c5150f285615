//! Refusals as pages.

use super::{
    page::{Bare, Page, Shell},
    visitor::theme,
};
use crate::api::Problem;
use askama::Template;
use axum::{
    extract::Request,
    middleware::Next,
    response::{IntoResponse, Response},
};

/// A refusal, shown as a page.
#[derive(Debug)]
pub(super) struct PageError(pub(super) Problem);

/// What a page's handler answers.
pub(super) type Shown = Result<Response, PageError>;

#[derive(Template)]
#[template(path = "dashboard/error.html")]
struct ErrorPage {
    shell: Shell,
    status: u16,
    title: &'static str,
    reasons: Vec<String>,
}

impl<E: Into<Problem>> From<E> for PageError {
    fn from(error: E) -> Self {
        PageError(error.into())
    }
}

/// A refusal that waits for its page, which [`dressed`] makes: only there the reader's theme is known.
#[derive(Clone, Debug)]
struct Refused(Problem);

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        let mut response = self.0.status().into_response();
        response.extensions_mut().insert(Refused(self.0));
        response
    }
}

/// Makes pages of refusals, in the reader's theme.
pub(super) async fn dressed(request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let theme = theme(&parts);
    let mut response = next.run(Request::from_parts(parts, body)).await;
    match response.extensions_mut().remove::<Refused>() {
        Some(Refused(problem)) => refusal(&problem, theme),
        None => response,
    }
}

fn refusal(problem: &Problem, theme: &'static str) -> Response {
    let status = problem.status();
    let title = match status.as_u16() {
        404 => "There is nothing here",
        403 => "You may not do this",
        409 => "Something is in the way",
        422 | 400 => "This cannot be done",
        500.. => "Something went wrong",
        _ => "That did not work",
    };
    let page = ErrorPage { shell: Shell::bare(title, Bare { theme }), status: status.as_u16(), title, reasons: reasons(problem) };
    (status, Page(page)).into_response()
}

/// Why something was refused, in sentences.
pub(super) fn reasons(problem: &Problem) -> Vec<String> {
    match problem {
        Problem::Invalid(items) => items
            .iter()
            .map(|item| {
                let place: Vec<&str> = item.loc.iter().map(String::as_str).filter(|part| *part != "body").collect();
                if place.is_empty() { item.msg.to_string() } else { format!("{}: {}", place.join("."), item.msg) }
            })
            .collect(),
        other => vec![other.clone().words().detail.to_string()],
    }
}

/// Where there is no page.
pub(super) async fn nothing_here() -> PageError {
    PageError(Problem::not_found("page"))
}
