use super::*;
use crate::{
    model::{Metadata, Time},
    random::Random,
};
use std::collections::BTreeMap;

pub(crate) fn vault() -> Vault {
    Vault::from_text(&Vault::new_key(&Random::seeded(1))).unwrap()
}

fn application(id: u128, uid: Option<&str>) -> Application {
    Application {
        id: AppId(id),
        org: OrgId(1),
        uid: uid.map(Into::into),
        name: "Acme".into(),
        throttle_rate: None,
        metadata: Metadata::new(),
        profile: None,
        retry_policy: None,
        created_at: Time(0),
        updated_at: Time(0),
    }
}

pub(crate) fn endpoint(id: u128, event_types: Option<&[&str]>, channels: Option<&[&str]>) -> Endpoint {
    let owned = |list: Option<&[&str]>| list.map(|l| l.iter().map(ToString::to_string).collect());
    Endpoint {
        id: EndpointId(id),
        app: AppId(1),
        org: OrgId(1),
        uid: None,
        url: "https://example.com/hook".into(),
        name: None,
        description: String::new(),
        event_types: owned(event_types),
        channels: owned(channels),
        filter: None,
        disabled: None,
        throttle_rate: None,
        concurrency: None,
        ordering: None,
        metadata: Metadata::new(),
        headers: BTreeMap::new(),
        credentials: None,
        secrets: Vec::new(),
        profile: None,
        method: None,
        system: None,
        retry_policy: None,
        created_at: Time(0),
        updated_at: Time(0),
    }
}

pub(crate) fn event_type(org: OrgId, name: &str) -> EventType {
    EventType {
        org,
        name: name.into(),
        description: String::new(),
        archived: false,
        deprecated: false,
        reserved: false,
        schemas: None,
        group_name: None,
        feature_flags: None,
        created_at: Time(0),
        updated_at: Time(0),
    }
}

pub(crate) fn app(endpoints: &[Endpoint]) -> Arc<AppRoutes> {
    let (routing, vault) = (Routing::default(), vault());
    routing.put_application(application(1, None));
    endpoints.iter().for_each(|e| routing.put_endpoint(e, &vault).unwrap());
    routing.by_id(AppId(1)).unwrap()
}

#[test]
fn readers_keep_the_entry_they_have() {
    let (routing, vault) = (Routing::default(), vault());
    routing.put_application(application(1, Some("acme")));
    let before = routing.app(OrgId(1), "acme").unwrap();
    routing.put_endpoint(&endpoint(2, None, None), &vault).unwrap();
    routing.put_endpoint(&endpoint(1, None, None), &vault).unwrap();
    assert_eq!(before.routes.len(), 0);
    let ids: Vec<_> = routing.app(OrgId(1), "acme").unwrap().routes.iter().map(|r| r.id.0).collect();
    assert_eq!(ids, [1, 2]);
    routing.remove_endpoint(EndpointId(1));
    assert!(routing.endpoint(EndpointId(1)).is_none());
    assert!(routing.endpoint(EndpointId(2)).is_some());
}

#[test]
fn a_uid_follows_its_application_and_stays_in_its_organization() {
    let routing = Routing::default();
    routing.put_application(application(1, Some("old")));
    routing.put_application(application(1, Some("new")));
    assert!(routing.app(OrgId(1), "old").is_none());
    assert!(routing.app(OrgId(1), "new").is_some());
    assert!(routing.app(OrgId(2), "new").is_none());
    assert!(routing.app(OrgId(2), &AppId(1).to_string()).is_none());
    assert!(routing.app(OrgId(1), &AppId(1).to_string()).is_some());
}

#[test]
fn a_uid_that_moves_on_is_not_taken_from_its_new_owner() {
    let routing = Routing::default();
    routing.put_application(application(1, Some("x")));
    routing.put_application(application(2, Some("x")));
    routing.put_application(application(1, None));
    assert_eq!(routing.app(OrgId(1), "x").unwrap().application.id, AppId(2));
    routing.remove_application(AppId(1));
    assert!(routing.app(OrgId(1), "x").is_some());
}

