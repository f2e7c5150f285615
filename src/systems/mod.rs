//! The documented systems: each is a surface on the one engine (routes, JSON, a profile, the form of its refusals) and
//! nothing else. What two of them need is an engine feature, or stands here.

mod alakazam;
mod alumia;
mod callers;
mod catalogue;
mod connect;
mod data;
mod docs;
mod form;
mod home;
mod ilara;
mod listed;
mod nudj;
mod options;
mod ranges;
mod received;
mod refusal;
mod stats;
mod trial;
mod tries;
mod uuid;

pub use catalogue::Seed;
pub use options::Options;

pub(crate) use callers::{KeyCaller, SessionCaller};

use crate::{
    api::{BodyLimit, Problem, Shared, endpoint::BrandRules, source::receivers::ReceiverRules},
    model::System,
};
use axum::{
    Extension, Router,
    middleware::map_response,
    response::{IntoResponse, Response},
};
use std::{fmt, sync::Arc};
use utoipa_axum::router::OpenApiRouter;

/// The longest body of a management request, in bytes. Routes that receive events have their own limits.
const MAX_BODY_BYTES: usize = 1 << 20;

/// The surface of a documented system.
pub struct Surface {
    /// Which one. Its name is also that in the configuration, in paths, and of its profile.
    pub system: System,
    /// Its name for people.
    pub title: &'static str,
    /// What it is, in a sentence.
    pub about: &'static str,
    /// Its operations.
    pub routes: fn(&Options) -> OpenApiRouter<Shared>,
    /// A refusal in its form.
    pub refused: fn(&Problem) -> Response,
    /// Names of fields in the API, and on this surface.
    pub names: &'static [(&'static str, &'static str)],
    /// A header that may carry the API key in place of `Authorization`.
    pub token_header: Option<&'static str>,
    /// What it calls what it manages.
    pub noun: &'static str,
    /// What is particular to its endpoints.
    pub(crate) brand: BrandRules,
    /// What is particular to its sources, if it has any.
    pub(crate) receivers: Option<ReceiverRules>,
}

/// The surface of every system, in the order in which they are listed.
pub const SURFACES: &[&Surface] = &[&alakazam::SURFACE, &alumia::SURFACE, &nudj::SURFACE, &ilara::SURFACE, &connect::SURFACE];

impl fmt::Debug for Surface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Surface").field("system", &self.system).finish_non_exhaustive()
    }
}

impl Surface {
    /// The surface of the system of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Surface> {
        SURFACES.iter().find(|surface| surface.name() == name).copied()
    }

    /// The system's name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.system.name()
    }

    /// The event types of its document.
    #[must_use]
    pub fn catalogue(&self) -> &'static [Seed] {
        catalogue::of(self.system)
    }

    /// Its operations as `METHOD /path`, in the order of paths.
    #[must_use]
    pub fn operations(&self, options: &Options) -> Vec<String> {
        docs::operations(&docs::document(self, (self.routes)(options)))
    }
}

/// The routes of the systems that are switched on, and the documents that describe them.
pub fn router(api: Shared, options: Options) -> Router {
    let options = Arc::new(options);
    let on = SURFACES.iter().filter(|surface| options.is_on(surface.system));
    on.fold(Router::new(), |all, surface| all.merge(mounted(surface, api.clone(), &options)))
}

fn mounted(surface: &'static Surface, api: Shared, options: &Arc<Options>) -> Router {
    let (routes, described) = docs::split(surface, (surface.routes)(options));
    let routes = routes
        .method_not_allowed_fallback(async || Problem::MethodNotAllowed)
        .layer(map_response(move |response| async move { in_form(response, surface) }))
        .layer(Extension(BodyLimit(MAX_BODY_BYTES)))
        .layer(Extension(surface))
        .layer(Extension(options.clone()))
        .with_state(api);
    routes.merge(docs::routes(surface, described))
}

/// Every refusal, whether a handler's or of what is read before it, in the system's form and words. What tells clients how to
/// go on (`Retry-After`, `WWW-Authenticate`) stays.
fn in_form(response: Response, surface: &Surface) -> Response {
    let Some(problem) = response.extensions().get::<Problem>() else { return response };
    let problem = refusal::worded(problem.clone(), surface.noun, surface.names);
    let mut told = (surface.refused)(&problem).into_response();
    for (name, value) in response.headers() {
        if !told.headers().contains_key(name) && name != axum::http::header::CONTENT_LENGTH {
            told.headers_mut().append(name, value.clone());
        }
    }
    told
}
