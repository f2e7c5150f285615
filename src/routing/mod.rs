//! The routing table: applications and compiled endpoints in memory, so that the hot path reads nothing from the store.
//!
//! An application's entry is swapped whole when anything in it changes; readers keep the one they have. It is one entry an
//! application, not one table for all, because a change would otherwise copy every application of the process.

mod access;
mod catalogue;
mod profile;
mod profiles;
mod route;

pub use access::{CREDENTIALS_PURPOSE, PROXY_PURPOSE, open_credentials, open_proxy};
pub use profile::{CompiledProfile, Signer, compiled_built_in};
pub use route::{HEADER_PURPOSE, Route, RouteError, SECRET_PURPOSE, Sending, Wanted};

use crate::{
    crypto::Vault,
    model::{AppId, Application, Endpoint, EndpointId, EventType, OrgId, Organization, OwnProfile},
    outbound::{Target, Way},
};
use catalogue::Catalogue;
use foldhash::HashMap;
use parking_lot::RwLock;
use profiles::{Profiles, Resolved};
use std::sync::Arc;

/// An application with its endpoints, ready to be matched.
#[derive(Debug)]
pub struct AppRoutes {
    /// The application.
    pub application: Application,
    /// Its endpoints in the order of their ids.
    pub routes: Vec<Arc<Route>>,
}

impl AppRoutes {
    /// The endpoint with this id.
    #[must_use]
    pub fn route(&self, endpoint: EndpointId) -> Option<&Arc<Route>> {
        self.routes.binary_search_by_key(&endpoint, |r| r.id).ok().and_then(|at| self.routes.get(at))
    }
}

/// All applications and their endpoints.
#[derive(Debug, Default)]
pub struct Routing {
    apps: RwLock<HashMap<AppId, Arc<AppRoutes>>>,
    uids: RwLock<HashMap<OrgId, HashMap<String, AppId>>>,
    owners: RwLock<HashMap<EndpointId, AppId>>,
    catalogue: Arc<Catalogue>,
    profiles: Profiles,
}

impl Routing {
    /// The application with this id or uid, if it is the organization's.
    #[must_use]
    pub fn app(&self, org: OrgId, id_or_uid: &str) -> Option<Arc<AppRoutes>> {
        let id = match id_or_uid.parse() {
            Ok(id) => id,
            Err(_) => *self.uids.read().get(&org)?.get(id_or_uid)?,
        };
        self.by_id(id).filter(|app| app.application.org == org)
    }

    /// The application with this id, whoever owns it.
    #[must_use]
    pub fn by_id(&self, app: AppId) -> Option<Arc<AppRoutes>> {
        self.apps.read().get(&app).cloned()
    }

    /// An endpoint and its application.
    #[must_use]
    pub fn endpoint(&self, endpoint: EndpointId) -> Option<(Arc<AppRoutes>, Arc<Route>)> {
        let app = *self.owners.read().get(&endpoint)?;
        let app = self.by_id(app)?;
        let route = app.route(endpoint)?.clone();
        Some((app, route))
    }

    /// Whether an event type of the organization is reserved: nobody may send one yet.
    #[must_use]
    pub fn is_reserved(&self, org: OrgId, event_type: &str) -> bool {
        self.catalogue.is_reserved(org, event_type)
    }

    /// Whether an event type of the organization is in this category.
    #[must_use]
    pub fn has_category(&self, org: OrgId, category: &str) -> bool {
        self.catalogue.has_category(org, category)
    }

    /// Takes over what an event type says of itself.
    pub fn put_event_type(&self, event_type: &EventType) {
        self.catalogue.put(event_type);
    }

    /// Forgets an event type.
    pub fn remove_event_type(&self, org: OrgId, name: &str) {
        self.catalogue.remove(org, name);
    }

    /// Every application's id.
    #[must_use]
    pub fn app_ids(&self) -> Vec<AppId> {
        self.apps.read().keys().copied().collect()
    }

    /// Every organization that has an application.
    #[must_use]
    pub fn orgs(&self) -> Vec<OrgId> {
        self.uids.read().keys().copied().collect()
    }

    /// Adds an application or takes over its new form; its endpoints stay.
    pub fn put_application(&self, application: Application) {
        let mut apps = self.apps.write();
        let mut uids = self.uids.write();
        let names = uids.entry(application.org).or_default();
        let old = apps.get(&application.id);
        if let Some(uid) = old.and_then(|o| o.application.uid.as_ref()) {
            release(names, uid, application.id);
        }
        if let Some(uid) = &application.uid {
            names.insert(uid.clone(), application.id);
        }
        let routes = old.map(|o| o.routes.clone()).unwrap_or_default();
        apps.insert(application.id, Arc::new(AppRoutes { application, routes }));
    }

    /// Adds an endpoint or takes over its new form. Its application must be here.
    ///
    /// # Errors
    /// The endpoint cannot be compiled (a secret that does not decrypt, a URL that cannot be read): it is left out.
    pub fn put_endpoint(&self, endpoint: &Endpoint, vault: &Vault) -> Result<(), RouteError> {
        let Some(app) = self.by_id(endpoint.app) else { return Ok(()) };
        self.put_route(self.compile(&app.application, endpoint, vault)?);
        Ok(())
    }