#[test]
fn removing_an_application_names_its_endpoints() {
    let (routing, vault) = (Routing::default(), vault());
    routing.put_application(application(1, Some("acme")));
    routing.put_endpoint(&endpoint(7, None, None), &vault).unwrap();
    assert_eq!(routing.remove_application(AppId(1)), [EndpointId(7)]);
    assert!(routing.app(OrgId(1), "acme").is_none() && routing.endpoint(EndpointId(7)).is_none());
    // An endpoint that comes after its application went is not taken in.
    routing.put_endpoint(&endpoint(8, None, None), &vault).unwrap();
    assert!(routing.endpoint(EndpointId(8)).is_none());
}

fn policy(seconds: u32) -> Option<crate::model::RetryPolicy> {
    Some(crate::model::RetryPolicy::Delays(vec![seconds]))
}

#[test]
fn the_nearest_level_says_how_deliveries_look_and_when_they_are_tried_again() {
    let routing = Routing::default();
    let resolved = |of_app: Application, endpoint: Endpoint| {
        let route = routing.compile(&of_app, &endpoint, &vault()).unwrap();
        (route.profile.name.to_string(), route.retry_policy.and_then(|policy| policy.delay_after(1)).map(|delay| delay.as_secs()))
    };
    let of_app = |profile: Option<&str>, retry_policy| Application {
        profile: profile.map(Into::into),
        retry_policy,
        ..application(1, None)
    };
    let of_endpoint = |profile: Option<&str>, retry_policy| Endpoint {
        profile: profile.map(Into::into),
        retry_policy,
        ..endpoint(1, None, None)
    };
    assert_eq!(resolved(of_app(None, None), of_endpoint(None, None)), ("standard".into(), None));
    assert_eq!(resolved(of_app(Some("ilara"), None), of_endpoint(None, None)), ("ilara".into(), Some(60)));
    assert_eq!(resolved(of_app(Some("ilara"), policy(7)), of_endpoint(None, None)), ("ilara".into(), Some(7)));
    assert_eq!(resolved(of_app(Some("ilara"), policy(7)), of_endpoint(Some("nudj"), None)), ("nudj".into(), Some(10)));
    assert_eq!(resolved(of_app(Some("ilara"), policy(7)), of_endpoint(Some("svix"), None)), ("svix".into(), Some(7)));
    assert_eq!(resolved(of_app(None, None), of_endpoint(Some("nudj"), policy(3))), ("nudj".into(), Some(3)));
    let wants = |org, profile: Option<&str>| {
        let profile = profile.map(Into::into);
        let organization = Organization { id: OrgId(org), name: String::new(), profile, proxy: None, created_at: Time(0) };
        routing.put_organization(organization, &vault())
    };
    assert!(wants(1, Some("connect")) && !wants(1, Some("connect")));
    assert_eq!(resolved(of_app(None, None), of_endpoint(None, None)), ("connect".into(), Some(21)));
    assert_eq!(resolved(of_app(Some("standard"), None), of_endpoint(None, None)), ("standard".into(), Some(21)));
    assert!(!wants(2, None));
}

#[test]
fn a_profile_s_rules_hold_for_its_endpoints() {
    let routing = Routing::default();
    let compiled = |endpoint: &Endpoint| routing.compile(&application(1, None), endpoint, &vault());
    let plain =
        |profile: &str| Endpoint { url: "http://example.com/".into(), profile: Some(profile.into()), ..endpoint(1, None, None) };
    assert!(matches!(compiled(&plain("alakazam")), Err(RouteError::NotHttps(name)) if &*name == "alakazam"));
    assert!(matches!(compiled(&plain("connect")), Err(RouteError::NotHttps(_))));
    assert!(compiled(&plain("ilara")).is_ok());
    assert!(matches!(compiled(&plain("unheard-of")), Err(RouteError::Profile(_))));
}

#[test]
fn an_organization_s_own_profile_is_its_own() {
    let routing = Routing::default();
    let profile = crate::model::built_in("github-like").unwrap().clone();
    let own = OwnProfile { org: OrgId(1), name: "acme".into(), profile, created_at: Time(0), updated_at: Time(0) };
    routing.put_profile(&own);
    assert!(routing.profile(OrgId(1), "acme").is_some() && routing.profile(OrgId(2), "acme").is_none());
    assert!(routing.profile(OrgId(2), "ilara").is_some());
    routing.remove_profile(OrgId(1), "acme");
    assert!(routing.profile(OrgId(1), "acme").is_none());
}
