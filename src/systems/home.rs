//! Where a surface's endpoints are: the caller's application, and what is particular to the system.

use super::{KeyCaller, Surface, catalogue, options::Told};
use crate::{
    api::{
        Api, Idempotent, Problem, Shared, application,
        endpoint::{Brand, Wish, revise_wished, surface},
    },
    model::{Endpoint, EndpointId, OrgId, Record},
    routing::AppRoutes,
    store::Change,
};
use axum::{
    body::Bytes,
    extract::FromRequestParts,
    http::{StatusCode, request::Parts},
    response::Response,
};
use serde::Serialize;
use std::sync::Arc;

/// The uid of the application in which the organization-wide systems keep their endpoints.
pub(crate) const DEFAULT_UID: &str = "default";
/// Its name for people.
const NAME: &str = "Default";

/// The organization's application with the uid `default`, made on first use.
///
/// # Errors
/// The store is away.
pub(crate) async fn home(api: &Api, org: OrgId) -> Result<Arc<AppRoutes>, Problem> {
    application::made_on_first_use(api, org, DEFAULT_UID, NAME).await
}

/// What is particular to the system that a request came to.
#[derive(Clone, Debug)]
pub(crate) struct Branded(pub(crate) Brand);

impl FromRequestParts<Shared> for Branded {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Shared) -> Result<Self, Problem> {
        let Told(options) = Told::from_request_parts(parts, api).await?;
        // The router of every surface puts it there.
        let surface = parts.extensions.get::<&'static Surface>().ok_or(Problem::Internal)?;
        let profile = options.profile(surface.system);
        Ok(Branded(Brand { system: surface.system, profile, rules: surface.brand }))
    }
}

/// The endpoints of an organization-wide system, for a caller with an API key. The first time that somebody comes, the
/// system's event types are put into the catalogue.
pub(crate) struct Home {
    /// The application that they are in.
    pub(crate) app: Arc<AppRoutes>,
    /// What is particular to them.
    pub(crate) brand: Brand,
}

impl FromRequestParts<Shared> for Home {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Shared) -> Result<Self, Problem> {
        let KeyCaller(caller) = KeyCaller::from_request_parts(parts, api).await?;
        let Branded(brand) = Branded::from_request_parts(parts, api).await?;
        catalogue::on_first_use(api, caller.org, brand.system).await?;
        Ok(Home { app: home(api, caller.org).await?, brand })
    }
}

impl Home {
    /// The system's endpoints, oldest first.
    pub(crate) async fn all(&self, api: &Api) -> Result<Vec<Endpoint>, Problem> {
        surface::of(api, self.app.application.id, self.brand.system).await
    }

    /// The endpoint with this id; `None` is the id of none.
    pub(crate) async fn one(&self, api: &Api, id: Option<EndpointId>) -> Result<Endpoint, Problem> {
        let id = id.ok_or_else(|| Problem::not_found("endpoint"))?;
        surface::one(api, self.app.application.id, (self.brand.system, id)).await
    }

    /// Makes an endpoint, once for each idempotency key; `shown` is given a secret that was made for it.
    pub(crate) async fn create<T: Serialize>(
        &self,
        api: &Shared,
        mut idempotent: Idempotent,
        (bytes, wish): (&Bytes, Wish),
        shown: impl FnOnce(Endpoint, Option<String>) -> Result<T, Problem>,
    ) -> Result<Response, Problem> {
        if let Some(answer) = idempotent.begin(api, bytes).await? {
            return Ok(answer);
        }
        let (endpoint, made) = wish.make(api, &self.app, &self.brand).await?;
        let out = shown(endpoint.clone(), made.map(|text| text.to_string()))?;
        idempotent.commit_sealed(api, vec![Change::Insert(Record::Endpoint(endpoint))], StatusCode::CREATED, &out).await
    }

    /// Changes the endpoint with this id.
    pub(crate) async fn change(&self, api: &Api, id: Option<EndpointId>, wish: &Wish) -> Result<Endpoint, Problem> {
        let id = id.ok_or_else(|| Problem::not_found("endpoint"))?;
        revise_wished(api, &self.app, &self.brand, id, wish).await
    }

    /// Deletes the endpoint with this id: what has not been delivered to it is cancelled.
    pub(crate) async fn delete(&self, api: &Api, id: Option<EndpointId>) -> Result<StatusCode, Problem> {
        let endpoint = self.one(api, id).await?;
        surface::delete(api, self.app.application.id, (self.brand.system, endpoint.id)).await?;
        Ok(StatusCode::NO_CONTENT)
    }
}
