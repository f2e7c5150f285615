//! The application in which the organization-wide systems keep their endpoints.

use crate::{
    api::{Api, Problem, application},
    model::OrgId,
    routing::AppRoutes,
};
use std::sync::Arc;

/// Its uid.
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