    /// Compiles an endpoint as it would be taken in.
    ///
    /// # Errors
    /// As [`Routing::put_endpoint`]; a level names a profile that is not there, the profile wants `https://`.
    pub fn compile(&self, application: &Application, endpoint: &Endpoint, vault: &Vault) -> Result<Route, RouteError> {
        Route::compile(endpoint, self.profiles.resolve(application, endpoint)?, vault, &self.catalogue)
    }

    /// Compiles an endpoint as if it had that profile.
    ///
    /// # Errors
    /// As [`Routing::compile`].
    pub fn compile_as(&self, endpoint: &Endpoint, profile: Arc<CompiledProfile>, vault: &Vault) -> Result<Route, RouteError> {
        Route::compile(endpoint, Resolved { profile, retry_policy: None, proxy: None }, vault, &self.catalogue)
    }

    /// The profile of an endpoint: its own, its application's, its organization's, or the default.
    ///
    /// # Errors
    /// A level names a profile that is not there.
    pub fn profile_of(&self, application: &Application, endpoint: &Endpoint) -> Result<Arc<CompiledProfile>, RouteError> {
        self.profiles.resolve(application, endpoint).map(|resolved| resolved.profile)
    }

    /// The organization's own profiles' names, in their order.
    #[must_use]
    pub fn own_profiles(&self, org: OrgId) -> Vec<String> {
        self.profiles.names(org)
    }

    /// The profile of that name, the organization's own or a built-in one.
    #[must_use]
    pub fn profile(&self, org: OrgId, name: &str) -> Option<Arc<CompiledProfile>> {
        self.profiles.get(org, name)
    }

    /// What an organization wants where nobody says otherwise.
    #[must_use]
    pub fn wanted_profile(&self, org: OrgId) -> Option<String> {
        self.profiles.wanted(org)
    }

    /// Takes over what an organization wants where nobody says otherwise, and its proxy; whether anything is another than
    /// before. Its endpoints are to be put again.
    pub fn put_organization(&self, organization: Organization, vault: &Vault) -> bool {
        let proxy = self.profiles.set_proxy(organization.id, organization.proxy.as_ref(), vault);
        self.profiles.want(organization.id, organization.profile) || proxy
    }

    /// A target as the organization reaches it, where no endpoint's credentials are needed.
    ///
    /// # Errors
    /// The organization's proxy cannot be used.
    pub fn reached(&self, org: OrgId, target: Target) -> Result<Target, RouteError> {
        Ok(target.by(Way::new("", None, None, self.profiles.proxy(org)?.as_deref())?))
    }

    /// Adds a profile of an organization's own, or takes over its new form. Its endpoints are to be put again.
    pub fn put_profile(&self, profile: &OwnProfile) {
        self.profiles.put(profile);
    }

    /// Forgets a profile of an organization's own.
    pub fn remove_profile(&self, org: OrgId, name: &str) {
        self.profiles.remove(org, name);
    }

    /// The applications of an organization.
    #[must_use]
    pub fn apps_of(&self, org: OrgId) -> Vec<AppId> {
        self.apps.read().values().map(|app| &app.application).filter(|app| app.org == org).map(|app| app.id).collect()
    }

    fn put_route(&self, mut route: Route) {
        let mut apps = self.apps.write();
        let Some(app) = apps.get_mut(&route.app) else { return };
        app.route(route.id).into_iter().for_each(|before| route.sending.inherit(&before.sending));
        self.owners.write().insert(route.id, route.app);
        let change = |routes: &mut Vec<Arc<Route>>| match routes.binary_search_by_key(&route.id, |r| r.id) {
            Ok(at) => routes.get_mut(at).into_iter().for_each(|slot| *slot = Arc::new(route.clone())),
            Err(at) => routes.insert(at, Arc::new(route.clone())),
        };
        edit(app, change);
    }

    /// Forgets an endpoint.
    pub fn remove_endpoint(&self, endpoint: EndpointId) {
        let Some(app) = self.owners.write().remove(&endpoint) else { return };
        if let Some(app) = self.apps.write().get_mut(&app) {
            edit(app, |routes| routes.retain(|r| r.id != endpoint));
        }
    }

    /// Forgets an application and its endpoints; the endpoints.
    pub fn remove_application(&self, app: AppId) -> Vec<EndpointId> {
        let Some(gone) = self.apps.write().remove(&app) else { return Vec::new() };
        if let Some(uid) = &gone.application.uid
            && let Some(names) = self.uids.write().get_mut(&gone.application.org)
        {
            release(names, uid, app);
        }
        let mut owners = self.owners.write();
        let ids = gone.routes.iter().map(|r| r.id);
        ids.inspect(|id| {
            owners.remove(id);
        })
        .collect()
    }
}

/// Takes a uid from an application, unless another one has it by now.
fn release(names: &mut HashMap<String, AppId>, uid: &str, from: AppId) {
    if names.get(uid) == Some(&from) {
        names.remove(uid);
    }
}

/// Changes the list in place when nobody reads it, else on a copy that takes its place.
fn edit(app: &mut Arc<AppRoutes>, change: impl FnOnce(&mut Vec<Arc<Route>>)) {
    if let Some(owned) = Arc::get_mut(app) {
        return change(&mut owned.routes);
    }
    let mut routes = app.routes.clone();
    change(&mut routes);
    *app = Arc::new(AppRoutes { application: app.application.clone(), routes });
}

#[cfg(test)]
pub(crate) mod tests;
