//! The profiles of organizations: their own ones, and the one that an organization wants where nobody says otherwise.

use super::{CompiledProfile, RouteError, access::open_proxy, compiled_built_in};
use crate::{
    crypto::{Vault, VaultError},
    model::{Application, DEFAULT_PROFILE, Endpoint, OrgId, OutgoingProxy, OwnProfile, RetryPolicy, Sealed},
};
use foldhash::HashMap;
use parking_lot::RwLock;
use std::sync::Arc;

/// Of one organization.
#[derive(Debug, Default)]
struct Own {
    wanted: Option<String>,
    profiles: HashMap<String, Arc<CompiledProfile>>,
    proxy: Option<OwnProxy>,
}

/// The proxy of an organization, and what it was opened from.
#[derive(Debug)]
struct OwnProxy {
    sealed: Sealed,
    opened: Result<Arc<OutgoingProxy>, VaultError>,
}

/// Of all organizations that have any.
#[derive(Debug, Default)]
pub(super) struct Profiles(RwLock<HashMap<OrgId, Own>>);

/// How an endpoint's deliveries look and behave, once all levels have been asked.
pub(super) struct Resolved {
    pub(super) profile: Arc<CompiledProfile>,
    pub(super) retry_policy: Option<Arc<RetryPolicy>>,
    /// Through which requests leave.
    pub(super) proxy: Option<Arc<OutgoingProxy>>,
}

impl Profiles {
    /// The profile of that name, the organization's own or a built-in one.
    pub(super) fn get(&self, org: OrgId, name: &str) -> Option<Arc<CompiledProfile>> {
        compiled_built_in(name).or_else(|| self.0.read().get(&org)?.profiles.get(name).cloned())
    }

    /// The names of an organization's own profiles, in their order.
    pub(super) fn names(&self, org: OrgId) -> Vec<String> {
        let mut names: Vec<String> = self.0.read().get(&org).map(|own| own.profiles.keys().cloned().collect()).unwrap_or_default();
        names.sort_unstable();
        names
    }

    /// Adds a profile or takes over its new form.
    pub(super) fn put(&self, own: &OwnProfile) {
        let compiled = Arc::new(CompiledProfile::compile(&own.name, &own.profile));
        self.0.write().entry(own.org).or_default().profiles.insert(own.name.clone(), compiled);
    }

    /// Forgets a profile.
    pub(super) fn remove(&self, org: OrgId, name: &str) {
        self.0.write().entry(org).or_default().profiles.remove(name);
    }

    /// Takes over what an organization wants where nobody says otherwise; whether that is another one than before.
    pub(super) fn want(&self, org: OrgId, wanted: Option<String>) -> bool {
        let mut all = self.0.write();
        if wanted.is_none() && !all.contains_key(&org) {
            return false;
        }
        let own = all.entry(org).or_default();
        let changed = own.wanted != wanted;
        own.wanted = wanted;
        changed
    }

    /// Takes over through which proxy an organization's requests leave; whether that is another one than before.
    pub(super) fn set_proxy(&self, org: OrgId, sealed: Option<&Sealed>, vault: &Vault) -> bool {
        let mut all = self.0.write();
        if sealed.is_none() && !all.contains_key(&org) {
            return false;
        }
        let own = all.entry(org).or_default();
        let changed = own.proxy.as_ref().map(|proxy| &proxy.sealed) != sealed;
        if changed {
            let open = |sealed: &Sealed| open_proxy(vault, sealed).map(Arc::new);
            own.proxy = sealed.map(|sealed| OwnProxy { sealed: sealed.clone(), opened: open(sealed) });
        }
        changed
    }

    /// The proxy through which an organization's requests leave.
    ///
    /// # Errors
    /// It has one that does not open: nothing may leave by another way.
    pub(super) fn proxy(&self, org: OrgId) -> Result<Option<Arc<OutgoingProxy>>, VaultError> {
        let all = self.0.read();
        let own = all.get(&org).and_then(|own| own.proxy.as_ref());
        own.map(|proxy| proxy.opened.clone()).transpose()
    }

    /// What an organization wants where nobody says otherwise.
    pub(super) fn wanted(&self, org: OrgId) -> Option<String> {
        self.0.read().get(&org)?.wanted.clone()
    }

    /// Asks endpoint, application and organization, in this order. At each level its own retry policy comes before the one of
    /// the profile that it names.
    ///
    /// # Errors
    /// A level names a profile that is not there.
    pub(super) fn resolve(&self, application: &Application, endpoint: &Endpoint) -> Result<Resolved, RouteError> {
        let named = |name: Option<&str>| match name {
            None => Ok(None),
            Some(name) => self.get(application.org, name).map(Some).ok_or_else(|| RouteError::Profile(name.to_owned())),
        };
        let own = named(endpoint.profile.as_deref())?;
        let of_app = named(application.profile.as_deref())?;
        let of_org = named(self.wanted(application.org).as_deref())?;
        let policy = |profile: &Option<Arc<CompiledProfile>>| profile.as_ref().and_then(|profile| profile.retry_policy.clone());
        let retry_policy = (endpoint.retry_policy.clone().map(Arc::new))
            .or_else(|| policy(&own))
            .or_else(|| application.retry_policy.clone().map(Arc::new))
            .or_else(|| policy(&of_app))
            .or_else(|| policy(&of_org));
        let profile = own.or(of_app).or(of_org).or_else(|| compiled_built_in(DEFAULT_PROFILE));
        let profile = profile.ok_or_else(|| RouteError::Profile(DEFAULT_PROFILE.to_owned()))?;
        Ok(Resolved { profile, retry_policy, proxy: self.proxy(application.org)? })
    }
}
